/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/transact.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/rootless.h"
#include "cmd/rkt/transact_show.h"
#include "spec/history.h"
#include "spec/probe.h"
#include "stage0/control.h"
#include "stage0/generation.h"
#include "stage0/pod.h"
#include "stage0/update.h"

#define NS_PER_MS 1000000
#define USER_NAME_BYTES                                                        \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

static int parse_strategy(const struct option_row *row, void *target,
			  const char *value, struct error *err)
{
	enum update_strategy s;

	(void)row;
	if (!update_strategy_parse(value, &s))
		return error_set(err, EINVAL,
				 "must be auto, patch, state, handover or "
				 "restart");
	*(enum update_strategy *)target = s;
	return 0;
}

/* "10%:30s" */
static int parse_canary(const struct option_row *row, void *target,
			const char *value, struct error *err)
{
	struct transact_opts *o =
		(void *)((char *)target -
			 offsetof(struct transact_opts, canary_share));
	const char *colon = strchr(value, ':');
	char *end = NULL;
	double percent;
	int r;

	(void)row;
	percent = strtod(value, &end);
	if (!colon || end == value || end + 1 != colon || *end != '%' ||
	    !(percent >= 0.01 && percent <= 100))
		return error_set(err, EINVAL,
				 "%s is no canary: PERCENT%%:TIME as in "
				 "10%%:30s",
				 value);
	r = parse_duration(colon + 1, &o->canary);
	if (r < 0)
		return error_set(err, -r, "%s is no time", colon + 1);
	o->canary_share = (uint32_t)(percent * 100 + 0.5);
	return 0;
}

static int parse_probe(const struct option_row *row, void *target,
		       const char *value, struct error *err)
{
	cleanup_probe struct probe probe = PROBE_INIT;
	int r = probe_parse(value, &probe, err);

	(void)row;
	if (r == 0)
		*(const char **)target = value;
	return r;
}

static int parse_on_fail(const struct option_row *row, void *target,
			 const char *value, struct error *err)
{
	(void)row;
	if (strcmp(value, "hold") != 0 && strcmp(value, "rollback") != 0)
		return error_set(err, EINVAL, "%s: it is rollback or hold",
				 value);
	*(bool *)target = strcmp(value, "hold") == 0;
	return 0;
}

static int parse_wait(const struct option_row *row, void *target,
		      const char *value, struct error *err)
{
	(void)row;
	if (strcmp(value, "committed") == 0)
		*(enum transact_wait *)target = WAIT_COMMITTED;
	else if (strcmp(value, "switched") == 0)
		*(enum transact_wait *)target = WAIT_SWITCHED;
	else
		return error_set(err, EINVAL, "must be switched or committed");
	return 0;
}

const struct option_row transact_how_rows[] = {
	{.name = "ready-timeout",
	 .kind = OPTION_DURATION,
	 .offset = offsetof(struct transact_opts, ready_timeout),
	 .shown = "30s",
	 .help = "roll back if the new generation is not ready by then"},
	{.name = "observe",
	 .kind = OPTION_DURATION,
	 .offset = offsetof(struct transact_opts, observe),
	 .shown = "10s",
	 .help = "how long it must stay up, with all connections, before the "
		 "update is committed; up to then the old one is there to go "
		 "back to at once"},
	{.name = "drain-timeout",
	 .kind = OPTION_DURATION,
	 .offset = offsetof(struct transact_opts, drain_timeout),
	 .shown = "30s",
	 .help = "how long clients of the old generation may stay, and it may "
		 "take to end"},
	{.name = "strategy",
	 .values = "auto|handover|restart",
	 .kind = OPTION_CALL,
	 .parse = parse_strategy,
	 .offset = offsetof(struct transact_opts, strategy),
	 .shown = "auto",
	 .help = "how: handover runs both generations and moves new "
		 "connections; restart holds the listening sockets, stops the "
		 "old one and lets the new one take them over; auto takes the "
		 "highest tier that applies, as rkt update --plan shows them"},
	{.name = "canary",
	 .kind = OPTION_CALL,
	 .parse = parse_canary,
	 .offset = offsetof(struct transact_opts, canary_share),
	 .help = "PERCENT%:TIME: handover gives the new generation so many of "
		 "the new connections for that time before it gets all"},
	{.name = "probe",
	 .kind = OPTION_CALL,
	 .parse = parse_probe,
	 .offset = offsetof(struct transact_opts, probe),
	 .shown = "tcp",
	 .help = "handover asks the new generation, on the port it shares with "
		 "the old one, before it gets a connection: tcp[:PORT], "
		 "http:[PORT]/PATH or exec:COMMAND"},
	{.name = NULL},
};

const struct option_row transact_rows[] = {
	{.name = "app",
	 .kind = OPTION_LIST,
	 .offset = offsetof(struct transact_opts, apps),
	 .help = "the app, if the pod has several; given more than once: they "
		 "all switch, or none does"},
	{.name = "on-fail",
	 .values = "rollback|hold",
	 .kind = OPTION_CALL,
	 .parse = parse_on_fail,
	 .offset = offsetof(struct transact_opts, hold),
	 .shown = "rollback",
	 .help = "hold: after a failure the old generations serve, of all "
		 "apps, but the update stays open until rkt update --resume "
		 "tries again or --abort ends it. Meanwhile the new ones run "
		 "on (handover), or are stopped with their files left in the "
		 "pod's directory (restart, or one that ended)"},
	{.name = "wait",
	 .values = "switched|committed",
	 .kind = OPTION_CALL,
	 .parse = parse_wait,
	 .offset = offsetof(struct transact_opts, wait),
	 .shown = "committed",
	 .help = "return when it is committed (or rolled back), or already "
		 "when it has switched: the pod goes on by itself then"},
	FORMAT_OPTION_ROW(struct transact_opts, format),
	{.name = NULL},
};

void transact_init(struct transact_opts *o)
{
	*o = (struct transact_opts){
		.ready_timeout = 30000LL * NS_PER_MS,
		/* As long as a service has to run for systemd to forget that
		 * it was started before. */
		.observe = 10000LL * NS_PER_MS,
		/* Kubernetes' grace period, to which servers and balancers
		 * are set. */
		.drain_timeout = 30000LL * NS_PER_MS,
	};
}

/* --- asking ----------------------------------------------------------------
 */

static void note_outcome(struct transact_call *call,
			 const struct control_reply *reply)
{
	for (size_t i = 0; i < call->n_parts; i++) {
		struct transact_part *part = &call->parts[i];

		if (strcmp(part->app, reply->app) != 0)
			continue;
		part->tier = reply->strategy;
		part->counts = reply->counts;
		(void)snprintf(part->note, sizeof(part->note), "%s",
			       reply->text);
	}
}

/* Until the last record of the transaction, or as far as --wait says. */
static int follow(int conn, struct transact_call *call, struct error *err)
{
	struct control_reply reply;
	size_t n_switched = 0;

	call->is_accepted = true;
	for (;;) {
		int r = control_receive(conn, &reply, err);

		if (r < 0)
			return error_wrap(err, r, "follow the update");
		switch (reply.kind) {
		case CONTROL_PROGRESS:
			show_progress(call, &reply);
			n_switched += reply.state == UPDATE_SWITCHED;
			if (call->opts->wait == WAIT_SWITCHED && n_switched &&
			    n_switched >= call->n_parts)
				return show_switched(call, &reply);
			break;
		case CONTROL_APP:
			note_outcome(call, &reply);
			break;
		case CONTROL_DONE:
			call->is_committed = reply.code == 0;
			return show_done(call, &reply);
		case CONTROL_ERROR:
			call->is_accepted = false;
			if (!call->opts->report && !show_is_json(call) &&
			    reply.code != RKT_EXIT_REFUSED)
				log_error("%s", reply.text);
			return transact_end(call, reply.code, reply.text);
		default:
			return error_set(err, EPROTO,
					 "the pod's answer is not understood");
		}
	}
}

static uint64_t to_ms(int64_t ns)
{
	return ns > 0 ? (uint64_t)(ns + NS_PER_MS - 1) / NS_PER_MS : 0;
}

/* For the history: rkt update needs root, which says little. */
static void name_user(const struct transact_opts *o, char who[CONTROL_WHO_MAX])
{
	const char *sudo_user = getenv("SUDO_USER");
	cleanup_free char *user = rootless_user_name();
	cleanup_strbuf struct strbuf login = STRBUF_INIT;
	uint64_t uid;

	if (o->who)
		(void)snprintf(who, CONTROL_WHO_MAX, "%s", o->who);
	else if (user)
		(void)snprintf(who, CONTROL_WHO_MAX, "%.60s", user);
	else if (sudo_user && *sudo_user &&
		 strspn(sudo_user, USER_NAME_BYTES) == strlen(sudo_user))
		(void)snprintf(who, CONTROL_WHO_MAX, "%.40s by sudo",
			       sudo_user);
	else if (read_file_path("/proc/self/loginuid", 16, &login, NULL) == 0 &&
		 parse_uint(login.buf, UINT32_MAX - 1, &uid) == 0 && uid != 0)
		(void)snprintf(who, CONTROL_WHO_MAX, "root, login uid %llu",
			       (unsigned long long)uid);
	else
		(void)snprintf(who, CONTROL_WHO_MAX, "root");
}

static int open_tree(struct images *im, const struct transact_call *call,
		     const struct transact_part *part, struct error *err)
{
	int dir = call->pod->fd;
	struct image_id id;
	int tree = -EBADF;
	int r = generation_image_id(dir, part->app, part->to, &id, err);

	if (r == 0)
		r = generation_tree_open(dir, part->app, part->to, &tree, err);
	if (r == -ENOENT)
		r = treestore_open(&im->trees, &id, &tree, err);
	return r < 0 ? r : tree;
}

static int send_part(int conn, const struct transact_call *call, size_t i,
		     int tree, struct error *err)
{
	const struct transact_opts *o = call->opts;
	const struct transact_part *part = &call->parts[i];
	struct control_request request = {
		.op = CONTROL_UPDATE,
		.generation = part->to,
		.strategy = call->strategy,
		.ready_timeout_ms = to_ms(o->ready_timeout),
		.observe_ms = to_ms(o->observe),
		.stop_timeout_ms = to_ms(o->drain_timeout),
		.canary_ms = to_ms(o->canary),
		.canary_share = o->canary_share,
		.flags = call->flags | (o->hold ? CONTROL_HOLD : 0) |
			 (i + 1 < call->n_parts ? CONTROL_MORE : 0),
	};

	if (call->flags & CONTROL_KEEP)
		request.keep = (uint32_t)call->keep;
	(void)snprintf(request.app, sizeof(request.app), "%s", part->app);
	if (o->probe)
		(void)snprintf(request.probe, sizeof(request.probe), "%s",
			       o->probe);
	name_user(o, request.who);
	return control_send(conn, &request, tree, err);
}

int transact(struct images *im, struct transact_call *call, struct error *err)
{
	cleanup_fd int conn = control_connect(call->pod->fd, err);
	int r = conn < 0 ? conn : 0;

	call->is_accepted = false;
	for (size_t i = 0; r == 0 && i < call->n_parts; i++) {
		cleanup_fd int tree = open_tree(im, call, &call->parts[i], err);

		r = tree < 0 ? tree : send_part(conn, call, i, tree, err);
	}
	return r < 0 ? r : follow(conn, call, err);
}

static int check_running(const struct pod *pod, struct error *err)
{
	enum pod_state state = pod_state(pod);

	if (state == POD_STATE_RUNNING)
		return 0;
	return error_set(err, ESRCH,
			 "pod \"%s\" is %s: only a running pod can be "
			 "updated (an exited one is started with the new image "
			 "by rkt run --pod-name)",
			 pod->uuid, pod_state_text(state));
}

static int check_idle(const struct pod *pod, struct error *err)
{
	const struct control_request request = {.op = CONTROL_STATUS};
	struct control_reply reply;
	cleanup_fd int conn = control_connect(pod->fd, err);
	int r = conn < 0 ? conn : control_send(conn, &request, -EBADF, err);

	if (r == 0)
		r = control_receive(conn, &reply, err);
	if (r < 0 || strcmp(reply.text, "idle") == 0)
		return r;
	return error_set(err, EBUSY,
			 "another update or rollback of this pod is under way "
			 "(%.64s)",
			 reply.text);
}

int transact_check(const struct pod *pod, struct error *err)
{
	int r = check_running(pod, err);

	return r < 0 ? r : check_idle(pod, err);
}

int transact_lock(const struct pod *pod, struct error *err)
{
	cleanup_fd int lock = -EBADF;
	int r = check_running(pod, err);

	if (r < 0)
		return r;
	lock = update_lock(pod->fd, err);
	if (lock < 0)
		return lock;
	/* One whose command was killed holds no lock. */
	r = check_idle(pod, err);
	return r < 0 ? r : TAKE_FD(lock);
}

int transact_resume(struct transact_call *call, struct error *err)
{
	const struct control_request request = {.op = CONTROL_RESUME};
	cleanup_fd int conn = -EBADF;
	int r = check_running(call->pod, err);

	if (r < 0)
		return r;
	conn = control_connect(call->pod->fd, err);
	r = conn < 0 ? conn : control_send(conn, &request, -EBADF, err);
	return r < 0 ? r : follow(conn, call, err);
}

int transact_abort(const struct transact_call *call, struct error *err)
{
	const struct control_request request = {.op = CONTROL_ABORT};
	struct control_reply reply = {0};
	cleanup_fd int conn = -EBADF;
	int r = check_running(call->pod, err);

	if (r < 0)
		return r;
	conn = control_connect(call->pod->fd, err);
	r = conn < 0 ? conn : control_send(conn, &request, -EBADF, err);
	if (r == 0)
		r = control_receive(conn, &reply, err);
	if (r < 0)
		return r;
	if (show_is_json(call))
		show_end(call, reply.code ? "failed" : "rolling back",
			 reply.code, reply.text);
	else if (reply.kind == CONTROL_ERROR)
		log_error("%s", reply.text);
	else
		printf("%s\n", reply.text);
	return reply.code;
}

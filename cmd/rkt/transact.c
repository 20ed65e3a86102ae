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
	if (strcmp(value, "auto") == 0)
		s = UPDATE_AUTO;
	else if (!update_strategy_parse(value, &s) || s > UPDATE_HANDOVER)
		return error_set(err, EINVAL,
				 "%s is no strategy of this version of rkt "
				 "(auto, restart or handover)",
				 value);
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

const struct option_row transact_rows[] = {
	{.name = "app",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct transact_opts, app),
	 .help = "the app, if the pod has several"},
	{.name = "ready-timeout",
	 .kind = OPTION_DURATION,
	 .offset = offsetof(struct transact_opts, ready_timeout),
	 .shown = "30s",
	 .help = "roll back if the new generation is not ready by then"},
	{.name = "observe",
	 .kind = OPTION_DURATION,
	 .offset = offsetof(struct transact_opts, observe),
	 .shown = "1s",
	 .help = "how long it must stay up before the update is committed"},
	{.name = "drain-timeout",
	 .kind = OPTION_DURATION,
	 .offset = offsetof(struct transact_opts, drain_timeout),
	 .shown = "10s",
	 .help = "how long clients of the old generation may stay, and it may "
		 "take to end"},
	{.name = "strategy",
	 .kind = OPTION_CALL,
	 .parse = parse_strategy,
	 .offset = offsetof(struct transact_opts, strategy),
	 .shown = "auto",
	 .help = "how: handover runs both generations and moves new "
		 "connections; restart holds the listening sockets, stops the "
		 "old one and lets the new one take them over; auto restarts "
		 "what can write to a volume"},
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
	{.name = "on-fail",
	 .kind = OPTION_CALL,
	 .parse = parse_on_fail,
	 .offset = offsetof(struct transact_opts, hold),
	 .shown = "rollback",
	 .help = "hold: a failed handover gives all connections back to the "
		 "old generation and leaves the new one running"},
	{.name = NULL},
};

void transact_init(struct transact_opts *o)
{
	*o = (struct transact_opts){
		.ready_timeout = 30000LL * NS_PER_MS,
		.observe = 1000LL * NS_PER_MS,
		.drain_timeout = 10000LL * NS_PER_MS,
	};
}

static void show_progress(const struct control_reply *reply)
{
	printf("%-12s %8.1f ms  %s\n", update_state_text(reply->state),
	       (double)reply->elapsed_us / 1000, reply->text);
	(void)fflush(stdout);
}

/* Until the last record of the transaction. */
static int follow(int conn, bool *ret_accepted, struct error *err)
{
	struct control_reply reply;

	*ret_accepted = true;
	for (;;) {
		int r = control_receive(conn, &reply, err);

		if (r < 0)
			return error_wrap(err, r, "follow the update");
		switch (reply.kind) {
		case CONTROL_PROGRESS:
			show_progress(&reply);
			break;
		case CONTROL_DONE:
			if (reply.code)
				log_error("%s", reply.text);
			return reply.code;
		case CONTROL_ERROR:
			log_error("refused: %s", reply.text);
			*ret_accepted = false;
			return reply.code;
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
static void name_user(char who[CONTROL_WHO_MAX])
{
	const char *sudo_user = getenv("SUDO_USER");
	cleanup_strbuf struct strbuf login = STRBUF_INIT;
	uint64_t uid;

	if (sudo_user && *sudo_user &&
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

int transact(struct images *im, const struct pod *pod, const char *app,
	     unsigned int n, unsigned int flags, const struct transact_opts *o,
	     bool *ret_accepted, struct error *err)
{
	struct control_request request = {
		.op = CONTROL_UPDATE,
		.generation = n,
		.strategy = o->strategy,
		.ready_timeout_ms = to_ms(o->ready_timeout),
		.observe_ms = to_ms(o->observe),
		.stop_timeout_ms = to_ms(o->drain_timeout),
		.canary_ms = to_ms(o->canary),
		.canary_share = o->canary_share,
		.flags = flags | (o->hold ? CONTROL_HOLD : 0),
	};
	cleanup_fd int tree = -EBADF;
	cleanup_fd int conn = -EBADF;
	struct image_id id;
	int r;

	*ret_accepted = false;
	(void)snprintf(request.app, sizeof(request.app), "%s", app);
	if (o->probe)
		(void)snprintf(request.probe, sizeof(request.probe), "%s",
			       o->probe);
	name_user(request.who);
	r = generation_image_id(pod->fd, app, n, &id, err);
	if (r == 0)
		r = generation_tree_open(pod->fd, app, n, &tree, err);
	if (r == -ENOENT)
		r = treestore_open(&im->trees, &id, &tree, err);
	if (r < 0)
		return r;
	conn = control_connect(pod->fd, err);
	if (conn < 0)
		return conn;
	r = control_send(conn, &request, tree, err);
	return r < 0 ? r : follow(conn, ret_accepted, err);
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

int transact_resume(const struct pod *pod, struct error *err)
{
	const struct control_request request = {.op = CONTROL_RESUME};
	cleanup_fd int conn = -EBADF;
	bool accepted;
	int r = check_running(pod, err);

	if (r < 0)
		return r;
	conn = control_connect(pod->fd, err);
	r = conn < 0 ? conn : control_send(conn, &request, -EBADF, err);
	return r < 0 ? r : follow(conn, &accepted, err);
}

int transact_abort(const struct pod *pod, struct error *err)
{
	const struct control_request request = {.op = CONTROL_ABORT};
	struct control_reply reply = {0};
	cleanup_fd int conn = -EBADF;
	int r = check_running(pod, err);

	if (r < 0)
		return r;
	conn = control_connect(pod->fd, err);
	r = conn < 0 ? conn : control_send(conn, &request, -EBADF, err);
	if (r == 0)
		r = control_receive(conn, &reply, err);
	if (r < 0)
		return r;
	if (reply.kind == CONTROL_ERROR)
		log_error("%s", reply.text);
	else
		printf("%s\n", reply.text);
	return reply.code;
}

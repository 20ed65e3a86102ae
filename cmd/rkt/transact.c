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
#include "spec/json_write.h"
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

const struct option_row transact_rows[] = {
	{.name = "app",
	 .kind = OPTION_LIST,
	 .offset = offsetof(struct transact_opts, apps),
	 .help = "the app, if the pod has several; given more than once: they "
		 "all switch, or none does"},
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
	{.name = "on-fail",
	 .kind = OPTION_CALL,
	 .parse = parse_on_fail,
	 .offset = offsetof(struct transact_opts, hold),
	 .shown = "rollback",
	 .help = "hold: a failed handover gives all connections back to the "
		 "old generation and leaves the new one running"},
	{.name = "wait",
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
		.observe = 1000LL * NS_PER_MS,
		.drain_timeout = 10000LL * NS_PER_MS,
	};
}

/* --- showing ---------------------------------------------------------------
 */

static bool is_json(const struct transact_call *call)
{
	return call->opts->format != FORMAT_TABLE;
}

/* At once: somebody looks on, or reads it through a pipe. */
static void print_now(const struct strbuf *out)
{
	(void)fwrite(out->buf, 1, out->len, stdout);
	(void)fflush(stdout);
}

/* The generation that served is there for a rollback. */
static bool keeps_old(const struct transact_call *call)
{
	return call->flags & CONTROL_ROLLBACK || call->keep > 0;
}

static void json_begin(const struct transact_call *call, struct json_writer *w,
		       struct strbuf *out)
{
	json_writer_init(w, out, format_style(call->opts->format));
	json_open_object(w, NULL);
	json_add_string(w, "pod", call->pod->uuid);
	if (call->n_parts == 1)
		json_add_string(w, "app", call->parts[0].app);
}

static void write_part(const struct transact_call *call,
		       const struct transact_part *part, struct json_writer *w)
{
	json_add_uint(w, "from", part->from);
	if (part->to)
		json_add_uint(w, "to", part->to);
	if (call->is_committed && keeps_old(call))
		json_add_uint(w, "kept", part->from);
}

static void write_parts(const struct transact_call *call, struct json_writer *w)
{
	if (call->n_parts == 1)
		write_part(call, &call->parts[0], w);
	if (call->n_parts <= 1)
		return;
	json_open_array(w, "apps");
	for (size_t i = 0; i < call->n_parts; i++) {
		json_open_object(w, NULL);
		json_add_string(w, "app", call->parts[i].app);
		write_part(call, &call->parts[i], w);
		json_close_object(w);
	}
	json_close_array(w);
}

static void json_end(struct json_writer *w, struct strbuf *out)
{
	json_close_object(w);
	strbuf_addch(out, '\n');
	print_now(out);
}

static void show_progress(const struct transact_call *call,
			  const struct control_reply *reply)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct json_writer w;

	if (!is_json(call)) {
		strbuf_addf(&out, "%-12s %8.1f ms  %s\n",
			    update_state_text(reply->state),
			    (double)reply->elapsed_us / 1000, reply->text);
		print_now(&out);
		return;
	}
	json_begin(call, &w, &out);
	json_add_string(&w, "state", update_state_text(reply->state));
	json_add_uint(&w, "us", reply->elapsed_us);
	json_add_string(&w, "text", reply->text);
	json_end(&w, &out);
}

static const char *result_text(int code)
{
	static const struct {
		int code;
		const char *text;
	} rows[] = {
		{0, "committed"},
		{RKT_EXIT_ROLLED_BACK, "rolled back"},
		{RKT_EXIT_REFUSED, "refused"},
		{RKT_EXIT_DEGRADED, "degraded"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (rows[i].code == code)
			return rows[i].text;
	return "failed";
}

static const struct {
	const char *key;
	size_t offset;
} counts[] = {
	{"moved", offsetof(struct update_counts, moved)},
	{"drained", offsetof(struct update_counts, drained)},
	{"lost", offsetof(struct update_counts, lost)},
};

static uint64_t count_of(const struct update_counts *c, size_t i)
{
	return *(const uint64_t *)((const char *)c + counts[i].offset);
}

static void write_end(const struct transact_call *call, const char *result,
		      int code, const char *text,
		      const struct control_reply *reply)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct json_writer w;

	json_begin(call, &w, &out);
	json_add_string(&w, "result", result);
	json_add_int(&w, "code", code);
	json_add_string(&w, "text", text);
	write_parts(call, &w);
	if (reply) {
		json_add_uint(&w, "us", reply->elapsed_us);
		if (reply->strategy != UPDATE_AUTO)
			json_add_string(&w, "tier",
					update_strategy_text(reply->strategy));
		if (reply->counts.switch_us != UPDATE_NOT_COUNTED)
			json_add_uint(&w, "switch_us", reply->counts.switch_us);
		for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
			if (count_of(&reply->counts, i) != UPDATE_NOT_COUNTED)
				json_add_uint(&w, counts[i].key,
					      count_of(&reply->counts, i));
	}
	json_end(&w, &out);
}

static void format_parts(const struct transact_call *call, struct strbuf *out)
{
	for (size_t i = 0; i < call->n_parts; i++)
		strbuf_addf(out, "%sapp %s: generation %u", i ? ", " : "",
			    call->parts[i].app, call->parts[i].to);
}

/* What was not looked at is not spoken of. */
static void format_summary(const struct transact_call *call,
			   const struct control_reply *reply,
			   struct strbuf *out)
{
	format_parts(call, out);
	strbuf_addstr(out, call->n_parts == 1 ? " serves" : " serve");
	if (reply->strategy != UPDATE_AUTO)
		strbuf_addf(out, " by %s",
			    update_strategy_text(reply->strategy));
	if (reply->counts.switch_us != UPDATE_NOT_COUNTED)
		strbuf_addf(out, ", switched in %.3f ms",
			    (double)reply->counts.switch_us / 1000);
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		if (count_of(&reply->counts, i) != UPDATE_NOT_COUNTED)
			strbuf_addf(
				out, ", %llu %s",
				(unsigned long long)count_of(&reply->counts, i),
				counts[i].key);
	if (keeps_old(call) && call->n_parts == 1)
		strbuf_addf(out, ", generation %u kept for rollback",
			    call->parts[0].from);
	else if (keeps_old(call))
		strbuf_addstr(out, ", the old ones kept for rollback");
	strbuf_addch(out, '\n');
}

static int show_done(struct transact_call *call,
		     const struct control_reply *reply)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;

	call->is_committed = reply->code == 0;
	if (is_json(call)) {
		write_end(call, result_text(reply->code), reply->code,
			  reply->text, reply);
	} else if (reply->code) {
		log_error("%s", reply->text);
	} else if (call->n_parts == 0) {
		printf("%s\n", reply->text);
	} else {
		format_summary(call, reply, &out);
		print_now(&out);
	}
	return reply->code;
}

int transact_end(const struct transact_call *call, int code, const char *text)
{
	if (is_json(call))
		write_end(call, code == 0 ? "nothing to do" : result_text(code),
			  code, text, NULL);
	else if (code == 0)
		printf("%s\n", text);
	else if (code == RKT_EXIT_REFUSED)
		log_error("refused: %s", text);
	return code;
}

/* The transaction goes on without us. */
static int show_switched(struct transact_call *call,
			 const struct control_reply *reply)
{
	static const char text[] =
		"the pod commits it, or goes back, by itself";
	cleanup_strbuf struct strbuf out = STRBUF_INIT;

	if (is_json(call)) {
		write_end(call, "switched", 0, text, reply);
		return 0;
	}
	format_parts(call, &out);
	strbuf_addf(&out, " gets new connections; %s\n", text);
	print_now(&out);
	return 0;
}

/* --- asking ----------------------------------------------------------------
 */

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
		case CONTROL_DONE:
			return show_done(call, &reply);
		case CONTROL_ERROR:
			call->is_accepted = false;
			if (!is_json(call) && reply.code != RKT_EXIT_REFUSED)
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

	(void)snprintf(request.app, sizeof(request.app), "%s", part->app);
	if (o->probe)
		(void)snprintf(request.probe, sizeof(request.probe), "%s",
			       o->probe);
	name_user(request.who);
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
	if (is_json(call))
		write_end(call, reply.code ? "failed" : "rolling back",
			  reply.code, reply.text, NULL);
	else if (reply.kind == CONTROL_ERROR)
		log_error("%s", reply.text);
	else
		printf("%s\n", reply.text);
	return reply.code;
}

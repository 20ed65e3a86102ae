/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "spec/stage1_abi.h"
#include "stage1/app_change.h"
#include "stage1/attach.h"
#include "stage1/control_record.h"
#include "stage1/pod.h"
#include "stage1/state.h"
#include "stage1/supervise.h"
#include "stage1/update.h"

/* More at once than an operator and a monitor need. */
#define CONNECTIONS_MAX 16

/* A part of an update of several apps; the rest is to come. */
struct part {
	struct control_request request;
	int tree_fd;
};

struct connection {
	struct control *control;
	struct part *parts;
	size_t n_parts;
	struct event_source source;
	struct connection *next;
};

struct control {
	struct pod *pod;
	struct event_source listener;
	struct connection *connections;
	unsigned int n_connections;
	/* Of the connection that is served. */
	const struct part *parts;
	size_t n_parts;
};

/* --- requests --------------------------------------------------------------
 */

/* Each takes what it needs of *FD (the connection) and *PASSED. */

static void serve_status(struct pod *pod, const struct control_request *rec,
			 int *fd, int *passed)
{
	(void)rec;
	(void)passed;
	control_reply(*fd, CONTROL_DONE, 0, update_state_name(pod));
}

static void serve_stop(struct pod *pod, const struct control_request *rec,
		       int *fd, int *passed)
{
	(void)rec;
	(void)passed;
	control_reply(*fd, CONTROL_DONE, 0, "stopping");
	pod_stop(pod);
}

/* Those asked for before on the connection, and this one. */
static void serve_update(struct pod *pod, const struct control_request *rec,
			 int *fd, int *passed)
{
	struct control *control = pod->control;
	struct update_part parts[POD_APPS_MAX];
	struct error err = ERROR_INIT;
	int reply_to = fcntl(*fd, F_DUPFD_CLOEXEC, 0);
	size_t n = control->n_parts;
	int exit_code;

	for (size_t i = 0; i < n; i++)
		parts[i] = (struct update_part){&control->parts[i].request,
						control->parts[i].tree_fd};
	parts[n++] = (struct update_part){rec, *passed};
	if (update_start(pod, parts, n, reply_to, &exit_code, &err) < 0)
		control_reply(*fd, CONTROL_ERROR, exit_code, err.msg);
}

static void serve_abort(struct pod *pod, const struct control_request *rec,
			int *fd, int *passed)
{
	struct error err = ERROR_INIT;

	(void)rec;
	(void)passed;
	if (update_abort(pod, &err) < 0)
		control_reply(*fd, CONTROL_ERROR, RKT_EXIT_FAILURE, err.msg);
	else
		control_reply(*fd, CONTROL_DONE, 0, "rolling back");
}

static void serve_resume(struct pod *pod, const struct control_request *rec,
			 int *fd, int *passed)
{
	struct error err = ERROR_INIT;

	(void)rec;
	(void)passed;
	if (update_resume(pod, fcntl(*fd, F_DUPFD_CLOEXEC, 0), &err) < 0)
		control_reply(*fd, CONTROL_ERROR, RKT_EXIT_FAILURE, err.msg);
}

static void serve_plan(struct pod *pod, const struct control_request *rec,
		       int *fd, int *passed)
{
	struct control_reply reply = {
		.version = STAGE1_ABI_VERSION,
		.kind = CONTROL_DONE,
		.counts = UPDATE_COUNTS_UNKNOWN,
	};
	enum update_strategy tier = UPDATE_AUTO;
	struct error why = ERROR_INIT;

	(void)passed;
	if (update_plan(pod, rec->app, &tier, &why) < 0)
		reply.code = RKT_EXIT_REFUSED;
	reply.strategy = tier;
	(void)snprintf(reply.text, sizeof(reply.text), "%s", why.msg);
	(void)snprintf(reply.app, sizeof(reply.app), "%s", rec->app);
	(void)send(*fd, &reply, sizeof(reply), MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Names what of APP can be attached to in TEXT; with flags all of them have to
 * be among it. */
static int check_targets(const struct pod_app *app, uint32_t wants,
			 struct strbuf *text, struct error *err)
{
	static const char *const names[] = {"stdin", "stdout", "stderr",
					    "tty-in", "tty-out"};
	uint32_t targets = 0;
	int r = attach_targets(app, &targets, err);

	for (int i = 0; i < 5 && r == 0; i++) {
		uint32_t flag = (uint32_t)CONTROL_ATTACH_STDIN << i;

		if (targets & flag)
			strbuf_addf(text, "%s%s", text->len ? " " : "",
				    names[i]);
		else if (wants & flag)
			r = error_set(err, ENODEV,
				      "app \"%s\" has no %s to attach to: "
				      "\"rkt attach --mode=list\" shows what "
				      "it has",
				      app->name, names[i]);
	}
	return r;
}

static void serve_attach(struct pod *pod, const struct control_request *rec,
			 int *fd, int *passed)
{
	uint32_t wants = rec->flags & CONTROL_ATTACH_FLAGS;
	struct pod_app *app = pod_find_app(pod, rec->app);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;
	int r = 0;

	(void)passed;
	if (!app)
		r = error_set(&err, ENOENT, "app \"%s\" not found", rec->app);
	else if (app->done)
		r = error_set(&err, ESRCH,
			      "app \"%s\" %s with code %d: \"rkt logs\" shows "
			      "what it printed",
			      app->name,
			      pod->options.is_mutable
				      ? "was not started, or has ended"
				      : "has ended",
			      app->exit_code);
	else
		r = check_targets(app, wants, &text, &err);
	if (r == 0 && wants)
		r = attach_add(app, wants, fcntl(*fd, F_DUPFD_CLOEXEC, 0),
			       &err);
	if (r < 0)
		control_reply(*fd, CONTROL_ERROR, RKT_EXIT_FAILURE, err.msg);
	else
		control_reply(*fd, CONTROL_DONE, 0, text.buf);
}

static void serve_app(struct pod *pod, const struct control_request *rec,
		      int *fd, int *passed)
{
	struct error err = ERROR_INIT;

	if (app_change(pod, rec, passed, fcntl(*fd, F_DUPFD_CLOEXEC, 0), &err) <
	    0)
		control_reply(*fd, CONTROL_ERROR, RKT_EXIT_FAILURE, err.msg);
}

/* The permit table: what may be asked, when, and with how many descriptors. */
static const struct {
	void (*serve)(struct pod *, const struct control_request *, int *fd,
		      int *passed);
	bool when_running; /* only while every app has been let go */
} permits[CONTROL_OP_MAX] = {
	[CONTROL_STATUS] = {serve_status, false},
	[CONTROL_STOP] = {serve_stop, false},
	[CONTROL_UPDATE] = {serve_update, true},
	[CONTROL_ABORT] = {serve_abort, true},
	[CONTROL_RESUME] = {serve_resume, true},
	[CONTROL_PLAN] = {serve_plan, true},
	[CONTROL_ATTACH] = {serve_attach, true},
	[CONTROL_APP_ADD] = {serve_app, true},
	[CONTROL_APP_START] = {serve_app, true},
	[CONTROL_APP_STOP] = {serve_app, true},
	[CONTROL_APP_REMOVE] = {serve_app, true},
};

static void serve(struct control *control, const struct control_request *rec,
		  int *fd, int *passed)
{
	if (permits[rec->op].when_running &&
	    (!control->pod->running || control->pod->stopping)) {
		control_reply(*fd, CONTROL_ERROR, RKT_EXIT_FAILURE,
			      "the pod is not running");
		return;
	}
	permits[rec->op].serve(control->pod, rec, fd, passed);
}

/* --- connections -----------------------------------------------------------
 */

static void free_parts(struct part *parts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fd_close(&parts[i].tree_fd);
	free(parts);
}

static void connection_close(struct control *control, struct connection *c)
{
	struct connection **p = &control->connections;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	control->n_connections--;
	event_remove(&control->pod->loop, &c->source);
	fd_close(&c->source.fd);
	free_parts(c->parts, c->n_parts);
	free(c);
}

static bool keep_part(struct connection *c, const struct control_request *rec,
		      int *passed)
{
	if (rec->op != CONTROL_UPDATE || !(rec->flags & CONTROL_MORE) ||
	    c->n_parts + 1 >= POD_APPS_MAX)
		return false;
	c->parts = xreallocarray(c->parts, c->n_parts + 1, sizeof(*c->parts));
	c->parts[c->n_parts++] = (struct part){*rec, TAKE_FD(*passed)};
	return true;
}

/* One request a connection, an update may have several parts: then it is
 * closed (an update keeps its own duplicate for the replies). */
static void on_request(struct event_source *source, uint32_t events)
{
	struct connection *c = source->data;
	struct control *control = c->control;
	struct control_record record;
	const struct control_request *rec = &record.request;
	cleanup_fd int passed = -EBADF;
	cleanup_fd int fd = -EBADF;
	struct part *parts;
	size_t n;
	int r = control_record_receive(source->fd, &record, &passed);

	(void)events;
	if (r == 0 && !record.is_runtime && keep_part(c, rec, &passed))
		return;
	if (r < 0)
		log_debug("control: refused a record: %s", strerrordesc_np(-r));
	fd = fcntl(source->fd, F_DUPFD_CLOEXEC, 0);
	parts = c->parts;
	n = c->n_parts;
	c->parts = NULL;
	c->n_parts = 0;
	connection_close(control, c);
	control->parts = parts;
	control->n_parts = n;
	if (r == 0 && fd >= 0 && record.is_runtime && n == 0)
		control->pod->on_runtime(control->pod, &record.runtime,
					 TAKE_FD(passed), TAKE_FD(fd));
	else if (r == 0 && fd >= 0 && !record.is_runtime &&
		 (n == 0 || rec->op == CONTROL_UPDATE) &&
		 !(rec->flags & CONTROL_MORE))
		serve(control, rec, &fd, &passed);
	control->parts = NULL;
	control->n_parts = 0;
	free_parts(parts, n);
}

static bool is_root(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       peer.uid == 0;
}

static struct connection *oldest(const struct control *control)
{
	struct connection *c = control->connections;

	while (c && c->next)
		c = c->next;
	return c;
}

/* Takes FD. */
static int add_connection(struct control *control, int fd)
{
	struct connection *c = xcalloc(1, sizeof(*c));
	int r;

	*c = (struct connection){
		.control = control,
		.source = {.fd = fd, .fn = on_request, .data = c},
		.next = control->connections,
	};
	r = event_add(&control->pod->loop, &c->source, EPOLLIN);
	if (r < 0) {
		fd_close(&c->source.fd);
		free(c);
		return r;
	}
	control->connections = c;
	control->n_connections++;
	return 0;
}

static void on_connection(struct event_source *source, uint32_t events)
{
	struct control *control = source->data;
	cleanup_fd int fd = -EBADF;

	(void)events;
	fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0 || !is_root(fd))
		return;
	/* Those who never ask must not keep out those who do. */
	if (control->n_connections >= CONNECTIONS_MAX)
		connection_close(control, oldest(control));
	(void)add_connection(control, TAKE_FD(fd));
}

static struct control *new_control(struct pod *pod, int listener)
{
	struct control *control = pod->control = xcalloc(1, sizeof(*control));

	control->pod = pod;
	pod->changes = &app_change_ops;
	control->listener = (struct event_source){
		.fd = listener,
		.fn = on_connection,
		.data = control,
	};
	return control;
}

static int watch_listener(struct control *control, struct error *err)
{
	int r = event_add(&control->pod->loop, &control->listener, EPOLLIN);

	return r < 0 ? error_sys(err, -r, "watch the control socket") : 0;
}

int control_open(struct pod *pod, struct error *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct control *control = new_control(
		pod, socket(AF_UNIX,
			    SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	char dir[PROC_FD_MAX];

	/* Through the descriptor: data directories may have long names. */
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path),
		       "%s/" POD_CONTROL_SOCKET, proc_fd_path(pod->dirfd, dir));
	(void)unlinkat(pod->dirfd, POD_CONTROL_SOCKET, 0);
	if (control->listener.fd < 0 ||
	    bind(control->listener.fd, (struct sockaddr *)&addr, sizeof(addr)) <
		    0 ||
	    fchmodat(pod->dirfd, POD_CONTROL_SOCKET, 0600, 0) < 0 ||
	    listen(control->listener.fd, CONNECTIONS_MAX) < 0)
		return error_sys(err, errno, "open the control socket");
	return watch_listener(control, err);
}

void control_close(struct pod *pod)
{
	if (!pod->control)
		return;
	while (pod->control->connections)
		connection_close(pod->control, pod->control->connections);
	event_remove(&pod->loop, &pod->control->listener);
	fd_close(&pod->control->listener.fd);
	(void)unlinkat(pod->dirfd, POD_CONTROL_SOCKET, 0);
	free(pod->control);
	pod->control = NULL;
}

/* --- for another supervisor ------------------------------------------------
 */

static const struct state_row control_rows[] = {
	STATE_FD_ROW_AS(struct control, listener.fd, "listener"),
	STATE_NESTED_ROW("connections"),
};

static const struct state_row connection_rows[] = {
	STATE_FD_ROW_AS(struct connection, source.fd, "fd"),
};

bool control_is_settled(const struct pod *pod)
{
	for (const struct connection *c = pod->control->connections; c;
	     c = c->next)
		if (c->n_parts)
			return false;
	return true;
}

void control_save(const struct pod *pod, struct state_writer *w,
		  const char *key)
{
	json_open_object(&w->json, key);
	STATE_WRITE(w, control_rows, pod->control);
	json_open_array(&w->json, "connections");
	for (const struct connection *c = pod->control->connections; c;
	     c = c->next)
		STATE_WRITE_OBJECT(w, NULL, connection_rows, c);
	json_close_array(&w->json);
	json_close_object(&w->json);
}

int control_restore(struct pod *pod, const struct json_node *node,
		    struct error *err)
{
	struct control *control = new_control(pod, -EBADF);
	struct json_node list, item;
	int r = STATE_READ(node, control_rows, control);

	if (r == 0)
		r = watch_listener(control, err);
	if (r < 0 || !json_member(node, "connections", &list))
		return r;
	/* The last one is the oldest, and came first. */
	for (size_t i = json_n_items(&list); r == 0 && i > 0; i--) {
		struct connection c = {.source = {.fd = -EBADF}};

		(void)json_item(&list, i - 1, &item);
		r = STATE_READ(&item, connection_rows, &c);
		if (r == 0)
			r = add_connection(control, c.source.fd);
	}
	return r;
}

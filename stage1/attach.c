/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/attach.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "stage1/event.h"
#include "stage1/generation.h"
#include "stage1/pod.h"
#include "stage1/state.h"

/* How often it is looked for a generation that takes the input. */
#define RETRY_MS 50

#define WANTS_INPUT (CONTROL_ATTACH_STDIN | CONTROL_ATTACH_TTY_IN)
#define WANTS_OUTPUT                                                           \
	(CONTROL_ATTACH_STDOUT | CONTROL_ATTACH_STDERR | CONTROL_ATTACH_TTY_OUT)

struct attach_client {
	struct attach *attach;
	struct event_source source;
	uint32_t wants; /* CONTROL_ATTACH_* */
	/* Records the connection has not taken: those from `sent` on; the last
	 * of them, which may still grow, begins at `last`. */
	struct strbuf queue;
	size_t sent, last;
	bool is_leaving; /* ATTACH_END is its last record */
	struct attach_client *next;
};

/* Of an app, from the first client on. */
struct attach {
	struct pod_app *app;
	struct attach_client *clients;
	struct strbuf input;	    /* what the app has not taken */
	struct event_source writer; /* takes nothing now; fd -EBADF: none */
	struct event_timer retry;
	struct attach_size size; /* rows 0: nobody has told */
};

static struct event_loop *loop_of(const struct attach *a)
{
	return &a->app->pod->loop;
}

/* --- what there is ---------------------------------------------------------
 */

int attach_targets(const struct pod_app *app, uint32_t *ret, struct error *err)
{
	const struct runtime_app *ra =
		pod_manifest_find_app(&app->pod->manifest, app->name);
	enum stdio_mode modes[3] = {STDIO_NULL, STDIO_NULL, STDIO_NULL};
	int r = 0;

	*ret = 0;
	if (app->current)
		memcpy(modes, app->current->plan.stdio, sizeof(modes));
	else if (ra)
		r = stdio_modes_make(&ra->annotations, modes, err);
	for (int i = 0; i < 3 && r == 0; i++) {
		if (modes[i] == STDIO_STREAM)
			*ret |= (uint32_t)CONTROL_ATTACH_STDIN << i;
		else if (modes[i] == STDIO_TTY)
			*ret |= i ? CONTROL_ATTACH_TTY_OUT
				  : CONTROL_ATTACH_TTY_IN;
	}
	return r;
}

int attach_record_check(const void *buf, size_t len, uint32_t wants,
			struct attach_head *ret)
{
	struct attach_head head;

	if (len < sizeof(head))
		return -EPROTO;
	memcpy(&head, buf, sizeof(head));
	if (head.length > ATTACH_DATA_MAX || head.length != len - sizeof(head))
		return -EPROTO;
	if ((head.kind == ATTACH_INPUT && wants & WANTS_INPUT) ||
	    (head.kind == ATTACH_SIZE &&
	     head.length == sizeof(struct attach_size)) ||
	    (head.kind == ATTACH_EOF && head.length == 0)) {
		*ret = head;
		return 0;
	}
	return -EPROTO;
}

/* --- clients ---------------------------------------------------------------
 */

static void client_close(struct attach_client *c)
{
	struct attach_client **p = &c->attach->clients;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	event_remove(loop_of(c->attach), &c->source);
	fd_close(&c->source.fd);
	strbuf_release(&c->queue);
	free(c);
}

static bool may_read(const struct attach_client *c)
{
	return !c->is_leaving && c->attach->input.len == 0;
}

static void watch(struct attach_client *c)
{
	(void)event_modify(loop_of(c->attach), &c->source,
			   (may_read(c) ? EPOLLIN : 0) |
				   (c->queue.len > c->sent ? EPOLLOUT : 0));
}

static void drop_sent(struct attach_client *c)
{
	size_t left = c->queue.len - c->sent;

	if (left)
		memmove(c->queue.buf, c->queue.buf + c->sent, left);
	c->last -= c->last < c->sent ? c->last : c->sent;
	strbuf_setlen(&c->queue, left);
	c->sent = 0;
}

/* Sends what the connection takes; -EPIPE if nobody is there any more. */
static int send_queue(struct attach_client *c)
{
	while (c->sent < c->queue.len) {
		const char *record = c->queue.buf + c->sent;
		struct attach_head head;

		memcpy(&head, record, sizeof(head));
		if (send(c->source.fd, record, sizeof(head) + head.length,
			 MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno == EAGAIN || errno == EINTR)
				break;
			return -EPIPE;
		}
		c->sent += sizeof(head) + head.length;
	}
	if (c->sent == c->queue.len || c->sent > ATTACH_QUEUE_MAX / 2)
		drop_sent(c);
	return 0;
}

/* The client may be gone then. */
static void flush(struct attach_client *c)
{
	if (send_queue(c) < 0 || (c->is_leaving && c->queue.len == 0))
		client_close(c);
	else
		watch(c);
}

/* Appends DATA to the last record that waits, if it is of this kind. */
static bool extend(struct attach_client *c, uint32_t kind, const void *data,
		   size_t n)
{
	struct attach_head head;

	if (c->last < c->sent || c->last >= c->queue.len)
		return false;
	memcpy(&head, c->queue.buf + c->last, sizeof(head));
	if (head.kind != kind || head.length + n > ATTACH_DATA_MAX)
		return false;
	head.length += (uint32_t)n;
	memcpy(c->queue.buf + c->last, &head, sizeof(head));
	strbuf_add(&c->queue, data, n);
	return true;
}

static void add_record(struct attach_client *c, uint32_t kind, const void *data,
		       size_t n)
{
	const struct attach_head head = {.kind = kind, .length = (uint32_t)n};

	if (extend(c, kind, data, n))
		return;
	c->last = c->queue.len;
	strbuf_add(&c->queue, &head, sizeof(head));
	strbuf_add(&c->queue, data, n);
}

/* What is in the queue is the last it gets.  The client may be gone then. */
static void dismiss(struct attach_client *c, int code, const char *why)
{
	struct attach_end end = {.code = code};

	if (c->is_leaving)
		return;
	(void)snprintf(end.text, sizeof(end.text), "%s", why);
	add_record(c, ATTACH_END, &end, sizeof(end));
	c->is_leaving = true;
	flush(c);
}

static void dismiss_all(struct attach *a, int code, const char *why)
{
	struct attach_client *next;

	for (struct attach_client *c = a->clients; c; c = next) {
		next = c->next;
		dismiss(c, code, why);
	}
}

static void give_output(struct attach_client *c, uint32_t kind, const char *buf,
			size_t n)
{
	if (c->queue.len - c->sent + n <= ATTACH_QUEUE_MAX) {
		add_record(c, kind, buf, n);
		flush(c);
		return;
	}
	/* What it has not got is lost: the app goes on. */
	strbuf_setlen(&c->queue, c->sent);
	drop_sent(c);
	dismiss(c, RKT_EXIT_FAILURE,
		"it prints faster than is read here: some of its output was "
		"not shown, see \"rkt logs\"");
}

static void tap(struct pod_app *app, uint32_t flag, uint32_t kind,
		const char *buf, size_t n)
{
	struct attach_client *next;

	for (struct attach_client *c = app->attach ? app->attach->clients
						   : NULL;
	     c; c = next) {
		next = c->next;
		if (c->wants & flag && !c->is_leaving)
			give_output(c, kind, buf, n);
	}
}

void attach_tap_stdout(void *data, const char *buf, size_t n)
{
	tap(data, CONTROL_ATTACH_STDOUT, ATTACH_OUTPUT, buf, n);
}

void attach_tap_stderr(void *data, const char *buf, size_t n)
{
	tap(data, CONTROL_ATTACH_STDERR, ATTACH_ERROR, buf, n);
}

void attach_tap_tty(void *data, const char *buf, size_t n)
{
	tap(data, CONTROL_ATTACH_TTY_OUT, ATTACH_OUTPUT, buf, n);
}

/* --- input -----------------------------------------------------------------
 */

static void watch_all(struct attach *a)
{
	for (struct attach_client *c = a->clients; c; c = c->next)
		watch(c);
}

static void stop_writer(struct attach *a)
{
	if (a->writer.fd >= 0)
		event_remove(loop_of(a), &a->writer);
	a->writer.fd = -EBADF;
}

static void push_input(struct attach *a);

static void on_writer(struct event_source *source, uint32_t events)
{
	(void)events;
	push_input(source->data);
}

static void on_retry(struct event_timer *timer)
{
	push_input(timer->data);
}

static void push_later(struct attach *a)
{
	a->retry.fn = on_retry;
	a->retry.data = a;
	event_timer_set(loop_of(a), &a->retry, RETRY_MS);
}

static void wait_for_writer(struct attach *a, int fd)
{
	if (a->writer.fd == fd)
		return;
	stop_writer(a);
	a->writer = (struct event_source){.fd = fd, .fn = on_writer, .data = a};
	if (event_add(loop_of(a), &a->writer, EPOLLOUT) == 0)
		return;
	a->writer.fd = -EBADF;
	push_later(a);
}

/* Gives the app what it takes of its input. */
static void push_input(struct attach *a)
{
	const struct generation *g = a->app->current;

	while (a->input.len) {
		ssize_t n;

		/* It starts again, or an update has it between two. */
		if (!g || g->state != GENERATION_RUNNING) {
			stop_writer(a);
			push_later(a);
			return;
		}
		n = write(g->input_fd, a->input.buf, a->input.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			wait_for_writer(a, g->input_fd);
			return;
		}
		/* Nobody ever will. */
		if (n < 0)
			n = (ssize_t)a->input.len;
		memmove(a->input.buf, a->input.buf + n,
			a->input.len - (size_t)n);
		strbuf_setlen(&a->input, a->input.len - (size_t)n);
	}
	stop_writer(a);
	watch_all(a);
}

/* Nobody is there who could take it. */
static void drop_input(struct attach *a)
{
	strbuf_reset(&a->input);
	stop_writer(a);
	event_timer_cancel(loop_of(a), &a->retry);
}

void attach_forget_input(struct pod_app *app, int fd)
{
	struct attach *a = app->attach;

	if (!a || fd < 0 || a->writer.fd != fd)
		return;
	stop_writer(a);
	push_later(a);
}

void attach_set_size(const struct pod_app *app, int tty)
{
	const struct attach *a = app->attach;
	struct winsize ws;

	if (!a || !a->size.rows || tty < 0)
		return;
	ws = (struct winsize){.ws_row = a->size.rows,
			      .ws_col = a->size.columns};
	(void)ioctl(tty, TIOCSWINSZ, &ws);
}

/* --- records of clients ----------------------------------------------------
 */

static void serve(struct attach_client *c, const struct attach_head *head,
		  const char *data)
{
	struct attach *a = c->attach;

	switch (head->kind) {
	case ATTACH_INPUT:
		strbuf_add(&a->input, data, head->length);
		watch_all(a);
		push_input(a);
		break;
	case ATTACH_SIZE:
		memcpy(&a->size, data, sizeof(a->size));
		if (a->app->current)
			attach_set_size(a->app, a->app->current->tty_slave);
		break;
	default: /* ATTACH_EOF: what came before has been taken */
		if (!(c->wants & WANTS_OUTPUT))
			dismiss(c, 0, "");
	}
}

static void receive(struct attach_client *c)
{
	/* One byte more than a record tells a longer one. */
	char buf[sizeof(struct attach_head) + ATTACH_DATA_MAX + 1];
	struct attach_head head;
	ssize_t n = recv(c->source.fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		client_close(c);
	else if (attach_record_check(buf, (size_t)n, c->wants, &head) < 0)
		dismiss(c, RKT_EXIT_FAILURE,
			"the pod does not understand this client: is it of "
			"another version of rkt?");
	else
		serve(c, &head, buf + sizeof(head));
}

static void on_client(struct event_source *source, uint32_t events)
{
	struct attach_client *c = source->data;

	/* The first may free it; the kernel says the others again. */
	if (events & EPOLLOUT)
		flush(c);
	else if (events & EPOLLIN && may_read(c))
		receive(c);
	else if (events & (EPOLLHUP | EPOLLERR))
		client_close(c);
}

/* --- coming and going ------------------------------------------------------
 */

static struct attach *attach_of(struct pod_app *app)
{
	if (!app->attach) {
		app->attach = xcalloc(1, sizeof(*app->attach));
		*app->attach = (struct attach){
			.app = app,
			.input = STRBUF_INIT,
			.writer = {.fd = -EBADF},
		};
	}
	return app->attach;
}

/* Room for one more: those who were sent away and stay must not keep out
 * others. */
static int make_room(struct attach *a, struct error *err)
{
	struct attach_client *leaving = NULL;
	size_t n = 0;

	for (struct attach_client *c = a->clients; c; c = c->next) {
		n++;
		if (c->is_leaving)
			leaving = c;
	}
	if (n < ATTACH_CLIENTS_MAX)
		return 0;
	if (!leaving)
		return error_set(err, EUSERS,
				 "app \"%s\" has %d attached clients already: "
				 "detach one of them first",
				 a->app->name, ATTACH_CLIENTS_MAX);
	client_close(leaving);
	return 0;
}

int attach_add(struct pod_app *app, uint32_t wants, int conn, struct error *err)
{
	struct attach *a = attach_of(app);
	struct attach_client *c;
	int r = make_room(a, err);

	if (r < 0) {
		fd_close(&conn);
		return r;
	}
	c = xcalloc(1, sizeof(*c));
	*c = (struct attach_client){
		.attach = a,
		.source = {.fd = conn, .fn = on_client, .data = c},
		.wants = wants,
		.queue = STRBUF_INIT,
		.next = a->clients,
	};
	a->clients = c;
	r = event_add(loop_of(a), &c->source, may_read(c) ? EPOLLIN : 0);
	if (r < 0) {
		client_close(c);
		return error_sys(err, -r, "watch the client");
	}
	return 0;
}

void attach_app_ended(struct pod_app *app, int exit_code)
{
	struct attach *a = app->attach;

	if (!a)
		return;
	drop_input(a);
	dismiss_all(a, exit_code, "");
}

/* Sends what goes; those that have not taken all of it: their connections into
 * RET. */
static size_t flush_all(const struct attach *a, struct pollfd *ret)
{
	struct attach_client *next;
	size_t n = 0;

	for (struct attach_client *c = a->clients; c; c = next) {
		next = c->next;
		if (send_queue(c) < 0)
			client_close(c);
		else if (c->queue.len > c->sent)
			ret[n++] = (struct pollfd){.fd = c->source.fd,
						   .events = POLLOUT};
	}
	return n;
}

void attach_finish(struct pod *pod, unsigned int wait_ms)
{
	cleanup_free struct pollfd *polled =
		xcalloc(pod->n_apps * ATTACH_CLIENTS_MAX + 1, sizeof(*polled));
	uint64_t until_ns = monotonic_ns() + wait_ms * UINT64_C(1000000);

	for (;;) {
		uint64_t now_ns = monotonic_ns();
		size_t n = 0;

		for (size_t i = 0; i < pod->n_apps; i++)
			if (pod->apps[i]->attach)
				n += flush_all(pod->apps[i]->attach,
					       polled + n);
		if (n == 0 || now_ns >= until_ns)
			return;
		(void)poll(polled, n, (int)((until_ns - now_ns) / 1000000) + 1);
	}
}

void attach_release(struct pod_app *app)
{
	struct attach *a = app->attach;

	if (!a)
		return;
	while (a->clients)
		client_close(a->clients);
	drop_input(a);
	strbuf_release(&a->input);
	free(a);
	app->attach = NULL;
}

/* --- for another supervisor ------------------------------------------------
 */

static const struct state_row attach_rows[] = {
	STATE_ROW(struct attach, input),
	STATE_ROW(struct attach, size.rows),
	STATE_ROW(struct attach, size.columns),
	STATE_NESTED_ROW("clients"),
};

struct client_state {
	int conn;
	uint32_t wants;
	struct strbuf queue; /* what the connection has not taken */
	bool is_leaving;
};

static const struct state_row client_rows[] = {
	STATE_FD_ROW(struct client_state, conn),
	STATE_ROW(struct client_state, wants),
	STATE_ROW(struct client_state, queue),
	STATE_ROW(struct client_state, is_leaving),
};

static void save_client(const struct attach_client *c, struct state_writer *w)
{
	const struct client_state state = {
		.conn = c->source.fd,
		.wants = c->wants,
		.queue = {.buf = c->queue.buf + c->sent,
			  .len = c->queue.len - c->sent}, /* borrowed */
		.is_leaving = c->is_leaving,
	};

	STATE_WRITE_OBJECT(w, NULL, client_rows, &state);
}

void attach_save(const struct attach *a, struct state_writer *w,
		 const char *key)
{
	json_open_object(&w->json, key);
	STATE_WRITE(w, attach_rows, a);
	json_open_array(&w->json, "clients");
	for (const struct attach_client *c = a->clients; c; c = c->next)
		if (c->queue.len - c->sent <= ATTACH_SAVED_MAX)
			save_client(c, w);
	json_close_array(&w->json);
	json_close_object(&w->json);
}

static int restore_client(const struct json_node *node, struct pod_app *app,
			  struct error *err)
{
	struct client_state state = {.conn = -EBADF, .queue = STRBUF_INIT};
	int r = STATE_READ(node, client_rows, &state);

	if (r == 0)
		r = attach_add(app, state.wants, TAKE_FD(state.conn), err);
	if (r == 0) {
		struct attach_client *c = app->attach->clients;

		c->queue = state.queue;
		c->last = c->queue.len;
		c->is_leaving = state.is_leaving;
		strbuf_init(&state.queue);
	}
	fd_close(&state.conn);
	strbuf_release(&state.queue);
	return r;
}

int attach_restore(const struct json_node *node, struct pod_app *app,
		   struct error *err)
{
	struct attach *a = attach_of(app);
	struct json_node list, item;
	int r = STATE_READ(node, attach_rows, a);

	if (r == 0 && json_member(node, "clients", &list))
		for (size_t i = 0; r == 0 && json_item(&list, i, &item); i++)
			r = restore_client(&item, app, err);
	if (r < 0)
		return r;
	watch_all(a);
	if (a->input.len)
		push_later(a);
	return 0;
}

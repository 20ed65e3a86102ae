/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/attach.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "base/terminal.h"
#include "spec/stage1_abi.h"
#include "stage0/control.h"

/* A pipe or terminal that polls writable takes this much at once. */
#define SINK_CHUNK 1024

#define WANTS_INPUT (CONTROL_ATTACH_STDIN | CONTROL_ATTACH_TTY_IN)
#define WANTS_TTY (CONTROL_ATTACH_TTY_IN | CONTROL_ATTACH_TTY_OUT)

/* --- asking ----------------------------------------------------------------
 */

static uint32_t targets_parse(const char *text)
{
	static const char *const names[] = {"stdin", "stdout", "stderr",
					    "tty-in", "tty-out"};
	cleanup_strv struct strv words = STRV_INIT;
	uint32_t flags = 0;

	strv_split(&words, text, ' ');
	for (size_t w = 0; w < words.n; w++)
		for (int i = 0; i < 5; i++)
			if (strcmp(words.v[w], names[i]) == 0)
				flags |= (uint32_t)CONTROL_ATTACH_STDIN << i;
	return flags;
}

int attach_ask(int conn, const char *app, uint32_t wants, uint32_t *ret,
	       struct error *err)
{
	struct control_request request = {.op = CONTROL_ATTACH, .flags = wants};
	struct control_reply reply;
	int r;

	(void)snprintf(request.app, sizeof(request.app), "%s", app);
	r = control_send(conn, &request, -EBADF, err);
	if (r == 0)
		r = control_receive(conn, &reply, err);
	if (r == -ECONNRESET)
		return error_set(err, ECONNRESET,
				 "the pod's supervisor does not know "
				 "\"attach\": is it of another version? Try "
				 "\"rkt update --runtime\"");
	if (r < 0)
		return r;
	if (reply.kind != CONTROL_DONE)
		return error_set(err, EINVAL, "%s", reply.text);
	*ret = targets_parse(reply.text);
	return 0;
}

/* --- attached --------------------------------------------------------------
 */

/* One of the caller's outputs. */
struct sink {
	int fd;
	struct strbuf pending;
	bool tame; /* a terminal that nobody put into raw mode */
	unsigned char last;
};

struct session {
	int conn;
	uint32_t wants;
	int signals;
	struct terminal terminal;
	struct escape escape;
	bool has_input; /* standard input is not at its end */
	bool has_told;	/* the pod knows of the end */
	bool has_size;	/* the window's is to be told */
	struct strbuf to_pod;
	struct sink out, err;
	bool is_over; /* the pod has said so: what it sent is shown yet */
	struct attach_end end;
	struct attach_result *result;
	bool stop; /* at once */
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Writes what goes without blocking. */
static int sink_write(struct sink *s)
{
	struct pollfd p = {.fd = s->fd, .events = POLLOUT};

	while (s->pending.len && poll(&p, 1, 0) == 1) {
		size_t n = s->pending.len < SINK_CHUNK ? s->pending.len
						       : SINK_CHUNK;
		ssize_t done = write(s->fd, s->pending.buf, n);

		if (done < 0 && (errno == EINTR || errno == EAGAIN))
			return 0;
		if (done < 0)
			return -errno;
		memmove(s->pending.buf, s->pending.buf + done,
			s->pending.len - (size_t)done);
		strbuf_setlen(&s->pending, s->pending.len - (size_t)done);
	}
	return 0;
}

static void sink_add(struct sink *s, char *data, size_t n)
{
	if (s->tame)
		terminal_tame(data, n, &s->last);
	strbuf_add(&s->pending, data, n);
}

static int read_end(struct session *s, const struct attach_head *head,
		    const char *data, struct error *err)
{
	if (head->length != sizeof(s->end))
		return error_set(err, EPROTO,
				 "the pod's answer is not understood");
	memcpy(&s->end, data, sizeof(s->end));
	s->end.text[sizeof(s->end.text) - 1] = '\0';
	s->is_over = true;
	return 0;
}

static int receive(struct session *s, struct error *err)
{
	char data[ATTACH_DATA_MAX];
	struct attach_head head;
	int r = control_attach_receive(s->conn, &head, data);

	if (r == -EAGAIN)
		return 0;
	if (r == -ECONNRESET)
		return error_set(err, ECONNRESET,
				 "the pod's supervisor went away");
	if (r == 0 && head.kind == ATTACH_OUTPUT)
		sink_add(&s->out, data, head.length);
	else if (r == 0 && head.kind == ATTACH_ERROR)
		sink_add(&s->err, data, head.length);
	else if (r == 0 && head.kind == ATTACH_END)
		return read_end(s, &head, data, err);
	else
		return error_set(err, EPROTO,
				 "the pod's answer is not understood: was it "
				 "started by another version of rkt?");
	return 0;
}

/* --- to the pod ------------------------------------------------------------
 */

static void read_input(struct session *s)
{
	char buf[ATTACH_DATA_MAX];
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		s->has_input = false;
		return;
	}
	if (isatty(STDIN_FILENO) &&
	    escape_seen(&s->escape, buf, (size_t)n, now_ns())) {
		s->result->is_detached = true;
		s->stop = true;
		return;
	}
	/* As a terminal whose program does not read. */
	if (s->to_pod.len + (size_t)n <= ATTACH_DATA_MAX)
		strbuf_add(&s->to_pod, buf, (size_t)n);
}

static bool read_size(struct attach_size *ret)
{
	struct winsize ws;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) < 0 &&
	    ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) < 0)
		return false;
	*ret = (struct attach_size){.rows = ws.ws_row, .columns = ws.ws_col};
	return true;
}

static bool has_to_send(const struct session *s)
{
	return !s->is_over && (s->has_size || s->to_pod.len ||
			       (!s->has_input && !s->has_told));
}

/* In this order: the size is known to who reads the input. */
static void send_some(struct session *s)
{
	struct attach_size size;

	if (s->has_size) {
		if (read_size(&size) &&
		    control_attach_send(s->conn, ATTACH_SIZE, &size,
					sizeof(size)) == -EAGAIN)
			return;
		s->has_size = false;
	}
	if (s->to_pod.len) {
		if (control_attach_send(s->conn, ATTACH_INPUT, s->to_pod.buf,
					s->to_pod.len) == -EAGAIN)
			return;
		strbuf_reset(&s->to_pod);
	}
	if (!s->has_input && !s->has_told)
		s->has_told = control_attach_send(s->conn, ATTACH_EOF, NULL,
						  0) != -EAGAIN;
}

static void read_signal(struct session *s)
{
	struct signalfd_siginfo info;

	if (read_full(s->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH) {
		s->has_size = (s->wants & WANTS_TTY) != 0;
		return;
	}
	s->result->signal = (int)info.ssi_signo;
	s->stop = true;
}

/* --- the loop --------------------------------------------------------------
 */

enum { AT_INPUT, AT_CONN, AT_SIGNALS, AT_OUT, AT_ERR, N_POLLED };

static void want(const struct session *s, struct pollfd p[N_POLLED])
{
	bool is_shown = !s->out.pending.len && !s->err.pending.len;
	/* A terminal is read for the escape, whatever the app does. */
	bool reads = s->has_input && !s->is_over &&
		     (!s->to_pod.len || isatty(STDIN_FILENO));

	p[AT_INPUT] = (struct pollfd){reads ? STDIN_FILENO : -1, POLLIN, 0};
	p[AT_CONN] = (struct pollfd){
		.fd = is_shown || has_to_send(s) ? s->conn : -1,
		.events = (short)((is_shown ? POLLIN : 0) |
				  (has_to_send(s) ? POLLOUT : 0)),
	};
	p[AT_SIGNALS] = (struct pollfd){s->signals, POLLIN, 0};
	p[AT_OUT] = (struct pollfd){s->out.pending.len ? s->out.fd : -1,
				    POLLOUT, 0};
	p[AT_ERR] = (struct pollfd){s->err.pending.len ? s->err.fd : -1,
				    POLLOUT, 0};
}

static int show(struct session *s, struct error *err)
{
	int r = sink_write(&s->out);

	if (r == 0)
		r = sink_write(&s->err);
	if (r != -EPIPE)
		return r < 0 ? error_sys(err, -r, "write the app's output") : 0;
	/* As a program that writes into a pipe nobody reads. */
	s->result->signal = SIGPIPE;
	s->stop = true;
	return 0;
}

static int step(struct session *s, struct error *err)
{
	struct pollfd p[N_POLLED];
	int r = 0;

	want(s, p);
	if (poll(p, N_POLLED, -1) < 0)
		return errno == EINTR ? 0 : error_sys(err, errno, "wait");
	if (p[AT_SIGNALS].revents)
		read_signal(s);
	if (p[AT_INPUT].revents)
		read_input(s);
	if (p[AT_CONN].revents && p[AT_CONN].events & POLLIN)
		r = receive(s, err);
	if (r == 0 && p[AT_CONN].revents & (POLLOUT | POLLHUP))
		send_some(s);
	return r < 0 ? r : show(s, err);
}

static bool goes_on(const struct session *s)
{
	return !s->stop &&
	       (!s->is_over || s->out.pending.len || s->err.pending.len);
}

static int open_signals(sigset_t *ret_old, struct error *err)
{
	sigset_t set;
	int fd;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGQUIT);
	(void)sigaddset(&set, SIGWINCH);
	(void)sigaddset(&set, SIGPIPE);
	(void)sigprocmask(SIG_BLOCK, &set, ret_old);
	(void)sigdelset(&set, SIGPIPE);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd < 0 ? error_sys(err, errno, "watch signals") : fd;
}

static int finish(const struct session *s, struct error *err)
{
	if (s->stop)
		return 0;
	s->result->exit_code = s->end.code;
	return s->end.text[0] ? error_set(err, ECONNRESET, "%s", s->end.text)
			      : 0;
}

int attach_run(int conn, uint32_t wants, struct attach_result *ret,
	       struct error *err)
{
	struct session s = {
		.conn = conn,
		.wants = wants,
		.has_input = (wants & WANTS_INPUT) != 0,
		.has_size = (wants & WANTS_TTY) != 0,
		.to_pod = STRBUF_INIT,
		.out = {.fd = STDOUT_FILENO, .pending = STRBUF_INIT},
		.err = {.fd = STDERR_FILENO, .pending = STRBUF_INIT},
		.result = ret,
	};
	sigset_t old;
	int r;

	*ret = (struct attach_result){.signal = 0};
	s.signals = r = open_signals(&old, err);
	if (r >= 0 && wants & CONTROL_ATTACH_TTY_IN)
		r = terminal_make_raw(&s.terminal, STDIN_FILENO, err);
	s.out.tame = !s.terminal.is_raw && isatty(STDOUT_FILENO);
	s.err.tame = !s.terminal.is_raw && isatty(STDERR_FILENO);
	while (r >= 0 && goes_on(&s))
		r = step(&s, err);
	terminal_restore(&s.terminal);
	fd_close(&s.signals);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	strbuf_release(&s.to_pod);
	strbuf_release(&s.out.pending);
	strbuf_release(&s.err.pending);
	return r < 0 ? r : finish(&s, err);
}

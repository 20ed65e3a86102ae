/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "stage1/state.h"

int console_slave(const struct console *console)
{
	return console->slave;
}

void console_resize(struct console *console)
{
	struct winsize ws;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &ws) == 0)
		(void)ioctl(console->master.fd, TIOCSWINSZ, &ws);
}

static void stop_input(struct console *c)
{
	event_remove(c->loop, &c->input);
	c->input.fd = -EBADF;
}

static void watch_both(struct console *c)
{
	(void)event_modify(c->loop, &c->master,
			   EPOLLIN | (c->to_app.len ? EPOLLOUT : 0));
	/* What the app does not read yet stays with the caller's terminal. */
	if (c->input.fd >= 0)
		(void)event_modify(c->loop, &c->input,
				   c->to_app.len ? 0 : EPOLLIN);
}

static void forward_input(struct console *c)
{
	ssize_t n;

	while (c->to_app.len) {
		n = write(c->master.fd, c->to_app.buf, c->to_app.len);
		if (n <= 0)
			break;
		memmove(c->to_app.buf, c->to_app.buf + n,
			c->to_app.len - (size_t)n);
		strbuf_setlen(&c->to_app, c->to_app.len - (size_t)n);
	}
	watch_both(c);
}

static void on_input(struct event_source *source, uint32_t events)
{
	struct console *c = source->data;
	char buf[4096];
	ssize_t n = read(source->fd, buf, sizeof(buf));

	(void)events;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		static const char eof = '\x04';

		strbuf_add(&c->to_app, &eof, 1);
		stop_input(c);
	} else {
		if (escape_seen(&c->escape, buf, (size_t)n, monotonic_ns()))
			c->on_escape(c->data);
		strbuf_add(&c->to_app, buf, (size_t)n);
	}
	forward_input(c);
}

/* False at the end: every slave is closed. */
static bool show_some(struct console *c)
{
	char buf[16384];
	ssize_t n = read(c->master.fd, buf, sizeof(buf));

	if (n > 0)
		(void)write_full(STDOUT_FILENO, buf, (size_t)n);
	return n > 0;
}

static void on_master(struct event_source *source, uint32_t events)
{
	struct console *c = source->data;

	if (events & EPOLLOUT)
		forward_input(c);
	if (events & (EPOLLIN | EPOLLHUP))
		(void)show_some(c);
}

/* The input may be a regular file or /dev/null, which epoll cannot watch:
 * all of it is there already. */
static int watch_input(struct console *c, struct error *err)
{
	int r;

	c->input = (struct event_source){
		.fd = STDIN_FILENO, .fn = on_input, .data = c};
	r = event_add(c->loop, &c->input, EPOLLIN);
	if (r == -EPERM) {
		c->input.fd = -EBADF;
		r = strbuf_read_fd(&c->to_app, STDIN_FILENO, STRBUF_MAX / 2);
		strbuf_addch(&c->to_app, '\x04');
		if (r == 0)
			forward_input(c);
	}
	return r < 0 ? error_sys(err, -r, "read the standard input") : 0;
}

int console_open_pty(int pts, int *ret_master, int *ret_slave,
		     struct error *err)
{
	cleanup_fd int master =
		openat(pts, "ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	int unlock = 0, slave;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return error_sys(err, errno, "open a pseudo terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return error_sys(err, errno, "open a pseudo terminal");
	*ret_master = TAKE_FD(master);
	*ret_slave = slave;
	return 0;
}

int console_open(struct console *console, int pts, struct event_loop *loop,
		 void (*on_escape)(void *), void *data, struct error *err)
{
	int r;

	*console = (struct console){
		.loop = loop,
		.input = {.fd = -EBADF},
		.master = {.fd = -EBADF, .fn = on_master, .data = console},
		.to_app = STRBUF_INIT,
		.slave = -EBADF,
		.on_escape = on_escape,
		.data = data,
	};
	r = console_open_pty(pts, &console->master.fd, &console->slave, err);
	if (r < 0)
		return r;
	console_resize(console);
	r = event_add(loop, &console->master, EPOLLIN);
	if (r < 0)
		return error_sys(err, -r, "watch the pseudo terminal");
	r = terminal_make_raw(&console->terminal, STDIN_FILENO, err);
	return r < 0 ? r : watch_input(console, err);
}

void console_close(struct console *console)
{
	fd_close(&console->slave);
	while (show_some(console))
		;
	if (console->input.fd >= 0)
		stop_input(console);
	event_remove(console->loop, &console->master);
	fd_close(&console->master.fd);
	terminal_restore(&console->terminal);
	strbuf_release(&console->to_app);
}

/* --- for another supervisor ------------------------------------------------
 */

struct console_state {
	bool has_input;
	struct strbuf termios; /* as the kernel's ABI has it */
};

static const struct state_row rows[] = {
	STATE_FD_ROW_AS(struct console, master.fd, "master"),
	STATE_FD_ROW(struct console, slave),
	STATE_ROW(struct console, to_app),
	STATE_ROW_AS(struct console, terminal.is_raw, "is_raw"),
	STATE_ROW_AS(struct console, escape.n, "escapes"),
	STATE_ROW_AS(struct console, escape.first_ns, "first_escape_ns"),
	STATE_NESTED_ROW("terminal"),
};

static const struct state_row terminal_rows[] = {
	STATE_ROW(struct console_state, has_input),
	STATE_ROW(struct console_state, termios),
};

void console_save(const struct console *console, struct state_writer *w,
		  const char *key)
{
	struct console_state state = {
		.has_input = console->input.fd >= 0,
		.termios = STRBUF_INIT,
	};

	strbuf_add(&state.termios, &console->terminal.saved,
		   sizeof(console->terminal.saved));
	json_open_object(&w->json, key);
	STATE_WRITE(w, rows, console);
	STATE_WRITE_OBJECT(w, "terminal", terminal_rows, &state);
	json_close_object(&w->json);
	strbuf_release(&state.termios);
}

static int restore_terminal(const struct json_node *node, struct termios *ret,
			    bool *ret_input)
{
	struct console_state state = {.termios = STRBUF_INIT};
	int r = STATE_READ(node, terminal_rows, &state);

	if (r == 0 && state.termios.len != sizeof(*ret)) {
		json_problem(node, "are not the settings of a terminal");
		r = -EINVAL;
	}
	if (r == 0)
		memcpy(ret, state.termios.buf, sizeof(*ret));
	*ret_input = state.has_input;
	strbuf_release(&state.termios);
	return r;
}

int console_restore(const struct json_node *node, struct console *console,
		    struct event_loop *loop, void (*on_escape)(void *),
		    void *data, struct error *err)
{
	struct json_node terminal;
	bool has_input = false;
	int r;

	*console = (struct console){
		.loop = loop,
		.input = {.fd = -EBADF, .fn = on_input, .data = console},
		.master = {.fd = -EBADF, .fn = on_master, .data = console},
		.to_app = STRBUF_INIT,
		.slave = -EBADF,
		.on_escape = on_escape,
		.data = data,
	};
	r = STATE_READ(node, rows, console);
	if (r == 0 && json_member(node, "terminal", &terminal))
		r = restore_terminal(&terminal, &console->terminal.saved,
				     &has_input);
	if (r < 0)
		return r;
	r = event_add(loop, &console->master, EPOLLIN);
	if (r == 0 && has_input) {
		console->input.fd = STDIN_FILENO;
		r = event_add(loop, &console->input, EPOLLIN);
	}
	if (r < 0)
		return error_sys(err, -r, "watch the terminal");
	watch_both(console);
	return 0;
}

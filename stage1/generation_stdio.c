/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "stage1/attach.h"
#include "stage1/console.h"
#include "stage1/generation.h"
#include "stage1/generation_impl.h"

static void describe_output(struct generation *g)
{
	const char *version = name_values_get(&g->image.labels, "version");
	cleanup_free char *image =
		xasprintf("%s%s%s", g->image.name ? g->image.name : "",
			  version ? ":" : "", version ? version : "");
	struct output_stream *streams[] = {&g->out, &g->err, &g->tty};

	for (int i = 0; i < 3; i++)
		if (streams[i]->log)
			output_stream_describe(streams[i],
					       g->app->pod->options.uuid,
					       g->number, image);
}

static void tap_output(struct generation *g)
{
	const enum stdio_mode *modes = g->plan.stdio;

	if (modes[1] == STDIO_STREAM)
		g->out.tap = attach_tap_stdout;
	if (modes[2] == STDIO_STREAM)
		g->err.tap = attach_tap_stderr;
	g->tty.tap = attach_tap_tty;
	g->tty.is_terminal = true;
	g->out.tap_data = g->err.tap_data = g->tty.tap_data = g->app;
}

/* --- its own terminal ------------------------------------------------------
 */

static int open_pty(struct generation *g, struct error *err)
{
	cleanup_fd int pts = pod_init_open_pts(&g->app->pod->init, err);
	cleanup_fd int master = -EBADF;
	int r = pts;

	if (r >= 0)
		r = console_open_pty(pts, &master, &g->tty_slave, err);
	if (r < 0)
		return r;
	attach_set_size(g->app, g->tty_slave);
	if (g->plan.stdio[0] == STDIO_TTY) {
		g->input_fd = fcntl(master, F_DUPFD_CLOEXEC, 0);
		if (g->input_fd < 0)
			return error_sys(err, errno, "keep the terminal");
	}
	return output_stream_open(&g->tty, &g->app->log, "stdout",
				  TAKE_FD(master), err);
}

int generation_open_tty(struct generation *g, struct error *err)
{
	const enum stdio_mode *modes = g->plan.stdio;

	if (g->app->pod->console &&
	    (modes[0] != STDIO_NULL || modes[1] != STDIO_LOG ||
	     modes[2] != STDIO_LOG))
		return error_set(err, EINVAL,
				 "with --interactive it has the caller's "
				 "terminal: --stdin, --stdout and --stderr do "
				 "not go with that");
	return stdio_has(modes, STDIO_TTY) ? open_pty(g, err) : 0;
}

/* --- pipes -----------------------------------------------------------------
 */

static int open_input(struct generation *g, struct error *err)
{
	int fds[2], r;

	if (g->stdin_fd >= 0)
		return 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, errno, "create pipe");
	g->stdin_fd = fds[0];
	g->input_fd = fds[1];
	r = set_nonblock(g->input_fd);
	return r < 0 ? error_sys(err, -r, "set up a pipe") : 0;
}

static int open_output(struct generation *g, int i, struct error *err)
{
	struct output_stream *streams[] = {&g->out, &g->err};
	int fds[2];

	if (g->output_fds[i] >= 0)
		return 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, errno, "create pipe");
	g->output_fds[i] = fds[1];
	return output_stream_open(streams[i], &g->app->log, stdio_names[i + 1],
				  fds[0], err);
}

/*
 * Pipes for everything that runs in this generation, one after the other;
 * their reading ends are streams of the app's log.  The writing ends stay open
 * until the end of it: no process finds them closed.  So does the reading end
 * of its input.
 */
static int open_pipes(struct generation *g, struct error *err)
{
	const enum stdio_mode *modes = g->plan.stdio;
	int r = modes[0] == STDIO_STREAM ? open_input(g, err) : 0;

	for (int i = 0; i < 2 && r == 0; i++)
		if (modes[i + 1] == STDIO_LOG || modes[i + 1] == STDIO_STREAM)
			r = open_output(g, i, err);
	if (r == 0)
		generation_resume_stdio(g);
	return r;
}

/* --- all of it -------------------------------------------------------------
 */

int generation_set_stdio(struct generation *g,
			 struct app_process_request *request, struct error *err)
{
	const struct console *console = g->app->pod->console;
	int r = console ? 0 : open_pipes(g, err);

	if (r < 0)
		return r;
	/* What is typed is for the main process alone. */
	if (request->listener)
		request->stdio[0] = g->stdin_fd;
	for (int i = 0; i < 2; i++)
		request->stdio[i + 1] = g->output_fds[i];
	for (int i = 0; i < 3; i++)
		if (console)
			request->stdio[i] = console_slave(console);
		else if (g->plan.stdio[i] == STDIO_TTY &&
			 (i > 0 || request->listener))
			request->stdio[i] = g->tty_slave;
	request->tty = request->listener && (console || g->tty_slave >= 0);
	return 0;
}

void generation_resume_stdio(struct generation *g)
{
	describe_output(g);
	tap_output(g);
}

void generation_close_stdio(struct generation *g)
{
	fd_close(&g->output_fds[0]);
	fd_close(&g->output_fds[1]);
	fd_close(&g->tty_slave);
	output_stream_close(&g->out);
	output_stream_close(&g->err);
	output_stream_close(&g->tty);
	attach_forget_input(g->app, g->input_fd);
	fd_close(&g->input_fd);
	fd_close(&g->stdin_fd);
}

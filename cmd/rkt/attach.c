/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "cmd/rkt/app_arg.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/pod_arg.h"
#include "spec/json_write.h"
#include "spec/pod_manifest.h"
#include "stage0/attach.h"
#include "stage0/control.h"
#include "stage0/pod.h"
#include "stage0/prepare.h"

#define STREAMS                                                                \
	(CONTROL_ATTACH_STDIN | CONTROL_ATTACH_STDOUT | CONTROL_ATTACH_STDERR)
#define TTY (CONTROL_ATTACH_TTY_IN | CONTROL_ATTACH_TTY_OUT)

struct mode {
	bool list;
	uint32_t wants; /* 0: what there is */
};

struct opts {
	const char *app;
	struct mode mode;
	const char *uuid_file;
};

static int parse_endpoint(const char *name, struct mode *mode,
			  struct error *err)
{
	static const struct {
		const char *name;
		uint32_t flags;
	} endpoints[] = {
		{"stdin", CONTROL_ATTACH_STDIN},
		{"stdout", CONTROL_ATTACH_STDOUT},
		{"stderr", CONTROL_ATTACH_STDERR},
		{"tty", TTY},
		{"tty-in", CONTROL_ATTACH_TTY_IN},
		{"tty-out", CONTROL_ATTACH_TTY_OUT},
	};

	for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
		if (strcmp(name, endpoints[i].name) == 0) {
			mode->wants |= endpoints[i].flags;
			return 0;
		}
	return error_set(err, EINVAL,
			 "unknown endpoint \"%s\": there are stdin, stdout, "
			 "stderr, tty, tty-in and tty-out",
			 name);
}

static int parse_mode(const struct option_row *row, void *target,
		      const char *value, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;
	struct mode mode = {.list = strcmp(value, "list") == 0};
	int r = 0;

	(void)row;
	if (!mode.list && *value && strcmp(value, "auto") != 0)
		strv_split(&words, value, ',');
	for (size_t i = 0; i < words.n && r == 0; i++)
		r = parse_endpoint(words.v[i], &mode, err);
	if (r == 0 && mode.wants & STREAMS && mode.wants & TTY)
		r = error_set(err, EINVAL,
			      "incompatible endpoints \"%s\", cannot "
			      "simultaneously attach TTY and streams",
			      value);
	*(struct mode *)target = mode;
	return r;
}

static const struct option_row rows[] = {
	{.name = "app",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, app),
	 .help = "name of the app to attach to within the specified pod"},
	{.name = "mode",
	 .kind = OPTION_CALL,
	 .parse = parse_mode,
	 .values = "auto|list|stdin|stdout|stderr|tty|tty-in|tty-out",
	 .shown = "auto",
	 .offset = offsetof(struct opts, mode),
	 .help = "auto: all there is, or its terminal if it has one; list: "
		 "print what there is; or some of stdin,stdout,stderr, or of "
		 "tty (tty-in,tty-out)"},
	UUID_FILE_OPTION_ROW(struct opts, uuid_file),
	{.name = NULL},
};

/* --- list ------------------------------------------------------------------
 */

static void add_target(struct json_writer *w, const char *name,
		       const char *address)
{
	json_open_object(w, NULL);
	json_add_string(w, "name", name);
	json_add_string(w, "domain", "unix");
	json_add_string(w, "address", address);
	json_close_object(w);
}

static int print_targets(const struct cmd_call *call, const struct pod *pod,
			 uint32_t targets, struct error *err)
{
	static const char *const names[] = {"stdin", "stdout", "stderr",
					    "tty-in", "tty-out"};
	cleanup_free char *address =
		xasprintf("%s/pods/run/%s/" POD_CONTROL_SOCKET, call->rkt->dir,
			  pod->uuid);
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &sb, JSON_PRETTY_STYLE);
	json_open_object(&w, NULL);
	json_add_int(&w, "version", 1);
	json_open_array(&w, "targets");
	if ((targets & TTY) == TTY)
		add_target(&w, "tty", address);
	for (int i = 0; i < 5; i++) {
		uint32_t flag = (uint32_t)CONTROL_ATTACH_STDIN << i;

		if (targets & flag && !(flag & TTY && (targets & TTY) == TTY))
			add_target(&w, names[i], address);
	}
	json_close_array(&w);
	json_close_object(&w);
	puts(sb.buf);
	return stdout_flush(err);
}

/* --- attach ----------------------------------------------------------------
 */

static int choose(const char *app, uint32_t targets, uint32_t *ret,
		  struct error *err)
{
	*ret = targets & TTY ? targets & TTY : targets & STREAMS;
	if (*ret)
		return 0;
	return error_set(err, ENODEV,
			 "app \"%s\" has nothing to attach to: it would have "
			 "with --stdin=stream, --stdout=stream, "
			 "--stderr=stream or with tty for these; \"rkt logs "
			 "--follow\" shows what it prints",
			 app);
}

static int say_end(const char *app, const struct attach_result *result)
{
	if (result->is_detached)
		log_info("detached from app \"%s\", which goes on", app);
	return result->signal ? 128 + result->signal : result->exit_code;
}

static int relay(const struct pod *pod, const char *app, uint32_t wants,
		 struct error *err)
{
	cleanup_fd int conn = control_connect(pod->fd, err);
	struct attach_result result;
	uint32_t targets;
	int r = conn;

	if (r >= 0)
		r = attach_ask(conn, app, wants, &targets, err);
	if (r == 0)
		r = attach_run(conn, wants, &result, err);
	return r < 0 ? r : say_end(app, &result);
}

static int ask(const struct pod *pod, const char *app, uint32_t *ret,
	       struct error *err)
{
	cleanup_fd int conn = control_connect(pod->fd, err);

	return conn < 0 ? conn : attach_ask(conn, app, 0, ret, err);
}

static int attach(struct cmd_call *call, struct pod *pod, struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	const struct opts *o = call->opts;
	uint32_t wants = o->mode.wants, targets = 0;
	const char *app = NULL;
	int64_t pid = 0;
	int r = app_arg_wait_pid(pod, &pid, err);

	if (r == 0)
		r = pod_manifest_load(pod->fd, &pm, err);
	if (r == 0)
		r = app_arg_choose(call, &pm, o->app, &app, err);
	if (r == 0 && !wants)
		r = ask(pod, app, &targets, err);
	if (r == 0 && o->mode.list)
		return print_targets(call, pod, targets, err);
	if (r == 0 && !wants)
		r = choose(app, targets, &wants, err);
	return r < 0 ? r : relay(pod, app, wants, err);
}

static int run(struct cmd_call *call)
{
	const struct opts *o = call->opts;

	return pod_arg_only(call, o->uuid_file, attach);
}

const struct command cmd_attach = {
	.name = "attach",
	.summary = "Attach to an app running within a rkt pod",
	.usage = "[--app=APPNAME] [--mode=MODE] --uuid-file=FILE | UUID",
	.words = CMD_WORDS_PODS,
	.description =
		"To what the app was given by --stdin, --stdout or --stderr "
		"with stream or tty. ^] three times within a second, typed at "
		"a terminal, detaches: the app goes on, and can be attached "
		"to again. Several may be attached at once: all see the same "
		"output, and whoever types is read. rkt exits with the app's "
		"exit code when the app ends.",
	.flags = CMD_ROOT,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};

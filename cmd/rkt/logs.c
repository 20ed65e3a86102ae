/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/pod_arg.h"
#include "spec/pod_manifest.h"
#include "spec/uuid.h"
#include "stage0/logs.h"
#include "stage0/pod.h"
#include "stage0/prepare.h"
#include "stage0/update.h"

/* How long the end of a pod may go unnoticed; a new line is seen at once. */
#define WAIT_MS 200

struct opts {
	bool follow;
	bool journal;
	const char *app;
	const char *uuid_file;
};

static const struct option_row rows[] = {
	{.name = "follow",
	 .letter = 'f',
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, follow),
	 .help = "go on with what the apps print until the pod exits"},
	{.name = "app",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, app),
	 .help = "only the log of this app"},
	{.name = "journal",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, journal),
	 .help = "from the host's journal, which pods in systemd units write "
		 "to: also of a pod that is removed, by its whole UUID"},
	UUID_FILE_OPTION_ROW(struct opts, uuid_file),
	{.name = NULL},
};

static int list_apps(const struct pod *pod, const char *only, struct strv *ret,
		     struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	int r = pod_manifest_load(pod->fd, &pm, err);

	if (r < 0)
		return r;
	if (only && !pod_manifest_find_app(&pm, only))
		return error_set(err, ENOENT, "pod %s has no app %s", pod->uuid,
				 only);
	for (size_t i = 0; i < pm.n_apps; i++)
		if (!only || pod_manifest_find_app(&pm, only) == &pm.apps[i])
			strv_push(ret, pm.apps[i].name);
	return 0;
}

/* Everything there is now. */
static int print_rest(struct logs *logs, struct error *err)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	int r;

	do {
		strbuf_reset(&out);
		r = logs_read(logs, &out, err);
		(void)fwrite(out.buf, 1, out.len, stdout);
		if (stdout_flush(err) < 0)
			return -EIO;
	} while (r == 0 && out.len > 0);
	return r;
}

static int print_logs(const struct opts *o, struct pod *pod, struct logs *logs,
		      struct error *err)
{
	bool running = o->follow;
	int r = print_rest(logs, err);

	while (running && r == 0) {
		/* Looked at before the last reading, so nothing is missed. */
		running = pod_state(pod) == POD_STATE_RUNNING;
		r = running ? logs_wait(logs, WAIT_MS, err) : 0;
		if (r == 0)
			r = print_rest(logs, err);
	}
	return r;
}

/* --- from the journal ------------------------------------------------------
 */

/* POD_FD: to be followed until it ends, or -EBADF.  Replaces the process. */
static int become_reader(const struct cmd_call *call, const char *uuid,
			 int pod_fd, struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_free char *path =
		xasprintf("%s/rkt-journal", call->rkt->libexec);
	cleanup_strv struct strv argv = STRV_INIT;

	strv_push(&argv, "rkt-journal");
	strv_push(&argv, uuid);
	if (pod_fd >= 0)
		strv_pushf(&argv, "%d", pod_fd);
	else
		strv_push(&argv, "-");
	if (o->app)
		strv_push(&argv, o->app);
	if (pod_fd >= 0 && set_cloexec(pod_fd, 0) < 0)
		return error_sys(err, errno, "hand over pod %s", uuid);
	(void)execv(path, argv.v);
	return error_sys(err, errno, "execute %s", path);
}

static int show_journal(struct cmd_call *call, struct pod *pod,
			struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_strv struct strv apps = STRV_INIT;
	int r = list_apps(pod, o->app, &apps, err);

	return r < 0 ? r
		     : become_reader(call, pod->uuid,
				     o->follow ? pod->fd : -EBADF, err);
}

/* --- choosing --------------------------------------------------------------
 */

static int show_logs(struct cmd_call *call, struct pod *pod, struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_strv struct strv apps = STRV_INIT;
	struct logs *logs = NULL;
	int r = list_apps(pod, o->app, &apps, err);

	/* They are there alone. */
	if (r == 0 && update_was_started_with(pod->fd, "--log=journal"))
		return show_journal(call, pod, err);
	if (r == 0)
		r = logs_open(pod, &apps, &logs, err);
	if (r < 0)
		return r;
	r = print_logs(o, pod, logs, err);
	logs_free(logs);
	return r;
}

/* Its UUID is all that is left of it. */
static bool is_removed(const struct cmd_call *call, const char *word,
		       char uuid[UUID_TEXT_LEN + 1])
{
	cleanup_pods struct pods pods = PODS_INIT;
	cleanup_pod struct pod pod = POD_INIT;
	struct uuid u;

	if (uuid_parse(word, &u, NULL) < 0 ||
	    pods_open(&pods, call->rkt->dir, NULL) < 0)
		return false;
	uuid_format(&u, uuid);
	return pod_open(&pods, uuid, &pod, NULL) == -ENOENT;
}

static int run(struct cmd_call *call)
{
	const struct opts *o = call->opts;
	char uuid[UUID_TEXT_LEN + 1];
	struct error err = ERROR_INIT;

	if (!o->journal)
		return pod_arg_only(call, o->uuid_file, show_logs);
	if (o->uuid_file || call->argc != 1 ||
	    !is_removed(call, call->argv[0], uuid))
		return pod_arg_only(call, o->uuid_file, show_journal);
	(void)become_reader(call, uuid, -EBADF, &err);
	return cmd_failure(call, &err, NULL);
}

const struct command cmd_logs = {
	.name = "logs",
	.summary = "Show what the apps of a pod printed",
	.usage = "[-f] [--journal] [--app=NAME] --uuid-file=FILE | UUID",
	.words = CMD_WORDS_PODS,
	.description = "Lines of several apps are shown in the order of their "
		       "times. The pod's own log goes with the pod, and its "
		       "oldest lines before; the journal (--journal, and "
		       "always of pods run with --log=journal) lacks those "
		       "from when it was not there.",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};

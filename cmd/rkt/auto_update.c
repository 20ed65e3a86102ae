/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/auto_update.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "aci/config_load.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/transact.h"
#include "cmd/rkt/transact_show.h"
#include "spec/stage1_abi.h"
#include "spec/time_window.h"
#include "stage0/pod.h"

#define LOCK_FILE "auto-update.lock"
#define ID_MAX 256
#define NS_PER_S INT64_C(1000000000)

static int parse_share(const struct option_row *row, void *target,
		       const char *value, struct error *err)
{
	uint32_t share;
	int r = auto_update_share_parse(value, &share, err);

	(void)row;
	if (r == 0)
		*(int64_t *)target = share;
	return r;
}

static int parse_window(const struct option_row *row, void *target,
			const char *value, struct error *err)
{
	struct time_window window;
	int r = *value ? time_window_parse(value, &window, err) : 0;

	(void)row;
	if (r == 0)
		strv_push(target, value);
	return r;
}

static const struct option_row rows[] = {
	{.name = "window",
	 .kind = OPTION_CALL,
	 .parse = parse_window,
	 .offset = offsetof(struct auto_update_opts, windows),
	 .shown = "any time",
	 .help = "only then, by the local time: \"Mon..Fri 02:00-04:00\", "
		 "\"Sat,Sun 00:00-24:00\" or 22:00-02:00; may be given more "
		 "than once; empty: at any time"},
	{.name = "percent",
	 .kind = OPTION_CALL,
	 .parse = parse_share,
	 .offset = offsetof(struct auto_update_opts, share),
	 .shown = "100",
	 .help = "only if this machine is among so many of all; which those "
		 "are depends on /etc/machine-id, the image and its version, "
		 "and who is in 10 is in 20, too"},
	{.name = "tries",
	 .kind = OPTION_INT,
	 .offset = offsetof(struct auto_update_opts, tries),
	 .shown = "1",
	 .help = "an app is held from a version that has failed so often"},
	{.name = "success-after",
	 .kind = OPTION_DURATION,
	 .offset = offsetof(struct auto_update_opts, success_after),
	 .shown = "0s",
	 .help = "watch each new version so long after it was committed, and "
		 "go back if it is not well"},
	{.name = "dry-run",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct auto_update_opts, dry_run),
	 .help = "only show what would be done: the plan of each app; images "
		 "may be fetched for that"},
	{.name = "retry",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct auto_update_opts, retry),
	 .help = "try versions that the pods given are held from"},
	{.name = "hold",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct auto_update_opts, hold),
	 .help = "leave the pods given as they are until they are released"},
	{.name = "release",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct auto_update_opts, release),
	 .help = "lift all holds of the pods given: --hold, and those from "
		 "versions that failed"},
	{.name = "release-all",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct auto_update_opts, release_all),
	 .help = "the same for all pods"},
	FORMAT_OPTION_ROW(struct auto_update_opts, transact.format),
	{.name = NULL},
};

static const struct option_row *const more_rows[] = {transact_how_rows, NULL};

static void init(void *opts)
{
	struct auto_update_opts *o = opts;

	transact_init(&o->transact);
	o->share = CONFIG_UNSAID;
	o->tries = CONFIG_UNSAID;
	o->success_after = CONFIG_UNSAID;
}

/* --- results ----------------------------------------------------------------
 */

struct auto_update_result *auto_update_add(struct auto_update_run *run,
					   const char *pod)
{
	struct auto_update_results *rs = &run->results;

	rs->v = xreallocarray(rs->v, rs->n + 1, sizeof(*rs->v));
	rs->v[rs->n] = (struct auto_update_result){.pod = xstrdup(pod)};
	return &rs->v[rs->n++];
}

void auto_update_drop(struct auto_update_run *run, size_t i)
{
	struct auto_update_results *rs = &run->results;
	struct auto_update_result *r = &rs->v[i];

	free(r->pod);
	free(r->name);
	free(r->app);
	free(r->image);
	free(r->from);
	free(r->to);
	free(r->from_id);
	free(r->to_id);
	free(r->reason);
	free(r->plan);
	memmove(r, r + 1, (rs->n - i - 1) * sizeof(*r));
	rs->n--;
}

static void run_release(struct auto_update_run *run)
{
	while (run->results.n)
		auto_update_drop(run, run->results.n - 1);
	free(run->results.v);
	for (size_t i = 0; i < run->n_fetched; i++) {
		free(run->fetched[i].name);
		free(run->fetched[i].why);
	}
	free(run->fetched);
	strbuf_release(&run->machine);
	strbuf_release(&run->boot);
	strv_release(&run->unsigned_from);
}
#define cleanup_run __attribute__((__cleanup__(run_release)))

/* --- what counts ------------------------------------------------------------
 */

static bool is_open(const struct strv *windows)
{
	time_t now = time(NULL);
	bool any = false;
	struct tm tm;

	if (!localtime_r(&now, &tm))
		return false;
	for (size_t i = 0; i < windows->n; i++) {
		struct time_window w;

		if (!*windows->v[i])
			return true;
		any = true;
		if (time_window_parse(windows->v[i], &w, NULL) == 0 &&
		    time_window_has(
			    &w, (unsigned int)tm.tm_wday,
			    (unsigned int)(tm.tm_hour * 60 + tm.tm_min)))
			return true;
	}
	return !any;
}

/* The flag, else the configuration's, else DEFAULT_VALUE. */
static int64_t said(int64_t flag, int64_t configured, int64_t default_value)
{
	if (flag != CONFIG_UNSAID)
		return flag;
	return configured != CONFIG_UNSAID ? configured : default_value;
}

static int read_id(const char *path, struct strbuf *ret, struct error *err)
{
	int r = read_file_path(path, ID_MAX, ret, err);

	if (r == 0)
		strbuf_setlen(ret, strcspn(ret->buf, "\n"));
	return r;
}

static int settle(struct auto_update_run *run, struct error *err)
{
	const struct auto_update_opts *o = run->opts;
	const struct rkt *rkt = run->call->rkt;
	const struct config_dirs dirs = {
		.system_dir = rkt->system_config,
		.local_dir = rkt->local_config,
		.user_dir = rkt->user_config,
	};
	cleanup_config struct config config = CONFIG_INIT;
	const struct config_auto_update *c = &config.auto_update;
	int r = config_load(&dirs, CONFIG_BIT(CONFIG_AUTO_UPDATE_D), &config,
			    err);

	if (r < 0)
		return r;
	run->is_open = is_open(o->windows.n ? &o->windows : &c->windows);
	run->share = (uint32_t)said(o->share, c->share, AUTO_UPDATE_SHARE_ALL);
	run->tries = (unsigned int)said(o->tries, c->tries, 1);
	run->success_after =
		said(o->success_after, c->success_after, 0) / NS_PER_S;
	for (size_t i = 0; i < c->unsigned_from.n; i++)
		strv_push(&run->unsigned_from, c->unsigned_from.v[i]);
	(void)read_id("/proc/sys/kernel/random/boot_id", &run->boot, NULL);
	if (run->share == 0 || run->share == AUTO_UPDATE_SHARE_ALL)
		return 0;
	r = read_id("/etc/machine-id", &run->machine, err);
	if (r == 0 && !run->machine.len)
		r = error_set(err, ENOENT, "/etc/machine-id is empty");
	return r < 0 ? error_prefix(err, r, "a percentage is of machine ids")
		     : 0;
}

/* --- which pods -------------------------------------------------------------
 */

static void fail(struct auto_update_run *run, const char *pod,
		 const struct error *err)
{
	struct auto_update_result *r = auto_update_add(run, pod);

	r->outcome = OUTCOME_FAILED;
	r->code = RKT_EXIT_FAILURE;
	r->reason = xstrdup(error_innermost(err));
}

static bool has_record(const struct pod *pod)
{
	return faccessat(pod->fd, POD_AUTO_UPDATE_FILE, F_OK,
			 AT_SYMLINK_NOFOLLOW) == 0;
}

/* True if there was something to be done: it is done. */
static bool do_ended(struct auto_update_run *run, const struct pods *pods,
		     const char *uuid)
{
	cleanup_pod struct pod pod = POD_INIT;
	size_t before = run->results.n;

	if (pod_open_in(pods, POD_RUN, uuid, &pod, NULL) == 0 &&
	    pod_state(&pod) == POD_STATE_EXITED && has_record(&pod))
		(void)auto_update_ended_pod(run, &pod);
	return run->results.n > before;
}

static void do_words(struct auto_update_run *run, const struct pods *pods)
{
	const struct auto_update_opts *o = run->opts;

	for (int i = 0; i < run->call->argc; i++) {
		cleanup_pod struct pod pod = POD_INIT;
		struct error err = ERROR_INIT;
		const char *word = run->call->argv[i];

		if (pod_open(pods, word, &pod, &err) < 0)
			fail(run, word, &err);
		else if (o->hold || o->release)
			auto_update_hold_pod(run, &pod);
		else if (!do_ended(run, pods, pod.uuid))
			auto_update_pod(run, &pod, true);
	}
}

static void do_one(struct auto_update_run *run, const struct pods *pods,
		   const char *uuid)
{
	cleanup_pod struct pod pod = POD_INIT;

	/* One that has been removed meanwhile is nobody's business. */
	if (pod_open_in(pods, POD_RUN, uuid, &pod, NULL) < 0)
		return;
	if (run->opts->release_all && has_record(&pod))
		auto_update_hold_pod(run, &pod);
	else if (!run->opts->release_all &&
		 pod_state(&pod) == POD_STATE_RUNNING)
		auto_update_pod(run, &pod, false);
}

static int do_all(struct auto_update_run *run, const struct pods *pods,
		  struct error *err)
{
	cleanup_strv struct strv uuids = STRV_INIT;
	int r = pods_list(pods, POD_RUN, &uuids, err);

	for (size_t i = 0; i < uuids.n && r == 0; i++)
		if (run->opts->release_all || !do_ended(run, pods, uuids.v[i]))
			do_one(run, pods, uuids.v[i]);
	return r;
}

/* One at a time; -EBADF if there is nothing to lock. */
static int take_lock(const struct auto_update_run *run, const struct pods *pods,
		     struct error *err)
{
	cleanup_fd int fd = -EBADF;

	if (pods->data_fd < 0 || run->opts->dry_run)
		return -EBADF;
	fd = openat(pods->data_fd, LOCK_FILE,
		    O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_sys(err, errno, "open %s/" LOCK_FILE, pods->dir);
	if (lock_try(fd, LOCK_EX) < 0)
		return error_set(err, EBUSY,
				 "another rkt auto-update is under way");
	return TAKE_FD(fd);
}

/* --- what was updated -------------------------------------------------------
 */

/* NULL: none is. */
static struct auto_update_result *find_on_trial(struct auto_update_run *run,
						size_t from)
{
	for (size_t i = from; i < run->results.n; i++)
		if (run->results.v[i].is_on_trial)
			return &run->results.v[i];
	return NULL;
}

static void look_again(struct auto_update_run *run, const struct pods *pods)
{
	struct auto_update_result *r = find_on_trial(run, 0);
	char uuid[UUID_TEXT_LEN + 1];

	while (r) {
		cleanup_pod struct pod pod = POD_INIT;
		size_t next = (size_t)(r - run->results.v) + 1;

		(void)snprintf(uuid, sizeof(uuid), "%s", r->pod);
		if (pod_open_in(pods, POD_RUN, uuid, &pod, NULL) < 0)
			r->is_on_trial = false;
		else
			auto_update_watch_pod(run, &pod);
		/* Its other apps were looked at with it. */
		r = find_on_trial(run, next);
		while (r && strcmp(r->pod, uuid) == 0)
			r = find_on_trial(run,
					  (size_t)(r - run->results.v) + 1);
	}
}

/* Until each version that was committed is known to be good, or was gone back
 * from.  Who comes meanwhile is not kept waiting: the lock is free between two
 * looks. */
static void watch(struct auto_update_run *run, const struct pods *pods)
{
	if (find_on_trial(run, 0))
		log_info("new versions are watched until they have been well "
			 "for %llds; if this is interrupted, the next run "
			 "goes back from those that are not",
			 (long long)run->success_after);
	while (find_on_trial(run, 0)) {
		const struct timespec pause = {.tv_sec = 1};
		cleanup_fd int lock = -EBADF;

		(void)nanosleep(&pause, NULL);
		lock = take_lock(run, pods, NULL);
		if (lock >= 0)
			look_again(run, pods);
	}
}

/* --- the command ------------------------------------------------------------
 */

static const char *misuse(const struct cmd_call *call)
{
	const struct auto_update_opts *o = call->opts;

	if (o->tries != CONFIG_UNSAID &&
	    (o->tries < 1 || o->tries > CONFIG_TRIES_MAX))
		return "--tries is 1 to 100";
	if (o->success_after < CONFIG_UNSAID)
		return "--success-after is no negative time";
	if (o->hold + o->release + o->release_all + (o->retry || o->dry_run) >
	    1)
		return "--hold, --release, --release-all, and --dry-run or "
		       "--retry: only one of them";
	if (o->release_all && call->argc)
		return "--release-all is for all pods: it takes none";
	if (o->hold && call->argc == 0)
		return "--hold is for pods that are named";
	if (o->release && call->argc == 0)
		return "--release is for pods that are named";
	if (o->retry && call->argc == 0)
		return "--retry is for pods that are named";
	return NULL;
}

static int run(struct cmd_call *call)
{
	cleanup_run struct auto_update_run job = {
		.call = call,
		.opts = call->opts,
	};
	cleanup_pods struct pods pods = PODS_INIT;
	cleanup_fd int lock = -EBADF;
	struct error err = ERROR_INIT;
	const char *message = misuse(call);
	int r;

	if (message)
		return cmd_usage(call, message);
	r = settle(&job, &err);
	if (r == 0)
		r = pods_open(&pods, call->rkt->dir, &err);
	if (r == 0)
		lock = take_lock(&job, &pods, &err);
	if (lock == -EBUSY) {
		(void)cmd_failure(call, &err, NULL);
		return RKT_EXIT_REFUSED;
	}
	if (r == 0 && lock < 0 && lock != -EBADF)
		r = lock;
	if (r == 0 && call->argc)
		do_words(&job, &pods);
	else if (r == 0)
		r = do_all(&job, &pods, &err);
	fd_close(&lock);
	if (r == 0)
		watch(&job, &pods);
	return r < 0 ? cmd_failure(call, &err, NULL) : auto_update_show(&job);
}

const struct command cmd_auto_update = {
	.name = "auto-update",
	.summary = "Update the pods whose label asks for it",
	.usage = "[--dry-run] [--percent=N] [--window=WHEN] [flags] [POD...]",
	.words = CMD_WORDS_PODS,
	.description =
		"For each app of a running pod that has " AUTO_UPDATE_LABEL
		"=registry or =local: if there is a higher signed version of "
		"its image, the pod is updated to it as by rkt update, is "
		"watched, and goes back if that fails. With registry the "
		"image's name is looked up as by rkt fetch first; with local "
		"only the store counts.\n\n"
		"An image of a registry (docker://) follows its tag: whatever "
		"that means now, the registry is asked for its digest; with "
		"local, whatever it meant when it was fetched last. Nobody "
		"signs such images, so they are refused unless auto-update.d "
		"has their registry or repository in \"unsigned\", or "
		"--insecure-options=image is given.\n\n"
		"What counts is what the app says (--annotation, then "
		"--user-annotation, then --user-label), then the annotations "
		"of the pod manifest, then the image's; \"no\" is no, too.\n\n"
		"A version that has failed --tries times, took the host down, "
		"or that somebody went back from (rkt rollback), is held: it "
		"is not tried again, a higher one is. rkt status says so. "
		"rkt update --to=VERSION POD, or --retry POD, tries it all the "
		"same, and lifts the hold if that succeeds; --release POD "
		"lifts "
		"it, and --hold POD holds the pod as it is.\n\n"
		"With --success-after a version that was committed is on trial "
		"for that time: if its health probe fails then, its restart "
		"policy starts it again three times, or it ends its pod with "
		"an exit code other than 0, the app goes back to the version "
		"before, which counts as a try that failed. The command waits "
		"for that; if it is killed, the next one goes on. Going back "
		"does not wait for a window.\n\n"
		"Windows, percent, tries and successAfter can be configured "
		"in auto-update.d (rkt.conf(5)); rkt-auto-update.timer runs "
		"this each night.\n\n"
		"Exit codes are those of rkt update, the worst of all pods: 0 "
		"all is well, or there was nothing to do; 10 rolled back, or "
		"gone back after --success-after; 11 "
		"refused; 12 rolled back but not healthy; 254 rkt failed.",
	.flags = CMD_ROOT,
	.options = rows,
	.more_options = more_rows,
	.opts_size = sizeof(struct auto_update_opts),
	.init = init,
	.run = run,
	.failed = show_failed,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/enter_freeze.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/process.h"
#include "base/strv.h"
#include "base/syscalls.h"
#include "base/test_hooks.h"
#include "spec/stage1_abi.h"
#include "stage1/cgroup.h"
#include "stage1/gc.h"

/* How long tracing apps may take to stand still. */
#define FREEZE_MS 1000

/* How long another rkt may have them stand still, and how often it is looked.
 */
#define LOCK_MS 10000
#define LOCK_LOOK_MS 5

/* --- who stands still -------------------------------------------------------
 */

/* Of "APP.1" and "APP.2-enter-77": names of apps have no dots. */
static bool is_of(const char *leaf, const struct strv *apps)
{
	cleanup_free char *app = xstrndup(leaf, strcspn(leaf, "."));

	return strchr(leaf, '.') && strv_has(apps, app);
}

static void find_in(const char *path, const struct strv *apps, struct strv *ret)
{
	cleanup_dir DIR *dir = opendir(path);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (is_of(entry->d_name, apps) && !strv_has(ret, entry->d_name))
			strv_push(ret, entry->d_name);
}

static int open_leaves(struct enter_freeze *f, int dirfd,
		       const struct strv *apps, struct error *err)
{
	cleanup_strv struct strv dirs = STRV_INIT;
	cleanup_strv struct strv names = STRV_INIT;
	int r = cgroup_file_read(dirfd, &dirs, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < dirs.n; i++)
		find_in(dirs.v[i], apps, &names);
	f->leaves = xcalloc(names.n + 1, sizeof(*f->leaves));
	for (size_t i = 0; i < names.n; i++) {
		struct cgroup_leaf *leaf = &f->leaves[f->n];

		*leaf = (struct cgroup_leaf)CGROUP_LEAF_INIT;
		f->n += cgroup_leaf_open(&dirs, names.v[i], leaf, NULL) == 0;
	}
	return 0;
}

static int take_lock(struct enter_freeze *f, int dirfd, struct error *err)
{
	const struct timespec pause = {.tv_nsec = LOCK_LOOK_MS * 1000000L};
	int r;

	f->lock = openat(dirfd, POD_FREEZE_LOCK_FILE,
			 O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (f->lock < 0)
		return error_sys(err, errno, "open " POD_FREEZE_LOCK_FILE);
	for (int i = 0; i < LOCK_MS / LOCK_LOOK_MS; i++) {
		r = lock_try(f->lock, LOCK_EX);
		if (r != -EBUSY)
			return r < 0 ? error_sys(err, -r,
						 "lock " POD_FREEZE_LOCK_FILE)
				     : 0;
		(void)nanosleep(&pause, NULL);
	}
	return error_set(err, EBUSY,
			 "another command is about to run in the pod and does "
			 "not go on: end that \"rkt enter\" or \"rkt exec\"");
}

int enter_freeze_begin(struct enter_freeze *f, int dirfd,
		       const struct strv *apps, struct error *err)
{
	int r = take_lock(f, dirfd, err);

	return r < 0 ? r : open_leaves(f, dirfd, apps, err);
}

/* --- standing still ---------------------------------------------------------
 */

struct thaw {
	const struct enter_freeze *f;
	const struct cgroup_leaf *own;
};

static void set_frozen(const struct enter_freeze *f, bool frozen)
{
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < f->n; i++)
		if (cgroup_leaf_freeze(&f->leaves[i], frozen, FREEZE_MS, &err) <
		    0)
			log_failure(&err, NULL);
}

static void thaw_instead(const void *arg, int to_parent)
{
	const struct thaw *t = arg;
	const char there = 1;
	sigset_t set;
	int sig;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0 ||
	    write_full(to_parent, &there, 1) < 0 || sigwait(&set, &sig) != 0)
		return;
	(void)cgroup_leaf_kill(t->own, NULL);
	set_frozen(t->f, false);
}

int enter_freeze(struct enter_freeze *f, const struct cgroup_leaf *own,
		 struct error *err)
{
	const struct thaw thaw = {f, own};
	cleanup_fd int said = -EBADF;
	char there;

	f->pidfd = process_start(0, thaw_instead, &thaw, &said, NULL, err);
	if (f->pidfd < 0)
		return f->pidfd;
	if (read_full(said, &there, 1) != 1)
		return error_set(err, ECHILD,
				 "nobody would let the pod's apps go on");
	set_frozen(f, true);
	test_stop_at("enter-frozen");
	test_hang_at("enter-frozen");
	return 0;
}

void enter_thaw(struct enter_freeze *f)
{
	int status;

	if (f->pidfd >= 0) {
		set_frozen(f, false);
		(void)sys_pidfd_send_signal(f->pidfd, SIGKILL);
		(void)process_wait(f->pidfd, &status);
	}
	fd_close(&f->pidfd);
	for (size_t i = 0; i < f->n; i++)
		cgroup_leaf_release(&f->leaves[i]);
	free(f->leaves);
	/* The command may have a copy of the descriptor for a moment yet. */
	if (f->lock >= 0)
		(void)flock(f->lock, LOCK_UN);
	fd_close(&f->lock);
	*f = (struct enter_freeze)ENTER_FREEZE_INIT;
}

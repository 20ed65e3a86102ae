/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/users.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/process.h"
#include "base/syscalls.h"
#include "base/user_ns.h"
#include "stage1/caps.h"

int users_make(const struct user_range *range, struct users *ret,
	       struct error *err)
{
	if (range->count == 0)
		return 0;
	ret->range = *range;
	ret->maker = pidfd_open(getpid(), 0);
	if (ret->maker < 0)
		return error_sys(err, errno, "open stage1's pidfd");
	if (users_are_private(ret))
		return 0;
	ret->ns = user_ns_new(range->first, range->count, err);
	return ret->ns < 0 ? ret->ns : 0;
}

static bool is_own(int ns)
{
	struct stat own, st;

	return fstat(ns, &st) == 0 && stat("/proc/self/ns/user", &own) == 0 &&
	       st.st_dev == own.st_dev && st.st_ino == own.st_ino;
}

bool users_adopt(const struct user_range *range, int netns, struct users *ret)
{
	cleanup_fd int ns = ioctl(netns, NS_GET_USERNS);
	bool is_private = range->count > 0;

	if (ns < 0 || is_own(ns) == is_private)
		return false;
	if (!is_private)
		return true;
	if (!user_ns_has_range(ns, range->first, range->count))
		return false;
	ret->ns = TAKE_FD(ns);
	return true;
}

int users_open(pid_t pid, const struct user_range *range, struct users *ret,
	       struct error *err)
{
	char path[64];

	if (range->count == 0)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	ret->range = *range;
	ret->ns = open(path, O_RDONLY | O_CLOEXEC);
	return ret->ns < 0
		       ? error_sys(err, errno, "open the pod's user namespace")
		       : 0;
}

void users_close(struct users *users)
{
	fd_close(&users->maker);
	fd_close(&users->ns);
}

int users_inside(const struct users *users, uint32_t id, uint32_t *ret)
{
	if (id < users->range.first ||
	    (users_are_private(users) &&
	     id - users->range.first >= users->range.count))
		return -EINVAL;
	*ret = id - users->range.first;
	return 0;
}

/* A change of ids or capabilities makes it depend on fs.suid_dumpable. */
static int stay_unreadable(struct error *err)
{
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0
		       ? error_sys(err, errno, "make the process unreadable")
		       : 0;
}

int users_act(const struct users *users, struct error *err)
{
	uid_t id = users->range.first;
	int r;

	if (!users_are_private(users))
		return 0;
	(void)setfsgid(id);
	(void)setfsuid(id);
	/* -1 is nobody's: the call changes nothing and tells what is. */
	if ((uid_t)setfsuid((uid_t)-1) != id ||
	    (gid_t)setfsgid((gid_t)-1) != id)
		return error_set(err, EPERM, "act as user %u", id);
	/* It took all away that concern files. */
	r = caps_raise_permitted(err);
	return r < 0 ? r : stay_unreadable(err);
}

void users_rest(const struct users *users)
{
	if (!users_are_private(users))
		return;
	(void)setfsuid(0);
	(void)setfsgid(0);
	if (setfsuid((uid_t)-1) != 0 || setfsgid((gid_t)-1) != 0 ||
	    stay_unreadable(NULL) < 0)
		abort(); /* nothing would be owned by whom it should be */
}

struct move {
	const struct users *users;
	int flags;
};

/* In a child of pod init: makes the namespaces and waits to be killed. */
static void hold_namespaces(const void *arg, int to_parent)
{
	const struct move *m = arg;
	struct error err = ERROR_INIT;
	char done = 0;

	if (users_enter(m->users, m->flags, &err) < 0) {
		(void)write_full(to_parent, &err, sizeof(err));
		return;
	}
	(void)write_full(to_parent, &done, 1);
	for (;;)
		(void)pause();
}

static int wait_for_namespaces(int fd, struct error *err)
{
	union {
		char done;
		struct error err;
	} message = {.err = ERROR_INIT};
	ssize_t n = read(fd, &message, sizeof(message));

	if (n == 1)
		return 0;
	if (n != (ssize_t)sizeof(message.err))
		return error_set(err, ECHILD,
				 "the process that makes the namespaces died");
	if (err)
		*err = message.err;
	return -message.err.code;
}

int users_move(const struct users *users, int flags, struct error *err)
{
	const struct move move = {users, flags};
	cleanup_fd int said = -EBADF;
	/* Who is in a user namespace has no say outside, and pod init has to
	 * mount: so somebody else goes in and makes them there. */
	cleanup_fd int pidfd =
		process_start(0, hold_namespaces, &move, &said, NULL, err);
	int status, r;

	if (pidfd < 0)
		return pidfd;
	r = wait_for_namespaces(said, err);
	if (r == 0 && setns(pidfd, flags) < 0)
		r = error_sys(err, errno, "join the pod's namespaces");
	(void)sys_pidfd_send_signal(pidfd, SIGKILL);
	(void)process_wait(pidfd, &status);
	return r;
}

int users_check_maker(const struct users *users, struct error *err)
{
	struct pollfd fds = {.fd = users->maker, .events = POLLIN};

	if (users->maker < 0)
		return 0;
	if (poll(&fds, 1, 0) != 0)
		return error_set(err, ECHILD, "stage1 is gone");
	(void)close(users->maker); /* nothing of the host stays in it */
	return 0;
}

int users_enter(const struct users *users, int flags, struct error *err)
{
	if (!users_are_private(users))
		return 0;
	if (setns(users->ns, CLONE_NEWUSER) < 0)
		return error_sys(err, errno, "enter the user namespace");
	if (flags && unshare(flags) < 0)
		return error_sys(err, errno,
				 "create namespaces in the user namespace");
	return stay_unreadable(err);
}

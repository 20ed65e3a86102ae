/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/process.h"
#include "base/user_ns.h"
#include "stage1/mounts.h"
#include "stage1/users.h"

int mapped_clone(int fd, bool recursive, uint64_t attrs,
		 const struct users *users, struct error *err)
{
	cleanup_fd int mnt = mount_clone(fd, recursive, attrs, err);
	struct error why = ERROR_INIT;
	int r;

	if (mnt < 0 || !users_are_private(users))
		return TAKE_FD(mnt);
	r = user_ns_map_mount(users->ns, mnt, recursive, &why);
	if (r == -EINVAL)
		return error_set(err, EINVAL,
				 "--private-users: the file system cannot map "
				 "owners");
	if (r < 0 && err)
		*err = why;
	return r < 0 ? r : TAKE_FD(mnt);
}

struct layers {
	int lower, dir; /* mapped, detached */
	const char *upper, *work;
	uint64_t attrs;
	const struct users *users;
};

static int open_layer(const struct layers *l, const char *name,
		      struct error *err)
{
	int fd = openat(l->dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? error_sys(err, errno, "open %s", name) : fd;
}

/* In a mount namespace of its own.  The overlay works with the ids of who
 * mounts it: the host's root could store nothing in it. */
static int mount_layers(const struct layers *l, struct error *err)
{
	cleanup_fd int upper = -EBADF;
	cleanup_fd int work = -EBADF;
	int r;

	r = mounts_make_private(err);
	if (r == 0)
		r = mount_attach(l->lower, AT_FDCWD, "", err);
	if (r == 0)
		r = mount_attach(l->dir, AT_FDCWD, "", err);
	if (r < 0)
		return r;
	upper = open_layer(l, l->upper, err);
	if (upper < 0)
		return upper;
	work = open_layer(l, l->work, err);
	if (work < 0)
		return work;
	r = users_act(l->users, err);
	return r < 0 ? r : mount_overlay(l->lower, upper, work, l->attrs, err);
}

/* From the process that mounts: a descriptor, or why not. */
struct answer {
	int fd;
	struct error err;
};

static void answer(const void *layers, int to_parent)
{
	struct answer a = {.err = ERROR_INIT};

	a.fd = mount_layers(layers, &a.err);
	(void)write_full(to_parent, &a, sizeof(a));
}

static int run_process(const struct layers *l, struct error *err)
{
	cleanup_fd int said = -EBADF;
	/* With one table of descriptors: what it opens is here. */
	cleanup_fd int pidfd =
		process_start(CLONE_NEWNS | CLONE_FILES | CLONE_VFORK, answer,
			      l, &said, NULL, err);
	struct answer a = {.err = ERROR_INIT};
	int status;

	if (pidfd < 0)
		return pidfd;
	(void)process_wait(pidfd, &status);
	if (read_full(said, &a, sizeof(a)) != (ssize_t)sizeof(a))
		return error_set(err, ECHILD, "the mounting process died");
	if (a.fd < 0 && err)
		*err = a.err;
	return a.fd;
}

int mapped_overlay(int lower, int dirfd, const char *upper, const char *work,
		   uint64_t attrs, const struct users *users, struct error *err)
{
	cleanup_fd int lower_mnt = mapped_clone(lower, false, 0, users, err);
	cleanup_fd int dir_mnt = -EBADF;

	if (lower_mnt < 0)
		return lower_mnt;
	dir_mnt = mapped_clone(dirfd, false, 0, users, err);
	if (dir_mnt < 0)
		return dir_mnt;
	return run_process(
		&(const struct layers){
			.lower = lower_mnt,
			.dir = dir_mnt,
			.upper = upper,
			.work = work,
			.attrs = attrs,
			.users = users,
		},
		err);
}

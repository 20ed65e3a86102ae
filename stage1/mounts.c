/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/syscalls.h"
#include "stage1/rootless.h"

#define MOUNTINFO_MAX (64UL * 1024 * 1024)

int mounts_make_private(struct error *err)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_sys(err, errno, "make the mounts private");
	return 0;
}

/* What the file system itself says about a failure, if it says anything. */
static int mount_failed(int fs, const char *type, struct error *err)
{
	int code = errno;
	char text[256];
	ssize_t n = read(fs, text, sizeof(text) - 1);

	if (n <= 2)
		return error_sys(err, code, "mount %s", type);
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return error_set(err, code, "mount %s: %s (%s)", type,
			 strerrordesc_np(code), text + 2);
}

static int set_options(int fs, const char *options)
{
	cleanup_free char *copy = xstrdup(options);
	char *next = copy, *item;

	while ((item = strsep(&next, ","))) {
		char *value = strchr(item, '=');
		int r;

		if (value)
			*value++ = '\0';
		r = fsconfig(fs,
			     value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG,
			     item, value, 0);
		if (r < 0)
			return -errno;
	}
	return 0;
}

static int create_and_mount(int fs, const char *type, uint64_t attrs,
			    struct error *err)
{
	int fd;

	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return mount_failed(fs, type, err);
	fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned int)attrs);
	if (fd < 0)
		return mount_failed(fs, type, err);
	return fd;
}

int mount_new(const char *type, const char *options, uint64_t attrs,
	      struct error *err)
{
	cleanup_fd int fs = fsopen(type, FSOPEN_CLOEXEC);

	if (fs < 0)
		return error_sys(err, errno, "mount %s", type);
	if (options && set_options(fs, options) < 0)
		return mount_failed(fs, type, err);
	return create_and_mount(fs, type, attrs, err);
}

int mount_tmpfs(const char *options, uint64_t attrs, struct error *err)
{
	return mount_new("tmpfs", options, attrs, err);
}

int mount_overlay(int lower, int upper, int work, uint64_t attrs,
		  struct error *err)
{
	cleanup_fd int fs = fsopen("overlay", FSOPEN_CLOEXEC);
	const struct {
		const char *key;
		int fd;
	} dirs[] = {
		{"lowerdir", lower},
		{"upperdir", upper},
		{"workdir", work},
	};
	char path[PROC_FD_MAX];

	if (fs < 0)
		return error_sys(err, errno, "mount overlay");
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (fsconfig(fs, FSCONFIG_SET_STRING, dirs[i].key,
			     proc_fd_path(dirs[i].fd, path), 0) < 0)
			return mount_failed(fs, "overlay", err);
	if (is_rootless() &&
	    fsconfig(fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0) < 0)
		return mount_failed(fs, "overlay", err);
	/* Linux 5.10; older ones sync the upper file system at unmount. */
	(void)fsconfig(fs, FSCONFIG_SET_FLAG, "volatile", NULL, 0);
	return create_and_mount(fs, "overlay", attrs, err);
}

static int set_attr(int fd, const struct mount_attr *attr, bool recursive,
		    struct error *err)
{
	if (mount_setattr(fd, "",
			  AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0),
			  (struct mount_attr *)attr, sizeof(*attr)) < 0)
		return error_sys(err, errno, "change the flags of a mount");
	return 0;
}

int mount_set_attr(int fd, uint64_t attrs, bool recursive, struct error *err)
{
	const struct mount_attr attr = {.attr_set = attrs};

	return attrs ? set_attr(fd, &attr, recursive, err) : 0;
}

int mount_clone(int fd, bool recursive, uint64_t attrs, struct error *err)
{
	/* A clone of a shared mount is its peer: what an app mounts in it
	 * would appear on the host. */
	return mount_clone_as(fd, recursive, attrs, MS_PRIVATE, err);
}

int mount_clone_as(int fd, bool recursive, uint64_t attrs, uint64_t propagation,
		   struct error *err)
{
	const struct mount_attr attr = {
		.attr_set = attrs,
		.propagation = propagation,
	};
	cleanup_fd int tree = -EBADF;
	int r;

	tree = open_tree(fd, "",
			 AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
				 (recursive ? AT_RECURSIVE : 0));
	if (tree < 0)
		return error_sys(err, errno, "clone a mount");
	r = set_attr(tree, &attr, recursive, err);
	return r < 0 ? r : TAKE_FD(tree);
}

/* "ID PARENT DEV ROOT PLACE OPTIONS shared:N master:N - ..." */
static bool read_line(char *line, uint64_t id, bool *ret_tells,
		      bool *ret_is_told)
{
	char *word = strsep(&line, " ");
	uint64_t found;

	if (parse_uint(word, UINT64_MAX, &found) < 0 || found != id)
		return false;
	for (int i = 1; i < 6 && line; i++)
		(void)strsep(&line, " ");
	while ((word = strsep(&line, " ")) && strcmp(word, "-") != 0) {
		*ret_tells |= strncmp(word, "shared:", 7) == 0;
		*ret_is_told |= strncmp(word, "master:", 7) == 0;
	}
	return true;
}

int mount_propagates(int fd, bool *ret_tells, bool *ret_is_told,
		     struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct statx st;
	char *rest, *line;
	int r;

	*ret_tells = *ret_is_told = false;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return error_sys(err, errno, "examine a mount");
	r = read_file_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text,
			 err);
	if (r < 0)
		return r;
	rest = text.buf;
	while ((line = strsep(&rest, "\n")))
		if (*line &&
		    read_line(line, st.stx_mnt_id, ret_tells, ret_is_told))
			return 0;
	return error_set(err, ENOENT, "find a mount among those of the host");
}

int mount_attach_fd(int mount, int target, const char *what, struct error *err)
{
	if (move_mount(mount, "", target, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_sys(err, errno, "mount on %s", what);
	return 0;
}

int mount_attach(int mount, int root, const char *name, struct error *err)
{
	cleanup_fd int target = -EBADF;

	target = sys_openat2(root, *name ? name : ".", O_PATH | O_CLOEXEC, 0,
			     RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	if (target < 0)
		return error_sys(err, -target, "mount on %s", name);
	return mount_attach_fd(mount, target, name, err);
}

int mounts_pivot(int root, struct error *err)
{
	/* So no directory is needed for the old one. */
	if (fchdir(root) < 0)
		return error_sys(err, errno, "enter the new root");
	if (sys_pivot_root(".", ".") < 0)
		return error_sys(err, errno, "change the root");
	return 0;
}

int mounts_leave_old(struct error *err)
{
	if (umount2(".", MNT_DETACH) < 0)
		return error_sys(err, errno, "detach the old root");
	if (chdir("/") < 0)
		return error_sys(err, errno, "enter the new root");
	return 0;
}

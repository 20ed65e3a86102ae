/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/pod_root.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "stage1/mounts.h"
#include "stage1/rootless.h"
#include "stage1/users.h"

/* tty, on every distribution. */
#define TTY_GID 5

#define NO_SUID_EXEC (MS_NOSUID | MS_NOEXEC)
#define NO_SUID_EXEC_DEV (NO_SUID_EXEC | MS_NODEV)

/* Of mode 0, to mount over what must not be seen.  In our own root: nothing
 * an image could have put in their place (CVE-2025-31133). */
#define COVER_DIR "hidden-dir"
#define COVER_FILE "hidden-file"

/* Read-only: all of /proc/sys, because what it holds outside net/ is the
 * host's (CVE-2022-0492's neighbours); rkt's list names three of its files.
 * /sys as a whole is mounted read-only. */
static const char *const read_only_paths[] = {
	"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger",
};

static const char *const hidden_dirs[] = {
	"proc/acpi",
	"proc/asound",
	"proc/scsi",
	"sys/firmware",
	"sys/devices/virtual/powercap",
	"sys/hypervisor",
	"sys/power",
	"sys/module",
	"sys/fs",
};

static const char *const hidden_files[] = {
	"proc/config.gz",   "proc/kcore",      "proc/kmem",
	"proc/mem",	    "proc/keys",       "proc/latency_stats",
	"proc/sched_debug", "proc/timer_list", "proc/timer_stats",
	"proc/kallsyms",
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/*
 * Below, mount(2) and names relative to the new root: one call where the
 * descriptor way takes four.  What is named was made or mounted by us a moment
 * ago, and nobody else can be there yet.
 */

static int make_read_only(const char *path, struct error *err)
{
	if (mount(path, path, NULL, MS_BIND, NULL) < 0)
		return errno == ENOENT
			       ? 0
			       : error_sys(err, errno, "open /%s", path);
	if (mount(NULL, path, NULL,
		  MS_REMOUNT | MS_BIND | MS_RDONLY | NO_SUID_EXEC_DEV,
		  NULL) < 0)
		return error_sys(err, errno, "make /%s read-only", path);
	return 0;
}

/* A bind of COVER has its flags, and so those of the read-only root. */
static int hide(const char *cover, const char *path, struct error *err)
{
	if (mount(cover, path, NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
		return error_sys(err, errno, "hide /%s", path);
	return 0;
}

static int protect_paths(struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < COUNT(read_only_paths); i++)
		r = make_read_only(read_only_paths[i], err);
	for (size_t i = 0; r == 0 && i < COUNT(hidden_dirs); i++)
		r = hide(COVER_DIR, hidden_dirs[i], err);
	for (size_t i = 0; r == 0 && i < COUNT(hidden_files); i++)
		r = hide(COVER_FILE, hidden_files[i], err);
	return r;
}

/* An empty read-only root, attached to the working directory. */
static int make_root(struct error *err)
{
	static const struct {
		const char *name;
		mode_t mode;
	} nodes[] = {
		{"proc", S_IFDIR | 0555},    {"sys", S_IFDIR | 0555},
		{"shm", S_IFDIR | 0555},     {"pts", S_IFDIR | 0555},
		{COVER_DIR, S_IFDIR},	     {COVER_FILE, S_IFREG},
		{"volumes", S_IFDIR | 0555},
	};
	cleanup_fd int root = mount_tmpfs(
		"mode=0555,size=4k,nr_inodes=9",
		MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV, err);
	int r;

	if (root < 0)
		return root;
	for (size_t i = 0; i < COUNT(nodes); i++) {
		mode_t mode = nodes[i].mode & 07777;

		r = S_ISDIR(nodes[i].mode)
			    ? mkdirat(root, nodes[i].name, mode)
			    : mknodat(root, nodes[i].name, nodes[i].mode, 0);
		if (r < 0)
			return error_sys(err, errno, "create /%s",
					 nodes[i].name);
	}
	r = mount_set_attr(root, MOUNT_ATTR_RDONLY, false, err);
	if (r == 0)
		r = mount_attach(root, AT_FDCWD, "", err);
	return r < 0 ? r : TAKE_FD(root);
}

/*
 * Only who owns the network namespace may mount its /sys; of the host's, which
 * the pod shares then, the host's own mount does.
 */
static int bind_host_sys(bool insecure, struct error *err)
{
	cleanup_fd int sys = open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int mnt = -EBADF;

	if (sys < 0)
		return error_sys(err, errno, "open /sys");
	mnt = mount_clone(sys, true,
			  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC |
				  MOUNT_ATTR_NODEV |
				  (insecure ? 0 : MOUNT_ATTR_RDONLY),
			  err);
	return mnt < 0 ? mnt : mount_attach(mnt, AT_FDCWD, "sys", err);
}

/* In our user namespace. */
static bool has_group(gid_t gid)
{
	gid_t own = getegid();

	return setegid(gid) == 0 && setegid(own) == 0;
}

static int mount_all(bool insecure, const struct users *users,
		     struct error *err)
{
	char pts[80];
	const struct {
		const char *name, *type, *options;
		unsigned long flags;
	} mounts[] = {
		{"proc", "proc", NULL, NO_SUID_EXEC_DEV},
		{"sys", "sysfs", NULL,
		 NO_SUID_EXEC_DEV | (insecure ? 0 : MS_RDONLY)},
		{"shm", "tmpfs", "mode=1777", NO_SUID_EXEC_DEV},
		/* Its own instance: the host's terminals are not in it. */
		{"pts", "devpts", pts, NO_SUID_EXEC},
	};

	(void)snprintf(pts, sizeof(pts),
		       "newinstance,mode=0620,gid=%u,ptmxmode=0666",
		       is_rootless() && !has_group(TTY_GID)
			       ? 0
			       : users_outside(users, TTY_GID));
	for (size_t i = 0; i < COUNT(mounts); i++) {
		int r = 0;

		if (mount(mounts[i].type, mounts[i].name, mounts[i].type,
			  mounts[i].flags, mounts[i].options) < 0)
			r = errno == EPERM && strcmp(mounts[i].name, "sys") == 0
				    ? bind_host_sys(insecure, err)
				    : error_sys(err, errno, "mount %s",
						mounts[i].type);
		if (r < 0)
			return r;
	}
	return 0;
}

int pod_root_enter(bool insecure, const struct users *users, struct error *err)
{
	cleanup_fd int root = -EBADF;
	int r;

	r = mounts_make_private(err);
	if (r < 0)
		return r;
	root = make_root(err);
	if (root < 0)
		return root;
	if (fchdir(root) < 0)
		return error_sys(err, errno, "enter the pod's root");
	r = mount_all(insecure, users, err);
	if (r == 0 && !insecure)
		r = protect_paths(err);
	return r < 0 ? r : mounts_pivot(root, err);
}

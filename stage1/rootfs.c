/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/rootfs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/syscalls.h"
#include "spec/stage1_abi.h"
#include "stage1/devices.h"
#include "stage1/mapped.h"
#include "stage1/mounts.h"
#include "stage1/plan.h"
#include "stage1/pod_root.h"
#include "stage1/users.h"
#include "stage1/volumes.h"

#define NO_DEV (MOUNT_ATTR_NODEV)
#define NO_SUID_DEV (MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID)
#define NO_SUID_DEV_EXEC (NO_SUID_DEV | MOUNT_ATTR_NOEXEC)

#define DEFAULT_HOSTS                                                          \
	"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"

/* --- in stage1 -------------------------------------------------------------
 */

static int open_dir_at(int dirfd, const char *name, struct error *err)
{
	int fd = openat(dirfd, name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return error_sys(err, errno, "open %s of the generation", name);
	return fd;
}

/* An empty directory NAME, whatever an earlier run left there. */
static int fresh_dir_at(int dirfd, const char *name, mode_t mode,
			struct error *err)
{
	int r;

	if (mkdirat(dirfd, name, mode) < 0) {
		if (errno != EEXIST)
			return error_sys(err, errno, "create %s", name);
		r = remove_tree_at(dirfd, name, err);
		if (r < 0)
			return r;
		if (mkdirat(dirfd, name, mode) < 0)
			return error_sys(err, errno, "create %s", name);
	}
	return open_dir_at(dirfd, name, err);
}

/* The root directory itself comes from the upper layer: it must have the
 * owner and mode the image gives it. */
static int copy_root_attributes(int tree, int upper, struct error *err)
{
	struct stat st;

	if (fstat(tree, &st) < 0 || fchown(upper, st.st_uid, st.st_gid) < 0 ||
	    fchmod(upper, st.st_mode & 07777) < 0)
		return error_sys(err, errno, "copy the attributes of the root");
	return 0;
}

static int open_overlay(int generation_dirfd, int tree,
			const struct users *users, struct error *err)
{
	cleanup_fd int upper = -EBADF;
	cleanup_fd int work = -EBADF;
	int r;

	upper = fresh_dir_at(generation_dirfd, GENERATION_UPPER_DIR, 0755, err);
	if (upper < 0)
		return upper;
	work = fresh_dir_at(generation_dirfd, GENERATION_WORK_DIR, 0700, err);
	if (work < 0)
		return work;
	r = copy_root_attributes(tree, upper, err);
	if (r < 0)
		return r;
	if (users_are_private(users))
		return mapped_overlay(tree, generation_dirfd,
				      GENERATION_UPPER_DIR, GENERATION_WORK_DIR,
				      NO_DEV, users, err);
	return mount_overlay(tree, upper, work, NO_DEV, err);
}

static int open_host_file(const char *path, int *ret, struct error *err)
{
	cleanup_fd int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return error_sys(err, errno, "open %s of the host", path);
	*ret = mount_clone(fd, false, MOUNT_ATTR_RDONLY | NO_SUID_DEV_EXEC,
			   err);
	return *ret < 0 ? *ret : 0;
}

static int open_host_files(struct rootfs *r, struct error *err)
{
	int ret = 0;

	if (r->files->host_hosts)
		ret = open_host_file("/etc/hosts", &r->host_hosts, err);
	if (ret == 0 && r->files->host_resolv_conf)
		ret = open_host_file("/etc/resolv.conf", &r->host_resolv_conf,
				     err);
	return ret;
}

/* /dev belongs to the pod's root, with the devices that are volumes. */
static int open_dev(struct rootfs *r, struct error *err)
{
	int ret = devices_open(&r->dev, err);

	return ret < 0 ? ret
		       : volumes_open(r->plan, r->users, &r->dev, &r->volumes,
				      err);
}

int rootfs_open_tree(struct rootfs *r, int generation_dirfd, int tree,
		     struct error *err)
{
	cleanup_fd int copy = -EBADF;

	copy = openat(generation_dirfd, GENERATION_ROOTFS_DIR,
		      O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (copy >= 0)
		r->tree = mapped_clone(copy, false, NO_DEV, r->users, err);
	else if (tree < 0)
		return error_set(err, EINVAL,
				 "the image tree is missing "
				 "in " STAGE1_ENV_TREE_FDS);
	else
		r->tree = open_overlay(generation_dirfd, tree, r->users, err);
	return r->tree < 0 ? r->tree : 0;
}

int rootfs_open(struct rootfs *r, int generation_dirfd, int tree,
		struct error *err)
{
	int ret = rootfs_open_tree(r, generation_dirfd, tree, err);

	if (ret < 0)
		return ret;
	ret = users_act(r->users, err);
	if (ret == 0)
		ret = open_dev(r, err);
	users_rest(r->users);
	return ret < 0 ? ret : open_host_files(r, err);
}

void rootfs_release(struct rootfs *r)
{
	fd_close(&r->tree);
	devices_release(&r->dev);
	fd_close(&r->host_hosts);
	fd_close(&r->host_resolv_conf);
	volumes_release(&r->volumes);
}

/* --- in the app's process --------------------------------------------------
 */

/*
 * The directory NAME of the image as a mount target.  A symlink there is the
 * image trying to choose where /proc or /dev really go (CVE-2019-19921,
 * CVE-2023-27561): refused.
 */
int rootfs_make_dir(const struct rootfs *r, const char *name, mode_t mode,
		    struct error *err)
{
	struct stat st;

	if (fstatat(r->tree, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISDIR(st.st_mode))
			return 0;
		return error_set(err, ENOTDIR,
				 "the image has /%s, but not as a directory",
				 name);
	}
	if (mkdirat(r->tree, name, mode) < 0)
		return error_sys(err, errno, "create /%s", name);
	return fchmodat(r->tree, name, mode, 0) < 0
		       ? error_sys(err, errno, "create /%s", name)
		       : 0;
}

static bool is_mount_target(const struct rootfs *r, const char *path)
{
	for (size_t i = 0; i < r->plan->n_mounts; i++)
		if (strcmp(r->plan->mounts[i].target, path) == 0)
			return true;
	return false;
}

static int attach_clone(const struct rootfs *r, int fd, const char *name,
			struct error *err)
{
	cleanup_fd int mnt = mount_clone(fd, false, 0, err);

	if (mnt < 0)
		return mnt;
	return mount_attach(mnt, r->tree, name, err);
}

/* A file of the pod's pseudo terminal over our own /dev/console. */
static int attach_console(const struct rootfs *r, struct error *err)
{
	cleanup_fd int mnt = -EBADF;
	struct stat st;
	char name[32];

	if (r->tty < 0)
		return 0;
	if (fstat(r->tty, &st) < 0)
		return error_sys(err, errno, "examine the terminal");
	/* The minor number of a slave is its name in devpts. */
	(void)snprintf(name, sizeof(name), "dev/pts/%u", minor(st.st_rdev));
	mnt = sys_openat2(r->tree, name, O_PATH | O_CLOEXEC, 0,
			  RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	if (mnt < 0)
		return error_sys(err, -mnt, "find the terminal");
	return attach_clone(r, mnt, "dev/console", err);
}

/* Moves one of the mounts of the pod's root. */
static int take_shared(const struct rootfs *r, const char *shared,
		       const char *name, struct error *err)
{
	cleanup_fd int mnt = open(shared, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (mnt < 0)
		return error_sys(err, errno, "open the pod's %s", shared);
	return mount_attach(mnt, r->tree, name, err);
}

static int attach_base(const struct rootfs *r, struct error *err)
{
	int ret;

	ret = take_shared(r, POD_ROOT_PROC, "proc", err);
	if (ret == 0)
		ret = take_shared(r, POD_ROOT_SYS, "sys", err);
	if (ret == 0)
		ret = devices_attach(&r->dev, r->tree, err);
	if (ret == 0)
		ret = take_shared(r, POD_ROOT_SHM, "dev/shm", err);
	if (ret == 0)
		ret = take_shared(r, POD_ROOT_PTS, "dev/pts", err);
	return ret < 0 ? ret : attach_console(r, err);
}

/* --- files of the pod in the root ------------------------------------------
 */

/*
 * Writes TEXT to ETC/NAME of the image.  A symlink there is replaced, not
 * followed: it would let the image choose what is written.
 */
static int write_etc_file(const struct rootfs *r, const char *name,
			  const char *text, bool overwrite, struct error *err)
{
	cleanup_fd int etc = -EBADF;
	cleanup_fd int fd = -EBADF;
	int ret;

	etc = mkdir_in_root(r->tree, "etc", 0755);
	if (etc < 0)
		return error_sys(err, -etc, "open /etc");
	if (overwrite && unlinkat(etc, name, 0) < 0 && errno != ENOENT)
		return error_sys(err, errno, "replace /etc/%s", name);
	fd = openat(etc, name,
		    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return errno == EEXIST && !overwrite
			       ? 0
			       : error_sys(err, errno, "create /etc/%s", name);
	ret = write_full(fd, text, strlen(text));
	if (ret < 0 || fchmod(fd, 0644) < 0)
		return error_sys(err, ret < 0 ? -ret : errno, "write /etc/%s",
				 name);
	return 0;
}

/* What programs older than /proc/self/mounts read. */
static int link_mtab(const struct rootfs *r, struct error *err)
{
	cleanup_fd int etc = open_in_root(r->tree, "etc", O_PATH | O_DIRECTORY);

	if (etc < 0)
		return 0;
	if (symlinkat("../proc/self/mounts", etc, "mtab") < 0 &&
	    errno != EEXIST)
		return error_sys(err, errno, "create /etc/mtab");
	return 0;
}

static int attach_host_file(const struct rootfs *r, int mnt, const char *target,
			    struct error *err)
{
	cleanup_fd int to = mkfile_in_root(r->tree, target, 0644);

	if (to < 0)
		return error_sys(err, -to, "create %s", target);
	return mount_attach_fd(mnt, to, target, err);
}

static int put_files(const struct rootfs *r, struct error *err)
{
	const struct rootfs_files *files = r->files;
	cleanup_free char *hostname = xasprintf("%s\n", files->hostname);
	cleanup_free char *hosts = NULL;
	int ret = 0;

	if (is_mount_target(r, "/etc"))
		return 0;
	if (!is_mount_target(r, "/etc/hosts") && !files->host_hosts) {
		hosts = files->hosts
				? xstrdup(files->hosts)
				: xasprintf(DEFAULT_HOSTS "127.0.0.1\t%s\n",
					    files->hostname);
		ret = write_etc_file(r, "hosts", hosts, files->hosts != NULL,
				     err);
	}
	if (ret == 0 && !is_mount_target(r, "/etc/hostname"))
		ret = write_etc_file(r, "hostname", hostname, true, err);
	if (ret == -EISDIR) /* whatever the image wants with it */
		ret = 0;
	if (ret == 0)
		ret = link_mtab(r, err);
	if (ret == 0 && files->host_hosts)
		ret = attach_host_file(r, r->host_hosts, "/etc/hosts", err);
	if (ret == 0 && files->host_resolv_conf)
		ret = attach_host_file(r, r->host_resolv_conf,
				       "/etc/resolv.conf", err);
	else if (ret == 0 && files->resolv_conf &&
		 !is_mount_target(r, "/etc/resolv.conf"))
		ret = write_etc_file(r, "resolv.conf", files->resolv_conf, true,
				     err);
	return ret;
}

/* --- all of it -------------------------------------------------------------
 */

static int make_base_dirs(const struct rootfs *r, struct error *err)
{
	static const struct {
		const char *name;
		mode_t mode;
	} dirs[] = {
		{"dev", 0755},
		{"proc", 0555},
		{"sys", 0555},
	};

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		int ret = rootfs_make_dir(r, dirs[i].name, dirs[i].mode, err);

		if (ret < 0)
			return ret;
	}
	if (mkdirat(r->tree, "tmp", 01777) == 0)
		return fchmodat(r->tree, "tmp", 01777, 0) < 0
			       ? error_sys(err, errno, "create /tmp")
			       : 0;
	return 0;
}

int rootfs_enter(const struct rootfs *r, struct error *err)
{
	const struct app_plan *plan = r->plan;
	int ret;

	ret = mount_attach(r->tree, AT_FDCWD, "", err);
	if (ret == 0)
		ret = make_base_dirs(r, err);
	if (ret == 0)
		ret = attach_base(r, err);
	if (ret == 0)
		ret = volumes_attach(&r->volumes, plan, r->tree, err);
	if (ret == 0)
		ret = put_files(r, err);
	if (ret == 0 && plan->read_only_rootfs)
		ret = mount_set_attr(r->tree, MOUNT_ATTR_RDONLY, false, err);
	if (ret == 0)
		ret = mounts_pivot(r->tree, err);
	return ret < 0 ? ret : mounts_leave_old(err);
}

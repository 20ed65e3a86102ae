/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/rootfs.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
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
#include "stage1/mounts.h"
#include "stage1/plan.h"
#include "stage1/volumes.h"

#define NO_DEV (MOUNT_ATTR_NODEV)
#define NO_SUID_DEV (MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID)
#define NO_SUID_DEV_EXEC (NO_SUID_DEV | MOUNT_ATTR_NOEXEC)

#define DEFAULT_HOSTS                                                          \
	"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"

/* --- shared by the apps of a pod -------------------------------------------
 */

/*
 * Can a detached mount be cloned?  Linux 6.15 and later can, and are not
 * asked: putting the clone away costs an RCU grace period.
 */
static bool can_clone_detached(int mnt)
{
	cleanup_fd int clone = -EBADF;
	struct utsname name;
	int major_number, minor_number;

	if (uname(&name) == 0 &&
	    sscanf(name.release, "%d.%d", &major_number, &minor_number) == 2 &&
	    (major_number > 6 || (major_number == 6 && minor_number >= 15)))
		return true;
	clone = mount_clone(mnt, false, 0, NULL);
	return clone >= 0;
}

/* The holder: a namespace with an empty root, and MOUNTS stacked on it. */
static int fill_holder(const struct pod_mounts *mounts)
{
	cleanup_fd int root = -EBADF;
	int r = mounts_make_private(NULL);

	if (r < 0)
		return r;
	root = mount_tmpfs("mode=0555,size=4k,nr_inodes=2",
			   NO_SUID_DEV_EXEC | MOUNT_ATTR_RDONLY, NULL);
	if (root < 0)
		return root;
	r = mount_attach(root, AT_FDCWD, "", NULL);
	if (r == 0)
		r = mounts_pivot(root, NULL);
	if (r == 0)
		r = mount_attach_fd(mounts->shm, root, "/", NULL);
	if (r == 0)
		r = mount_attach_fd(mounts->pts, mounts->shm, "/", NULL);
	return r;
}

static int wait_holder(pid_t pid, struct error *err)
{
	siginfo_t info = {0};

	while (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0)
		if (errno != EINTR)
			return error_sys(err, errno, "wait for a process");
	if (info.si_code == CLD_EXITED && info.si_status == 0)
		return 0;
	return error_set(err, info.si_status ? info.si_status : ECHILD,
			 "make a mount namespace for the shared mounts: %s",
			 strerror(info.si_status));
}

static int open_holder(struct pod_mounts *mounts, struct error *err)
{
	struct clone_args args = {
		.flags = CLONE_NEWNS,
		.exit_signal = SIGCHLD,
	};
	char path[64], c;
	int fds[2];
	pid_t pid;
	int r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, errno, "create pipe");
	pid = sys_clone3(&args);
	if (pid == 0) {
		(void)close(fds[1]);
		r = fill_holder(mounts);
		/* Until the parent has the namespace and closes its end. */
		(void)read_full(fds[0], &c, 1);
		_exit(-r);
	}
	(void)close(fds[0]);
	if (pid > 0) {
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
		mounts->holder = open(path, O_RDONLY | O_CLOEXEC);
	}
	(void)close(fds[1]);
	if (pid < 0)
		return error_sys(err, (int)-pid, "create a mount namespace");
	r = wait_holder(pid, err);
	if (r == 0 && mounts->holder < 0)
		r = error_set(err, EIO, "open %s", path);
	return r;
}

int pod_mounts_open(struct pod_mounts *ret, struct error *err)
{
	struct pod_mounts mounts = POD_MOUNTS_INIT;
	int r = 0;

	mounts.shm = mount_tmpfs("mode=1777", NO_SUID_DEV_EXEC, err);
	if (mounts.shm < 0)
		return mounts.shm;
	/* gid 5 is tty on every distribution; its own instance: the host's
	 * terminals are not in it. */
	mounts.pts =
		mount_new("devpts", "newinstance,mode=0620,gid=5,ptmxmode=0666",
			  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
	if (mounts.pts < 0)
		r = mounts.pts;
	else if (!can_clone_detached(mounts.shm))
		r = open_holder(&mounts, err);
	if (r < 0) {
		pod_mounts_release(&mounts);
		return r;
	}
	*ret = mounts;
	return 0;
}

void pod_mounts_release(struct pod_mounts *mounts)
{
	fd_close(&mounts->shm);
	fd_close(&mounts->pts);
	fd_close(&mounts->holder);
}

static int clone_both(const struct pod_mounts *mounts, int *shm, int *pts,
		      struct error *err)
{
	*shm = mount_clone(mounts->shm, false, 0, err);
	if (*shm < 0)
		return *shm;
	*pts = mount_clone(mounts->pts, false, 0, err);
	return *pts < 0 ? *pts : 0;
}

/* Joining a mount namespace sets root and working directory, so both have to
 * be found again afterwards. */
static int come_back(int mntns, int root, int cwd, struct error *err)
{
	if (setns(mntns, CLONE_NEWNS) < 0 || fchdir(root) < 0 ||
	    chroot(".") < 0 || fchdir(cwd) < 0)
		return error_sys(err, errno, "return to the mount namespace");
	return 0;
}

/* Detached clones, for one app to attach. */
static int pod_mounts_clone(const struct pod_mounts *mounts, int *shm, int *pts,
			    struct error *err)
{
	cleanup_fd int mntns = -EBADF;
	cleanup_fd int root = -EBADF;
	cleanup_fd int cwd = -EBADF;
	int r, back;

	if (mounts->holder < 0)
		return clone_both(mounts, shm, pts, err);
	mntns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (mntns < 0 || root < 0 || cwd < 0 ||
	    setns(mounts->holder, CLONE_NEWNS) < 0)
		return error_sys(err, errno, "join the shared mounts");
	r = clone_both(mounts, shm, pts, err);
	back = come_back(mntns, root, cwd, r < 0 ? NULL : err);
	return r < 0 ? r : back;
}

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

static int open_overlay(int generation_dirfd, int tree, struct error *err)
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
	return mount_overlay(tree, upper, work, NO_DEV, err);
}

static int open_device_volumes(struct rootfs *r, struct error *err)
{
	const struct app_plan *plan = r->plan;

	for (size_t i = 0; i < plan->n_mounts; i++) {
		const struct app_mount *m = &plan->mounts[i];
		cleanup_fd int source = -EBADF;
		struct device_rule *rule;
		struct stat st;
		int ret;

		if (!m->source)
			continue;
		source = volume_open_source(m, err);
		if (source < 0)
			return source;
		if (fstat(source, &st) < 0)
			return error_sys(err, errno, "examine volume %s",
					 m->volume);
		if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
			continue;
		ret = devices_add_volume(r->dev, m->volume, st.st_mode,
					 st.st_rdev, err);
		if (ret < 0)
			return ret;
		r->rules = xreallocarray(r->rules, r->n_rules + 1,
					 sizeof(*r->rules));
		rule = &r->rules[r->n_rules++];
		*rule = (struct device_rule){
			.type = S_ISCHR(st.st_mode) ? 'c' : 'b',
			.major = major(st.st_rdev),
			.minor = minor(st.st_rdev),
			.access = m->read_only ? DEVICE_READ : DEVICE_RW,
		};
	}
	return 0;
}

int rootfs_open(struct rootfs *r, int generation_dirfd, int tree,
		struct error *err)
{
	cleanup_fd int copy = -EBADF;
	int ret;

	copy = openat(generation_dirfd, GENERATION_ROOTFS_DIR,
		      O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (copy >= 0)
		r->tree = mount_clone(copy, false, NO_DEV, err);
	else if (tree < 0)
		return error_set(err, EINVAL,
				 "the image tree is missing "
				 "in " STAGE1_ENV_TREE_FDS);
	else
		r->tree = open_overlay(generation_dirfd, tree, err);
	if (r->tree < 0)
		return r->tree;
	r->dev = devices_open(err);
	if (r->dev < 0)
		return r->dev;
	ret = pod_mounts_clone(r->shared, &r->shm, &r->pts, err);
	if (ret < 0)
		return ret;
	return open_device_volumes(r, err);
}

void rootfs_release(struct rootfs *r)
{
	fd_close(&r->tree);
	fd_close(&r->dev);
	fd_close(&r->shm);
	fd_close(&r->pts);
	free(r->rules);
	r->rules = NULL;
	r->n_rules = 0;
}

/* --- in the app's process --------------------------------------------------
 */

/*
 * The directory NAME of the image as a mount target.  A symlink there is the
 * image trying to choose where /proc or /dev really go (CVE-2019-19921,
 * CVE-2023-27561): refused.
 */
static int base_dir(const struct rootfs *r, const char *name, mode_t mode,
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

static int attach_new(const struct rootfs *r, const char *type,
		      const char *name, uint64_t attrs, struct error *err)
{
	cleanup_fd int mnt = mount_new(type, NULL, attrs, err);

	if (mnt < 0)
		return mnt;
	return mount_attach(mnt, r->tree, name, err);
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
	cleanup_fd int tty = -EBADF;
	cleanup_fd int mnt = -EBADF;
	char link[PROC_FD_MAX], path[64];
	ssize_t n;

	if (r->tty < 0)
		return 0;
	n = readlink(proc_fd_path(r->tty, link), path, sizeof(path) - 1);
	if (n < 0)
		return error_sys(err, errno, "find the terminal");
	path[n] = '\0';
	tty = sys_openat2(r->tree, "dev/pts", O_PATH | O_CLOEXEC, 0,
			  RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	if (tty < 0)
		return error_sys(err, -tty, "find the terminal");
	mnt = openat(tty, path_base(path), O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (mnt < 0)
		return error_sys(err, errno, "find the terminal");
	return attach_clone(r, mnt, "dev/console", err);
}

static int attach_dev(const struct rootfs *r, struct error *err)
{
	int ret;

	ret = mount_attach(r->dev, r->tree, "dev", err);
	if (ret == 0)
		ret = mount_attach(r->shm, r->tree, "dev/shm", err);
	if (ret == 0)
		ret = mount_attach(r->pts, r->tree, "dev/pts", err);
	if (ret == 0)
		ret = attach_console(r, err);
	return ret;
}

/* Read-only: all of /proc/sys, because what it holds outside net/ is the
 * host's (CVE-2022-0492's neighbours); rkt's list names three of its files.
 * /sys as a whole is mounted read-only. */
static const char *const read_only_paths[] = {
	"proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger",
};

static const char *const hidden_dirs[] = {
	"proc/acpi",	"proc/asound", "proc/scsi",
	"sys/firmware", "sys/fs",      "sys/hypervisor",
	"sys/module",	"sys/power",   "sys/devices/virtual/powercap",
};

static const char *const hidden_files[] = {
	"proc/config.gz",   "proc/kallsyms",	  "proc/sched_debug",
	"proc/kcore",	    "proc/kmem",	  "proc/mem",
	"proc/keys",	    "proc/latency_stats", "proc/timer_list",
	"proc/timer_stats",
};

static int make_read_only(const struct rootfs *r, const char *path,
			  struct error *err)
{
	cleanup_fd int fd = -EBADF;
	cleanup_fd int mnt = -EBADF;

	fd = sys_openat2(r->tree, path, O_PATH | O_CLOEXEC, 0,
			 RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return error_sys(err, -fd, "open /%s", path);
	mnt = mount_clone(fd, false, MOUNT_ATTR_RDONLY | NO_SUID_DEV_EXEC, err);
	if (mnt < 0)
		return mnt;
	return mount_attach_fd(mnt, fd, path, err);
}

/* COVER is a node of mode 0 in our own /dev: nothing an image could have put
 * in its place (CVE-2025-31133). */
static int hide(const struct rootfs *r, int cover, const char *path,
		struct error *err)
{
	cleanup_fd int fd = -EBADF;
	cleanup_fd int mnt = -EBADF;

	fd = sys_openat2(r->tree, path, O_PATH | O_CLOEXEC, 0,
			 RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return error_sys(err, -fd, "open /%s", path);
	mnt = mount_clone(cover, false, MOUNT_ATTR_RDONLY | NO_SUID_DEV_EXEC,
			  err);
	if (mnt < 0)
		return mnt;
	return mount_attach_fd(mnt, fd, path, err);
}

static int open_cover(const struct rootfs *r, const char *path,
		      struct error *err)
{
	int fd = sys_openat2(r->tree, path, O_PATH | O_CLOEXEC, 0,
			     RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);

	return fd < 0 ? error_sys(err, -fd, "open /%s", path) : fd;
}

static int protect_paths(const struct rootfs *r, struct error *err)
{
	cleanup_fd int dir = -EBADF;
	cleanup_fd int file = -EBADF;
	int ret = 0;

	dir = open_cover(r, "dev/" DEVICES_COVER_DIR, err);
	if (dir < 0)
		return dir;
	file = open_cover(r, "dev/" DEVICES_COVER_FILE, err);
	if (file < 0)
		return file;
	for (size_t i = 0;
	     ret == 0 && i < sizeof(read_only_paths) / sizeof(char *); i++)
		ret = make_read_only(r, read_only_paths[i], err);
	for (size_t i = 0; ret == 0 && i < sizeof(hidden_dirs) / sizeof(char *);
	     i++)
		ret = hide(r, dir, hidden_dirs[i], err);
	for (size_t i = 0;
	     ret == 0 && i < sizeof(hidden_files) / sizeof(char *); i++)
		ret = hide(r, file, hidden_files[i], err);
	return ret;
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

static int bind_host_file(const struct rootfs *r, const char *host,
			  const char *target, struct error *err)
{
	cleanup_fd int fd = -EBADF;
	cleanup_fd int mnt = -EBADF;
	cleanup_fd int to = -EBADF;

	fd = open(host, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "open %s of the host", host);
	mnt = mount_clone(fd, false, MOUNT_ATTR_RDONLY | NO_SUID_DEV_EXEC, err);
	if (mnt < 0)
		return mnt;
	to = mkfile_in_root(r->tree, target, 0644);
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
		ret = bind_host_file(r, "/etc/hosts", "/etc/hosts", err);
	if (ret == 0 && files->host_resolv_conf)
		ret = bind_host_file(r, "/etc/resolv.conf", "/etc/resolv.conf",
				     err);
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
		int ret = base_dir(r, dirs[i].name, dirs[i].mode, err);

		if (ret < 0)
			return ret;
	}
	if (mkdirat(r->tree, "tmp", 01777) == 0)
		return fchmodat(r->tree, "tmp", 01777, 0) < 0
			       ? error_sys(err, errno, "create /tmp")
			       : 0;
	return 0;
}

/*
 * The working directory is the pod's.  It is named by AT_FDCWD, never by a
 * descriptor of stage1's: that would lead to stage1's mount namespace, while
 * the working directory moved into this one with us.
 */
int rootfs_enter(const struct rootfs *r, struct error *err)
{
	const uint64_t sys_attrs =
		NO_SUID_DEV_EXEC | (r->insecure_paths ? 0 : MOUNT_ATTR_RDONLY);
	int ret;

	ret = mounts_make_private(err);
	if (ret == 0)
		ret = mount_attach(r->tree, AT_FDCWD, "", err);
	if (ret == 0)
		ret = make_base_dirs(r, err);
	if (ret == 0)
		ret = attach_new(r, "proc", "proc", NO_SUID_DEV_EXEC, err);
	if (ret == 0)
		ret = attach_new(r, "sysfs", "sys", sys_attrs, err);
	if (ret == 0)
		ret = attach_dev(r, err);
	if (ret == 0 && !r->insecure_paths)
		ret = protect_paths(r, err);
	if (ret == 0)
		ret = volumes_attach(r->plan, r->tree, err);
	if (ret == 0)
		ret = put_files(r, err);
	if (ret == 0 && r->plan->read_only_rootfs)
		ret = mount_set_attr(r->tree, MOUNT_ATTR_RDONLY, false, err);
	if (ret == 0)
		ret = mounts_pivot(r->tree, err);
	return ret;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/syscalls.h"
#include "spec/stage1_abi.h"
#include "stage1/devices.h"
#include "stage1/mounts.h"
#include "stage1/plan.h"

#define NO_SUID_DEV (MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID)

static int open_host_source(const struct app_mount *m, struct error *err)
{
	cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (root < 0)
		return error_sys(err, errno, "open /");
	fd = sys_openat2(root, m->source, O_PATH | O_CLOEXEC, 0,
			 RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	if (fd == -ELOOP)
		return error_set(err, ELOOP,
				 "source %s of volume %s has a symlink in it "
				 "that was not there when the pod was prepared",
				 m->source, m->volume);
	if (fd < 0)
		return error_sys(err, -fd, "open source %s of volume %s",
				 m->source, m->volume);
	return fd;
}

static int open_empty_source(const struct app_mount *m, struct error *err)
{
	cleanup_free char *path = xasprintf(POD_VOLUMES_DIR "/%s", m->volume);
	int fd = sys_openat2(AT_FDCWD, path, O_PATH | O_CLOEXEC, 0,
			     RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

	if (fd < 0)
		return error_sys(err, -fd, "open volume %s", m->volume);
	return fd;
}

int volume_open_source(const struct app_mount *m, struct error *err)
{
	return m->source ? open_host_source(m, err) : open_empty_source(m, err);
}

/* The source of M in this mount namespace; device volumes are the nodes
 * rootfs_open() made. */
static int open_source(const struct app_mount *m, int tree, bool *is_dir,
		       bool *is_device, struct error *err)
{
	cleanup_fd int fd = volume_open_source(m, err);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "examine the volume");
	*is_dir = S_ISDIR(st.st_mode);
	*is_device = S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode);
	if (*is_device) {
		cleanup_free char *path =
			xasprintf("dev/" DEVICES_VOLUME_DIR "/%s", m->volume);

		fd_close(&fd);
		fd = sys_openat2(tree, path, O_PATH | O_CLOEXEC, 0,
				 RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
		if (fd < 0)
			return error_sys(err, -fd, "open the device");
	}
	return TAKE_FD(fd);
}

static const char *target_reason(int code)
{
	switch (code) {
	case ELOOP:
	case EEXIST:
		return "a symbolic link of the image leads in a circle or "
		       "nowhere";
	case ENOTDIR:
		return "the image has something there or on the way that is "
		       "no directory";
	case ENOENT:
		return "there is nothing, and nothing can be made there";
	case EROFS:
		return "there is nothing, and the volume it would be made in "
		       "is read-only";
	default:
		return strerrordesc_np(code);
	}
}

static int open_target(const struct app_mount *m, int tree, bool is_dir,
		       struct error *err)
{
	cleanup_fd int fd = -EBADF;
	struct stat st;

	fd = is_dir ? mkdir_in_root(tree, m->target, 0755)
		    : mkfile_in_root(tree, m->target, 0644);
	if (fd < 0)
		return error_set(err, -fd, "%s", target_reason(-fd));
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "examine the mount target");
	if (S_ISDIR(st.st_mode) != is_dir)
		return error_set(err, is_dir ? ENOTDIR : EISDIR,
				 "the volume is a %s, the image has a %s there",
				 is_dir ? "directory" : "file",
				 is_dir ? "file" : "directory");
	return TAKE_FD(fd);
}

static int mount_id(int fd, uint64_t *ret)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
		return -errno;
	*ret = st.stx_mnt_id;
	return 0;
}

static int attach(const struct app_mount *m, int tree, uint64_t *ret_id,
		  struct error *err)
{
	uint64_t attrs = m->read_only ? MOUNT_ATTR_RDONLY : 0;
	bool is_dir = false, is_device = false;
	cleanup_fd int source = -EBADF;
	cleanup_fd int target = -EBADF;
	cleanup_fd int mnt = -EBADF;
	int r;

	source = open_source(m, tree, &is_dir, &is_device, err);
	if (source < 0)
		return source;
	if (!is_device)
		attrs |= NO_SUID_DEV;
	mnt = mount_clone(source, m->recursive && is_dir, attrs, err);
	if (mnt < 0)
		return mnt;
	target = open_target(m, tree, is_dir, err);
	if (target < 0)
		return target;
	r = mount_attach_fd(mnt, target, m->target, err);
	if (r == 0)
		r = mount_id(mnt, ret_id);
	return r;
}

/* Two targets may meet through symbolic links of the image, which the order
 * of their names does not know. */
static int check_visible(const struct app_mount *m, int tree, uint64_t id,
			 struct error *err)
{
	cleanup_fd int fd = open_in_root(tree, m->target, O_PATH);
	uint64_t found = 0;

	if (fd >= 0 && mount_id(fd, &found) == 0 && found == id)
		return 0;
	return error_set(err, EBUSY,
			 "another volume lies over it, through a symbolic link "
			 "of the image");
}

int volumes_attach(const struct app_plan *plan, int tree, struct error *err)
{
	cleanup_free uint64_t *ids = xcalloc(plan->n_mounts, sizeof(*ids));
	const struct app_mount *m = plan->mounts;
	int r = 0;

	for (size_t i = 0; i < plan->n_mounts && r == 0; i++, m++) {
		r = attach(m, tree, &ids[i], err);
		if (r < 0)
			return error_prefix(err, r, "mount volume %s at %s",
					    m->volume, m->target);
	}
	m = plan->mounts;
	for (size_t i = 0; plan->n_mounts > 1 && i < plan->n_mounts; i++, m++) {
		r = check_visible(m, tree, ids[i], err);
		if (r < 0)
			return error_prefix(err, r, "mount volume %s at %s",
					    m->volume, m->target);
	}
	return 0;
}

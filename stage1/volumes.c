/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/syscalls.h"
#include "spec/stage1_abi.h"
#include "stage1/device_policy.h"
#include "stage1/devices.h"
#include "stage1/mapped.h"
#include "stage1/memory_volumes.h"
#include "stage1/mounts.h"
#include "stage1/plan.h"
#include "stage1/pod_root.h"

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

static int add_device(const struct app_mount *m, const struct devices *dev,
		      const struct stat *st, struct volumes *volumes,
		      struct error *err)
{
	int r = devices_add_volume(dev, m->volume, st->st_mode, st->st_rdev,
				   err);

	if (r < 0)
		return r;
	volumes->rules = xreallocarray(volumes->rules, volumes->n_rules + 1,
				       sizeof(*volumes->rules));
	volumes->rules[volumes->n_rules++] = (struct device_rule){
		.type = S_ISCHR(st->st_mode) ? 'c' : 'b',
		.major = major(st->st_rdev),
		.minor = minor(st->st_rdev),
		.access = m->read_only ? DEVICE_READ : DEVICE_RW,
	};
	return 0;
}

static int open_one(const struct app_mount *m, const struct users *users,
		    const struct devices *dev, struct volumes *volumes,
		    struct opened_volume *v, struct error *err)
{
	uint64_t attrs = NO_SUID_DEV | (m->read_only ? MOUNT_ATTR_RDONLY : 0);
	cleanup_fd int fd = m->source ? open_host_source(m, err)
				      : open_empty_source(m, err);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "examine the volume");
	if (dev && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))) {
		int r = add_device(m, dev, &st, volumes, err);

		/* In a user namespace only the host's own node works. */
		if (r != -EPERM)
			return r;
		attrs &= ~(uint64_t)MOUNT_ATTR_NODEV;
	}
	v->is_dir = S_ISDIR(st.st_mode);
	if (!dev)
		v->mnt = mount_clone_shared(fd, m->recursive && v->is_dir,
					    attrs & MOUNT_ATTR_RDONLY, err);
	else if (m->source)
		v->mnt = mount_clone(fd, m->recursive && v->is_dir, attrs, err);
	else
		v->mnt = mapped_clone(fd, m->recursive && v->is_dir, attrs,
				      users, err);
	return v->mnt < 0 ? v->mnt : 0;
}

static int failed(const struct app_mount *m, int code, struct error *err)
{
	return error_prefix(err, code, "mount volume %s at %s", m->volume,
			    m->target);
}

int volumes_open(const struct app_plan *plan, const struct users *users,
		 const struct devices *dev, struct volumes *ret,
		 struct error *err)
{
	const struct app_mount *m = plan->mounts;
	int r;

	ret->v = xcalloc(plan->n_mounts, sizeof(*ret->v));
	for (; ret->n < plan->n_mounts; ret->n++, m++) {
		ret->v[ret->n].mnt = -EBADF;
		ret->v[ret->n].is_dir = m->in_memory && !m->is_secret;
		if (m->in_memory)
			continue;
		r = open_one(m, users, dev, ret, &ret->v[ret->n], err);
		if (r < 0)
			return failed(m, r, err);
	}
	return 0;
}

void volumes_release(struct volumes *volumes)
{
	for (size_t i = 0; i < volumes->n; i++)
		fd_close(&volumes->v[i].mnt);
	free(volumes->v);
	free(volumes->rules);
	*volumes = (struct volumes)VOLUMES_INIT;
}

/* The node that devices_add_volume() made, as it is in our own /dev now. */
static int clone_device(const struct app_mount *m, int tree, struct error *err)
{
	cleanup_free char *path =
		xasprintf("dev/" DEVICES_VOLUME_DIR "/%s", m->volume);
	cleanup_fd int fd = sys_openat2(tree, path, O_PATH | O_CLOEXEC, 0,
					RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);

	if (fd < 0)
		return error_sys(err, -fd, "open the device");
	return mount_clone(fd, false, m->read_only ? MOUNT_ATTR_RDONLY : 0,
			   err);
}

/* In our copy of pod init's mounts. */
static int clone_memory(const struct app_mount *m, struct error *err)
{
	uint64_t attrs = NO_SUID_DEV | (m->read_only ? MOUNT_ATTR_RDONLY : 0) |
			 (m->is_secret ? MOUNT_ATTR_NOEXEC : 0);
	cleanup_free char *path = xasprintf(
		POD_ROOT_VOLUMES "/%s%s",
		m->is_secret ? MEMORY_SECRETS_DIR "/" : "", m->volume);
	cleanup_fd int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return error_sys(err, errno, "open the volume");
	return mount_clone(fd, false, attrs, err);
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

static int attach(const struct app_mount *m, const struct opened_volume *v,
		  int tree, uint64_t *ret_id, struct error *err)
{
	cleanup_fd int clone = -EBADF;
	cleanup_fd int target = -EBADF;
	int mnt = v->mnt;
	int r;

	if (mnt < 0) {
		clone = m->in_memory ? clone_memory(m, err)
				     : clone_device(m, tree, err);
		mnt = clone;
	}
	if (mnt < 0)
		return mnt;
	target = open_target(m, tree, v->is_dir, err);
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

int volumes_attach(const struct volumes *volumes, const struct app_plan *plan,
		   int tree, struct error *err)
{
	cleanup_free uint64_t *ids = xcalloc(plan->n_mounts, sizeof(*ids));
	const struct app_mount *m = plan->mounts;
	int r = 0;

	for (size_t i = 0; i < plan->n_mounts; i++, m++) {
		r = attach(m, &volumes->v[i], tree, &ids[i], err);
		if (r < 0)
			return failed(m, r, err);
	}
	m = plan->mounts;
	for (size_t i = 0; plan->n_mounts > 1 && i < plan->n_mounts; i++, m++) {
		r = check_visible(m, tree, ids[i], err);
		if (r < 0)
			return failed(m, r, err);
	}
	return 0;
}

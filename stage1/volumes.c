/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
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
#include "stage1/users.h"

#define NO_SUID_DEV (MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID)

/* --- sources ---------------------------------------------------------------
 */

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

static int find(const struct app_mount *m, int volume, const char *path)
{
	return open_beneath(volume, path, O_PATH,
			    m->recursive ? 0 : RESOLVE_NO_XDEV);
}

/* A directory NAME in PARENT with the owner and mode of VOLUME. */
static int make_like(int volume, int parent, const char *name)
{
	cleanup_fd int fd = -EBADF;
	struct stat st;

	if (mkdirat(parent, name, 0700) < 0)
		return -errno;
	fd = sys_openat2(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
			 RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		return fd;
	if (fstat(volume, &st) < 0 || fchown(fd, st.st_uid, st.st_gid) < 0 ||
	    fchmod(fd, st.st_mode & 07777) < 0)
		return -errno;
	return 0;
}

/* Makes PATH, whose parents are there.  Another app of the pod may do so at
 * once, and must not see it half made. */
static int make_dir(const struct app_mount *m, int volume, const char *path)
{
	const char *name = path_base(path);
	cleanup_free char *above = xstrndup(path, (size_t)(name - path));
	cleanup_fd int parent = find(m, volume, above);
	cleanup_free char *other = NULL;
	uint64_t number = 0;
	int r;

	if (parent < 0)
		return parent;
	if (getrandom(&number, sizeof(number), 0) < 0)
		return -errno;
	other = xasprintf(".rkt-%016" PRIx64, number);
	r = make_like(volume, parent, other);
	if (r == 0 && renameat2(parent, other, parent, name, RENAME_NOREPLACE))
		r = -errno;
	if (r < 0)
		(void)unlinkat(parent, other, AT_REMOVEDIR);
	return r == -EEXIST ? 0 : r;
}

static int make_sub_path(const struct app_mount *m, int volume)
{
	size_t len = 0;

	while (m->sub_path[len]) {
		cleanup_free char *path = NULL;
		cleanup_fd int fd = -EBADF;
		int r;

		len += m->sub_path[len] == '/';
		len += strcspn(m->sub_path + len, "/");
		path = xstrndup(m->sub_path, len);
		fd = find(m, volume, path);
		/* It stays so of a link that leads nowhere. */
		r = fd == -ENOENT ? make_dir(m, volume, path) : fd;
		if (r < 0)
			return r;
	}
	return find(m, volume, m->sub_path);
}

/* M's part of VOLUME. */
static int open_part(const struct app_mount *m, int volume, struct error *err)
{
	cleanup_fd int fd = find(m, volume, m->sub_path);
	struct stat st;

	if (fd == -ENOENT && !m->source)
		fd = make_sub_path(m, volume);
	if (fd == -EXDEV)
		return error_set(err, EXDEV,
				 "subPath %s leads out of the volume",
				 m->sub_path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, fd < 0 ? -fd : errno, "open subPath %s",
				 m->sub_path);
	/* An app may have made it: who names a device is the operator. */
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		return error_set(err, EPERM,
				 "subPath %s is a device, which must be a "
				 "volume itself",
				 m->sub_path);
	return TAKE_FD(fd);
}

/* --- in stage1 -------------------------------------------------------------
 */

static int add_device(const struct app_mount *m, const struct devices *dev,
		      const char *name, const struct stat *st,
		      struct volumes *volumes, struct error *err)
{
	int r = devices_add_volume(dev, name, st->st_mode, st->st_rdev, err);

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

static int open_source(const struct app_mount *m, struct error *err)
{
	cleanup_fd int fd = m->source ? open_host_source(m, err)
				      : open_empty_source(m, err);

	return fd < 0 || !m->sub_path ? TAKE_FD(fd) : open_part(m, fd, err);
}

/* Who asks for propagation must not find out by its silence that there is
 * none. */
static int check_propagation(const struct app_mount *m, int fd,
			     const struct users *users, struct error *err)
{
	bool tells = false, is_told = false;
	int r = 0;

	if (m->propagation == PROPAGATION_SHARED && users_are_private(users))
		return error_set(err, EINVAL,
				 "propagation=rshared: what is mounted with "
				 "--private-users stays in the pod");
	if (m->propagation > PROPAGATION_PRIVATE)
		r = mount_propagates(fd, &tells, &is_told, err);
	if (r < 0 || m->propagation <= PROPAGATION_PRIVATE || tells ||
	    (is_told && m->propagation == PROPAGATION_SLAVE))
		return r;
	return error_set(err, EINVAL,
			 "source %s is on a private mount, from which nothing "
			 "propagates (mount --make-shared)",
			 m->source);
}

/* Without a word, what fly mounts (no DEV) is as the host has it. */
static uint64_t propagation_of(const struct app_mount *m,
			       const struct devices *dev)
{
	switch (m->propagation) {
	case PROPAGATION_PRIVATE:
		return MS_PRIVATE;
	case PROPAGATION_SLAVE:
		return MS_SLAVE;
	case PROPAGATION_SHARED:
		return 0;
	default:
		return dev ? MS_PRIVATE : 0;
	}
}

static int open_one(const struct app_mount *m, const struct users *users,
		    const struct devices *dev, struct volumes *volumes,
		    struct opened_volume *v, struct error *err)
{
	uint64_t attrs = (dev ? NO_SUID_DEV : 0) |
			 (m->read_only ? MOUNT_ATTR_RDONLY : 0);
	cleanup_fd int fd = open_source(m, err);
	struct stat st;
	bool recursive;
	int r;

	if (fd < 0)
		return fd;
	r = check_propagation(m, fd, users, err);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "examine the volume");
	if (dev && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))) {
		r = add_device(m, dev, v->device, &st, volumes, err);
		/* In a user namespace only the host's own node works. */
		if (r != -EPERM)
			return r;
		attrs &= ~(uint64_t)MOUNT_ATTR_NODEV;
	}
	recursive = m->recursive && S_ISDIR(st.st_mode);
	if (m->source || !dev)
		v->mnt = mount_clone_as(fd, recursive, attrs,
					propagation_of(m, dev), err);
	else
		v->mnt = mapped_clone(fd, recursive, attrs, users, err);
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
		(void)snprintf(ret->v[ret->n].device,
			       sizeof(ret->v[ret->n].device), "%zu", ret->n);
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

/* --- in the app's process --------------------------------------------------
 */

/* The node that devices_add_volume() made, as it is in our own /dev now. */
static int clone_device(const struct app_mount *m,
			const struct opened_volume *v, int tree,
			struct error *err)
{
	cleanup_free char *path =
		xasprintf("dev/" DEVICES_VOLUME_DIR "/%s", v->device);
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
	cleanup_fd int volume = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	cleanup_fd int part = -EBADF;

	if (volume < 0)
		return error_sys(err, errno, "open the volume");
	if (!m->sub_path)
		return mount_clone(volume, false, attrs, err);
	part = open_part(m, volume, err);
	return part < 0 ? part : mount_clone(part, false, attrs, err);
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
	struct stat st;
	int r;

	if (mnt < 0) {
		clone = m->in_memory ? clone_memory(m, err)
				     : clone_device(m, v, tree, err);
		mnt = clone;
	}
	if (mnt < 0)
		return mnt;
	if (fstat(mnt, &st) < 0)
		return error_sys(err, errno, "examine the volume");
	target = open_target(m, tree, S_ISDIR(st.st_mode), err);
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

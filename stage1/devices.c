/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "stage1/mounts.h"

#define NULL_DEVICE makedev(1, 3)

static const struct {
	const char *name;
	mode_t mode;
	unsigned int major, minor;
} nodes[] = {
	{"null", 0666, 1, 3},
	{"zero", 0666, 1, 5},
	{"full", 0666, 1, 7},
	{"random", 0666, 1, 8},
	{"urandom", 0666, 1, 9},
	{"tty", 0666, 5, 0},
	/* The host's console is none of the app's business: this one swallows
	 * what is written, until --interactive puts a pty over it. */
	{"console", 0620, 1, 3},
	{"net/tun", 0666, 10, 200},
};

static const struct {
	const char *name;
	mode_t mode;
} dirs[] = {
	{"pts", 0755},
	{"shm", 0755},
	{"net", 0755},
};

static const struct {
	const char *name, *target;
} links[] = {
	{"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"},
	{"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
	{"ptmx", "pts/ptmx"},
};

/*
 * In a user namespace nobody may make nodes: the host's is mounted on an empty
 * file.  Nobody there may change its owner either.  A file without anything on
 * it is left out.
 */
static int borrow_node(struct devices *d, const char *name, dev_t rdev,
		       struct error *err)
{
	cleanup_free char *path = xasprintf("/dev/%s", name);
	cleanup_fd int node = -EBADF;
	struct stat st;
	int mnt;

	node = open(rdev == NULL_DEVICE ? "/dev/null" : path,
		    O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (node < 0 || fstat(node, &st) < 0 || !S_ISCHR(st.st_mode) ||
	    st.st_rdev != rdev)
		return 0;
	mnt = mount_clone(node, false, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
			  err);
	if (mnt < 0)
		return mnt;
	if (mknodat(d->dir, name, S_IFREG, 0) < 0) {
		(void)close(mnt);
		return error_sys(err, errno, "create /dev/%s", name);
	}
	d->borrowed[d->n_borrowed++] = (struct borrowed_node){name, mnt};
	return 0;
}

static int make_node(struct devices *d, const char *name, mode_t mode,
		     dev_t rdev, struct error *err)
{
	if (mknodat(d->dir, name, mode, rdev) == 0)
		return 0;
	return errno == EPERM ? borrow_node(d, name, rdev, err)
			      : error_sys(err, errno, "create /dev/%s", name);
}

static int fill(struct devices *d, struct error *err)
{
	int dev = d->dir;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (mkdirat(dev, dirs[i].name, dirs[i].mode) < 0)
			return error_sys(err, errno, "create /dev/%s",
					 dirs[i].name);
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		int r = make_node(d, nodes[i].name, S_IFCHR | nodes[i].mode,
				  makedev(nodes[i].major, nodes[i].minor), err);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlinkat(links[i].target, dev, links[i].name) < 0)
			return error_sys(err, errno, "create /dev/%s",
					 links[i].name);
	return 0;
}

int devices_open(struct devices *ret, struct error *err)
{
	mode_t mask;
	int r;

	ret->dir = mount_tmpfs("mode=0755,size=64k,nr_inodes=512",
			       MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
	if (ret->dir < 0)
		return ret->dir;
	mask = umask(0);
	r = fill(ret, err);
	(void)umask(mask);
	return r;
}

int devices_attach(const struct devices *d, int tree, struct error *err)
{
	int r = mount_attach(d->dir, tree, "dev", err);

	for (size_t i = 0; i < d->n_borrowed && r == 0; i++) {
		cleanup_free char *name =
			xasprintf("dev/%s", d->borrowed[i].name);

		r = mount_attach(d->borrowed[i].mnt, tree, name, err);
	}
	return r;
}

void devices_release(struct devices *d)
{
	for (size_t i = 0; i < d->n_borrowed; i++)
		fd_close(&d->borrowed[i].mnt);
	d->n_borrowed = 0;
	fd_close(&d->dir);
}

int devices_add_volume(const struct devices *d, const char *name, mode_t mode,
		       dev_t rdev, struct error *err)
{
	cleanup_fd int dir = -EBADF;
	mode_t mask;
	int r;

	if (mkdirat(d->dir, DEVICES_VOLUME_DIR, 0755) < 0 && errno != EEXIST)
		return error_sys(err, errno, "create /dev/" DEVICES_VOLUME_DIR);
	dir = openat(d->dir, DEVICES_VOLUME_DIR,
		     O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return error_sys(err, errno, "open /dev/" DEVICES_VOLUME_DIR);
	mask = umask(0);
	r = mknodat(dir, name, mode, rdev) < 0 ? -errno : 0;
	(void)umask(mask);
	if (r == -EPERM)
		return r;
	return r < 0 ? error_sys(err, -r, "create /dev/%s", name) : 0;
}

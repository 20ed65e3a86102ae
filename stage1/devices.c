/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/devices.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "stage1/mounts.h"

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

static int make_node(int dev, const char *name, mode_t mode, dev_t rdev,
		     struct error *err)
{
	if (mknodat(dev, name, mode, rdev) < 0)
		return error_sys(err, errno, "create /dev/%s", name);
	return 0;
}

static int fill(int dev, struct error *err)
{
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (mkdirat(dev, dirs[i].name, dirs[i].mode) < 0)
			return error_sys(err, errno, "create /dev/%s",
					 dirs[i].name);
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		int r = make_node(dev, nodes[i].name, S_IFCHR | nodes[i].mode,
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

int devices_open(struct error *err)
{
	cleanup_fd int dev = -EBADF;
	mode_t mask;
	int r;

	dev = mount_tmpfs("mode=0755,size=64k,nr_inodes=512",
			  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
	if (dev < 0)
		return dev;
	mask = umask(0);
	r = fill(dev, err);
	(void)umask(mask);
	return r < 0 ? r : TAKE_FD(dev);
}

int devices_add_volume(int dev, const char *name, mode_t mode, dev_t rdev,
		       struct error *err)
{
	cleanup_fd int dir = -EBADF;
	mode_t mask;
	int r;

	if (mkdirat(dev, DEVICES_VOLUME_DIR, 0755) < 0 && errno != EEXIST)
		return error_sys(err, errno, "create /dev/" DEVICES_VOLUME_DIR);
	dir = openat(dev, DEVICES_VOLUME_DIR,
		     O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return error_sys(err, errno, "open /dev/" DEVICES_VOLUME_DIR);
	mask = umask(0);
	r = make_node(dir, name, mode, rdev, err);
	(void)umask(mask);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"

int netns_loopback_up(struct error *err)
{
	cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_name = "lo"};

	if (fd < 0)
		return error_sys(err, errno, "open a socket");
	if (ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		return error_sys(err, errno, "read the flags of lo");
	ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_UP);
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		return error_sys(err, errno, "set lo up");
	return 0;
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

void netns_unbind(const char *path)
{
	while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	(void)unlink(path);
}

void netns_check(const char *path)
{
	struct statfs st;

	if (statfs(path, &st) == 0 && st.f_type != NSFS_MAGIC)
		(void)unlink(path);
}

int netns_bind(const char *path, pid_t pid, struct error *err)
{
	cleanup_free char *ns = xasprintf("/proc/%d/ns/net", (int)pid);
	cleanup_fd int fd = -EBADF;

	/* A DEL in there would take the host's eth0. */
	if (same_file(ns, "/proc/self/ns/net"))
		return error_set(err, EINVAL,
				 "process %d is in the host's network "
				 "namespace",
				 (int)pid);
	if (mkdir(NETNS_DIR, 0755) < 0 && errno != EEXIST)
		return error_sys(err, errno, "make " NETNS_DIR);
	netns_unbind(path);
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0)
		return error_sys(err, errno, "create %s", path);
	if (mount(ns, path, NULL, MS_BIND, NULL) < 0)
		return error_sys(err, errno, "bind %s at %s", ns, path);
	return 0;
}

bool netns_is_bound(const char *path, int netns_fd)
{
	struct stat bound, st;

	return stat(path, &bound) == 0 && fstat(netns_fd, &st) == 0 &&
	       bound.st_dev == st.st_dev && bound.st_ino == st.st_ino;
}

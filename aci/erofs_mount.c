/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/erofs_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "aci/erofs_format.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"

#define LOOP_TRIES 64
#define SOURCE_MAX 64

_Static_assert(SOURCE_MAX >= PROC_FD_MAX, "a descriptor's path");

/* --- loop devices -------------------------------------------------------- */

/* What keeps loop devices until the mount does. */
struct loops {
	int *fds;
	size_t n;
};

static void loops_release(struct loops *loops)
{
	for (size_t i = 0; i < loops->n; i++)
		(void)close(loops->fds[i]);
	free(loops->fds);
}
#define cleanup_loops cleanup_with(loops_release)

/* 0, or -EBUSY if another process was faster. */
static int loop_take(int loop, int fd)
{
	const struct loop_config config = {
		.fd = (uint32_t)fd,
		.block_size = EROFS_BLOCK,
		.info = {.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR},
	};

	return ioctl(loop, LOOP_CONFIGURE, &config) < 0 ? -errno : 0;
}

/* A loop device over FD; its name goes to NAME. */
static int loop_open(int fd, char name[SOURCE_MAX], struct error *err)
{
	cleanup_fd int control =
		open("/dev/loop-control", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int r = -EBUSY;

	if (control < 0)
		return error_sys(err, errno, "open /dev/loop-control");
	for (int i = 0; r == -EBUSY && i < LOOP_TRIES; i++) {
		cleanup_fd int loop = -EBADF;
		int n = ioctl(control, LOOP_CTL_GET_FREE);

		if (n < 0)
			return error_sys(err, errno, "find a loop device");
		(void)snprintf(name, SOURCE_MAX, "/dev/loop%d", n);
		loop = open(name, O_RDONLY | O_CLOEXEC);
		if (loop < 0)
			return error_sys(err, errno, "open %s", name);
		r = loop_take(loop, fd);
		if (r == 0)
			return TAKE_FD(loop);
	}
	return error_sys(err, -r, "set up a loop device");
}

/* --- the mount ----------------------------------------------------------- */

/* What the kernel says about it, if it does. */
static int mount_failed(int fs, struct error *err)
{
	char text[256];
	int code = errno;
	ssize_t n = read(fs, text, sizeof(text) - 1);

	if (n <= 2)
		return error_sys(err, code, "mount the image");
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return error_sys(err, code, "mount the image: %s", text + 2);
}

/* The name the kernel opens FD by. */
static int source_name(enum erofs_source source, int fd, struct loops *loops,
		       char name[SOURCE_MAX], struct error *err)
{
	int loop;

	if (source == EROFS_FROM_FILES) {
		(void)proc_fd_path(fd, name);
		return 0;
	}
	loop = loop_open(fd, name, err);
	if (loop < 0)
		return loop;
	loops->fds =
		xreallocarray(loops->fds, loops->n + 1, sizeof(*loops->fds));
	loops->fds[loops->n++] = loop;
	return 0;
}

int erofs_mount(enum erofs_source source, int index_fd, const int *device_fds,
		size_t n_devices, struct error *err)
{
	cleanup_loops struct loops loops = {0};
	cleanup_fd int fs = fsopen("erofs", FSOPEN_CLOEXEC);
	char name[SOURCE_MAX];
	int r, mnt;

	if (fs < 0)
		return error_sys(err, errno, "mount the image");
	for (size_t i = 0; i <= n_devices; i++) {
		r = source_name(source, i ? device_fds[i - 1] : index_fd,
				&loops, name, err);
		if (r < 0)
			return r;
		if (fsconfig(fs, FSCONFIG_SET_STRING, i ? "device" : "source",
			     name, 0) < 0)
			return mount_failed(fs, err);
	}
	if (fsconfig(fs, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return mount_failed(fs, err);
	mnt = fsmount(fs, FSMOUNT_CLOEXEC,
		      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
	return mnt < 0 ? mount_failed(fs, err) : mnt;
}

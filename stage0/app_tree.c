/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/app_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "aci/treestore.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"
#include "base/syscalls.h"
#include "spec/stage1_abi.h"
#include "stage0/generation.h"

static int reopen_for_reading(int dirfd, int *ret_fd, struct error *err)
{
	*ret_fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? error_sys(err, errno, "open the app's files") : 0;
}

/* Both as lower layers: such an overlay is read-only and leaves no work
 * directory. */
static int lay_over(int upper, int lower, struct error *err)
{
	cleanup_free char *layers =
		xasprintf("/proc/self/fd/%d:/proc/self/fd/%d", upper, lower);
	cleanup_fd int fs = fsopen("overlay", FSOPEN_CLOEXEC);
	int fd;

	if (fs < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "lowerdir", layers, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return error_sys(err, errno, "lay what changed over the image");
	fd = fsmount(fs, FSMOUNT_CLOEXEC,
		     MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID |
			     MOUNT_ATTR_NOEXEC);
	return fd < 0 ? error_sys(err, errno, "lay what changed over the image")
		      : fd;
}

static int open_upper(int poddir_fd, const char *app, unsigned int generation,
		      struct error *err)
{
	cleanup_free char *path =
		xasprintf(POD_GENERATIONS_DIR "/%s/%u/" GENERATION_UPPER_DIR,
			  app, generation);
	int fd = openat(poddir_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? error_sys(err, errno, "open what app %s changed", app)
		      : fd;
}

int app_tree_open(int poddir_fd, const char *app, unsigned int generation,
		  const struct treestore *ts, int *ret_fd, struct error *err)
{
	cleanup_fd int upper = -EBADF;
	cleanup_fd int lower = -EBADF;
	cleanup_fd int mount = -EBADF;
	struct image_id id;
	int r;

	if (generation_is_copy(poddir_fd, app, generation)) {
		r = generation_tree_open(poddir_fd, app, generation, &lower,
					 err);
		return r < 0 ? r : reopen_for_reading(lower, ret_fd, err);
	}
	r = generation_image_id(poddir_fd, app, generation, &id, err);
	if (r == 0)
		r = treestore_open(ts, &id, &lower, err);
	if (r < 0)
		return r;
	upper = open_upper(poddir_fd, app, generation, err);
	if (upper < 0)
		return upper;
	mount = lay_over(upper, lower, err);
	return mount < 0 ? mount : reopen_for_reading(mount, ret_fd, err);
}

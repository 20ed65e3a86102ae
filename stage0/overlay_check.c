/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/overlay_check.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include "base/cleanup.h"

const char *overlay_problem(int dirfd)
{
	/* What the kernel refuses as upper layer (fs/overlayfs/super.c), or
	 * rkt did. */
	static const struct {
		unsigned long magic;
		const char *problem;
	} refused[] = {
		{0x794c7630, "unsupported filesystem: overlayfs"},
		{0x61756673, "unsupported filesystem: aufs"},
		{0x2fc12fc1, "unsupported filesystem: zfs"},
		{0x6969, "unsupported filesystem: nfs"},
	};
	cleanup_fd int fd = -EBADF;
	struct statfs fs;

	if (fstatfs(dirfd, &fs) < 0)
		return NULL;
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		if ((unsigned long)fs.f_type == refused[i].magic)
			return refused[i].problem;
	/* Loads the module if there is one. */
	fd = fsopen("overlay", FSOPEN_CLOEXEC);
	if (fd < 0 && errno == ENODEV)
		return "the kernel has no overlay filesystem";
	return NULL;
}

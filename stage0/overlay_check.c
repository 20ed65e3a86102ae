/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/overlay_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/strbuf.h"

#define FILESYSTEMS_MAX 65536

static bool is_registered(const char *type)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_free char *line = xasprintf("\t%s\n", type);

	return read_file_at(AT_FDCWD, "/proc/filesystems", FILESYSTEMS_MAX,
			    &text, NULL) == 0 &&
	       strstr(text.buf, line);
}

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
	if (is_registered("overlay"))
		return NULL;
	/* Loads the module if there is one.  Not asked first: closing what
	 * it gives costs an RCU grace period. */
	fd = fsopen("overlay", FSOPEN_CLOEXEC);
	if (fd < 0 && errno == ENODEV)
		return "the kernel has no overlay filesystem";
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "base/strv.h"

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "a file";
	case S_IFDIR:
		return "a directory";
	case S_IFLNK:
		return "a symlink";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a device";
	}
}

static int check_entry(int dirfd, const char *name, mode_t want,
		       struct strv *problems, struct error *err)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return error_sys(err, errno, "look at %s", name);
		strv_pushf(problems, "%s: missing", name);
		return 0;
	}
	if ((st.st_mode & S_IFMT) != want)
		strv_pushf(problems, "%s: must be %s, is %s", name,
			   type_name(want), type_name(st.st_mode));
	return 0;
}

int aci_layout_check(int dirfd, struct strv *problems, struct error *err)
{
	cleanup_dir DIR *dir = NULL;
	cleanup_fd int fd =
		openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *de;
	int r;

	if (fd < 0)
		return error_sys(err, errno, "open the layout");
	dir = fdopendir(fd);
	if (!dir)
		return error_sys(err, errno, "read the layout");
	(void)TAKE_FD(fd);

	r = check_entry(dirfd, ACI_MANIFEST, S_IFREG, problems, err);
	if (r < 0)
		return r;
	r = check_entry(dirfd, ACI_ROOTFS, S_IFDIR, problems, err);
	if (r < 0)
		return r;

	while (errno = 0, (de = readdir(dir))) {
		if (strcmp(de->d_name, ".") && strcmp(de->d_name, "..") &&
		    strcmp(de->d_name, ACI_MANIFEST) &&
		    strcmp(de->d_name, ACI_ROOTFS))
			strv_pushf(problems,
				   "%s: only manifest and rootfs may be here",
				   de->d_name);
	}
	return errno ? error_sys(err, errno, "read the layout") : 0;
}

static int manifest_load(int dirfd, struct aci_layout *layout,
			 struct error *err)
{
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	/* O_NONBLOCK: a FIFO put here meanwhile must not hang us. */
	cleanup_fd int fd =
		openat(dirfd, ACI_MANIFEST,
		       O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (fd < 0 || fstat(fd, &layout->st) < 0)
		return error_sys(err, errno, "open manifest");
	if (!S_ISREG(layout->st.st_mode))
		return error_set(err, EINVAL, "manifest: must be a file, is %s",
				 type_name(layout->st.st_mode));
	r = strbuf_read_fd(&sb, fd, ACI_MANIFEST_MAX);
	if (r < 0)
		return error_sys(err, -r, "read manifest");
	layout->manifest_len = sb.len;
	layout->manifest = strbuf_detach(&sb);
	return 0;
}

int aci_layout_open(int dirfd, struct aci_layout *ret, struct error *err)
{
	int r = manifest_load(dirfd, ret, err);

	if (r < 0)
		return r;
	ret->rootfsfd = openat(dirfd, ACI_ROOTFS,
			       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (ret->rootfsfd < 0)
		return error_sys(err, errno, "open rootfs");
	return 0;
}

void aci_layout_release(struct aci_layout *layout)
{
	fd_close(&layout->rootfsfd);
	free(layout->manifest);
	layout->manifest = NULL;
	layout->manifest_len = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/out_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"

static int write_file(const char *path, out_file_fill fill, void *arg,
		      struct error *err)
{
	cleanup_fd int fd =
		open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int r;

	if (fd < 0)
		return error_sys(err, errno, "create %s", path);
	r = fill(arg, fd, err);
	return r < 0 ? error_prefix(err, r, "write %s", path) : 0;
}

int out_file_write(const char *path, bool overwrite, const char *exists,
		   out_file_fill fill, void *arg, struct error *err)
{
	cleanup_free char *temp = xasprintf("%s.%d.tmp", path, (int)getpid());
	int r;

	if (!overwrite && access(path, F_OK) == 0)
		return error_set(err, EEXIST, "%s", exists);
	r = write_file(temp, fill, arg, err);
	if (r >= 0 && renameat2(AT_FDCWD, temp, AT_FDCWD, path,
				overwrite ? 0 : RENAME_NOREPLACE) < 0)
		r = error_sys(err, errno, "write %s", path);
	if (r < 0)
		(void)unlink(temp);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/strbuf.h"

static void split_path(const char *path, struct whole_file *out)
{
	const char *slash = strrchr(path, '/');

	out->name = xstrdup(slash ? slash + 1 : path);
	out->dir = slash ? xstrndup(path, (size_t)(slash - path) + 1)
			 : xstrdup(".");
}

static char *temp_name(const struct whole_file *out)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return xasprintf(".rkt-%d-%lx", (int)getpid(),
			 (unsigned long)ts.tv_nsec ^ (unsigned long)out->fd);
}

static int temp_open(struct whole_file *out, mode_t mode, struct error *err)
{
	out->fd = openat(out->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
	if (out->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR)
		return error_sys(err, errno, "create a file in %s", out->dir);
	out->temp = temp_name(out);
	out->fd = openat(out->dirfd, out->temp,
			 O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (out->fd < 0)
		return error_sys(err, errno, "create %s in %s", out->temp,
				 out->dir);
	return 0;
}

/* Known now, before the work; linkat() makes sure in the end. */
static int check_free(const struct whole_file *out, const char *path,
		      struct error *err)
{
	struct stat st;

	if (fstatat(out->dirfd, out->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (!out->overwrite)
		return error_set(err, EEXIST, "%s exists", path);
	/* /dev/null and /dev/stdout would be files afterwards. */
	return S_ISREG(st.st_mode)
		       ? 0
		       : error_set(err, EINVAL,
				   "%s is no regular file: it is not replaced",
				   path);
}

int whole_file_open(const char *path, mode_t mode, bool overwrite,
		    struct whole_file *ret, struct error *err)
{
	int r;

	split_path(path, ret);
	ret->overwrite = overwrite;
	if (!*ret->name)
		return error_set(err, EINVAL, "\"%s\" names no file", path);
	ret->dirfd = open(ret->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ret->dirfd < 0)
		return error_sys(err, errno, "open directory %s", ret->dir);
	r = check_free(ret, path, err);
	return r < 0 ? r : temp_open(ret, mode, err);
}

int whole_file_write(struct whole_file *out, const struct strbuf *data,
		     struct error *err)
{
	int r = write_full(out->fd, data->buf, data->len);

	return r < 0 ? error_sys(err, -r, "write %s", out->name) : 0;
}

static int give_name(struct whole_file *out, const char *name)
{
	char proc[PROC_FD_MAX];

	return linkat(AT_FDCWD, proc_fd_path(out->fd, proc), out->dirfd, name,
		      AT_SYMLINK_FOLLOW) < 0
		       ? -errno
		       : 0;
}

/* Not over what is there.  Network file systems cannot rename so, some others
 * have no links. */
static int rename_new(struct whole_file *out)
{
	if (linkat(out->dirfd, out->temp, out->dirfd, out->name, 0) == 0)
		return unlinkat(out->dirfd, out->temp, 0) < 0 ? -errno : 0;
	if (errno != EPERM && errno != EOPNOTSUPP)
		return -errno;
	return renameat2(out->dirfd, out->temp, out->dirfd, out->name,
			 RENAME_NOREPLACE) < 0
		       ? -errno
		       : 0;
}

/* An existing file is replaced by rename, which needs a name to start from. */
static int put_in_place(struct whole_file *out)
{
	int r = 0;

	if (!out->temp && !out->overwrite)
		return give_name(out, out->name);
	if (!out->temp) {
		out->temp = temp_name(out);
		r = give_name(out, out->temp);
	}
	if (r == 0 && !out->overwrite)
		r = rename_new(out);
	else if (r == 0 &&
		 renameat(out->dirfd, out->temp, out->dirfd, out->name) < 0)
		r = -errno;
	if (r == 0) {
		free(out->temp);
		out->temp = NULL;
	}
	return r;
}

int whole_file_commit(struct whole_file *out, struct error *err)
{
	int r;

	if (fsync(out->fd) < 0)
		return error_sys(err, errno, "write %s", out->name);
	r = put_in_place(out);
	if (r < 0)
		return error_sys(err, -r, "put %s in place", out->name);
	(void)fsync(out->dirfd);
	return 0;
}

void whole_file_release(struct whole_file *out)
{
	if (out->temp && out->dirfd >= 0)
		(void)unlinkat(out->dirfd, out->temp, 0);
	fd_close(&out->fd);
	fd_close(&out->dirfd);
	free(out->dir);
	free(out->name);
	free(out->temp);
	*out = (struct whole_file)WHOLE_FILE_INIT;
}

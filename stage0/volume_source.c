/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/volume_source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"
#include "base/syscalls.h"
#include "spec/pod_manifest.h"

static int open_source(const char *path, uint64_t resolve)
{
	return sys_openat2(AT_FDCWD, path, O_PATH | O_CLOEXEC, 0, resolve);
}

static bool is_same_file(int a, int b)
{
	struct stat x, y;

	return a >= 0 && b >= 0 && fstat(a, &x) == 0 && fstat(b, &y) == 0 &&
	       x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The path FD was reached by, without links; malloc'ed. */
static int path_of(int fd, char **ret)
{
	char path[PATH_MAX], link[PROC_FD_MAX];
	cleanup_fd int again = -EBADF;
	ssize_t n = readlink(proc_fd_path(fd, link), path, sizeof(path) - 1);

	if (n < 0)
		return -errno;
	path[n] = '\0';
	/* Also of a file that was removed or moved meanwhile there is a text.
	 */
	again = open_source(path, RESOLVE_NO_SYMLINKS);
	if (!is_same_file(fd, again))
		return -ESTALE;
	*ret = xstrdup(path);
	return 0;
}

static int resolve(struct volume *v, struct error *err)
{
	cleanup_fd int fd = -EBADF;
	char *path = NULL;
	int r;

	if (v->kind != VOLUME_HOST)
		return 0;
	fd = open_source(v->source, RESOLVE_NO_SYMLINKS);
	if (fd != -ELOOP)
		return 0; /* what is wrong with it, stage1 says */
	fd = open_source(v->source, RESOLVE_NO_MAGICLINKS);
	if (fd == -ENOENT)
		return 0;
	r = fd < 0 ? fd : path_of(fd, &path);
	if (r < 0)
		return error_sys(err, -r, "resolve source %s of volume %s",
				 v->source, v->name ? v->name : "");
	free(v->source);
	v->source = path;
	return 0;
}

int pod_volumes_resolve(struct pod_manifest *pm, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < pm->n_volumes && r == 0; i++)
		r = resolve(&pm->volumes[i], err);
	for (size_t i = 0; i < pm->n_apps; i++) {
		struct runtime_app *ra = &pm->apps[i];

		for (size_t k = 0; k < ra->n_mounts && r == 0; k++)
			if (ra->mounts[k].has_app_volume)
				r = resolve(&ra->mounts[k].app_volume, err);
	}
	return r;
}

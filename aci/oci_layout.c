/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/oci_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/fetch_oci.h"
#include "aci/image_fetcher.h"
#include "aci/imagestore.h"
#include "aci/oci_job.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "spec/docker_archive.h"

void oci_layout_release(struct oci_layout *layout)
{
	fd_close(&layout->dirfd);
	fd_close(&layout->tar_fd);
	strv_release(&layout->files);
}

static int too_long(const char *name, uint64_t max, struct error *err)
{
	return error_set(err, EFBIG, "open %s: it is longer than %llu bytes",
			 name, (unsigned long long)max);
}

static int open_in_directory(int dirfd, const char *name, uint64_t max,
			     struct error *err)
{
	cleanup_fd int fd =
		openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "open %s of the layout", name);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL,
				 "open %s of the layout: it is not a regular "
				 "file",
				 name);
	if ((uint64_t)st.st_size > max)
		return too_long(name, max, err);
	return TAKE_FD(fd);
}

/* --- an archive ---------------------------------------------------------- */

static int copy_range(int from, off_t at, uint64_t len, int to)
{
	while (len > 0) {
		ssize_t n = copy_file_range(from, &at, to, NULL, len, 0);

		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		len -= (uint64_t)n;
	}
	return 0;
}

static int copy_out(const struct oci_layout *layout, struct imagestore *store,
		    const char *name, uint64_t at, uint64_t len,
		    struct error *err)
{
	cleanup_fd int fd = imagestore_new_file(store, err);
	int r;

	if (fd < 0)
		return fd;
	r = copy_range(layout->tar_fd, (off_t)at, len, fd);
	/* Nobody else is to see it. */
	imagestore_drop_file(store, fd);
	return r < 0 ? error_sys(err, -r, "copy %s out of the archive", name)
		     : TAKE_FD(fd);
}

static int open_in_archive(const struct oci_layout *layout,
			   struct imagestore *store, const char *name,
			   uint64_t max, struct error *err)
{
	uint64_t at, len;

	/* Of two of one name the last counts, as when they are unpacked. */
	for (size_t i = layout->files.n; i >= 3; i -= 3) {
		char *const *file = layout->files.v + i - 3;

		if (strcmp(file[0], name) != 0)
			continue;
		if (parse_uint(file[1], INT64_MAX, &at) < 0 ||
		    parse_uint(file[2], INT64_MAX, &len) < 0)
			return -EINVAL;
		return len > max ? too_long(name, max, err)
				 : copy_out(layout, store, name, at, len, err);
	}
	return error_set(err, ENOENT, "there is no %s in the archive", name);
}

static int open_archive(const struct image_fetcher *f, int fd,
			struct oci_layout *ret, struct error *err)
{
	int r;

	ret->tar_fd = imagestore_new_file(f->store, err);
	if (ret->tar_fd < 0)
		return ret->tar_fd;
	r = fetch_oci_archive(f->libexec_dir, fd, ret->tar_fd, &ret->files,
			      err);
	imagestore_drop_file(f->store, ret->tar_fd);
	return r;
}

/* --- both ---------------------------------------------------------------- */

int oci_layout_open_file(const struct oci_layout *layout,
			 struct imagestore *store, const char *name,
			 uint64_t max, struct error *err)
{
	return layout->dirfd >= 0
		       ? open_in_directory(layout->dirfd, name, max, err)
		       : open_in_archive(layout, store, name, max, err);
}

int oci_layout_open_blob(const struct oci_layout *layout,
			 struct imagestore *store, const char *digest,
			 uint64_t max, struct error *err)
{
	cleanup_free char *name = xasprintf("blobs/%s", digest);

	*strchr(name, ':') = '/';
	return oci_layout_open_file(layout, store, name, max, err);
}

/* What KIND is must have a file MARK. */
static int check_mark(const struct image_fetcher *f,
		      const struct oci_layout *layout, const char *path,
		      const char *kind, const char *mark, struct error *err)
{
	struct error why = ERROR_INIT;
	cleanup_fd int fd = oci_layout_open_file(layout, f->store, mark,
						 OCI_TEXT_MAX, &why);

	if (fd >= 0)
		return 0;
	if (fd != -ENOENT && err)
		*err = why;
	if (fd != -ENOENT)
		return fd;
	return error_set(err, EINVAL, "%s is no %s: it has no file %s", path,
			 kind, mark);
}

static int open_any(const struct image_fetcher *f, const char *path,
		    bool dir_ok, struct oci_layout *ret, struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "open %s", path);
	if (S_ISREG(st.st_mode))
		return open_archive(f, fd, ret, err);
	if (!dir_ok || !S_ISDIR(st.st_mode))
		return error_set(err, EINVAL, "open %s: it is not %s", path,
				 dir_ok ? "a directory or an archive"
					: "an archive");
	ret->dirfd = TAKE_FD(fd);
	return 0;
}

int oci_layout_open(const struct image_fetcher *f, const char *path,
		    struct oci_layout *ret, struct error *err)
{
	int r = open_any(f, path, true, ret, err);

	return r < 0 ? r
		     : check_mark(f, ret, path, "OCI image layout",
				  "oci-layout", err);
}

int oci_layout_open_docker(const struct image_fetcher *f, const char *path,
			   struct oci_layout *ret, struct error *err)
{
	int r = open_any(f, path, false, ret, err);

	return r < 0 ? r
		     : check_mark(f, ret, path, "archive of docker's",
				  DOCKER_ARCHIVE_LIST, err);
}

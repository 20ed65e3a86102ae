/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/aci_extract.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "aci/aci_check.h"
#include "aci/aci_read.h"
#include "aci/layer_links.h"
#include "aci/oci_layer.h"
#include "aci/tar_source.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"

#define EXTRACT_FLAGS                                                          \
	(ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME | \
	 ARCHIVE_EXTRACT_XATTR | ARCHIVE_EXTRACT_ACL |                         \
	 ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT |   \
	 ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS)

static void tar_free(struct archive *a)
{
	(void)archive_free(a);
}
DEFINE_CLEANUP(struct archive *, tar_free);
#define cleanup_tar cleanup_with(tar_free_cleanup)

static int disk_error(struct archive *disk, const char *path, struct error *err)
{
	cleanup_free char *quoted = aci_quote(path);
	const char *text = archive_error_string(disk);
	int code = archive_errno(disk);

	/* libarchive says what it did, the number why that failed. */
	if (code > 0)
		return error_sys(err, code, "extract %s: %s", quoted,
				 text ? text : "failed");
	return error_set(err, EIO, "extract %s: %s", quoted,
			 text ? text : "unknown error");
}

static int set_clean_names(struct archive_entry *entry,
			   const struct aci_entry *e, struct error *err)
{
	cleanup_free char *target = NULL;
	cleanup_free char *path = NULL;
	int r;

	if (e->type == ACI_HARDLINK) {
		r = aci_path_clean(e->target, &target, err);
		if (r < 0)
			return r;
		archive_entry_copy_hardlink(entry, target);
	}
	r = aci_path_clean(e->path, &path, err);
	if (r < 0)
		return r;
	archive_entry_copy_pathname(entry, path);
	return 0;
}

static int copy_data(struct archive *tar, struct archive *disk,
		     struct archive_entry *entry, struct error *err)
{
	const void *buf;
	la_int64_t offset;
	size_t size;

	for (;;) {
		int r = archive_read_data_block(tar, &buf, &size, &offset);

		r = aci_tar_result(tar, entry, r, err);
		if (r < 0)
			return r;
		if (r > 0)
			return 0;
		if (archive_write_data_block(disk, buf, size, offset) !=
		    ARCHIVE_OK)
			return disk_error(disk, archive_entry_pathname(entry),
					  err);
	}
}

struct extraction {
	struct archive *tar, *disk;
	struct aci_check *check;
	struct oci_layer *layer; /* NULL: an image */
	struct strbuf *links;	 /* layer_links.h */
};

/* 1 if what E leads to may not be there. */
static int note_link(const struct extraction *x, const struct aci_entry *e,
		     struct error *err)
{
	enum aci_link kind = aci_check_link_kind(x->check, e);
	int r;

	if (kind == ACI_LINK_FILE)
		return 0;
	r = layer_links_add(x->links, kind, e, err);
	return r < 0 ? r : 1;
}

/* Made when the layers are laid over each other (layer_links.h): until then an
 * empty file has its name. */
static void leave_pending(struct archive_entry *entry)
{
	archive_entry_set_hardlink(entry, NULL);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_size(entry, 0);
}

static int write_links(const struct strbuf *links, struct error *err)
{
	cleanup_fd int fd = -EBADF;
	int r;

	if (links->len == 0)
		return 0;
	fd = open(LAYER_LINKS, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_sys(err, errno, "create the list of links");
	r = write_full(fd, links->buf, links->len);
	return r < 0 ? error_sys(err, -r, "write the list of links") : 0;
}

static int extract_entry(const struct extraction *x,
			 struct archive_entry *entry, struct error *err)
{
	struct archive *disk = x->disk;
	struct aci_entry e = {0};
	int r = 0, is_pending;

	if (x->layer)
		r = oci_layer_entry(x->layer, entry, err);
	if (r == 0)
		r = aci_entry_make(entry, &e, err);
	if (r == 0)
		r = aci_check_entry(x->check, &e, err);
	if (r < 0 || r == ACI_ROLE_TOP)
		return r;
	is_pending = r = note_link(x, &e, err);
	if (r >= 0)
		r = set_clean_names(entry, &e, err);
	if (r < 0)
		return r;
	if (is_pending)
		leave_pending(entry);
	aci_filter_properties(entry);
	if (archive_write_header(disk, entry) != ARCHIVE_OK)
		return disk_error(disk, archive_entry_pathname(entry), err);
	if (e.type == ACI_FILE && e.size > 0) {
		r = copy_data(x->tar, disk, entry, err);
		if (r < 0)
			return r;
	}
	if (archive_write_finish_entry(disk) != ARCHIVE_OK)
		return disk_error(disk, archive_entry_pathname(entry), err);
	return 0;
}

static int extract_all(const struct extraction *x, struct error *err)
{
	for (;;) {
		struct archive_entry *entry = NULL;
		int r = archive_read_next_header(x->tar, &entry);

		r = aci_tar_result(x->tar, entry, r, err);
		if (r > 0)
			return x->layer ? oci_layer_end(x->layer, err)
					: aci_check_end(x->check, err);
		if (r == 0)
			r = extract_entry(x, entry, err);
		if (r < 0)
			return r;
	}
}

static int mark_implied(const char *path)
{
	const struct timespec times[2] = {
		{.tv_nsec = ACI_IMPLIED_MTIME_NSEC},
		{.tv_nsec = ACI_IMPLIED_MTIME_NSEC},
	};

	return utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) < 0
		       ? -errno
		       : 0;
}

static int mark_all_implied(const struct aci_check *check, struct error *err)
{
	int r = aci_check_each_implied(check, mark_implied);

	if (r == 0 && !check->has_rootfs)
		r = mark_implied("rootfs");
	return r < 0 ? error_sys(err, -r, "set times of directories") : 0;
}

int aci_extract(int blob_fd, bool is_layer, struct error *err)
{
	static const struct aci_check_limits limits = {INT64_MAX, INT64_MAX};
	cleanup_aci_check struct aci_check check;
	cleanup_tar struct archive *tar = aci_tar_new();
	cleanup_tar struct archive *disk = archive_write_disk_new();
	cleanup_free struct tar_source *blob = xcalloc(1, sizeof(*blob));
	struct oci_layer layer = {0};
	cleanup_strbuf struct strbuf links = STRBUF_INIT;
	const struct extraction x = {tar, disk, &check,
				     is_layer ? &layer : NULL, &links};
	mode_t mask = umask(022); /* directories without an entry: 0755 */
	int r;

	aci_check_init(&check, &limits);
	check.is_layer = is_layer;
	blob->fd = blob_fd;
	if (!disk ||
	    archive_write_disk_set_options(disk, EXTRACT_FLAGS) != ARCHIVE_OK)
		r = error_sys(err, ENOMEM, "start the extraction");
	else
		r = aci_tar_result(tar, NULL, tar_source_open(tar, blob), err);
	if (r == 0)
		r = extract_all(&x, err);
	/* A layer may be empty. */
	if (r == 0 && is_layer && mkdir("rootfs", 0755) < 0 && errno != EEXIST)
		r = error_sys(err, errno, "create directory rootfs");
	/* Sets the times and modes of directories. */
	if (r == 0 && archive_write_close(disk) != ARCHIVE_OK)
		r = disk_error(disk, "its directories", err);
	if (r == 0)
		r = write_links(&links, err);
	if (r == 0)
		r = mark_all_implied(&check, err);
	(void)umask(mask);
	return r;
}

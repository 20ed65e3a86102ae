/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/tar_unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/aci_check.h"
#include "aci/aci_read.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"

#define BLOCK_SIZE (256 * 1024)
#define PRIVILEGE_BITS (S_ISUID | S_ISGID)

#define UNPACK_FLAGS                                                           \
	(ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME | \
	 ARCHIVE_EXTRACT_XATTR | ARCHIVE_EXTRACT_ACL |                         \
	 ARCHIVE_EXTRACT_SPARSE | ARCHIVE_EXTRACT_SECURE_SYMLINKS |            \
	 ARCHIVE_EXTRACT_SECURE_NODOTDOT |                                     \
	 ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS)

static void tar_free(struct archive *a)
{
	(void)archive_free(a);
}
DEFINE_CLEANUP(struct archive *, tar_free);
#define cleanup_tar cleanup_with(tar_free_cleanup)

struct unpacking {
	struct archive *tar, *disk;
	const struct tar_unpack *options;
};

static int disk_error(struct archive *disk, const char *path, struct error *err)
{
	cleanup_free char *quoted = aci_quote(path);
	const char *text = archive_error_string(disk);
	int code = archive_errno(disk);

	if (code > 0)
		return error_sys(err, code, "write %s", quoted);
	return error_set(err, EIO, "write %s: %s", quoted,
			 text ? text : "unknown error");
}

static int check_name(const struct tar_unpack *options, const char *path,
		      struct error *err)
{
	size_t len = strlen(options->name);
	cleanup_free char *quoted = NULL;

	if (strcmp(options->name, ".") == 0 ||
	    (strncmp(path, options->name, len) == 0 &&
	     (path[len] == '\0' || path[len] == '/')))
		return 0;
	quoted = aci_quote(path);
	return error_set(err, EINVAL, "archive entry %s: nobody asked for it",
			 quoted);
}

/* Cleans the names of ENTRY, which is PATH; 1 for the top itself. */
static int take_names(const struct unpacking *u, struct archive_entry *entry,
		      struct error *err)
{
	const char *link = archive_entry_hardlink(entry);
	const char *name = archive_entry_pathname(entry);
	cleanup_free char *target = NULL;
	cleanup_free char *path = NULL;
	int r = aci_path_clean(name ? name : "", &path, err);

	if (r == 0 && !*path)
		return 1;
	if (r == 0)
		r = check_name(u->options, path, err);
	if (r == 0 && link) {
		r = aci_path_clean(link, &target, err);
		if (r == 0)
			r = check_name(u->options, target, err);
		if (r == 0)
			archive_entry_copy_hardlink(entry, target);
	}
	if (r == 0)
		archive_entry_copy_pathname(entry, path);
	return r;
}

static int check_type(struct archive_entry *entry, struct error *err)
{
	const char *path = archive_entry_pathname(entry);
	cleanup_free char *quoted = aci_quote(path);
	bool is_dir = archive_entry_filetype(entry) == AE_IFDIR;
	struct stat st;

	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
	case AE_IFDIR:
	case AE_IFLNK:
	case AE_IFIFO:
		break;
	default:
		if (archive_entry_hardlink(entry))
			break;
		return error_set(
			err, EINVAL,
			"archive entry %s: device nodes are not copied",
			quoted);
	}
	if (lstat(path, &st) < 0 || S_ISDIR(st.st_mode) == is_dir)
		return 0;
	return error_set(err, is_dir ? ENOTDIR : EISDIR,
			 is_dir ? "%s: a directory cannot take the place of "
				  "what is there"
				: "%s: there is a directory, which only a "
				  "directory can be copied to",
			 quoted);
}

static void drop_privileges(struct archive_entry *entry)
{
	struct archive_entry *copy = archive_entry_clone(entry);
	const char *name;
	const void *value;
	size_t size;

	archive_entry_set_uid(entry, 0);
	archive_entry_set_gid(entry, 0);
	archive_entry_set_perm(entry, archive_entry_perm(entry) &
					      ~(mode_t)PRIVILEGE_BITS);
	archive_entry_xattr_clear(entry);
	(void)archive_entry_xattr_reset(copy);
	while (archive_entry_xattr_next(copy, &name, &value, &size) ==
	       ARCHIVE_OK)
		if (strncmp(name, "user.", 5) == 0)
			archive_entry_xattr_add_entry(entry, name, value, size);
	archive_entry_free(copy);
}

static int copy_data(const struct unpacking *u, struct archive_entry *entry,
		     struct error *err)
{
	const void *buf;
	la_int64_t offset;
	size_t size;

	for (;;) {
		int r = archive_read_data_block(u->tar, &buf, &size, &offset);

		r = aci_tar_result(u->tar, entry, r, err);
		if (r < 0)
			return r;
		if (r > 0)
			return 0;
		if (archive_write_data_block(u->disk, buf, size, offset) !=
		    ARCHIVE_OK)
			return disk_error(u->disk,
					  archive_entry_pathname(entry), err);
	}
}

static int write_entry(const struct unpacking *u, struct archive_entry *entry,
		       const char *path, struct error *err)
{
	int r = 0;

	if (archive_write_header(u->disk, entry) != ARCHIVE_OK)
		return disk_error(u->disk, path, err);
	if (archive_entry_size(entry) > 0)
		r = copy_data(u, entry, err);
	if (r == 0 && archive_write_finish_entry(u->disk) != ARCHIVE_OK)
		r = disk_error(u->disk, path, err);
	return r;
}

/* A name beside PATH; malloc'ed. */
static char *temporary_name(const char *path)
{
	uint64_t number = 0;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		abort(); /* the kernel has always some */
	return xasprintf("%.*s.rkt-cp-%016" PRIx64,
			 (int)(path_base(path) - path), path, number);
}

/* A file gets its name when it is whole. */
static int write_file(const struct unpacking *u, struct archive_entry *entry,
		      struct error *err)
{
	cleanup_free char *path = xstrdup(archive_entry_pathname(entry));
	cleanup_free char *temporary = temporary_name(path);
	int r;

	archive_entry_copy_pathname(entry, temporary);
	r = write_entry(u, entry, path, err);
	if (r == 0 && rename(temporary, path) < 0)
		r = error_sys(err, errno, "write %s", path);
	if (r < 0)
		(void)unlink(temporary);
	return r;
}

static int unpack_entry(const struct unpacking *u, struct archive_entry *entry,
			struct error *err)
{
	int r = take_names(u, entry, err);

	if (r == 0)
		r = check_type(entry, err);
	if (r != 0)
		return r < 0 ? r : 0;
	aci_filter_properties(entry);
	if (!u->options->keep_owner)
		drop_privileges(entry);
	if (archive_entry_filetype(entry) == AE_IFREG &&
	    !archive_entry_hardlink(entry))
		return write_file(u, entry, err);
	return write_entry(u, entry, archive_entry_pathname(entry), err);
}

static int unpack_all(const struct unpacking *u, struct error *err)
{
	for (;;) {
		struct archive_entry *entry = NULL;
		int r = archive_read_next_header(u->tar, &entry);

		r = aci_tar_result(u->tar, entry, r, err);
		if (r > 0)
			return 0;
		if (r == 0)
			r = unpack_entry(u, entry, err);
		if (r < 0)
			return r;
	}
}

static struct archive *reader_new(void)
{
	struct archive *a = aci_tar_new();

	if (archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
	    archive_read_support_filter_bzip2(a) != ARCHIVE_OK ||
	    archive_read_support_filter_xz(a) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(a) != ARCHIVE_OK)
		abort(); /* out of memory, or a library without them */
	return a;
}

int tar_unpack(int fd, const struct tar_unpack *options, struct error *err)
{
	cleanup_tar struct archive *tar = reader_new();
	cleanup_tar struct archive *disk = archive_write_disk_new();
	const struct unpacking u = {tar, disk, options};
	mode_t mask = umask(022); /* directories without an entry: 0755 */
	int r;

	if (!disk ||
	    archive_write_disk_set_options(disk, UNPACK_FLAGS) != ARCHIVE_OK)
		r = error_sys(err, ENOMEM, "start to unpack");
	else
		r = aci_tar_result(tar, NULL,
				   archive_read_open_fd(tar, fd, BLOCK_SIZE),
				   err);
	if (r == 0)
		r = unpack_all(&u, err);
	/* Sets the times and modes of directories; also of those that came
	 * before what failed. */
	if (disk && archive_write_close(disk) != ARCHIVE_OK && r == 0)
		r = disk_error(disk, "its directories", err);
	(void)umask(mask);
	return r;
}

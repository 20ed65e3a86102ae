/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/aci_read.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "aci/tar_walk.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"

static void tar_free(struct archive *a)
{
	(void)archive_read_free(a);
}
DEFINE_CLEANUP(struct archive *, tar_free);
DEFINE_CLEANUP(struct image_stream *, image_stream_free);
#define cleanup_tar cleanup_with(tar_free_cleanup)
#define cleanup_stream cleanup_with(image_stream_free_cleanup)

/* The archive library pulls; its callback has no room for a struct error. */
struct puller {
	struct image_stream *stream;
	struct tar_walk walk;
	struct error error;
};

/* The next bytes of the tar, walked: how many, or -errno in p->error too. */
static ssize_t next_chunk(struct puller *p, const uint8_t **ret)
{
	ssize_t n = image_stream_next(p->stream, ret, &p->error);
	int r;

	if (n <= 0)
		return n;
	r = tar_walk_feed(&p->walk, *ret, (size_t)n, &p->error);
	return r < 0 ? r : n;
}

static la_ssize_t pull(struct archive *a, void *data, const void **buf)
{
	struct puller *p = data;

	const uint8_t *chunk = NULL;
	ssize_t n = next_chunk(p, &chunk);

	if (n < 0) {
		archive_set_error(a, p->error.code, "%s", p->error.msg);
		return -1;
	}
	*buf = chunk;
	return n;
}

struct archive *aci_tar_new(void)
{
	struct archive *a = archive_read_new();

	if (!a || archive_read_support_format_tar(a) != ARCHIVE_OK)
		abort(); /* out of memory, or a library without tar */
	return a;
}

static int tar_error(struct archive *a, struct archive_entry *entry,
		     struct error *err)
{
	const char *path = entry ? archive_entry_pathname(entry) : NULL;
	const char *text = archive_error_string(a);
	cleanup_free char *quoted = aci_quote(path ? path : "");
	cleanup_free char *reason = aci_quote(text ? text : "unknown error");

	if (quoted[0])
		return error_set(err, EINVAL, "archive entry %s: %s", quoted,
				 reason);
	return error_set(err, EINVAL, "read the archive: %s", reason);
}

int aci_tar_result(struct archive *a, struct archive_entry *entry, int r,
		   struct error *err)
{
	const char *text = archive_error_string(a);

	if (r == ARCHIVE_EOF)
		return 1;
	if (r == ARCHIVE_OK)
		return 0;
	if (r == ARCHIVE_WARN && text && strstr(text, "can't be converted"))
		return 0;
	/* What the entry holds after a fatal error is left-over. */
	return tar_error(a, r == ARCHIVE_WARN ? entry : NULL, err);
}

static int entry_type(struct archive_entry *entry, struct aci_entry *ret)
{
	static const struct {
		unsigned int filetype;
		enum aci_entry_type type;
	} types[] = {
		{AE_IFREG, ACI_FILE},	 {AE_IFDIR, ACI_DIRECTORY},
		{AE_IFLNK, ACI_SYMLINK}, {AE_IFCHR, ACI_CHAR},
		{AE_IFBLK, ACI_BLOCK},	 {AE_IFIFO, ACI_FIFO},
	};

	ret->target = archive_entry_hardlink(entry);
	if (ret->target) {
		ret->type = ACI_HARDLINK;
		return 0;
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].filetype != archive_entry_filetype(entry))
			continue;
		ret->type = types[i].type;
		if (ret->type == ACI_SYMLINK)
			ret->target = archive_entry_symlink(entry);
		return 0;
	}
	return -EINVAL;
}

int aci_entry_make(struct archive_entry *entry, struct aci_entry *ret,
		   struct error *err)
{
	const char *path = archive_entry_pathname(entry);
	cleanup_free char *quoted = NULL;

	if (!path || !*path)
		return error_set(err, EINVAL,
				 "read the archive: an entry has no name");
	*ret = (struct aci_entry){
		.path = path,
		.size = archive_entry_size(entry),
		.uid = archive_entry_uid(entry),
		.gid = archive_entry_gid(entry),
		.major = (uint64_t)archive_entry_rdevmajor(entry),
		.minor = (uint64_t)archive_entry_rdevminor(entry),
	};
	if (entry_type(entry, ret) == 0)
		return 0;
	quoted = aci_quote(path);
	return error_set(err, EINVAL, "archive entry %s: unknown file type",
			 quoted);
}

/*
 * The content of a regular file, block by block as an extraction gets it.
 * MANIFEST (if not NULL) collects it, holes as zeros.
 */
static int read_content(struct archive *a, struct archive_entry *entry,
			const struct aci_entry *e, struct aci_check *check,
			struct strbuf *manifest, struct error *err)
{
	const void *block;
	la_int64_t offset;
	size_t n;

	for (;;) {
		int r = archive_read_data_block(a, &block, &n, &offset);

		r = aci_tar_result(a, entry, r, err);
		if (r != 0)
			return r < 0 ? r : 0;
		r = aci_check_data(check, e, offset, n, err);
		if (r < 0)
			return r;
		if (!manifest)
			continue;
		while (manifest->len < (size_t)offset)
			strbuf_addch(manifest, '\0');
		strbuf_add(manifest, block, n);
	}
}

static int check_manifest_size(const struct aci_entry *e, struct error *err)
{
	if ((uint64_t)e->size <= ACI_MANIFEST_MAX)
		return 0;
	return error_set(err, EFBIG,
			 "the manifest's %lld bytes are more than "
			 "%lu",
			 (long long)e->size, ACI_MANIFEST_MAX);
}

/* Returns the entry's enum aci_role or -errno. */
static int read_entry(struct archive *a, struct archive_entry *entry,
		      struct aci_check *check, struct strbuf *manifest,
		      struct error *err)
{
	struct aci_entry e = {0};
	int r, role;

	r = aci_entry_make(entry, &e, err);
	if (r < 0)
		return r;
	role = aci_check_entry(check, &e, err);
	if (role < 0)
		return role;
	if (role == ACI_ROLE_MANIFEST) {
		r = check_manifest_size(&e, err);
		if (r < 0)
			return r;
	}
	if (e.type != ACI_FILE)
		return role;
	r = read_content(a, entry, &e, check,
			 role == ACI_ROLE_MANIFEST ? manifest : NULL, err);
	return r < 0 ? r : role;
}

static int read_entries(struct archive *a, struct aci_check *check,
			struct aci_contents *contents, uint64_t *ret_count,
			struct error *err)
{
	int role = ACI_ROLE_TOP;

	for (*ret_count = 0;; (*ret_count)++) {
		struct archive_entry *entry = NULL;
		int r = archive_read_next_header(a, &entry);
		uint64_t at = (uint64_t)archive_read_header_position(a);

		if (role == ACI_ROLE_MANIFEST)
			contents->manifest_end = at;
		r = aci_tar_result(a, entry, r, err);
		if (r > 0)
			return 0;
		role = r < 0 ? r
			     : read_entry(a, entry, check, &contents->manifest,
					  err);
		if (role < 0)
			return role;
		if (role == ACI_ROLE_MANIFEST)
			contents->manifest_start = at;
	}
}

/* What lies behind the end of the archive counts for the digest, too. */
static int read_rest(struct puller *p)
{
	const uint8_t *chunk;
	ssize_t n;

	while ((n = next_chunk(p, &chunk)) > 0)
		;
	return (int)n;
}

static int read_tar(struct puller *p, struct aci_check *check,
		    struct aci_contents *contents, struct error *err)
{
	cleanup_tar struct archive *a = aci_tar_new();
	uint64_t count = 0;
	int r;

	r = archive_read_open(a, p, NULL, pull, NULL);
	r = aci_tar_result(a, NULL, r, err);
	if (r == 0)
		r = read_entries(a, check, contents, &count, err);
	if (r == 0)
		r = read_rest(p);
	/* The library only says that it could not read. */
	if (p->error.code && err)
		*err = p->error;
	if (p->error.code)
		return -p->error.code;
	if (r == 0)
		r = tar_walk_end(&p->walk, err);
	if (r == 0)
		r = aci_check_end(check, err);
	if (r == 0 && count != p->walk.n_entries)
		r = error_set(err, EINVAL,
			      "the archive is ambiguous: it has %llu entries "
			      "or %llu",
			      (unsigned long long)count,
			      (unsigned long long)p->walk.n_entries);
	return r;
}

int aci_read(int image_fd, int blob_fd, const struct aci_limits *limits,
	     struct aci_contents *ret, struct error *err)
{
	const struct aci_check_limits check_limits = {
		.max_file_size = limits->max_tar_size,
		.max_files = limits->max_files,
	};
	cleanup_stream struct image_stream *stream = NULL;
	cleanup_aci_contents struct aci_contents contents = ACI_CONTENTS_INIT;
	cleanup_aci_check struct aci_check check;
	struct puller puller = {0};
	int r;

	aci_check_init(&check, &check_limits);
	r = image_stream_open(image_fd,
			      limits->bell_fd > 0 ? limits->bell_fd : -EBADF,
			      blob_fd, limits->max_tar_size, &stream, err);
	if (r < 0)
		return r;
	puller.stream = stream;
	tar_walk_init(&puller.walk);
	r = read_tar(&puller, &check, &contents, err);
	tar_walk_release(&puller.walk);
	if (r == 0)
		r = image_stream_finish(stream, &contents.totals, err);
	if (r < 0)
		return r;
	contents.n_files = check.n_files;
	contents.unpacked_size = check.unpacked_size;
	*ret = contents;
	contents.manifest = (struct strbuf)STRBUF_INIT;
	return 0;
}

void aci_contents_release(struct aci_contents *contents)
{
	strbuf_release(&contents->manifest);
}

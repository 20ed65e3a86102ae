/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/aci_read.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

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
	const uint8_t *chunk; /* the last one given to the library */
	ssize_t len;
	uint64_t given; /* bytes, that one included */
	struct error error;
};

static la_ssize_t pull(struct archive *a, void *data, const void **buf)
{
	struct puller *p = data;

	p->len = image_stream_next(p->stream, &p->chunk, &p->error);
	if (p->len < 0) {
		archive_set_error(a, p->error.code, "%s", p->error.msg);
		p->len = 0;
		return -1;
	}
	p->given += (uint64_t)p->len;
	*buf = p->chunk;
	return p->len;
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

/* What is not a hole.  Also leaves the entry's own iterator at the start. */
static int64_t data_size(struct archive_entry *entry)
{
	int64_t offset, length, total = 0;

	if (archive_entry_sparse_reset(entry) == 0)
		return archive_entry_size(entry);
	while (archive_entry_sparse_next(entry, &offset, &length) ==
	       ARCHIVE_OK) {
		if (offset < 0 || length < 0 || length > INT64_MAX - total)
			return -1;
		total += length;
	}
	(void)archive_entry_sparse_reset(entry);
	return total;
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
		.data_size = data_size(entry),
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

static int read_manifest(struct archive *a, struct archive_entry *entry,
			 struct strbuf *ret, struct error *err)
{
	char buf[16384];
	la_ssize_t n;

	if (archive_entry_size(entry) > (la_int64_t)ACI_MANIFEST_MAX)
		return error_set(err, EFBIG,
				 "the manifest's %lld bytes are more than %lu",
				 (long long)archive_entry_size(entry),
				 ACI_MANIFEST_MAX);
	while ((n = archive_read_data(a, buf, sizeof(buf))) > 0) {
		if (ret->len + (size_t)n > ACI_MANIFEST_MAX)
			return error_set(err, EFBIG,
					 "the manifest is more than %lu bytes",
					 ACI_MANIFEST_MAX);
		strbuf_add(ret, buf, (size_t)n);
	}
	return n < 0 ? tar_error(a, entry, err) : 0;
}

static int read_entries(struct archive *a, struct aci_check *check,
			struct strbuf *manifest, struct error *err)
{
	for (;;) {
		struct archive_entry *entry = NULL;
		struct aci_entry e;
		int r;

		r = archive_read_next_header(a, &entry);
		r = aci_tar_result(a, entry, r, err);
		if (r < 0)
			return r;
		if (r > 0)
			return aci_check_end(check, err);
		r = aci_entry_make(entry, &e, err);
		if (r < 0)
			return r;
		r = aci_check_entry(check, &e, err);
		if (r == ACI_ROLE_MANIFEST)
			r = read_manifest(a, entry, manifest, err);
		if (r < 0)
			return r;
	}
}

static int trailing_data(struct error *err)
{
	return error_set(err, EINVAL, "data follows the end of the archive");
}

/*
 * Everything after the end of the archive is part of the image's digest; it
 * may only be padding.  What another reader would take for a second archive
 * must not pass unseen.
 */
static int check_rest(struct puller *p, uint64_t consumed, struct error *err)
{
	uint64_t unread = p->given - consumed;

	if (unread > (uint64_t)p->len)
		return trailing_data(err);
	p->chunk += (uint64_t)p->len - unread;
	p->len = (ssize_t)unread;
	do {
		if (p->len > 0 &&
		    (p->chunk[0] != 0 ||
		     memcmp(p->chunk, p->chunk + 1, (size_t)p->len - 1)))
			return trailing_data(err);
		p->len = image_stream_next(p->stream, &p->chunk, err);
	} while (p->len > 0);
	return (int)p->len;
}

static int read_stream(struct puller *p, struct aci_check *check,
		       struct aci_contents *ret, struct error *err)
{
	cleanup_tar struct archive *a = aci_tar_new();
	int r;

	r = archive_read_open(a, p, NULL, pull, NULL);
	r = aci_tar_result(a, NULL, r, err);
	if (r == 0)
		r = read_entries(a, check, &ret->manifest, err);
	if (r == 0)
		r = check_rest(p, (uint64_t)archive_filter_bytes(a, 0), err);
	if (p->error.code && err)
		*err = p->error; /* the library only says it could not read */
	if (p->error.code)
		return -p->error.code;
	if (r < 0)
		return r;
	return image_stream_finish(p->stream, &ret->totals, err);
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
	r = image_stream_open(image_fd, blob_fd, limits->max_tar_size, &stream,
			      err);
	if (r < 0)
		return r;
	puller.stream = stream;
	r = read_stream(&puller, &check, &contents, err);
	if (r < 0)
		return r;
	/* An archive ends with two zero blocks; without them it was cut. */
	if (contents.totals.n_trailing_zeros < 512)
		return error_set(err, EINVAL,
				 "the archive ends without its end mark");
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

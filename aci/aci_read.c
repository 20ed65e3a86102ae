/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/aci_read.h"

#include <archive.h>
#include <archive_entry.h>
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "aci/digest.h"
#include "aci/oci_layer.h"
#include "aci/tar_index.h"
#include "aci/tar_walk.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"

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
	struct image_stream *stream; /* or, NULL: */
	int blob_fd;
	off_t offset;
	uint8_t *buf;
	struct digest *diff_id; /* NULL: not wanted */
	struct tar_walk walk;
	struct error error;
};

/* What all entries of an archive go through. */
struct reader {
	struct archive *archive;
	struct puller *puller;
	struct aci_check *check;
	struct tar_index *index; /* may be NULL */
	struct aci_contents *contents;
	struct oci_layer *layer; /* NULL: an image */
};

static ssize_t read_blob(struct puller *p, const uint8_t **ret)
{
	ssize_t n =
		pread_full(p->blob_fd, p->buf, STREAM_CHUNK_SIZE, p->offset);

	if (n < 0)
		return error_sys(&p->error, (int)-n, "read the blob");
	p->offset += n;
	*ret = p->buf;
	return n;
}

/* The next bytes of the tar, walked: how many, or -errno in p->error too. */
static ssize_t next_chunk(struct puller *p, const uint8_t **ret)
{
	ssize_t n;
	int r;

	*ret = NULL;
	n = p->stream ? image_stream_next(p->stream, ret, &p->error)
		      : read_blob(p, ret);
	if (n <= 0)
		return n;
	if (p->diff_id)
		digest_update(p->diff_id, *ret, (size_t)n);
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

/* linux/posix_acl_xattr.h, little-endian as the kernel has it. */
struct acl_xattr_entry {
	uint16_t tag, perm;
	uint32_t id;
};

static const struct {
	uint16_t tag;
	int archive_tag;
} acl_tags[] = {
	{0x01, ARCHIVE_ENTRY_ACL_USER_OBJ},  {0x02, ARCHIVE_ENTRY_ACL_USER},
	{0x04, ARCHIVE_ENTRY_ACL_GROUP_OBJ}, {0x08, ARCHIVE_ENTRY_ACL_GROUP},
	{0x10, ARCHIVE_ENTRY_ACL_MASK},	     {0x20, ARCHIVE_ENTRY_ACL_OTHER},
};

/*
 * libarchive skips the attributes that hold access control lists, and without
 * them the group would get what the list's mask allows.  It takes lists.
 */
static void add_acl(struct archive_entry *entry, int type, const uint8_t *value,
		    size_t size)
{
	struct acl_xattr_entry e;

	for (size_t at = sizeof(uint32_t); at + sizeof(e) <= size;
	     at += sizeof(e)) {
		memcpy(&e, value + at, sizeof(e));
		for (size_t i = 0; i < sizeof(acl_tags) / sizeof(acl_tags[0]);
		     i++)
			if (acl_tags[i].tag == le16toh(e.tag))
				(void)archive_entry_acl_add_entry(
					entry, type, le16toh(e.perm) & 7,
					acl_tags[i].archive_tag,
					(int)le32toh(e.id), "");
	}
}

void aci_filter_properties(struct archive_entry *entry)
{
	struct archive_entry *copy;
	const char *name;
	const void *value;
	size_t size;

	/* Immutable files could not be removed again. */
	archive_entry_set_fflags(entry, 0, 0);
	if (archive_entry_xattr_count(entry) == 0)
		return;
	copy = archive_entry_clone(entry);
	archive_entry_xattr_clear(entry);
	(void)archive_entry_xattr_reset(copy);
	while (archive_entry_xattr_next(copy, &name, &value, &size) ==
	       ARCHIVE_OK) {
		if (!name || !aci_xattr_is_kept(name))
			continue;
		if (!strcmp(name, "system.posix_acl_access"))
			add_acl(entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, value,
				size);
		else if (!strcmp(name, "system.posix_acl_default"))
			add_acl(entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, value,
				size);
		else
			archive_entry_xattr_add_entry(entry, name, value, size);
	}
	archive_entry_free(copy);
}

static int ambiguous(struct error *err)
{
	return error_set(err, EINVAL,
			 "the archive is ambiguous: its readers disagree on "
			 "where entries lie");
}

/*
 * What is about to be handed out: the library counts what has been taken.
 * Both readers must place it in the same entry.
 */
static int locate(const struct reader *rd, const struct tar_place *place,
		  size_t n, uint64_t *ret, struct error *err)
{
	int64_t at = archive_filter_bytes(rd->archive, 0);

	if (at < 0 || (uint64_t)at < place->data ||
	    (uint64_t)at - place->data > place->size ||
	    n > place->size - ((uint64_t)at - place->data))
		return ambiguous(err);
	*ret = (uint64_t)at;
	return 0;
}

static void add_manifest(struct strbuf *manifest, const void *block, size_t n,
			 size_t offset)
{
	while (manifest->len < offset)
		strbuf_addch(manifest, '\0');
	strbuf_add(manifest, block, n);
}

/*
 * The content of a regular file, block by block as an extraction gets it;
 * holes of the manifest as zeros.
 */
static int read_content(const struct reader *rd, struct archive_entry *entry,
			const struct aci_entry *e, int role,
			const struct tar_place *place, struct error *err)
{
	const void *block;
	la_int64_t offset;
	uint64_t physical = 0;
	size_t n;

	for (;;) {
		int r = archive_read_data_block(rd->archive, &block, &n,
						&offset);

		r = aci_tar_result(rd->archive, entry, r, err);
		if (r != 0)
			return r < 0 ? r : 0;
		r = aci_check_data(rd->check, e, offset, n, err);
		if (r == 0 && n > 0)
			r = locate(rd, place, n, &physical, err);
		if (r < 0)
			return r;
		if (rd->index)
			tar_index_data(rd->index, block, n, (uint64_t)offset,
				       physical);
		if (role == ACI_ROLE_MANIFEST)
			add_manifest(&rd->contents->manifest, block, n,
				     (size_t)offset);
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
static int read_entry(const struct reader *rd, struct archive_entry *entry,
		      struct error *err)
{
	struct tar_place place;
	struct aci_entry e = {0};
	int r = 0, role;

	if (rd->layer)
		r = oci_layer_entry(rd->layer, entry, err);
	if (r == 0)
		r = aci_entry_make(entry, &e, err);
	if (r < 0)
		return r;
	role = aci_check_entry(rd->check, &e, err);
	if (role < 0)
		return role;
	if (!tar_walk_next_place(&rd->puller->walk, &place) ||
	    (int64_t)place.start != archive_read_header_position(rd->archive))
		return ambiguous(err);
	if (role == ACI_ROLE_MANIFEST) {
		rd->contents->manifest_start = place.start;
		r = check_manifest_size(&e, err);
	}
	if (r == 0 && rd->index) {
		aci_filter_properties(entry);
		r = tar_index_entry(rd->index, entry, &e, role, err);
	}
	if (r < 0 || e.type != ACI_FILE)
		return r < 0 ? r : role;
	r = read_content(rd, entry, &e, role, &place, err);
	if (r == 0 && rd->index)
		tar_index_end_file(rd->index);
	return r < 0 ? r : role;
}

static int read_entries(const struct reader *rd, uint64_t *ret_count,
			struct error *err)
{
	int role = ACI_ROLE_TOP;

	for (*ret_count = 0;; (*ret_count)++) {
		struct archive_entry *entry = NULL;
		int r = archive_read_next_header(rd->archive, &entry);

		if (role == ACI_ROLE_MANIFEST)
			rd->contents->manifest_end =
				(uint64_t)archive_read_header_position(
					rd->archive);
		r = aci_tar_result(rd->archive, entry, r, err);
		if (r > 0)
			return 0;
		role = r < 0 ? r : read_entry(rd, entry, err);
		if (role < 0)
			return role;
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

static int read_tar(struct puller *p, struct aci_check *check, bool is_layer,
		    struct tar_index *index, struct aci_contents *contents,
		    struct error *err)
{
	cleanup_tar struct archive *a = aci_tar_new();
	struct oci_layer layer = {0};
	const struct reader rd = {a,	 p,	   check,
				  index, contents, is_layer ? &layer : NULL};
	uint64_t count = 0;
	int r;

	check->is_layer = is_layer;
	r = archive_read_open(a, p, NULL, pull, NULL);
	r = aci_tar_result(a, NULL, r, err);
	if (r == 0)
		r = read_entries(&rd, &count, err);
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
		r = is_layer ? oci_layer_end(&layer, err)
			     : aci_check_end(check, err);
	if (r == 0 && count != p->walk.n_entries)
		r = error_set(err, EINVAL,
			      "the archive is ambiguous: it has %llu entries "
			      "or %llu",
			      (unsigned long long)count,
			      (unsigned long long)p->walk.n_entries);
	return r;
}

int aci_read(int image_fd, int blob_fd, const struct aci_limits *limits,
	     struct tar_index *index, struct aci_contents *ret,
	     struct error *err)
{
	const struct aci_check_limits check_limits = {
		.max_file_size = limits->max_tar_size,
		.max_files = limits->max_files,
	};
	const struct image_input input = {
		.fd = image_fd,
		.bell_fd = limits->bell_fd > 0 ? limits->bell_fd : -EBADF,
		.digest = limits->image_digest,
	};
	cleanup_stream struct image_stream *stream = NULL;
	cleanup_aci_contents struct aci_contents contents = ACI_CONTENTS_INIT;
	cleanup_aci_check struct aci_check check;
	cleanup_digest struct digest diff_id = DIGEST_INIT;
	struct puller puller = {0};
	int r;

	aci_check_init(&check, &check_limits);
	r = image_stream_open(&input, blob_fd, limits->max_tar_size, &stream,
			      err);
	if (r == 0 && limits->is_layer)
		r = digest_init(&diff_id, DIGEST_SHA256, err);
	if (r < 0)
		return r;
	puller.stream = stream;
	puller.diff_id = limits->is_layer ? &diff_id : NULL;
	tar_walk_init(&puller.walk);
	puller.walk.keeps_places = true;
	r = read_tar(&puller, &check, limits->is_layer, index, &contents, err);
	tar_walk_release(&puller.walk);
	if (r == 0)
		r = image_stream_finish(stream, &contents.totals, err);
	if (r < 0)
		return r;
	if (limits->is_layer)
		digest_final(&diff_id, contents.diff_id);
	contents.n_files = check.n_files;
	contents.unpacked_size = check.unpacked_size;
	*ret = contents;
	contents.manifest = (struct strbuf)STRBUF_INIT;
	return 0;
}

int aci_read_blob(int blob_fd, bool is_layer, struct tar_index *index,
		  struct error *err)
{
	static const struct aci_check_limits limits = {INT64_MAX, INT64_MAX};
	cleanup_free uint8_t *buf = xmalloc(STREAM_CHUNK_SIZE);
	cleanup_aci_contents struct aci_contents contents = ACI_CONTENTS_INIT;
	cleanup_aci_check struct aci_check check;
	struct puller puller = {.blob_fd = blob_fd, .buf = buf};
	int r;

	aci_check_init(&check, &limits);
	tar_walk_init(&puller.walk);
	puller.walk.keeps_places = true;
	r = read_tar(&puller, &check, is_layer, index, &contents, err);
	tar_walk_release(&puller.walk);
	return r;
}

void aci_contents_release(struct aci_contents *contents)
{
	strbuf_release(&contents->manifest);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/tar_index.h"

#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "aci/aci_check.h"
#include "aci/image_tree.h"
#include "aci/whiteout.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"

#define BLOCK 512UL
#define XATTR_VALUE_MAX 65535
#define XATTRS_MAX 1000
#define EXTENTS_MAX (4UL << 20) /* of one file */

/* The block of the file that is being put together. */
struct block {
	uint64_t number;
	uint64_t physical; /* where it lies in one piece, if it does */
	size_t end;	   /* bytes so far; what was skipped is zero */
	bool is_open, is_linear;
	uint8_t bytes[BLOCK];
};

struct tar_index {
	struct image_tree *tree;
	uint32_t device;
	const char *unfit;
	bool is_layer;
	struct image_inode *file; /* of the calls to _data */
	struct block block;
	struct image_extent *extents;
	size_t n_extents, n_alloc;
};

struct tar_index *tar_index_new(struct image_tree *tree, uint32_t device)
{
	struct tar_index *ti = xcalloc(1, sizeof(*ti));

	ti->tree = tree;
	ti->device = device;
	return ti;
}

void tar_index_take_whiteouts(struct tar_index *ti)
{
	ti->is_layer = true;
}

void tar_index_free(struct tar_index *ti)
{
	if (!ti)
		return;
	free(ti->extents);
	free(ti);
}

const char *tar_index_unfit(const struct tar_index *ti)
{
	return ti->unfit;
}

/* --- extended attributes ------------------------------------------------- */

struct xattrs {
	struct image_xattr v[XATTRS_MAX];
	size_t n;
};

static void add_xattr(struct tar_index *ti, struct xattrs *xattrs,
		      const char *name, const void *value, size_t len)
{
	struct image_pool *pool = ti->tree->pool;
	size_t i = 0;

	if (len > XATTR_VALUE_MAX || strlen(name) > 255 ||
	    xattrs->n == XATTRS_MAX) {
		ti->unfit = "extended attributes";
		return;
	}
	/* Of two of one name the last counts, as when they are set. */
	while (i < xattrs->n && strcmp(xattrs->v[i].name, name) != 0)
		i++;
	xattrs->v[i] = (struct image_xattr){
		.name = image_pool_copy(pool, name, strlen(name)),
		.value = image_pool_copy(pool, value, len),
		.len = len,
	};
	if (i == xattrs->n)
		xattrs->n++;
}

/* linux/posix_acl_xattr.h */
struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};

#define ACL_VERSION 2
#define ACL_NO_ID UINT32_MAX
#define ACL_ENTRIES_MAX 1024

enum acl_tag {
	ACL_USER_OBJ = 0x01,
	ACL_USER = 0x02,
	ACL_GROUP_OBJ = 0x04,
	ACL_GROUP = 0x08,
	ACL_MASK = 0x10,
	ACL_OTHER = 0x20,
};

static const struct {
	int archive;
	enum acl_tag tag;
} acl_tags[] = {
	{ARCHIVE_ENTRY_ACL_USER_OBJ, ACL_USER_OBJ},
	{ARCHIVE_ENTRY_ACL_USER, ACL_USER},
	{ARCHIVE_ENTRY_ACL_GROUP_OBJ, ACL_GROUP_OBJ},
	{ARCHIVE_ENTRY_ACL_GROUP, ACL_GROUP},
	{ARCHIVE_ENTRY_ACL_MASK, ACL_MASK},
	{ARCHIVE_ENTRY_ACL_OTHER, ACL_OTHER},
};

struct acl {
	struct acl_entry v[ACL_ENTRIES_MAX];
	size_t n;
};

static int by_tag(const void *a, const void *b)
{
	const struct acl_entry *x = a, *y = b;

	if (x->tag != y->tag)
		return x->tag < y->tag ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static bool acl_add(struct acl *acl, int archive_tag, int perm, int id)
{
	for (size_t i = 0; i < sizeof(acl_tags) / sizeof(acl_tags[0]); i++) {
		enum acl_tag tag = acl_tags[i].tag;
		bool has_id = tag == ACL_USER || tag == ACL_GROUP;

		if (acl_tags[i].archive != archive_tag)
			continue;
		if (acl->n == ACL_ENTRIES_MAX || (has_id && id == -1))
			return false;
		acl->v[acl->n++] = (struct acl_entry){
			.tag = (uint16_t)tag,
			.perm = (uint16_t)(perm & 7),
			.id = has_id ? (uint32_t)id : ACL_NO_ID,
		};
		return true;
	}
	return false;
}

/* As the kernel asks (posix_acl_valid()); extraction fails on others. */
static bool acl_is_valid(const struct acl *acl)
{
	size_t n[ACL_OTHER + 1] = {0};

	for (size_t i = 0; i < acl->n; i++) {
		if (i > 0 && by_tag(&acl->v[i - 1], &acl->v[i]) == 0)
			return false;
		n[acl->v[i].tag]++;
	}
	return n[ACL_USER_OBJ] == 1 && n[ACL_GROUP_OBJ] == 1 &&
	       n[ACL_OTHER] == 1 && n[ACL_MASK] <= 1 &&
	       (n[ACL_MASK] == 1 || n[ACL_USER] + n[ACL_GROUP] == 0);
}

/* The mode a list means (posix_acl_equiv_mode()); true if it says no more. */
static bool acl_mode(const struct acl *acl, uint32_t *mode)
{
	bool has_mask = false, is_plain = true;

	for (size_t i = 0; i < acl->n; i++)
		has_mask |= acl->v[i].tag == ACL_MASK;
	for (size_t i = 0; i < acl->n; i++) {
		uint32_t perm = acl->v[i].perm;

		switch (acl->v[i].tag) {
		case ACL_USER_OBJ:
			*mode = (*mode & ~0700U) | perm << 6;
			break;
		case ACL_GROUP_OBJ:
			if (!has_mask)
				*mode = (*mode & ~0070U) | perm << 3;
			break;
		case ACL_MASK:
			*mode = (*mode & ~0070U) | perm << 3;
			is_plain = false;
			break;
		case ACL_OTHER:
			*mode = (*mode & ~0007U) | perm;
			break;
		default:
			is_plain = false;
		}
	}
	return is_plain;
}

static void add_acl_xattr(struct tar_index *ti, struct xattrs *xattrs,
			  const char *name, const struct acl *acl)
{
	cleanup_strbuf struct strbuf value = STRBUF_INIT;
	uint32_t version = htole32(ACL_VERSION);

	strbuf_add(&value, &version, sizeof(version));
	for (size_t i = 0; i < acl->n; i++) {
		const struct acl_entry e = {
			.tag = htole16(acl->v[i].tag),
			.perm = htole16(acl->v[i].perm),
			.id = htole32(acl->v[i].id),
		};

		strbuf_add(&value, &e, sizeof(e));
	}
	add_xattr(ti, xattrs, name, value.buf, value.len);
}

/* A list in its text form, or as the extended attribute put into ENTRY. */
static void take_acl(struct tar_index *ti, struct archive_entry *entry,
		     int which, const char *name, struct image_inode *inode,
		     struct xattrs *xattrs)
{
	cleanup_free struct acl *acl = NULL;
	int type, perm, tag, id;
	const char *who;

	if (S_ISLNK(inode->mode) || archive_entry_acl_reset(entry, which) == 0)
		return;
	acl = xcalloc(1, sizeof(*acl));
	while (archive_entry_acl_next(entry, which, &type, &perm, &tag, &id,
				      &who) == ARCHIVE_OK)
		if (!acl_add(acl, tag, perm, id))
			ti->unfit = "an access control list";
	qsort(acl->v, acl->n, sizeof(acl->v[0]), by_tag);
	if (!acl_is_valid(acl)) {
		ti->unfit = "an access control list";
		return;
	}
	if (which == ARCHIVE_ENTRY_ACL_TYPE_DEFAULT) {
		if (!S_ISDIR(inode->mode))
			ti->unfit = "default rights of what is no directory";
	} else if (acl_mode(acl, &inode->mode)) {
		return;
	}
	add_acl_xattr(ti, xattrs, name, acl);
}

/* What setxattr(2) would take there. */
static bool xattr_is_fit(const struct image_inode *inode, const char *name,
			 size_t len)
{
	if (strncmp(name, "user.", 5) == 0)
		return S_ISREG(inode->mode) || S_ISDIR(inode->mode);
	/* struct vfs_cap_data of revision 2 and 3 */
	return strcmp(name, "security.capability") != 0 || len == 20 ||
	       len == 24;
}

static int by_xattr(const void *a, const void *b)
{
	const struct image_xattr *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* ENTRY has passed aci_filter_properties(): lists are lists. */
static void take_xattrs(struct tar_index *ti, struct archive_entry *entry,
			struct image_inode *inode)
{
	cleanup_free struct xattrs *xattrs = NULL;
	const char *name;
	const void *value;
	size_t len;

	if (archive_entry_xattr_reset(entry) == 0 &&
	    archive_entry_acl_types(entry) == 0)
		return;
	xattrs = xcalloc(1, sizeof(*xattrs));
	while (archive_entry_xattr_next(entry, &name, &value, &len) ==
	       ARCHIVE_OK) {
		if (!xattr_is_fit(inode, name, len))
			ti->unfit = "extended attributes";
		add_xattr(ti, xattrs, name, value, len);
	}
	take_acl(ti, entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS,
		 "system.posix_acl_access", inode, xattrs);
	take_acl(ti, entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT,
		 "system.posix_acl_default", inode, xattrs);
	qsort(xattrs->v, xattrs->n, sizeof(xattrs->v[0]), by_xattr);
	inode->n_xattrs = xattrs->n;
	inode->xattrs = image_pool_copy(ti->tree->pool, xattrs->v,
					xattrs->n * sizeof(xattrs->v[0]));
}

/* --- entries ------------------------------------------------------------- */

static uint32_t mode_of(struct archive_entry *entry, enum aci_entry_type type)
{
	static const uint32_t types[] = {
		[ACI_FILE] = S_IFREG, [ACI_DIRECTORY] = S_IFDIR,
		[ACI_CHAR] = S_IFCHR, [ACI_BLOCK] = S_IFBLK,
		[ACI_FIFO] = S_IFIFO,
	};

	if (type == ACI_SYMLINK)
		return S_IFLNK | 0777;
	return types[type] | (archive_entry_perm(entry) & 07777);
}

static struct image_inode *inode_make(struct tar_index *ti,
				      struct archive_entry *entry,
				      const struct aci_entry *e)
{
	struct image_pool *pool = ti->tree->pool;
	struct image_inode *inode =
		image_inode_new(pool, mode_of(entry, e->type));

	inode->uid = (uint32_t)e->uid;
	inode->gid = (uint32_t)e->gid;
	if (archive_entry_mtime_is_set(entry)) {
		inode->mtime = archive_entry_mtime(entry);
		inode->mtime_nsec = (uint32_t)archive_entry_mtime_nsec(entry);
	}
	if (e->type == ACI_CHAR || e->type == ACI_BLOCK) {
		inode->major = (uint32_t)e->major;
		inode->minor = (uint32_t)e->minor;
	}
	if (e->type == ACI_SYMLINK)
		inode->target =
			image_pool_copy(pool, e->target, strlen(e->target));
	if (e->type == ACI_FILE)
		inode->size = (uint64_t)e->size;
	take_xattrs(ti, entry, inode);
	return inode;
}

/* aci_check_entry() has seen that the target is there, or that it may be in a
 * layer below. */
static int link_inode(struct tar_index *ti, const struct aci_entry *e,
		      struct image_inode **ret, struct error *err)
{
	cleanup_free char *target = NULL;
	const struct image_entry *to;
	int r = aci_path_clean(e->target, &target, err);

	if (r < 0)
		return r;
	to = image_tree_find(ti->tree, target);
	if (!to && ti->is_layer) {
		*ret = image_inode_new(ti->tree->pool, S_IFREG);
		(*ret)->link =
			image_pool_copy(ti->tree->pool, target, strlen(target));
		ti->tree->has_links = true;
		return 0;
	}
	if (!to || !to->inode)
		return error_set(err, EINVAL,
				 "archive entry: a hard link to nothing");
	*ret = to->inode;
	return 0;
}

/* 1 if PATH was a whiteout, which is no file. */
static int take_whiteout(struct tar_index *ti, char *path, struct error *err)
{
	char *slash = strrchr(path, '/');
	enum whiteout kind = slash ? whiteout_of(slash + 1) : WHITEOUT_NONE;
	cleanup_free char *target = NULL;
	struct image_entry *dir;
	bool done = true;

	if (!ti->is_layer || kind == WHITEOUT_NONE)
		return 0;
	*slash = '\0';
	if (kind == WHITEOUT_ALL) {
		dir = image_tree_put(ti->tree, path, NULL);
		done = dir != NULL;
		if (dir)
			dir->is_opaque = true;
	} else if (kind == WHITEOUT_NAME) {
		target = xasprintf("%s/%s", path,
				   slash + 1 + strlen(WHITEOUT_PREFIX));
		done = image_tree_whiteout(ti->tree, target);
	}
	return done ? 1
		    : error_set(err, EINVAL,
				"layer entry: it lies below something that is "
				"not a directory");
}

/* As the times of an unpacked directory say it (aci_check.h). */
static bool is_implied(const struct image_inode *inode)
{
	return S_ISDIR(inode->mode) && inode->mtime == 0 &&
	       inode->mtime_nsec == ACI_IMPLIED_MTIME_NSEC;
}

int tar_index_entry(struct tar_index *ti, struct archive_entry *entry,
		    const struct aci_entry *e, int role, struct error *err)
{
	cleanup_free char *path = NULL;
	struct image_inode *inode = NULL;
	struct image_entry *at;
	int r;

	ti->file = NULL;
	ti->n_extents = 0;
	ti->block.is_open = false;
	if (role != ACI_ROLE_ROOTFS)
		return 0;
	r = aci_path_clean(e->path, &path, err);
	if (r == 0)
		r = take_whiteout(ti, path, err);
	if (r != 0)
		return r < 0 ? r : 0;
	if (e->type == ACI_HARDLINK)
		r = link_inode(ti, e, &inode, err);
	else
		inode = inode_make(ti, entry, e);
	if (r < 0)
		return r;
	assert(inode);
	at = image_tree_put(ti->tree, path, inode);
	if (!at)
		return error_set(err, EINVAL,
				 "archive entry: it lies below something that "
				 "is not a directory");
	at->is_implied |= is_implied(inode);
	if (e->type == ACI_FILE)
		ti->file = inode;
	return 0;
}

/* --- data ---------------------------------------------------------------- */

static void add_extent(struct tar_index *ti, uint64_t logical,
		       uint64_t physical, uint64_t len, uint32_t device)
{
	struct image_extent *last =
		ti->n_extents ? &ti->extents[ti->n_extents - 1] : NULL;

	if (last && last->device == device &&
	    last->logical + last->len == logical &&
	    last->physical + last->len == physical) {
		last->len += len;
		return;
	}
	if (ti->n_extents == EXTENTS_MAX) {
		ti->unfit = "a sparse file of too many pieces";
		return;
	}
	if (ti->n_extents == ti->n_alloc) {
		ti->n_alloc = ti->n_alloc ? ti->n_alloc * 2 : 16;
		ti->extents = xreallocarray(ti->extents, ti->n_alloc,
					    sizeof(*ti->extents));
	}
	assert(ti->extents);
	ti->extents[ti->n_extents++] = (struct image_extent){
		.logical = logical,
		.physical = physical,
		.len = len,
		.device = device,
	};
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

/*
 * A block that lies in the archive as it is, up to its end or the file's, is
 * named; one that is not is a hole or becomes data of the index.
 */
static void close_block(struct tar_index *ti)
{
	struct block *b = &ti->block;
	struct strbuf *literals = image_pool_literals(ti->tree->pool);
	uint64_t logical = b->number * BLOCK;

	if (!b->is_open)
		return;
	b->is_open = false;
	if (b->is_linear &&
	    (b->end == BLOCK || logical + b->end >= ti->file->size)) {
		add_extent(ti, logical, b->physical, BLOCK, ti->device);
		return;
	}
	memset(b->bytes + b->end, 0, BLOCK - b->end);
	if (is_zero(b->bytes, BLOCK))
		return;
	if (literals->len + BLOCK > IMAGE_LITERALS_MAX) {
		ti->unfit = "too much unaligned data in sparse files";
		return;
	}
	add_extent(ti, logical, literals->len, BLOCK, IMAGE_LITERAL);
	strbuf_add(literals, b->bytes, BLOCK);
}

/* Bytes that lie within one block. */
static void add_bytes(struct tar_index *ti, const uint8_t *data, size_t n,
		      uint64_t logical, uint64_t physical)
{
	struct block *b = &ti->block;
	size_t at = logical % BLOCK;

	if (b->is_open && b->number != logical / BLOCK)
		close_block(ti);
	if (!b->is_open) {
		b->is_open = true;
		b->number = logical / BLOCK;
		b->end = 0;
		b->physical = physical;
		b->is_linear = at == 0 && physical % BLOCK == 0;
	}
	if (b->end != at || b->physical + at != physical)
		b->is_linear = false;
	memset(b->bytes + b->end, 0, at - b->end);
	memcpy(b->bytes + at, data, n);
	b->end = at + n;
}

void tar_index_data(struct tar_index *ti, const uint8_t *data, size_t n,
		    uint64_t logical, uint64_t physical)
{
	while (ti->file && n > 0) {
		size_t part = BLOCK - logical % BLOCK;
		bool aligned = logical % BLOCK == 0 && physical % BLOCK == 0;

		if (aligned && n >= BLOCK) {
			part = n / BLOCK * BLOCK;
			close_block(ti);
			add_extent(ti, logical, physical, part, ti->device);
		} else {
			if (part > n)
				part = n;
			add_bytes(ti, data, part, logical, physical);
		}
		data += part;
		logical += part;
		physical += part;
		n -= part;
	}
}

void tar_index_end_file(struct tar_index *ti)
{
	if (!ti->file)
		return;
	close_block(ti);
	ti->file->extents =
		image_pool_copy(ti->tree->pool, ti->extents,
				ti->n_extents * sizeof(*ti->extents));
	ti->file->n_extents = ti->n_extents;
	ti->n_extents = 0;
	ti->file = NULL;
}

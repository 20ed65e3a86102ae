/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/erofs_write.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "aci/digest.h"
#include "aci/erofs_format.h"
#include "aci/image_tree.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"

#define OUT_SIZE (256UL << 10)

/* Where an inode and what belongs to it goes. */
struct place {
	const struct image_inode *inode;
	struct image_entry *dir; /* of a directory */
	uint64_t at;		 /* of the inode, bytes */
	uint64_t size;		 /* logical */
	uint64_t data_block;	 /* among the data blocks, relative */
	uint32_t xattr_size;
	uint32_t n_links;
	uint32_t chunk_bits; /* block bits not counted in */
	enum erofs_layout layout;
};

struct writer {
	const struct image_tree *tree;
	const void *mark; /* of the inodes that have a place */
	struct place *places;
	size_t n_places, n_alloc;
	uint64_t *addresses; /* of the devices, in blocks */
	uint64_t meta_end;   /* bytes, whole blocks */
	uint64_t n_data;     /* blocks of directories and symlinks */
	uint64_t n_literal;
	uint64_t n_chunks;
	bool has_chunks;

	int fd;
	uint64_t offset; /* bytes put */
	uint8_t *buf;
	size_t n_buf;
	struct digest digest;
	int failed; /* -errno of a write */
};

static int too_big(struct error *err, const char *what)
{
	return error_set(err, EFBIG, "make an EROFS index: %s", what);
}

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

/* --- directories --------------------------------------------------------- */

/* One name of a directory, "." and ".." among them. */
struct name {
	const char *text;
	size_t len;
	const struct image_inode *inode;
};

struct names {
	struct name *v;
	size_t n;
};

static void names_release(struct names *names)
{
	free(names->v);
}
#define cleanup_names cleanup_with(names_release)

static int by_bytes(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	size_t n = x->len < y->len ? x->len : y->len;
	int r = memcmp(x->text, y->text, n);

	if (r == 0)
		r = x->len < y->len ? -1 : x->len > y->len;
	return r;
}

/* Sorted: the kernel looks names up by halving. */
static void names_make(const struct image_entry *dir, struct names *ret)
{
	const struct image_entry *up = dir->parent ? dir->parent : dir;
	size_t n = 2;

	for (const struct image_entry *e = dir->first; e; e = e->next)
		n++;
	ret->v = xreallocarray(NULL, n, sizeof(*ret->v));
	ret->v[0] = (struct name){".", 1, dir->inode};
	ret->v[1] = (struct name){"..", 2, up->inode};
	ret->n = 2;
	for (const struct image_entry *e = dir->first; e; e = e->next)
		ret->v[ret->n++] =
			(struct name){e->name, e->name_len, e->inode};
	qsort(ret->v, ret->n, sizeof(*ret->v), by_bytes);
}

/* How many names from FIRST on share one block; their bytes in *ret_used. */
static size_t names_in_block(const struct names *names, size_t first,
			     size_t *ret_used)
{
	size_t used = 0, n = 0;

	for (size_t i = first; i < names->n; i++, n++) {
		size_t more = sizeof(struct erofs_dirent) + names->v[i].len;

		if (used + more > EROFS_BLOCK)
			break;
		used += more;
	}
	*ret_used = used;
	return n;
}

static uint64_t dir_size(const struct names *names)
{
	uint64_t size = 0;
	size_t used = 0;

	for (size_t i = 0; i < names->n;) {
		size = round_up(size, EROFS_BLOCK);
		i += names_in_block(names, i, &used);
		size += used;
	}
	return size;
}

/* --- deciding ------------------------------------------------------------ */

static const struct {
	const char *name;
	uint8_t index;
	bool is_whole;
} prefixes[] = {
	{"system.posix_acl_access", 2, true},
	{"system.posix_acl_default", 3, true},
	{"user.", 1, false},
	{"trusted.", 4, false},
	{"security.", 6, false},
};

/* NAME's prefix in the format; what follows it in *rest. */
static uint8_t xattr_prefix(const char *name, const char **rest)
{
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		size_t n = strlen(prefixes[i].name);

		if (strncmp(name, prefixes[i].name, n) != 0 ||
		    (prefixes[i].is_whole && name[n]))
			continue;
		*rest = name + n;
		return prefixes[i].index;
	}
	return 0;
}

static int xattrs_size(const struct image_inode *inode, uint32_t *ret,
		       struct error *err)
{
	uint64_t size = sizeof(struct erofs_xattr_header);

	*ret = 0;
	if (inode->n_xattrs == 0)
		return 0;
	for (size_t i = 0; i < inode->n_xattrs; i++) {
		const struct image_xattr *x = &inode->xattrs[i];
		const char *rest = NULL;

		if (!xattr_prefix(x->name, &rest) || strlen(rest) > UINT8_MAX ||
		    x->len > UINT16_MAX)
			return too_big(err, "an extended attribute");
		size += sizeof(struct erofs_xattr_entry) + strlen(rest) +
			x->len;
		size = round_up(size, 4);
	}
	if ((size - sizeof(struct erofs_xattr_header)) / 4 + 1 > UINT16_MAX)
		return too_big(err, "the extended attributes of a file");
	*ret = (uint32_t)size;
	return 0;
}

/* All data in one piece, from the file's first byte on. */
static bool is_dense(const struct image_inode *inode)
{
	return inode->size == 0 ||
	       (inode->n_extents == 1 && inode->extents[0].logical == 0 &&
		inode->extents[0].len >= inode->size);
}

/* The largest chunk that begins with every extent and ends with it. */
static uint32_t chunk_bits(const struct image_inode *inode)
{
	uint64_t bits = 1ULL << (EROFS_BLOCK_BITS + EROFS_CHUNK_BITS_MAX);

	for (size_t i = 0; i < inode->n_extents; i++) {
		const struct image_extent *x = &inode->extents[i];

		bits |= x->logical;
		if (x->logical + x->len < inode->size)
			bits |= x->logical + x->len;
	}
	return (uint32_t)__builtin_ctzll(bits) - EROFS_BLOCK_BITS;
}

static uint64_t n_chunks(const struct place *p)
{
	uint64_t chunk = EROFS_BLOCK << p->chunk_bits;

	return (p->size + chunk - 1) / chunk;
}

static int place_file(struct writer *w, struct place *p, struct error *err)
{
	p->size = p->inode->size;
	p->layout = EROFS_PLAIN;
	if (is_dense(p->inode))
		return 0;
	p->layout = EROFS_CHUNKED;
	p->chunk_bits = chunk_bits(p->inode);
	w->has_chunks = true;
	w->n_chunks += n_chunks(p);
	if (w->n_chunks > EROFS_CHUNKS_MAX / sizeof(struct erofs_chunk))
		return too_big(err, "the holes of sparse files");
	return 0;
}

static uint64_t inode_size(const struct place *p)
{
	return EROFS_INODE_SIZE + p->xattr_size;
}

/*
 * Data of our own: its last part goes behind the inode if both ends of it
 * come to lie in one block, for which the inode may move.
 */
static void place_own_data(struct writer *w, struct place *p)
{
	uint64_t tail = p->size % EROFS_BLOCK;
	uint64_t at = p->at;

	p->layout = EROFS_PLAIN;
	for (int i = 0; tail && i < 16; i++, at += EROFS_NID_SIZE) {
		if ((at + inode_size(p)) % EROFS_BLOCK + tail > EROFS_BLOCK)
			continue;
		p->at = at;
		p->layout = EROFS_INLINE;
		break;
	}
	p->data_block = w->n_data;
	w->n_data += p->size / EROFS_BLOCK +
		     (p->layout == EROFS_PLAIN && tail ? 1 : 0);
}

static uint64_t place_end(const struct place *p)
{
	uint64_t end = p->at + inode_size(p);

	if (p->layout == EROFS_INLINE)
		end += p->size % EROFS_BLOCK;
	if (p->layout == EROFS_CHUNKED)
		end = round_up(end, 8) +
		      n_chunks(p) * sizeof(struct erofs_chunk);
	return end;
}

static int place_inode(struct writer *w, struct place *p, struct error *err)
{
	int r = xattrs_size(p->inode, &p->xattr_size, err);

	if (r < 0)
		return r;
	p->at = round_up(w->meta_end, EROFS_NID_SIZE);
	if (p->dir) {
		cleanup_names struct names names = {0};

		names_make(p->dir, &names);
		p->size = dir_size(&names);
		place_own_data(w, p);
	} else if (S_ISLNK(p->inode->mode)) {
		p->size = strlen(p->inode->target);
		place_own_data(w, p);
	} else if (S_ISREG(p->inode->mode)) {
		r = place_file(w, p, err);
	}
	w->meta_end = place_end(p);
	return r;
}

static struct place *add_place(struct writer *w, struct image_inode *inode)
{
	if (w->n_places == w->n_alloc) {
		w->n_alloc *= 2;
		w->places = xreallocarray(w->places, w->n_alloc,
					  sizeof(*w->places));
	}
	inode->visited = w->mark;
	inode->number = w->n_places;
	w->places[w->n_places] = (struct place){.inode = inode};
	return &w->places[w->n_places++];
}

static int by_name(const void *a, const void *b)
{
	const struct image_entry *const *x = a, *const *y = b;
	const struct name p = {(*x)->name, (*x)->name_len, NULL};
	const struct name q = {(*y)->name, (*y)->name_len, NULL};

	return by_bytes(&p, &q);
}

/* Equal trees are equal bytes, in whatever order their archives were. */
static void sort_children(struct image_entry *dir)
{
	cleanup_free struct image_entry **v = NULL;
	size_t n = 0;

	for (struct image_entry *e = dir->first; e; e = e->next)
		n++;
	if (n < 2)
		return;
	v = xreallocarray(NULL, n, sizeof(struct image_entry *));
	n = 0;
	for (struct image_entry *e = dir->first; e; e = e->next)
		v[n++] = e;
	qsort(v, n, sizeof(struct image_entry *), by_name);
	dir->first = v[0];
	for (size_t i = 0; i < n; i++) {
		v[i]->prev = i ? v[i - 1] : NULL;
		v[i]->next = i + 1 < n ? v[i + 1] : NULL;
	}
}

static int place_entry(struct writer *w, struct image_entry *e,
		       struct error *err)
{
	struct place *p;

	if (e->inode->visited == w->mark) {
		w->places[e->inode->number].n_links++;
		return 0;
	}
	p = add_place(w, e->inode);
	p->n_links = 1;
	if (image_entry_is_dir(e)) {
		p->dir = e;
		p->n_links = 2;
		sort_children(e);
		if (e->parent)
			w->places[e->parent->inode->number].n_links++;
	}
	return place_inode(w, &w->places[w->n_places - 1], err);
}

/* The inodes of a directory's entries side by side: who lists it looks at
 * them next. */
static int place_children(struct writer *w, struct image_entry *dir,
			  struct error *err)
{
	int r = 0;

	for (struct image_entry *e = dir->first; e && r == 0; e = e->next)
		r = place_entry(w, e, err);
	for (struct image_entry *e = dir->first; e && r == 0; e = e->next)
		if (image_entry_is_dir(e))
			r = place_children(w, e, err);
	return r;
}

static uint64_t index_blocks(const struct writer *w)
{
	return w->meta_end / EROFS_BLOCK + w->n_data + w->n_literal;
}

static int place_devices(struct writer *w, const struct erofs_device *devices,
			 size_t n, struct error *err)
{
	uint64_t next = index_blocks(w);

	w->addresses = xreallocarray(NULL, n + 1, sizeof(*w->addresses));
	for (size_t i = 0; i < n; i++) {
		w->addresses[i] = next;
		next += round_up(devices[i].size, EROFS_BLOCK) / EROFS_BLOCK;
		/* The last number means a hole. */
		if (next >= EROFS_HOLE)
			return too_big(err, "more than 2 TiB of archives");
	}
	return 0;
}

static int place_all(struct writer *w, const struct erofs_device *devices,
		     size_t n_devices, struct error *err)
{
	int r;

	if (n_devices > EROFS_DEVICES_MAX)
		return too_big(err, "the number of archives");
	w->n_alloc = 1024;
	w->places = xreallocarray(NULL, w->n_alloc, sizeof(*w->places));
	w->meta_end = EROFS_SLOTS_AT + n_devices * EROFS_SLOT_SIZE;
	w->n_literal = image_pool_literals(w->tree->pool)->len / EROFS_BLOCK;
	r = place_entry(w, w->tree->top, err);
	if (r == 0)
		r = place_children(w, w->tree->top, err);
	w->meta_end = round_up(w->meta_end, EROFS_BLOCK);
	return r < 0 ? r : place_devices(w, devices, n_devices, err);
}

/* --- writing ------------------------------------------------------------- */

static void flush(struct writer *w)
{
	if (w->failed == 0 && w->n_buf > 0) {
		digest_update(&w->digest, w->buf, w->n_buf);
		w->failed = write_full(w->fd, w->buf, w->n_buf);
	}
	w->n_buf = 0;
}

static void put(struct writer *w, const void *data, size_t len)
{
	const uint8_t *p = data;

	w->offset += len;
	while (len > 0) {
		size_t n = OUT_SIZE - w->n_buf;

		if (n > len)
			n = len;
		if (p)
			memcpy(w->buf + w->n_buf, p, n);
		else
			memset(w->buf + w->n_buf, 0, n);
		w->n_buf += n;
		len -= n;
		if (p)
			p += n;
		if (w->n_buf == OUT_SIZE)
			flush(w);
	}
}

static void put_zeros_to(struct writer *w, uint64_t offset)
{
	put(w, NULL, offset - w->offset);
}

static uint64_t nid_of(const struct writer *w, const struct image_inode *inode)
{
	return w->places[inode->number].at / EROFS_NID_SIZE;
}

static void put_super(struct writer *w, const struct erofs_device *devices,
		      size_t n_devices)
{
	const struct erofs_super super = {
		.magic = htole32(EROFS_MAGIC),
		.block_bits = EROFS_BLOCK_BITS,
		.root_nid = htole16((uint16_t)nid_of(w, w->tree->top->inode)),
		.n_inodes = htole64(w->n_places),
		.n_blocks = htole32((uint32_t)index_blocks(w)),
		.volume = "rkt",
		.feature_incompat =
			htole32(EROFS_INCOMPAT_DEVICES |
				(w->has_chunks ? EROFS_INCOMPAT_CHUNKED : 0)),
		.n_devices = htole16((uint16_t)n_devices),
		.slots_at = htole16(EROFS_SLOTS_AT / EROFS_SLOT_SIZE),
	};

	put_zeros_to(w, EROFS_SUPER_AT);
	put(w, &super, sizeof(super));
	for (size_t i = 0; i < n_devices; i++) {
		struct erofs_device_slot slot = {
			.n_blocks = htole32((uint32_t)(round_up(devices[i].size,
								EROFS_BLOCK) /
						       EROFS_BLOCK)),
			.address = htole32((uint32_t)w->addresses[i]),
		};

		memcpy(slot.tag, devices[i].digest, sizeof(slot.tag));
		put(w, &slot, sizeof(slot));
	}
}

static void put_xattrs(struct writer *w, const struct image_inode *inode)
{
	const struct erofs_xattr_header header = {0};

	put(w, &header, sizeof(header));
	for (size_t i = 0; i < inode->n_xattrs; i++) {
		const struct image_xattr *x = &inode->xattrs[i];
		const char *rest = "";
		uint8_t prefix = xattr_prefix(x->name, &rest);
		const struct erofs_xattr_entry e = {
			.name_len = (uint8_t)strlen(rest),
			.prefix = prefix,
			.value_len = htole16((uint16_t)x->len),
		};

		put(w, &e, sizeof(e));
		put(w, rest, strlen(rest));
		put(w, x->value, x->len);
		put_zeros_to(w, round_up(w->offset, 4));
	}
}

static uint8_t file_type(uint32_t mode)
{
	static const uint8_t types[] = {
		[S_IFREG >> 12] = 1, [S_IFDIR >> 12] = 2, [S_IFCHR >> 12] = 3,
		[S_IFBLK >> 12] = 4, [S_IFIFO >> 12] = 5, [S_IFSOCK >> 12] = 6,
		[S_IFLNK >> 12] = 7,
	};

	return types[(mode & S_IFMT) >> 12];
}

/* The names of one block, padded if it is not the last. */
static void put_names(struct writer *w, const struct names *names, size_t first,
		      size_t n)
{
	size_t name_at = n * sizeof(struct erofs_dirent);

	for (size_t i = first; i < first + n; i++) {
		const struct name *name = &names->v[i];
		const struct erofs_dirent e = {
			.nid = htole64(nid_of(w, name->inode)),
			.name_at = htole16((uint16_t)name_at),
			.type = file_type(name->inode->mode),
		};

		put(w, &e, sizeof(e));
		name_at += name->len;
	}
	for (size_t i = first; i < first + n; i++)
		put(w, names->v[i].text, names->v[i].len);
	if (first + n < names->n)
		put(w, NULL, EROFS_BLOCK - name_at);
}

/* The directory's blocks from FROM up to END (of its size) bytes. */
static void put_dir(struct writer *w, const struct place *p, uint64_t from,
		    uint64_t end)
{
	cleanup_names struct names names = {0};
	uint64_t at = 0;
	size_t used = 0;

	names_make(p->dir, &names);
	for (size_t i = 0; i < names.n && at < end; at += EROFS_BLOCK) {
		size_t n = names_in_block(&names, i, &used);

		if (at >= from)
			put_names(w, &names, i, n);
		i += n;
	}
}

static void put_own_data(struct writer *w, const struct place *p, uint64_t from,
			 uint64_t end)
{
	if (p->dir)
		put_dir(w, p, from, end);
	else
		put(w, p->inode->target + from, end - from);
}

/* The block an extent's data begins in, plus SKIP bytes. */
static uint32_t address(const struct writer *w, const struct image_extent *x,
			uint64_t skip)
{
	uint64_t base = x->device == IMAGE_LITERAL
				? w->meta_end / EROFS_BLOCK + w->n_data
				: w->addresses[x->device];

	return (uint32_t)(base + (x->physical + skip) / EROFS_BLOCK);
}

static void put_chunks(struct writer *w, const struct place *p)
{
	const struct image_extent *x = p->inode->extents;
	const struct image_extent *end = x + p->inode->n_extents;
	uint64_t chunk = EROFS_BLOCK << p->chunk_bits;

	put_zeros_to(w, round_up(w->offset, 8));
	for (uint64_t at = 0; at < p->size; at += chunk) {
		struct erofs_chunk c = {.block = htole32(EROFS_HOLE)};

		while (x < end && x->logical + x->len <= at)
			x++;
		if (x < end && x->logical <= at)
			c.block = htole32(address(w, x, at - x->logical));
		put(w, &c, sizeof(c));
	}
}

static uint32_t inode_u(const struct writer *w, const struct place *p)
{
	const struct image_inode *inode = p->inode;

	if (p->layout == EROFS_CHUNKED)
		return p->chunk_bits | EROFS_CHUNK_INDEXES;
	if (S_ISREG(inode->mode))
		return p->size ? address(w, inode->extents, 0) : 0;
	if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode))
		return (inode->minor & 0xff) | inode->major << 8 |
		       (inode->minor & ~0xffU) << 12;
	if (p->dir || S_ISLNK(inode->mode))
		return (uint32_t)(w->meta_end / EROFS_BLOCK + p->data_block);
	return 0;
}

static void put_inode(struct writer *w, const struct place *p)
{
	const struct image_inode *inode = p->inode;
	const struct erofs_inode e = {
		.format = htole16((uint16_t)(1 | p->layout << 1)),
		.xattr_count = htole16(
			p->xattr_size ? (uint16_t)((p->xattr_size - 12) / 4 + 1)
				      : 0),
		.mode = htole16((uint16_t)inode->mode),
		.size = htole64(p->size),
		.u = htole32(inode_u(w, p)),
		.number = htole32((uint32_t)(p - w->places + 1)),
		.uid = htole32(inode->uid),
		.gid = htole32(inode->gid),
		.mtime = htole64((uint64_t)inode->mtime),
		.mtime_nsec = htole32(inode->mtime_nsec),
		.n_links = htole32(p->n_links),
	};

	put_zeros_to(w, p->at);
	put(w, &e, sizeof(e));
	if (p->xattr_size)
		put_xattrs(w, inode);
	if (p->layout == EROFS_INLINE)
		put_own_data(w, p, p->size / EROFS_BLOCK * EROFS_BLOCK,
			     p->size);
	if (p->layout == EROFS_CHUNKED)
		put_chunks(w, p);
}

static void put_data(struct writer *w)
{
	const struct strbuf *literals = image_pool_literals(w->tree->pool);

	put_zeros_to(w, w->meta_end);
	for (size_t i = 0; i < w->n_places; i++) {
		const struct place *p = &w->places[i];
		uint64_t end = p->size;

		if (!p->dir && !S_ISLNK(p->inode->mode))
			continue;
		if (p->layout == EROFS_INLINE)
			end -= end % EROFS_BLOCK;
		if (end > 0)
			put_own_data(w, p, 0, end);
		put_zeros_to(w, round_up(w->offset, EROFS_BLOCK));
	}
	put(w, literals->buf, literals->len);
}

static void put_trailer(struct writer *w)
{
	struct erofs_trailer trailer = {.magic = EROFS_TRAILER_MAGIC};

	flush(w);
	digest_final(&w->digest, trailer.digest);
	if (w->failed == 0)
		w->failed = write_full(w->fd, &trailer, sizeof(trailer));
	w->offset += sizeof(trailer);
}

static int write_all(struct writer *w, const struct erofs_device *devices,
		     size_t n_devices, struct error *err)
{
	int r = digest_init(&w->digest, DIGEST_SHA512, err);

	if (r < 0)
		return r;
	w->buf = xmalloc(OUT_SIZE);
	put_super(w, devices, n_devices);
	for (size_t i = 0; i < w->n_places; i++)
		put_inode(w, &w->places[i]);
	put_data(w);
	put_trailer(w);
	if (w->failed < 0)
		return error_sys(err, -w->failed, "write the EROFS index");
	return 0;
}

int erofs_write(struct image_tree *tree, const struct erofs_device *devices,
		size_t n_devices, int fd, uint64_t *ret_size, struct error *err)
{
	struct writer w = {
		.tree = tree,
		.mark = image_pool_alloc(tree->pool, 1),
		.fd = fd,
		.digest = DIGEST_INIT,
	};
	int r = place_all(&w, devices, n_devices, err);

	if (r == 0)
		r = write_all(&w, devices, n_devices, err);
	if (r == 0)
		*ret_size = w.offset;
	digest_release(&w.digest);
	free(w.places);
	free(w.addresses);
	free(w.buf);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FUZZ_EROFS_READ_H
#define TESTS_FUZZ_EROFS_READ_H

/*
 * A reader of EROFS indexes that shares nothing with their writer but the
 * text of the format (Linux, fs/erofs/erofs_fs.h): numbers stand here as
 * offsets.  It insists on more than the kernel does, and ends the test where
 * something is not so.
 */

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/strbuf.h"
#include "tests/fuzz/fuzz.h"

#define ER_BLOCK 512U
#define ER_DEVICES 16

struct er_node {
	char *path; /* "" = the top */
	uint64_t nid;
	uint32_t mode, uid, gid, nsec, links, rdev;
	int64_t mtime;
	uint64_t size;
	uint64_t content; /* er_mix() of all bytes */
	char *target;
	struct strbuf xattrs; /* "name=value" of each, NUL between */
};

struct er_image {
	const uint8_t *p; /* of the index, without its trailer */
	uint64_t size;
	size_t n_devices;
	struct {
		const uint8_t *p;
		uint64_t size, address; /* bytes, block */
	} devices[ER_DEVICES];
	struct er_node *nodes;
	size_t n, n_alloc;
};

/* Content as a sum, so that holes cost nothing and pieces no order. */
static inline uint64_t er_mix(uint64_t sum, uint64_t offset, const uint8_t *p,
			      size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t h = (offset + i) * 0x9e3779b97f4a7c15ULL;

		if (!p[i])
			continue;
		h ^= h >> 31;
		sum += (h | 1) * p[i];
	}
	return sum;
}

static inline uint16_t er_16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t er_32(const uint8_t *p)
{
	return er_16(p) | (uint32_t)er_16(p + 2) << 16;
}

static inline uint64_t er_64(const uint8_t *p)
{
	return er_32(p) | (uint64_t)er_32(p + 4) << 32;
}

/* LEN bytes of the index at AT. */
static inline const uint8_t *er_at(const struct er_image *im, uint64_t at,
				   uint64_t len)
{
	fuzz_expect(at <= im->size && len <= im->size - at);
	return im->p + at;
}

/* LEN bytes from block BLOCK on, in whatever device that is. */
static inline const uint8_t *er_block(const struct er_image *im, uint64_t block,
				      uint64_t len)
{
	if (block * ER_BLOCK < im->size)
		return er_at(im, block * ER_BLOCK, len);
	for (size_t i = im->n_devices; i-- > 0;) {
		uint64_t at = (block - im->devices[i].address) * ER_BLOCK;

		if (block < im->devices[i].address)
			continue;
		fuzz_expect(at <= im->devices[i].size &&
			    len <= im->devices[i].size - at);
		return im->devices[i].p + at;
	}
	fuzz_expect(!"an address in no device");
	return NULL;
}

static inline struct er_node *er_new(struct er_image *im, const char *dir,
				     const uint8_t *name, size_t len)
{
	struct er_node *n;

	if (im->n == im->n_alloc) {
		im->n_alloc = im->n_alloc * 2 + 64;
		im->nodes = xreallocarray(im->nodes, im->n_alloc,
					  sizeof(*im->nodes));
	}
	n = &im->nodes[im->n++];
	*n = (struct er_node){.xattrs = STRBUF_INIT};
	n->path = xasprintf("%s%s%.*s", dir, *dir ? "/" : "", (int)len, name);
	return n;
}

static inline void er_xattrs(const struct er_image *im, uint64_t at,
			     uint64_t end, struct er_node *n)
{
	static const char *const prefixes[] = {"",
					       "user.",
					       "system.posix_acl_access",
					       "system.posix_acl_default",
					       "trusted.",
					       "",
					       "security."};

	fuzz_expect(er_32(er_at(im, at, 12)) == 0);
	fuzz_expect(er_64(er_at(im, at + 4, 8)) == 0);
	for (at += 12; at < end;) {
		const uint8_t *e = er_at(im, at, 4);
		uint32_t name = e[0], prefix = e[1], value = er_16(e + 2);

		fuzz_expect(prefix < 7 && *prefixes[prefix]);
		e = er_at(im, at, 4 + name + value);
		strbuf_addf(&n->xattrs, "%s%.*s=", prefixes[prefix], (int)name,
			    e + 4);
		strbuf_add(&n->xattrs, e + 4 + name, value);
		strbuf_addch(&n->xattrs, '\0');
		at += (4 + name + value + 3) / 4 * 4;
	}
	fuzz_expect(at == end);
}

/* What the inode at AT says; returns its u field. */
static inline uint32_t er_inode(const struct er_image *im, uint64_t nid,
				struct er_node *n, unsigned int *layout,
				uint64_t *end)
{
	uint64_t at = nid * 32;
	const uint8_t *p = er_at(im, at, 64);
	uint32_t xattrs = er_16(p + 2);

	fuzz_expect((p[0] & 1) == 1 && p[1] == 0);
	*layout = p[0] >> 1;
	n->nid = nid;
	n->mode = er_16(p + 4);
	n->size = er_64(p + 8);
	n->uid = er_32(p + 24);
	n->gid = er_32(p + 28);
	n->mtime = (int64_t)er_64(p + 32);
	n->nsec = er_32(p + 40);
	n->links = er_32(p + 44);
	*end = at + 64;
	if (xattrs) {
		*end += 12 + (xattrs - 1) * 4;
		er_xattrs(im, at + 64, *end, n);
	}
	return er_32(p + 16);
}

static inline void er_chunks(const struct er_image *im, uint32_t format,
			     uint64_t at, struct er_node *n)
{
	uint64_t chunk = (uint64_t)ER_BLOCK << (format & 31);

	fuzz_expect((format & ~31U) == 32);
	at = (at + 7) / 8 * 8;
	for (uint64_t o = 0; o < n->size; o += chunk, at += 8) {
		uint64_t len = n->size - o < chunk ? n->size - o : chunk;
		const uint8_t *p = er_at(im, at, 8);

		fuzz_expect(er_32(p) == 0);
		if (er_32(p + 4) == 0xffffffffU)
			continue;
		n->content = er_mix(n->content, o,
				    er_block(im, er_32(p + 4), len), len);
	}
}

/* Data of the index itself: whole blocks, and perhaps a tail at TAIL. */
static inline void er_own_data(const struct er_image *im, uint32_t block,
			       unsigned int layout, uint64_t tail,
			       uint64_t size, struct strbuf *ret)
{
	uint64_t whole = layout == 2 ? size / ER_BLOCK * ER_BLOCK : size;

	fuzz_expect(layout == 0 || layout == 2);
	if (whole)
		strbuf_add(ret, er_at(im, (uint64_t)block * ER_BLOCK, whole),
			   whole);
	if (layout == 0)
		return;
	/* The kernel maps it as one piece of one block. */
	fuzz_expect(tail % ER_BLOCK + (size - whole) <= ER_BLOCK);
	strbuf_add(ret, er_at(im, tail, size - whole), size - whole);
}

static inline unsigned int er_type(uint32_t mode)
{
	return S_ISREG(mode)	? 1
	       : S_ISDIR(mode)	? 2
	       : S_ISCHR(mode)	? 3
	       : S_ISBLK(mode)	? 4
	       : S_ISFIFO(mode) ? 5
	       : S_ISLNK(mode)	? 7
				: 0;
}

static inline void er_visit(struct er_image *im, const char *dir,
			    const uint8_t *name, size_t len, uint64_t nid,
			    uint64_t up, unsigned int type, int depth);

/* One block of a directory; LAST is its greatest name so far. */
static inline void er_dir_block(struct er_image *im, const uint8_t *p,
				size_t len, const char *path, uint64_t nid,
				uint64_t up, struct strbuf *last, int *n_dots,
				int depth)
{
	size_t first = er_16(p + 8), n = first / 12;

	fuzz_expect(first % 12 == 0 && n > 0 && first <= len);
	for (size_t i = 0; i < n; i++) {
		const uint8_t *e = p + i * 12;
		size_t at = er_16(e + 8);
		size_t end = i + 1 < n ? er_16(e + 20) : len;
		const uint8_t *name = p + at;
		size_t name_len;

		fuzz_expect(at >= first && at < end && end <= len);
		name_len = strnlen((const char *)name, end - at);
		/* The last block's last name alone may be padded. */
		fuzz_expect(name_len > 0 && name_len <= 255);
		fuzz_expect(i + 1 == n || name_len == end - at);
		fuzz_expect(!memchr(name, '/', name_len));
		strbuf_add(last, "", 1);
		fuzz_expect(last->len == 1 ||
			    memcmp(last->buf, name,
				   name_len < last->len - 1
					   ? name_len
					   : last->len - 1) < 0 ||
			    (memcmp(last->buf, name,
				    name_len < last->len - 1
					    ? name_len
					    : last->len - 1) == 0 &&
			     last->len - 1 < name_len));
		strbuf_reset(last);
		strbuf_add(last, name, name_len);
		if (name_len == 1 && name[0] == '.') {
			fuzz_expect(er_64(e) == nid && e[10] == 2);
			(*n_dots)++;
		} else if (name_len == 2 && !memcmp(name, "..", 2)) {
			fuzz_expect(er_64(e) == up && e[10] == 2);
			(*n_dots)++;
		} else {
			er_visit(im, path, name, name_len, er_64(e), nid, e[10],
				 depth);
		}
	}
}

static inline void er_dir(struct er_image *im, const char *path, uint64_t nid,
			  uint64_t up, const struct strbuf *data, int depth)
{
	struct strbuf last = STRBUF_INIT;
	int n_dots = 0;

	fuzz_expect(data->len > 0 && depth < 600);
	for (size_t at = 0; at < data->len; at += ER_BLOCK)
		er_dir_block(im, (const uint8_t *)data->buf + at,
			     data->len - at < ER_BLOCK ? data->len - at
						       : ER_BLOCK,
			     path, nid, up, &last, &n_dots, depth);
	fuzz_expect(n_dots == 2);
	strbuf_release(&last);
}

static inline void er_visit(struct er_image *im, const char *dir,
			    const uint8_t *name, size_t len, uint64_t nid,
			    uint64_t up, unsigned int type, int depth)
{
	struct er_node *n = er_new(im, dir, name, len);
	struct strbuf data = STRBUF_INIT;
	char *path = xstrdup(n->path);
	unsigned int layout;
	uint64_t end;
	uint32_t u = er_inode(im, nid, n, &layout, &end);

	fuzz_expect(er_type(n->mode) == type);
	if (S_ISREG(n->mode) && layout == 4) {
		er_chunks(im, u, end, n);
	} else if (S_ISREG(n->mode)) {
		fuzz_expect(layout == 0);
		if (n->size)
			n->content =
				er_mix(0, 0, er_block(im, u, n->size), n->size);
	} else if (S_ISDIR(n->mode) || S_ISLNK(n->mode)) {
		er_own_data(im, u, layout, end, n->size, &data);
	} else {
		n->rdev = u;
	}
	if (S_ISLNK(n->mode)) {
		fuzz_expect(strlen(data.buf) == data.len && data.len > 0);
		n->target = xstrdup(data.buf);
	}
	if (S_ISDIR(n->mode))
		er_dir(im, path, nid, up, &data, depth + 1); /* moves n */
	free(path);
	strbuf_release(&data);
}

static inline int er_by_path(const void *a, const void *b)
{
	const struct er_node *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static inline int er_by_nid(const void *a, const void *b)
{
	const struct er_node *x = a, *y = b;

	return x->nid < y->nid ? -1 : x->nid > y->nid;
}

/* As many links as names; a directory's are its subdirectories. */
static inline void er_check_links(struct er_image *im)
{
	qsort(im->nodes, im->n, sizeof(*im->nodes), er_by_nid);
	for (size_t i = 0, k; i < im->n; i = k) {
		for (k = i; k < im->n && im->nodes[k].nid == im->nodes[i].nid;
		     k++)
			;
		if (S_ISDIR(im->nodes[i].mode))
			fuzz_expect(k - i == 1 && im->nodes[i].links >= 2);
		else
			fuzz_expect(im->nodes[i].links == k - i);
	}
}

/* P and SIZE are the index with its trailer; the devices of IM are set but
 * for their addresses.  Fills nodes, sorted by path. */
static inline void er_read(struct er_image *im, const uint8_t *p, uint64_t size)
{
	const uint8_t *s = p + 1024;

	fuzz_expect(size >= 2048 && size % ER_BLOCK == 0);
	im->p = p;
	im->size = size - ER_BLOCK;
	fuzz_expect(er_32(s) == 0xe0f5e1e2U && s[12] == 9 && s[13] == 0);
	fuzz_expect(er_32(s + 36) * (uint64_t)ER_BLOCK == im->size);
	fuzz_expect(er_32(s + 40) == 0 && (er_32(s + 80) & ~12U) == 0);
	fuzz_expect(er_16(s + 86) == im->n_devices && er_16(s + 88) == 9);
	for (size_t i = 0; i < im->n_devices; i++) {
		const uint8_t *slot = er_at(im, 1152 + i * 128, 128);

		im->devices[i].address = er_32(slot + 68);
		fuzz_expect(er_32(slot + 64) ==
			    (im->devices[i].size + 511) / 512);
		fuzz_expect(im->devices[i].address * ER_BLOCK >= im->size);
	}
	er_visit(im, "", (const uint8_t *)"", 0, er_16(s + 14), er_16(s + 14),
		 2, 0);
	er_check_links(im);
	qsort(im->nodes, im->n, sizeof(*im->nodes), er_by_path);
}

static inline const struct er_node *er_find(const struct er_image *im,
					    const char *path)
{
	const struct er_node key = {.path = (char *)path};

	return bsearch(&key, im->nodes, im->n, sizeof(*im->nodes), er_by_path);
}

static inline void er_release(struct er_image *im)
{
	for (size_t i = 0; i < im->n; i++) {
		free(im->nodes[i].path);
		free(im->nodes[i].target);
		strbuf_release(&im->nodes[i].xattrs);
	}
	free(im->nodes);
	im->nodes = NULL;
	im->n = im->n_alloc = 0;
}

#endif

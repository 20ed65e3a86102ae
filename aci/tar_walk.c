/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/tar_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

#define BLOCK 512UL
#define SPECIAL_MAX (1UL << 20)

/* Fields of a header: POSIX.1-1988 ustar; GNU's sparse extension. */
#define AT_SIZE 124
#define AT_CHECKSUM 148
#define AT_TYPE 156
#define AT_MAGIC 257
#define AT_GNU_EXTENDED 482
#define AT_EXTENSION_EXTENDED 504

void tar_walk_init(struct tar_walk *w)
{
	*w = (struct tar_walk){.state = TAR_HEADER, .special = STRBUF_INIT};
}

void tar_walk_release(struct tar_walk *w)
{
	strbuf_release(&w->special);
	free(w->places.v);
	w->places.v = NULL;
}

static int malformed(const struct tar_walk *w, struct error *err,
		     const char *what)
{
	return error_set(err, EINVAL,
			 "the archive is malformed near byte "
			 "%llu: %s",
			 (unsigned long long)w->offset, what);
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && !memcmp(p, p + 1, len - 1));
}

/* Octal digits, or base-256 when the first bit is set (GNU, star). */
static int parse_number(const uint8_t *field, size_t n, uint64_t *ret)
{
	uint64_t value = 0;
	size_t i = 0;

	if (field[0] & 0x80) {
		if (field[0] != 0x80)
			return -ERANGE; /* negative, or past 64 bits */
		for (i = 1; i < n; i++) {
			if (value >> 55)
				return -ERANGE;
			value = value << 8 | field[i];
		}
		*ret = value;
		return 0;
	}
	while (i < n && field[i] == ' ')
		i++;
	for (; i < n && field[i] >= '0' && field[i] <= '7'; i++)
		value = value << 3 | (uint64_t)(field[i] - '0');
	for (; i < n; i++)
		if (field[i] != '\0' && field[i] != ' ')
			return -EINVAL;
	*ret = value;
	return 0;
}

/* Historic writers summed signed characters. */
static bool has_checksum(const uint8_t *h)
{
	uint64_t want;
	int64_t sum = 0, signed_sum = 0;

	if (parse_number(h + AT_CHECKSUM, 8, &want) < 0)
		return false;
	for (size_t i = 0; i < BLOCK; i++) {
		bool blank = i >= AT_CHECKSUM && i < AT_CHECKSUM + 8;

		sum += blank ? ' ' : h[i];
		signed_sum += blank ? ' ' : (int8_t)h[i];
	}
	return (int64_t)want == sum || (int64_t)want == signed_sum;
}

/* Whole decimal digits of N bytes. */
static int parse_decimal(const char *s, size_t n, uint64_t *ret)
{
	uint64_t value = 0;

	if (n == 0 || n > 18)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -EINVAL;
		value = value * 10 + (uint64_t)(s[i] - '0');
	}
	*ret = value;
	return 0;
}

/* Keys whose value is a name, where a NUL would hide the rest of it. */
static bool is_name_key(const char *key, size_t n)
{
	static const char *const keys[] = {"path", "linkpath",
					   "GNU.sparse.name"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strlen(keys[i]) == n && !memcmp(keys[i], key, n))
			return true;
	return false;
}

static int take_record(struct tar_walk *w, const char *key, size_t key_len,
		       const char *value, size_t value_len, struct error *err)
{
	if (memchr(key, '\0', key_len))
		return malformed(w, err, "a NUL byte in a pax key");
	/* Some readers apply a global header to all entries, some don't. */
	if (w->special_type == 'g')
		return key_len == 7 && !memcmp(key, "comment", 7)
			       ? 0
			       : malformed(w, err,
					   "a global pax header that changes "
					   "entries");
	if (is_name_key(key, key_len) && memchr(value, '\0', value_len))
		return malformed(w, err, "a NUL byte in a name");
	if (key_len != 4 || memcmp(key, "size", 4) != 0)
		return 0;
	if (w->has_size || parse_decimal(value, value_len, &w->size) < 0)
		return malformed(w, err, "a bad pax size");
	w->has_size = true;
	return 0;
}

/* "LENGTH KEY=VALUE\n", LENGTH counting all of it (POSIX.1-2001 pax). */
static int parse_pax(struct tar_walk *w, struct error *err)
{
	const char *p = w->special.buf, *end = p + w->special.len;

	while (p < end) {
		const char *blank = memchr(p, ' ', (size_t)(end - p));
		const char *key, *equals;
		uint64_t len;

		if (!blank || parse_decimal(p, (size_t)(blank - p), &len) < 0 ||
		    len > (uint64_t)(end - p) ||
		    len < (uint64_t)(blank - p) + 3 || p[len - 1] != '\n')
			return malformed(w, err, "a bad pax record");
		key = blank + 1;
		equals = memchr(key, '=', (size_t)(p + len - key));
		if (!equals || equals == key)
			return malformed(w, err, "a bad pax record");
		int r = take_record(w, key, (size_t)(equals - key), equals + 1,
				    (size_t)(p + len - 1 - (equals + 1)), err);
		if (r < 0)
			return r;
		p += len;
	}
	return 0;
}

/* A name, then nothing but NULs. */
static int check_long_name(struct tar_walk *w, struct error *err)
{
	size_t n = strlen(w->special.buf);

	if (n == 0 ||
	    !is_zero((uint8_t *)w->special.buf + n, w->special.len - n))
		return malformed(w, err, "a NUL byte in a name");
	return 0;
}

static int end_special(struct tar_walk *w, struct error *err)
{
	strbuf_setlen(&w->special, (size_t)w->special_size);
	if (w->special_type == 'x' || w->special_type == 'g')
		return parse_pax(w, err);
	return check_long_name(w, err);
}

static int begin_special(struct tar_walk *w, char type, uint64_t size,
			 struct error *err)
{
	bool *seen = type == 'x'   ? &w->has_pax
		     : type == 'L' ? &w->has_long_name
		     : type == 'K' ? &w->has_long_link
				   : NULL;

	if (size == 0 || size > SPECIAL_MAX)
		return malformed(w, err, "a special header of a bad size");
	if (seen && *seen)
		return malformed(w, err, "two special headers for one entry");
	if (seen)
		*seen = true;
	w->special_type = type;
	w->special_size = size;
	strbuf_reset(&w->special);
	w->state = TAR_SPECIAL;
	return 0;
}

static void keep_place(struct tar_walk *w)
{
	if (w->places.n == w->places.n_alloc) {
		w->places.n_alloc = w->places.n_alloc * 2 + 64;
		w->places.v = xreallocarray(w->places.v, w->places.n_alloc,
					    sizeof(*w->places.v));
	}
	w->places.v[w->places.n++] = (struct tar_place){
		.start = w->start,
		.data = w->offset,
		.size = w->size,
	};
}

bool tar_walk_next_place(struct tar_walk *w, struct tar_place *ret)
{
	if (w->places.first == w->places.n)
		return false;
	*ret = w->places.v[w->places.first++];
	if (w->places.first == w->places.n)
		w->places.first = w->places.n = 0;
	return true;
}

static void begin_data(struct tar_walk *w)
{
	if (w->keeps_places)
		keep_place(w);
	w->has_start = false;
	w->left = (w->size + BLOCK - 1) & ~(BLOCK - 1);
	w->has_pax = w->has_long_name = w->has_long_link = w->has_size = false;
	w->state = w->left ? TAR_DATA : TAR_HEADER;
}

static int take_entry(struct tar_walk *w, char type, uint64_t size,
		      struct error *err)
{
	if (!w->has_size)
		w->size = size;
	if (w->size > INT64_MAX - BLOCK)
		return malformed(w, err, "an entry's size is out of range");
	if (type >= '1' && type <= '6' && w->size > 0)
		return malformed(w, err,
				 "an entry with content that cannot have any");
	w->n_entries++;
	if (type == 'S' && w->block[AT_GNU_EXTENDED])
		w->state = TAR_EXTENSION;
	else
		begin_data(w);
	return 0;
}

static int take_header(struct tar_walk *w, struct error *err)
{
	const uint8_t *h = w->block;
	uint64_t size;
	char type = (char)h[AT_TYPE];

	if (is_zero(h, BLOCK)) {
		if (w->has_pax || w->has_long_name || w->has_long_link)
			return malformed(w, err, "a special header at the end");
		w->state = TAR_END;
		return 0;
	}
	if (w->offset == BLOCK && memcmp(h + AT_MAGIC, "ustar", 5) != 0)
		return error_set(err, EINVAL,
				 "not an image: what is compressed is no tar "
				 "archive");
	if (!has_checksum(h))
		return malformed(w, err, "a header's checksum is wrong");
	if (memcmp(h + AT_MAGIC, "ustar", 5) != 0)
		return malformed(w, err, "a header without \"ustar\"");
	if (!w->has_start)
		w->start = w->offset - BLOCK;
	w->has_start = true;
	if (parse_number(h + AT_SIZE, 12, &size) < 0)
		return malformed(w, err, "an entry's size is out of range");
	switch (type) {
	case 'x':
	case 'g':
	case 'L':
	case 'K':
		return begin_special(w, type, size, err);
	case '\0':
	case '0' ... '7':
	case 'S':
		return take_entry(w, type, size, err);
	default:
		return malformed(w, err, "an entry of an unknown type");
	}
}

static int take_block(struct tar_walk *w, struct error *err)
{
	switch (w->state) {
	case TAR_HEADER:
		return take_header(w, err);
	case TAR_EXTENSION:
		if (!w->block[AT_EXTENSION_EXTENDED])
			begin_data(w);
		return 0;
	case TAR_SPECIAL:
		strbuf_add(&w->special, w->block, BLOCK);
		if (w->special.len < w->special_size)
			return 0;
		w->state = TAR_HEADER;
		return end_special(w, err);
	default:
		return 0;
	}
}

int tar_walk_feed(struct tar_walk *w, const uint8_t *data, size_t len,
		  struct error *err)
{
	while (len > 0) {
		size_t n = len;
		int r;

		if (w->state == TAR_END) {
			w->offset += len;
			return is_zero(data, len)
				       ? 0
				       : error_set(err, EINVAL,
						   "data follows the end of "
						   "the archive");
		}
		if (w->state == TAR_DATA) {
			if (n > w->left)
				n = (size_t)w->left;
			w->left -= n;
			if (w->left == 0)
				w->state = TAR_HEADER;
		} else {
			if (n > BLOCK - w->n_block)
				n = BLOCK - w->n_block;
			memcpy(w->block + w->n_block, data, n);
			w->n_block += n;
		}
		w->offset += n;
		data += n;
		len -= n;
		if (w->n_block < BLOCK)
			continue;
		w->n_block = 0;
		r = take_block(w, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int tar_walk_end(const struct tar_walk *w, struct error *err)
{
	if (w->state == TAR_END)
		return 0;
	return error_set(err, EINVAL,
			 w->state == TAR_HEADER && w->n_block == 0
				 ? "the archive ends without its end mark"
				 : "the archive is truncated");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/protobuf.h"

#include <errno.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/utf8.h"

enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

#define VARINT_MAX 10 /* bytes of 64 bits */
#define NUMBER_MAX ((1U << 29) - 1)

/* --- reading ---------------------------------------------------------------
 */

int protobuf_next_number(struct protobuf_reader *r, uint64_t *ret)
{
	uint64_t value = 0;

	if (r->at == r->end)
		return 0;
	for (int i = 0; i < VARINT_MAX && r->at < r->end; i++) {
		unsigned char byte = (unsigned char)*r->at++;

		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte & 0x80)
			continue;
		*ret = value;
		return 1;
	}
	return -EBADMSG;
}

static int read_bytes(struct protobuf_reader *r, struct protobuf_field *ret)
{
	uint64_t len;

	if (protobuf_next_number(r, &len) <= 0 ||
	    len > (uint64_t)(r->end - r->at))
		return -EBADMSG;
	ret->has_bytes = true;
	ret->bytes = r->at;
	ret->len = (size_t)len;
	r->at += len;
	return 1;
}

static int pass(struct protobuf_reader *r, size_t len)
{
	if (len > (size_t)(r->end - r->at))
		return -EBADMSG;
	r->at += len;
	return 0;
}

/* 0: a field that is left out. */
static int read_field(struct protobuf_reader *r, uint64_t key,
		      struct protobuf_field *ret)
{
	*ret = (struct protobuf_field){.number = (uint32_t)(key >> 3)};
	if (key >> 3 == 0 || key >> 3 > NUMBER_MAX)
		return -EBADMSG;
	switch ((enum wire)(key & 7)) {
	case VARINT:
		return protobuf_next_number(r, &ret->value) > 0 ? 1 : -EBADMSG;
	case BYTES:
		return read_bytes(r, ret);
	case FIXED64:
		return pass(r, 8);
	case FIXED32:
		return pass(r, 4);
	}
	return -EBADMSG;
}

int protobuf_next(struct protobuf_reader *r, struct protobuf_field *ret)
{
	uint64_t key;
	int more = 0;

	while (more == 0) {
		int some = protobuf_next_number(r, &key);

		if (some <= 0)
			return some;
		more = read_field(r, key, ret);
	}
	return more;
}

/* --- writing ---------------------------------------------------------------
 */

static size_t varint_put(char *buf, uint64_t value)
{
	size_t n = 0;

	while (value >= 0x80) {
		buf[n++] = (char)(value | 0x80);
		value >>= 7;
	}
	buf[n++] = (char)value;
	return n;
}

static void add_varint(struct strbuf *out, uint64_t value)
{
	char buf[VARINT_MAX];

	strbuf_add(out, buf, varint_put(buf, value));
}

static void add_key(struct strbuf *out, uint32_t number, enum wire wire)
{
	add_varint(out, (uint64_t)number << 3 | wire);
}

void protobuf_add_uint(struct strbuf *out, uint32_t number, uint64_t value)
{
	if (!value)
		return;
	add_key(out, number, VARINT);
	add_varint(out, value);
}

void protobuf_add_int(struct strbuf *out, uint32_t number, int64_t value)
{
	protobuf_add_uint(out, number, (uint64_t)value);
}

void protobuf_add_sint(struct strbuf *out, uint32_t number, int64_t value)
{
	protobuf_add_uint(out, number,
			  (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

void protobuf_add_bytes(struct strbuf *out, uint32_t number, const void *bytes,
			size_t len)
{
	if (!len)
		return;
	add_key(out, number, BYTES);
	add_varint(out, len);
	strbuf_add(out, bytes, len);
}

static void add_utf8(struct strbuf *out, const char *text, size_t len)
{
	while (len > 0) {
		size_t n = utf8_len(text, len);

		if (n)
			strbuf_add(out, text, n);
		else
			strbuf_addstr(out, "\xef\xbf\xbd");
		text += n ? n : 1;
		len -= n ? n : 1;
	}
}

void protobuf_add_element(struct strbuf *out, uint32_t number, const char *text,
			  size_t len)
{
	size_t mark = protobuf_open(out, number);

	add_utf8(out, text, len);
	protobuf_close(out, mark);
}

void protobuf_add_text(struct strbuf *out, uint32_t number, const char *text)
{
	if (text && *text)
		protobuf_add_element(out, number, text, strlen(text));
}

size_t protobuf_open(struct strbuf *out, uint32_t number)
{
	add_key(out, number, BYTES);
	strbuf_addch(out, '\0'); /* the length, if it is below 128 */
	return out->len;
}

void protobuf_close(struct strbuf *out, size_t mark)
{
	size_t len = out->len - mark;
	char buf[VARINT_MAX];
	size_t n = varint_put(buf, len);

	strbuf_grow(out, n);
	memmove(out->buf + mark + n - 1, out->buf + mark, len);
	memcpy(out->buf + mark - 1, buf, n);
	strbuf_setlen(out, out->len + n - 1);
}

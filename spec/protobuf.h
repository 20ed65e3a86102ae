/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_PROTOBUF_H
#define SPEC_PROTOBUF_H

/*
 * The wire format of Protocol Buffers, version 3
 * (protobuf.dev/programming-guides/encoding), pure: what our API's messages
 * need of it.  Groups and fixed-width fields are only passed over.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf;

/* --- reading ---------------------------------------------------------------
 */

struct protobuf_reader {
	const char *at, *end; /* borrowed */
};

struct protobuf_field {
	uint32_t number;
	bool has_bytes;	   /* a string, a message, or packed numbers */
	uint64_t value;	   /* otherwise */
	const char *bytes; /* borrowed */
	size_t len;
};

/* 1: RET is the next field, 0: there is none, -EBADMSG.  Fields of a fixed
 * width are left out. */
int protobuf_next(struct protobuf_reader *r, struct protobuf_field *ret);
/* The next of packed numbers; 1, 0 or -EBADMSG. */
int protobuf_next_number(struct protobuf_reader *r, uint64_t *ret);

/* --- writing ---------------------------------------------------------------
 *
 * Each appends field NUMBER; a value that is the default (0, "") is left out,
 * as readers know it anyway.
 */

void protobuf_add_uint(struct strbuf *out, uint32_t number, uint64_t value);
/* int32, int64 and enums */
void protobuf_add_int(struct strbuf *out, uint32_t number, int64_t value);
/* sint32, sint64 */
void protobuf_add_sint(struct strbuf *out, uint32_t number, int64_t value);
void protobuf_add_bytes(struct strbuf *out, uint32_t number, const void *bytes,
			size_t len);
/* What is no UTF-8 becomes U+FFFD: a reader would refuse the whole message.
 * TEXT may be NULL. */
void protobuf_add_text(struct strbuf *out, uint32_t number, const char *text);
/* An element of a repeated field, so also when it is empty. */
void protobuf_add_element(struct strbuf *out, uint32_t number, const char *text,
			  size_t len);

/* What is added between the two is message NUMBER, also if that is nothing;
 * _open returns what _close is to be given. */
size_t protobuf_open(struct strbuf *out, uint32_t number);
void protobuf_close(struct strbuf *out, size_t mark);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_HTTP_BODY_H
#define CMD_RKT_HTTP_BODY_H

/*
 * The file a body goes to.  It may be there in part from an earlier run: then
 * the partial file says of which version of the resource, by what If-Range
 * takes (an entity tag or a date).  That word is written before the first
 * byte of the body and taken back before the body is emptied, so that a kill
 * at any time leaves a body that is what the word says.
 *
 * Bytes that a reader was told of (aci/http_bell.h) are never changed.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

struct error;

struct body {
	int fd;		/* negative: nothing is kept */
	int partial_fd; /* negative: not resumable by a later run */
	int bell_fd;
	uint64_t max;
	uint64_t size;		 /* bytes in the file that count */
	uint64_t at;		 /* where the next byte goes */
	uint64_t resumed;	 /* bytes that were there at the beginning */
	uint64_t announced;	 /* bytes a reader was told of */
	struct strbuf validator; /* of what is there; empty: none */
};

#define BODY_INIT                                                              \
	{                                                                      \
		.fd = -1, .partial_fd = -1, .bell_fd = -1,                     \
		.validator = STRBUF_INIT                                       \
	}

void body_release(struct body *b);
#define cleanup_body __attribute__((__cleanup__(body_release)))

/* Looks at what an earlier run left; without a partial file nothing. */
int body_open(struct body *b, struct error *err);

/*
 * The answer that begins has the whole resource, in the version VALIDATOR
 * ("" = not said).  -ESTALE if bytes of another version were announced.
 */
int body_restart(struct body *b, const char *validator, struct error *err);
/* The answer goes on where the file ends. */
void body_continue(struct body *b);

/* -EFBIG past max. */
int body_write(struct body *b, const void *data, size_t len, struct error *err);

/* What there is is all. */
void body_end(const struct body *b);

#endif

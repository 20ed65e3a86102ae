/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

/*
 * Growable bytes.  Invariants: buf is always NUL-terminated at buf[len] and
 * never NULL (STRBUF_INIT needs no allocation); len never exceeds
 * STRBUF_MAX.  strbuf_detach() is the only way to take the memory out.
 */

#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>

#define STRBUF_MAX (64UL * 1024 * 1024)

struct strbuf {
	size_t len;
	size_t alloc; /* 0 = buf is the shared empty string */
	char *buf;
};

extern char strbuf_empty[1];

#define STRBUF_INIT                                                            \
	{                                                                      \
		.buf = strbuf_empty                                            \
	}

void strbuf_init(struct strbuf *sb);
void strbuf_release(struct strbuf *sb);
#define cleanup_strbuf __attribute__((__cleanup__(strbuf_release)))

/* Makes room for EXTRA more bytes; ends the program past STRBUF_MAX. */
void strbuf_grow(struct strbuf *sb, size_t extra);
void strbuf_setlen(struct strbuf *sb, size_t len);
static inline void strbuf_reset(struct strbuf *sb)
{
	strbuf_setlen(sb, 0);
}
void strbuf_add(struct strbuf *sb, const void *data, size_t len);
void strbuf_addstr(struct strbuf *sb, const char *s);
void strbuf_addch(struct strbuf *sb, char c);
void strbuf_addf(struct strbuf *sb, const char *fmt, ...)
	__attribute__((__format__(__printf__, 2, 3)));
void strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list ap)
	__attribute__((__format__(__printf__, 2, 0)));

/* Gives the memory (always a malloc'ed string) to the caller; sb is empty. */
char *strbuf_detach(struct strbuf *sb);

/* Appends what FD gives up to end of file.  -EFBIG past MAX bytes. */
int strbuf_read_fd(struct strbuf *sb, int fd, size_t max);

#endif

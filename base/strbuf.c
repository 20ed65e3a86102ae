/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strbuf.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

#define READ_MIN 4095

char strbuf_empty[1];

void strbuf_init(struct strbuf *sb)
{
	*sb = (struct strbuf)STRBUF_INIT;
}

void strbuf_release(struct strbuf *sb)
{
	if (sb->alloc)
		free(sb->buf);
	strbuf_init(sb);
}

void strbuf_grow(struct strbuf *sb, size_t extra)
{
	size_t want, alloc;

	if (extra > STRBUF_MAX || sb->len > STRBUF_MAX - extra)
		abort();
	want = sb->len + extra + 1;
	if (want <= sb->alloc)
		return;
	alloc = sb->alloc + sb->alloc / 2 + 32;
	if (alloc < want)
		alloc = want;
	sb->buf = xreallocarray(sb->alloc ? sb->buf : NULL, alloc, 1);
	sb->alloc = alloc;
	sb->buf[sb->len] = '\0';
}

void strbuf_setlen(struct strbuf *sb, size_t len)
{
	assert(len < sb->alloc || len == 0);
	sb->len = len;
	if (sb->alloc)
		sb->buf[len] = '\0';
}

void strbuf_add(struct strbuf *sb, const void *data, size_t len)
{
	if (len == 0)
		return;
	strbuf_grow(sb, len);
	memcpy(sb->buf + sb->len, data, len);
	strbuf_setlen(sb, sb->len + len);
}

void strbuf_addstr(struct strbuf *sb, const char *s)
{
	strbuf_add(sb, s, strlen(s));
}

void strbuf_addch(struct strbuf *sb, char c)
{
	strbuf_add(sb, &c, 1);
}

void strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list ap)
{
	size_t room = sb->alloc ? sb->alloc - sb->len : 0;
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(room ? sb->buf + sb->len : NULL, room, fmt, ap);
	assert(n >= 0);
	if ((size_t)n >= room) {
		strbuf_grow(sb, (size_t)n);
		(void)vsnprintf(sb->buf + sb->len, (size_t)n + 1, fmt, again);
	}
	va_end(again);
	sb->len += (size_t)n;
}

void strbuf_addf(struct strbuf *sb, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(sb, fmt, ap);
	va_end(ap);
}

char *strbuf_detach(struct strbuf *sb)
{
	char *s;

	strbuf_grow(sb, 0);
	s = sb->buf;
	strbuf_init(sb);
	return s;
}

/* What is read into at once: as much again as there is already.  Most files are
 * small, and room that moved by realloc() would be copied, touched or not. */
static size_t read_room(const struct strbuf *sb)
{
	size_t room = sb->alloc > sb->len + 1 ? sb->alloc - sb->len - 1 : 0;

	if (room >= READ_MIN / 4)
		return room;
	return sb->len > READ_MIN ? sb->len : READ_MIN;
}

int strbuf_read_fd(struct strbuf *sb, int fd, size_t max)
{
	size_t limit = sb->len + max;

	for (;;) {
		/* One byte past the limit tells "full" from "too much". */
		size_t left = limit - sb->len + 1;
		size_t room = read_room(sb);
		ssize_t n;

		if (room > left)
			room = left;
		strbuf_grow(sb, room);
		n = read(fd, sb->buf + sb->len, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		if (sb->len + (size_t)n > limit)
			return -EFBIG;
		strbuf_setlen(sb, sb->len + (size_t)n);
	}
}

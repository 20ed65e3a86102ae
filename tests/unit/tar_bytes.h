/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_TAR_BYTES_H
#define TESTS_UNIT_TAR_BYTES_H

/* Tar archives byte by byte, as no writer would make them. */

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "base/strbuf.h"

#define TAR_MANIFEST                                                           \
	"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\","              \
	"\"name\":\"example.com/app\"}"

struct tar_entry {
	const char *name;
	char type; /* '0' file, '5' directory, ... */
	const char *link;
	const char *data;
	const char *size; /* instead of the data's; 12 bytes as is */
	const char *uid;  /* octal text, default 0 */
	const char *mode; /* octal text */
	const char *major, *minor;
	size_t data_len; /* 0 = strlen(data) */
};

static inline void tar_pad(struct strbuf *sb)
{
	static const char zeros[512];

	strbuf_add(sb, zeros, (512 - sb->len % 512) % 512);
}

static inline void tar_field(char *field, size_t n, const char *text)
{
	memcpy(field, text, strlen(text) < n ? strlen(text) : n);
}

static inline void tar_add(struct strbuf *sb, const struct tar_entry *e)
{
	size_t len = e->data_len ? e->data_len : e->data ? strlen(e->data) : 0;
	char h[512] = {0};
	char number[16];
	unsigned int sum = 0;

	tar_field(h, 100, e->name);
	tar_field(h + 100, 8,
		  e->mode	   ? e->mode
		  : e->type == '5' ? "0000755"
				   : "0000644");
	tar_field(h + 108, 8, e->uid ? e->uid : "0000000");
	tar_field(h + 116, 8, "0000000");
	(void)snprintf(number, sizeof(number), "%011zo", len);
	tar_field(h + 124, 12, e->size ? e->size : number);
	tar_field(h + 136, 12, "11145401322");
	h[156] = e->type;
	tar_field(h + 157, 100, e->link ? e->link : "");
	memcpy(h + 257, "ustar\00000", 8);
	tar_field(h + 329, 8, e->major ? e->major : "0000000");
	tar_field(h + 337, 8, e->minor ? e->minor : "0000000");
	memset(h + 148, ' ', 8);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += (unsigned char)h[i];
	(void)snprintf(h + 148, 8, "%06o", sum);
	strbuf_add(sb, h, sizeof(h));
	if (e->data)
		strbuf_add(sb, e->data, len);
	tar_pad(sb);
}

static inline void tar_end(struct strbuf *sb)
{
	static const char zeros[1024];

	strbuf_add(sb, zeros, sizeof(zeros));
}

/* manifest and rootfs, as every image has them. */
static inline void tar_begin(struct strbuf *sb)
{
	tar_add(sb, &(struct tar_entry){.name = "manifest",
					.type = '0',
					.data = TAR_MANIFEST});
	tar_add(sb, &(struct tar_entry){.name = "rootfs", .type = '5'});
}

/* One pax record "LEN key=value\n" appended to SB. */
static inline void tar_pax_record(struct strbuf *sb, const char *key,
				  const char *value)
{
	size_t len = strlen(key) + strlen(value) + 3, n = len + 1;
	char text[16];

	while ((size_t)snprintf(text, sizeof(text), "%zu", n) + len != n)
		n = (size_t)snprintf(text, sizeof(text), "%zu", n) + len;
	strbuf_addf(sb, "%zu %s=%s\n", n, key, value);
}

/* A pax header that sets KEY for the next entry. */
static inline void tar_pax(struct strbuf *sb, const char *key,
			   const char *value)
{
	struct strbuf records = STRBUF_INIT;

	tar_pax_record(&records, key, value);
	tar_add(sb, &(struct tar_entry){.name = "pax",
					.type = 'x',
					.data = records.buf,
					.data_len = records.len});
	strbuf_release(&records);
}

/* A memory file with the bytes of SB. */
static inline int tar_fd(const void *data, size_t len)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	cr_assert(fd >= 0 && write_full(fd, data, len) == 0);
	return fd;
}

#endif

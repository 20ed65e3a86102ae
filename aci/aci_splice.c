/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/aci_splice.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aci/gzip_write.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"

#define BLOCK 512UL
#define COPY_SIZE (1UL << 20)

/* ustar and its predecessor agree on these. */
#define NAME_AT 0
#define NAME_LEN 100
#define SIZE_AT 124
#define CHECKSUM_AT 148
#define TYPE_AT 156
#define LINK_AT 157
#define LINK_LEN 100
#define MAGIC_AT 257
#define PREFIX_AT 345
#define PREFIX_LEN 155

struct out {
	bool is_gzip;
	struct gzip_writer gzip;
	int fd;
};

static int put(struct out *out, const void *data, size_t n, struct error *err)
{
	int r;

	if (out->is_gzip)
		return gzip_put(&out->gzip, data, n, err);
	r = write_full(out->fd, data, n);
	return r < 0 ? error_sys(err, -r, "write the image") : 0;
}

static int read_tar(const struct aci_splice *s, uint64_t at, void *buf,
		    size_t n, struct error *err)
{
	ssize_t got = pread_full(s->tar_fd, buf, n, (off_t)at);

	if (got < 0)
		return error_sys(err, (int)-got, "read the image");
	if ((size_t)got != n)
		return error_set(err, ESTALE,
				 "the image changed while it was read");
	return 0;
}

static int copy(const struct aci_splice *s, uint64_t from, uint64_t to,
		struct out *out, struct error *err)
{
	cleanup_free char *buf = xmalloc(COPY_SIZE);
	int r = 0;

	while (r == 0 && from < to) {
		size_t n =
			to - from < COPY_SIZE ? (size_t)(to - from) : COPY_SIZE;

		r = read_tar(s, from, buf, n, err);
		if (r == 0)
			r = put(out, buf, n, err);
		from += n;
	}
	return r;
}

static unsigned int checksum(const unsigned char *header)
{
	unsigned int sum = 0;

	for (size_t i = 0; i < BLOCK; i++)
		sum += i - CHECKSUM_AT < 8 ? ' ' : header[i];
	return sum;
}

/* The entry's own header: behind those that only say more about it (pax,
 * GNU long names), which the new entry does not need. */
static int find_header(const struct aci_splice *s, unsigned char *header,
		       struct error *err)
{
	uint64_t at = s->manifest_start;

	for (;;) {
		char digits[13] = "";
		unsigned long long size = 0;
		int r = read_tar(s, at, header, BLOCK, err);

		if (r < 0)
			return r;
		if (!strchr("xgKL", header[TYPE_AT]) || !header[TYPE_AT])
			break;
		memcpy(digits, header + SIZE_AT, 12);
		if (sscanf(digits, "%llo", &size) != 1 ||
		    size >= s->manifest_end - at - BLOCK)
			break;
		at += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
	}
	if (header[TYPE_AT] == '0' || header[TYPE_AT] == '\0')
		return 0;
	return error_set(err, EINVAL,
			 "the manifest's entry in the archive is no plain file "
			 "(type %d)",
			 header[TYPE_AT]);
}

static int make_header(const struct aci_splice *s, unsigned char *header,
		       struct error *err)
{
	char text[16];
	int r = find_header(s, header, err);

	if (r < 0)
		return r;
	memset(header + NAME_AT, 0, NAME_LEN);
	memcpy(header + NAME_AT, "manifest", 8);
	memset(header + LINK_AT, 0, LINK_LEN);
	/* In POSIX archives the name's other half; GNU keeps times there. */
	if (memcmp(header + MAGIC_AT, "ustar", 6) == 0)
		memset(header + PREFIX_AT, 0, PREFIX_LEN);
	(void)snprintf(text, sizeof(text), "%011zo ", s->manifest_len);
	memcpy(header + SIZE_AT, text, 12);
	(void)snprintf(text, sizeof(text), "%06o", checksum(header));
	memcpy(header + CHECKSUM_AT, text, 7);
	header[CHECKSUM_AT + 7] = ' ';
	return 0;
}

static int put_manifest(const struct aci_splice *s, struct out *out,
			struct error *err)
{
	static const char zeros[BLOCK];
	unsigned char header[BLOCK];
	size_t rest = s->manifest_len % BLOCK;
	int r = make_header(s, header, err);

	if (r == 0)
		r = put(out, header, BLOCK, err);
	if (r == 0)
		r = put(out, s->manifest, s->manifest_len, err);
	if (r == 0 && rest)
		r = put(out, zeros, BLOCK - rest, err);
	return r;
}

static int put_all(const struct aci_splice *s, struct out *out,
		   struct error *err)
{
	int r = out->is_gzip ? gzip_open(&out->gzip, err) : 0;

	if (r == 0)
		r = copy(s, 0, s->manifest_start, out, err);
	if (r == 0)
		r = put_manifest(s, out, err);
	if (r == 0)
		r = copy(s, s->manifest_end, s->tar_size, out, err);
	if (r == 0 && out->is_gzip)
		r = gzip_close(&out->gzip, err);
	return r;
}

int aci_splice(const struct aci_splice *s, int outfd, struct error *err)
{
	struct out out = {
		.is_gzip = !s->no_compression,
		.gzip = {.what = "image", .fd = outfd},
		.fd = outfd,
	};
	int r = put_all(s, &out, err);

	gzip_release(&out.gzip);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/aci_splice.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
	struct archive *a; /* gzip, or NULL */
	int fd;
	int failed; /* errno of a write */
};

/* Never fails for the library: an archive it has given up it does not free. */
static la_ssize_t out_write(struct archive *a, void *arg, const void *data,
			    size_t n)
{
	struct out *out = arg;
	int r = out->failed ? 0 : write_full(out->fd, data, n);

	(void)a;
	if (r < 0)
		out->failed = -r;
	return (la_ssize_t)n;
}

static int out_error(const struct out *out, struct error *err)
{
	const char *text = out->a ? archive_error_string(out->a) : NULL;

	if (out->failed)
		return error_sys(err, out->failed, "write the image");
	return error_set(err, EIO, "write the image: %s",
			 text ? text : strerror(EIO));
}

static int put(struct out *out, const void *data, size_t n, struct error *err)
{
	if (!out->a)
		(void)out_write(NULL, out, data, n);
	else if (archive_write_data(out->a, data, n) != (la_ssize_t)n)
		return out_error(out, err);
	return out->failed ? out_error(out, err) : 0;
}

/* The gzip filter alone: one entry of the format that adds nothing. */
static int gzip_open(struct out *out, struct error *err)
{
	struct archive_entry *e = archive_entry_new();
	int r;

	archive_entry_set_filetype(e, AE_IFREG);
	r = archive_write_set_format_raw(out->a);
	if (r == ARCHIVE_OK)
		r = archive_write_add_filter_gzip(out->a);
	if (r == ARCHIVE_OK)
		r = archive_write_set_options(out->a, "gzip:!timestamp");
	if (r == ARCHIVE_OK)
		r = archive_write_set_bytes_in_last_block(out->a, 1);
	if (r == ARCHIVE_OK)
		r = archive_write_open(out->a, out, NULL, out_write, NULL);
	if (r == ARCHIVE_OK)
		r = archive_write_header(out->a, e);
	archive_entry_free(e);
	return r == ARCHIVE_OK ? 0 : out_error(out, err);
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
	int r = out->a ? gzip_open(out, err) : 0;

	if (r == 0)
		r = copy(s, 0, s->manifest_start, out, err);
	if (r == 0)
		r = put_manifest(s, out, err);
	if (r == 0)
		r = copy(s, s->manifest_end, s->tar_size, out, err);
	if (r == 0 && out->a &&
	    (archive_write_close(out->a) != ARCHIVE_OK || out->failed))
		r = out_error(out, err);
	return r;
}

int aci_splice(const struct aci_splice *s, int outfd, struct error *err)
{
	struct out out = {
		.a = s->no_compression ? NULL : archive_write_new(),
		.fd = outfd,
	};
	int r = put_all(s, &out, err);

	/* After a failure closing would still write: drop what is buffered. */
	if (r < 0 && !out.failed)
		out.failed = -r;
	if (out.a)
		(void)archive_write_free(out.a);
	return r;
}

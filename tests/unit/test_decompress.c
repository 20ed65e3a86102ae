/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/decompress.h"

#include <bzlib.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "aci/digest.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "tests/unit/tar_bytes.h"

#define CHUNK (256UL * 1024) /* of the decompressor's input */

static size_t pack_gzip(const uint8_t *in, size_t n, uint8_t *out, size_t max)
{
	struct isal_zstream s;

	isal_deflate_init(&s);
	s.gzip_flag = IGZIP_GZIP;
	s.end_of_stream = 1;
	s.next_in = (uint8_t *)in;
	s.avail_in = (uint32_t)n;
	s.next_out = out;
	s.avail_out = (uint32_t)max;
	cr_assert(isal_deflate(&s) == COMP_OK &&
		  s.internal_state.state == ZSTATE_END);
	return max - s.avail_out;
}

static size_t pack_bzip2(const uint8_t *in, size_t n, uint8_t *out, size_t max)
{
	unsigned int len = (unsigned int)max;

	cr_assert(BZ2_bzBuffToBuffCompress((char *)out, &len, (char *)in,
					   (unsigned int)n, 1, 0, 0) == BZ_OK);
	return len;
}

static size_t pack_xz(const uint8_t *in, size_t n, uint8_t *out, size_t max)
{
	size_t len = 0;

	cr_assert(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, in, n, out,
					  &len, max) == LZMA_OK);
	return len;
}

static size_t pack_zstd(const uint8_t *in, size_t n, uint8_t *out, size_t max)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t len;

	(void)ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	len = ZSTD_compress2(c, out, max, in, n);
	cr_assert(!ZSTD_isError(len));
	(void)ZSTD_freeCCtx(c);
	return len;
}

static const struct format {
	const char *name;
	size_t (*pack)(const uint8_t *in, size_t n, uint8_t *out, size_t max);
} formats[] = {
	{"gzip", pack_gzip},
	{"bzip2", pack_bzip2},
	{"xz", pack_xz},
	{"zstd", pack_zstd},
};

#define N_FORMATS (sizeof(formats) / sizeof(formats[0]))

/* Bytes that compress a bit. */
static void fill(uint8_t *p, size_t n)
{
	uint32_t x = 12345;

	for (size_t i = 0; i < n; i++) {
		x = x * 1103515245 + 12345;
		p[i] = (uint8_t)((x >> 16) & 0x3f);
	}
}

static void check_digest(struct decompressor *d, const uint8_t *p, size_t n)
{
	cleanup_digest struct digest want = DIGEST_INIT;
	uint8_t a[32], b[DIGEST_SHA512_SIZE];

	cr_assert(digest_init(&want, DIGEST_SHA256, NULL) == 0);
	digest_update(&want, p, n);
	digest_final(&want, a);
	decompressor_input_digest(d, b);
	cr_expect_arr_eq(a, b, sizeof(a));
	cr_expect(decompressor_input_size(d) == n);
}

/* Decompresses all; returns how many bytes or -errno. */
static ssize_t unpack(const uint8_t *in, size_t n, uint8_t *out, size_t max,
		      const char *name)
{
	cleanup_fd int fd = tar_fd(in, n);
	struct decompressor *d = NULL;
	struct error err = ERROR_INIT;
	ssize_t total = 0, r;

	r = decompressor_open(fd, -1, DIGEST_SHA256, &d, &err);
	if (r < 0)
		return r;
	cr_expect_str_eq(compression_name(decompressor_type(d)), name);
	while ((r = decompressor_read(d, out + total, 70001, &err)) > 0) {
		total += r;
		cr_assert(total + 70001 <= (ssize_t)max);
	}
	cr_expect(r == 0 || err.msg[0]);
	if (r == 0)
		check_digest(d, in, n);
	decompressor_free(d);
	return r < 0 ? r : total;
}

Test(decompress, round_trip)
{
	const size_t n = 3000000, max = 4000000;
	cleanup_free uint8_t *in = xmalloc(n);
	cleanup_free uint8_t *packed = xmalloc(max);
	cleanup_free uint8_t *out = xmalloc(max);

	fill(in, n);
	for (size_t i = 0; i < N_FORMATS; i++) {
		size_t len = formats[i].pack(in, n, packed, max);

		cr_expect(unpack(packed, len, out, max, formats[i].name) ==
				  (ssize_t)n,
			  "%s", formats[i].name);
		cr_expect(memcmp(in, out, n) == 0, "%s", formats[i].name);
	}
}

/* Every byte is needed, and none may follow. */
Test(decompress, cut_and_extended)
{
	uint8_t in[2000], packed[4000], out[200000];

	fill(in, sizeof(in));
	for (size_t i = 0; i < N_FORMATS; i++) {
		const char *name = formats[i].name;
		size_t len = formats[i].pack(in, sizeof(in), packed, 3900);

		for (size_t cut = 6; cut < len; cut++)
			cr_expect(unpack(packed, cut, out, sizeof(out), name) ==
					  -EINVAL,
				  "%s cut to %zu", name, cut);
		memset(packed + len, 'g', 7);
		cr_expect(unpack(packed, len + 7, out, sizeof(out), name) ==
				  -EINVAL,
			  "%s", name);
	}
}

/* A flipped bit in the second half is caught by the checksum. */
Test(decompress, damaged)
{
	uint8_t in[2000], packed[4000], out[200000];

	fill(in, sizeof(in));
	for (size_t i = 0; i < N_FORMATS; i++) {
		size_t len = formats[i].pack(in, sizeof(in), packed, 3900);

		for (size_t at = len / 2; at < len; at++) {
			/* gzip: fill bits before the trailer mean nothing. */
			if (i == 0 && at == len - 9)
				continue;
			packed[at] ^= 0x10;
			cr_expect(unpack(packed, len, out, sizeof(out),
					 formats[i].name) == -EINVAL,
				  "%s byte %zu of %zu", formats[i].name, at,
				  len);
			packed[at] ^= 0x10;
		}
	}
}

/* Members may follow one another, wherever the input is split. */
Test(decompress, members)
{
	const size_t max = CHUNK + 100000;
	cleanup_free uint8_t *in = xmalloc(max);
	cleanup_free uint8_t *packed = xmalloc(2 * max);
	cleanup_free uint8_t *out = xmalloc(3 * max);
	uint8_t small[256];

	fill(in, max);
	for (size_t i = 0; i < N_FORMATS; i++) {
		size_t tail = formats[i].pack(in, 100, small, sizeof(small));
		size_t len = formats[i].pack(in, max, packed, 2 * max);
		size_t total = max;

		/* Small members up to and over the end of a chunk. */
		while (len < 2 * CHUNK + 500) {
			memcpy(packed + len, small, tail);
			len += tail;
			total += 100;
		}
		cr_expect(unpack(packed, len, out, 3 * max, formats[i].name) ==
				  (ssize_t)total,
			  "%s", formats[i].name);
		cr_expect(memcmp(out, in, max) == 0);
		cr_expect(memcmp(out + total - 100, in, 100) == 0);
	}
}

/* gzip: the boundary of two members at every distance from a chunk's end. */
Test(decompress, gzip_boundaries)
{
	const size_t max = 2 * CHUNK;
	cleanup_free uint8_t *packed = xmalloc(max);
	cleanup_free uint8_t *out = xmalloc(4 * max);
	uint8_t in[64], small[256];
	size_t tail;

	fill(in, sizeof(in));
	tail = pack_gzip(in, sizeof(in), small, sizeof(small));
	for (size_t shift = 0; shift < 2 * tail; shift++) {
		size_t len, n = 0;

		/* The header's file name sets the distance. */
		memcpy(packed, small, 10);
		packed[3] = 8;
		memset(packed + 10, 'n', shift);
		packed[10 + shift] = '\0';
		memcpy(packed + 11 + shift, small + 10, tail - 10);
		for (len = tail + 1 + shift; len < CHUNK + 300; n++) {
			memcpy(packed + len, small, tail);
			len += tail;
		}
		cr_expect(unpack(packed, len, out, 4 * max, "gzip") ==
				  (ssize_t)((n + 1) * sizeof(in)),
			  "shift %zu", shift);
	}
}

/* Dictionaries that would need more memory than we give. */
Test(decompress, memory)
{
	lzma_options_lzma opt;
	lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &opt},
				 {LZMA_VLI_UNKNOWN, NULL}};
	uint8_t in[100] = {0}, packed[400], out[200000];
	size_t len = 0;

	cr_assert(!lzma_lzma_preset(&opt, 0));
	opt.dict_size = 1U << 30;
	opt.mf = LZMA_MF_HC3;
	cr_assert(lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, in,
					    sizeof(in), packed, &len,
					    sizeof(packed)) == LZMA_OK);
	cr_expect(unpack(packed, len, out, sizeof(out), "xz") == -EFBIG);
}

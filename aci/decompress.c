/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/decompress.h"

#include <assert.h>
#include <bzlib.h>
#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <lzma.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "aci/http_bell.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"

#define INPUT_SIZE (256UL * 1024)
/* What a codec may take, so that an import stays below 64 MiB whatever the
 * image asks for: xz up to -8, zstd windows up to 32 MiB.  An xz file whose
 * blocks are too large to be decoded several at once has one thread.  That one
 * may take more, for the 64 MiB that xz -9 looks back: the specification says
 * xz, and people use it. */
#define CODEC_MEMORY_MAX (40ULL << 20)
#define XZ_9_MEMORY_MAX (80ULL << 20)
#define XZ_THREADS_MAX 16
#define ZSTD_WINDOW_LOG_MAX 25

/*
 * One codec: takes from d->in[pos..len), gives to out.  At the end of a
 * member it sets d->member_done; the next call starts another member.
 */
struct codec {
	int (*open)(struct decompressor *d, struct error *err);
	/* Returns bytes given (0 is fine: more input wanted) or -errno. */
	ssize_t (*step)(struct decompressor *d, uint8_t *out, size_t size,
			struct error *err);
	void (*close)(struct decompressor *d);
};

struct decompressor {
	enum compression type;
	const struct codec *codec;
	int fd;
	int bell_fd;  /* negative: the file is whole */
	off_t offset; /* of the file, next to read */
	atomic_bool is_cancelled;
	struct digest digest;
	size_t pos, len;  /* unread part of in[] */
	bool eof;	  /* of the file */
	bool member_done; /* no member is open: the file may end here */
	union {
		struct inflate_state gzip;
		bz_stream bzip2;
		lzma_stream xz;
		ZSTD_DStream *zstd;
	} s;
	uint8_t in[INPUT_SIZE];
};

static ssize_t none_step(struct decompressor *d, uint8_t *out, size_t size,
			 struct error *err)
{
	size_t n = d->len - d->pos;

	(void)err;
	if (n > size)
		n = size;
	memcpy(out, d->in + d->pos, n);
	d->pos += n;
	d->member_done = true;
	return (ssize_t)n;
}

static off_t input_position(const struct decompressor *d)
{
	return d->offset - (off_t)(d->len - d->pos);
}

static int bad_stream(const struct decompressor *d, struct error *err)
{
	return error_set(err, EINVAL,
			 "decompress: the %s stream is damaged near byte %lld",
			 compression_name(d->type),
			 (long long)input_position(d));
}

static int gzip_open(struct decompressor *d, struct error *err)
{
	(void)err;
	isal_inflate_init(&d->s.gzip);
	d->s.gzip.crc_flag = ISAL_GZIP;
	return 0;
}

static ssize_t gzip_step(struct decompressor *d, uint8_t *out, size_t size,
			 struct error *err)
{
	struct inflate_state *s = &d->s.gzip;
	int r;

	if (d->member_done) {
		isal_inflate_reset(s);
		s->crc_flag = ISAL_GZIP;
		d->member_done = false;
	}
	s->next_in = d->in + d->pos;
	s->avail_in = (uint32_t)(d->len - d->pos);
	s->next_out = out;
	s->avail_out = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
	r = isal_inflate(s);
	d->pos = d->len - s->avail_in;
	if (r < 0)
		return bad_stream(d, err);
	d->member_done = s->block_state == ISAL_BLOCK_FINISH;
	return s->next_out - out;
}

static int bzip2_open(struct decompressor *d, struct error *err)
{
	memset(&d->s.bzip2, 0, sizeof(d->s.bzip2));
	if (BZ2_bzDecompressInit(&d->s.bzip2, 0, 0) != BZ_OK)
		return error_sys(err, ENOMEM, "start bzip2");
	return 0;
}

static void bzip2_close(struct decompressor *d)
{
	(void)BZ2_bzDecompressEnd(&d->s.bzip2);
}

static ssize_t bzip2_step(struct decompressor *d, uint8_t *out, size_t size,
			  struct error *err)
{
	bz_stream *s = &d->s.bzip2;
	int r;

	if (d->member_done) {
		bzip2_close(d);
		r = bzip2_open(d, err);
		if (r < 0)
			return r;
		d->member_done = false;
	}
	s->next_in = (char *)d->in + d->pos;
	s->avail_in = (unsigned int)(d->len - d->pos);
	s->next_out = (char *)out;
	s->avail_out = size > UINT32_MAX ? UINT32_MAX : (unsigned int)size;
	r = BZ2_bzDecompress(s);
	d->pos = d->len - s->avail_in;
	if (r != BZ_OK && r != BZ_STREAM_END)
		return bad_stream(d, err);
	d->member_done = r == BZ_STREAM_END;
	return (uint8_t *)s->next_out - out;
}

/* Not by sysconf(3), which reads files. */
static uint32_t n_processors(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set)
							     : 1;

	return n < XZ_THREADS_MAX ? (uint32_t)n : XZ_THREADS_MAX;
}

static int xz_open(struct decompressor *d, struct error *err)
{
	const lzma_mt options = {
		.threads = n_processors(),
		.memlimit_threading = CODEC_MEMORY_MAX,
		.memlimit_stop = XZ_9_MEMORY_MAX,
	};

	d->s.xz = (lzma_stream)LZMA_STREAM_INIT;
	/* Not LZMA_CONCATENATED: it would need to be told the end of input
	 * before it accepts one; a next stream is opened like a member. */
	if (lzma_stream_decoder_mt(&d->s.xz, &options) != LZMA_OK)
		return error_sys(err, ENOMEM, "start xz");
	return 0;
}

static void xz_close(struct decompressor *d)
{
	lzma_end(&d->s.xz);
}

static ssize_t xz_step(struct decompressor *d, uint8_t *out, size_t size,
		       struct error *err)
{
	lzma_stream *s = &d->s.xz;
	lzma_ret code;
	int r;

	if (d->member_done) {
		xz_close(d);
		r = xz_open(d, err);
		if (r < 0)
			return r;
		d->member_done = false;
	}
	s->next_in = d->in + d->pos;
	s->avail_in = d->len - d->pos;
	s->next_out = out;
	s->avail_out = size;
	/* With more input to come the decoder would rather not wait for its
	 * threads. */
	code = lzma_code(s, d->eof ? LZMA_FINISH : LZMA_RUN);
	d->pos = d->len - s->avail_in;
	if (code == LZMA_MEMLIMIT_ERROR)
		return error_set(err, EFBIG,
				 "decompress: the xz stream needs more than "
				 "%llu MiB of memory: compress the image with "
				 "xz -9 or less",
				 XZ_9_MEMORY_MAX >> 20);
	/* LZMA_BUF_ERROR: no progress for want of input; the reader decides */
	if (code != LZMA_OK && code != LZMA_STREAM_END &&
	    code != LZMA_BUF_ERROR)
		return bad_stream(d, err);
	d->member_done = code == LZMA_STREAM_END;
	return s->next_out - out;
}

static int zstd_open(struct decompressor *d, struct error *err)
{
	d->s.zstd = ZSTD_createDStream();
	if (!d->s.zstd)
		return error_sys(err, ENOMEM, "start zstd");
	(void)ZSTD_DCtx_setParameter(d->s.zstd, ZSTD_d_windowLogMax,
				     ZSTD_WINDOW_LOG_MAX);
	return 0;
}

static void zstd_close(struct decompressor *d)
{
	(void)ZSTD_freeDStream(d->s.zstd);
}

static ssize_t zstd_step(struct decompressor *d, uint8_t *out, size_t size,
			 struct error *err)
{
	ZSTD_inBuffer in = {d->in + d->pos, d->len - d->pos, 0};
	ZSTD_outBuffer to = {out, size, 0};
	size_t r;

	d->member_done = false;
	r = ZSTD_decompressStream(d->s.zstd, &to, &in);
	d->pos += in.pos;
	if (ZSTD_getErrorCode(r) == ZSTD_error_frameParameter_windowTooLarge)
		return error_set(err, EFBIG,
				 "decompress: the zstd stream needs a window "
				 "of more than %u MiB: compress the image "
				 "without --ultra and with --long=%u or less",
				 1U << (ZSTD_WINDOW_LOG_MAX - 20),
				 ZSTD_WINDOW_LOG_MAX);
	if (ZSTD_isError(r))
		return error_set(err, EINVAL,
				 "decompress: the zstd stream is damaged near "
				 "byte %lld: %s",
				 (long long)input_position(d),
				 ZSTD_getErrorName(r));
	d->member_done = r == 0;
	return (ssize_t)to.pos;
}

static const struct codec codecs[] = {
	[COMPRESSION_NONE] = {.step = none_step},
	[COMPRESSION_GZIP] = {.open = gzip_open, .step = gzip_step},
	[COMPRESSION_BZIP2] = {.open = bzip2_open,
			       .step = bzip2_step,
			       .close = bzip2_close},
	[COMPRESSION_XZ] = {.open = xz_open,
			    .step = xz_step,
			    .close = xz_close},
	[COMPRESSION_ZSTD] = {.open = zstd_open,
			      .step = zstd_step,
			      .close = zstd_close},
};

/* Waits until the file has grown, or is whole: then there is no bell. */
static int wait_growth(struct decompressor *d, struct error *err)
{
	int r = http_bell_wait(d->bell_fd);

	if (r >= 0 && atomic_load(&d->is_cancelled))
		r = -ECANCELED;
	if (r == -EPIPE)
		return error_set(err, EIO, "read the image: it ends early");
	if (r < 0)
		return error_sys(err, -r, "wait for more of the image");
	if (r == 0)
		d->bell_fd = -EBADF;
	return 0;
}

/* A full buffer, or less at the end of the file. */
static ssize_t read_input(struct decompressor *d, struct error *err)
{
	size_t got = 0;

	for (;;) {
		bool is_whole = d->bell_fd < 0;
		ssize_t n = pread_full(d->fd, d->in + got, sizeof(d->in) - got,
				       d->offset + (off_t)got);
		int r;

		if (n < 0)
			return error_sys(err, (int)-n, "read the image");
		got += (size_t)n;
		if (is_whole || got == sizeof(d->in))
			return (ssize_t)got;
		r = wait_growth(d, err);
		if (r < 0)
			return r;
	}
}

static int fill_input(struct decompressor *d, struct error *err)
{
	ssize_t n = read_input(d, err);

	if (n < 0)
		return (int)n;
	d->offset += n;
	d->pos = 0;
	d->len = (size_t)n;
	d->eof = n < (ssize_t)sizeof(d->in);
	digest_update(&d->digest, d->in, d->len);
	return 0;
}

int decompressor_open(int fd, int bell_fd, enum digest_type type,
		      struct decompressor **ret, struct error *err)
{
	struct decompressor *d = xcalloc(1, sizeof(*d));
	int r;

	d->fd = fd;
	d->bell_fd = bell_fd;
	r = digest_init(&d->digest, type, err);
	if (r == 0)
		r = fill_input(d, err);
	if (r == 0 && compression_detect(d->in, d->len, &d->type) < 0)
		r = error_set(err, EINVAL,
			      d->len ? "not an image: neither a tar archive "
				       "nor gzip, bzip2, xz or zstd"
				     : "not an image: the file is empty");
	if (r == 0 && codecs[d->type].open)
		r = codecs[d->type].open(d, err);
	if (r < 0) {
		digest_release(&d->digest);
		free(d);
		return r;
	}
	d->codec = &codecs[d->type];
	*ret = d;
	return 0;
}

void decompressor_free(struct decompressor *d)
{
	if (d->codec->close)
		d->codec->close(d);
	digest_release(&d->digest);
	free(d);
}

void decompressor_cancel(struct decompressor *d)
{
	atomic_store(&d->is_cancelled, true);
}

/* True when the input ended where the format allows it. */
static int at_end(struct decompressor *d, struct error *err)
{
	if (d->member_done)
		return 0;
	return error_set(err, EINVAL,
			 "decompress: the %s stream ends early, after %lld "
			 "bytes",
			 compression_name(d->type), (long long)d->offset);
}

ssize_t decompressor_read(struct decompressor *d, void *buf, size_t size,
			  struct error *err)
{
	uint8_t *out = buf;
	size_t got = 0;
	bool drained = false; /* the last step gave nothing */

	while (got < size) {
		size_t before;
		ssize_t n;
		int r;

		if (d->pos == d->len && !d->eof) {
			r = fill_input(d, err);
			if (r < 0)
				return r;
		}
		if (d->pos == d->len && (d->member_done || drained)) {
			r = at_end(d, err);
			return r < 0 ? r : (ssize_t)got;
		}
		before = d->pos;
		n = d->codec->step(d, out + got, size - got, err);
		if (n < 0)
			return n;
		if (n == 0 && d->pos == before && d->pos < d->len)
			return bad_stream(d, err); /* a codec that stalls */
		drained = n == 0;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

enum compression decompressor_type(const struct decompressor *d)
{
	return d->type;
}

uint64_t decompressor_input_size(const struct decompressor *d)
{
	return (uint64_t)d->offset;
}

void decompressor_input_digest(struct decompressor *d,
			       uint8_t ret[DIGEST_SHA512_SIZE])
{
	digest_final(&d->digest, ret);
}

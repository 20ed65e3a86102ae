/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/image_stream.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aci/digest.h"
#include "base/alloc.h"
#include "base/error.h"

#define HOLE_SIZE 4096

struct chunk {
	uint8_t *data;
	size_t len;
};

struct image_stream {
	struct decompressor *decompressor;
	struct digest digest;
	int blob_fd;
	uint64_t max_size;
	uint64_t offset; /* of the chunk being handed out */
	pthread_t producer, hasher;
	bool has_producer, has_hasher;
	bool is_lent; /* the caller holds chunk number n_used */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	struct chunk chunks[STREAM_CHUNKS]; /* by count modulo their number */
	uint64_t n_produced, n_hashed, n_used;
	bool ended;	    /* the producer will add nothing */
	bool stop;	    /* the caller wants no more */
	struct error error; /* of the producer */
};

static uint64_t least_done(const struct image_stream *s)
{
	return s->n_hashed < s->n_used ? s->n_hashed : s->n_used;
}

/* Waits for a free chunk; NULL when the caller has given up. */
static struct chunk *wait_free(struct image_stream *s)
{
	struct chunk *c = NULL;

	(void)pthread_mutex_lock(&s->lock);
	while (!s->stop && s->n_produced - least_done(s) >= STREAM_CHUNKS)
		(void)pthread_cond_wait(&s->changed, &s->lock);
	if (!s->stop)
		c = &s->chunks[s->n_produced % STREAM_CHUNKS];
	(void)pthread_mutex_unlock(&s->lock);
	return c;
}

/* Waits for chunk number N; NULL when there will be none. */
static struct chunk *wait_chunk(struct image_stream *s, uint64_t n)
{
	struct chunk *c = NULL;

	(void)pthread_mutex_lock(&s->lock);
	while (!s->stop && !s->ended && s->n_produced <= n)
		(void)pthread_cond_wait(&s->changed, &s->lock);
	if (!s->stop && s->n_produced > n)
		c = &s->chunks[n % STREAM_CHUNKS];
	(void)pthread_mutex_unlock(&s->lock);
	return c;
}

static void count_up(struct image_stream *s, uint64_t *counter)
{
	(void)pthread_mutex_lock(&s->lock);
	(*counter)++;
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
}

static void end_production(struct image_stream *s, const struct error *err)
{
	(void)pthread_mutex_lock(&s->lock);
	s->ended = true;
	s->error = *err;
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
}

static void *produce(void *arg)
{
	struct image_stream *s = arg;
	struct error err = ERROR_INIT;
	struct chunk *c;
	uint64_t total = 0;

	while ((c = wait_free(s))) {
		ssize_t n = decompressor_read(s->decompressor, c->data,
					      STREAM_CHUNK_SIZE, &err);

		if (n <= 0)
			break;
		total += (uint64_t)n;
		if (total > s->max_size) {
			(void)error_set(&err, EFBIG,
					"decompress: the archive is more than "
					"the limit of %llu bytes",
					(unsigned long long)s->max_size);
			break;
		}
		c->len = (size_t)n;
		count_up(s, &s->n_produced);
	}
	end_production(s, &err);
	return NULL;
}

static void *hash(void *arg)
{
	struct image_stream *s = arg;
	struct chunk *c;

	for (uint64_t n = 0; (c = wait_chunk(s, n)); n++) {
		digest_update(&s->digest, c->data, c->len);
		count_up(s, &s->n_hashed);
	}
	return NULL;
}

int image_stream_open(const struct image_input *input, int blob_fd,
		      uint64_t max_size, struct image_stream **ret,
		      struct error *err)
{
	struct image_stream *s = xcalloc(1, sizeof(*s));
	int r;

	s->blob_fd = blob_fd;
	s->max_size = max_size;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->changed, NULL);
	for (size_t i = 0; i < STREAM_CHUNKS; i++)
		s->chunks[i].data = xmalloc(STREAM_CHUNK_SIZE);
	r = decompressor_open(input->fd, input->bell_fd, input->digest,
			      &s->decompressor, err);
	if (r < 0)
		goto fail;
	r = digest_init(&s->digest, DIGEST_SHA512, err);
	if (r < 0)
		goto fail;
	r = -pthread_create(&s->producer, NULL, produce, s);
	s->has_producer = r == 0;
	if (r == 0)
		r = -pthread_create(&s->hasher, NULL, hash, s);
	s->has_hasher = r == 0;
	if (r < 0) {
		(void)error_sys(err, -r, "start a thread");
		goto fail;
	}
	*ret = s;
	return 0;
fail:
	image_stream_free(s);
	return r;
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && !memcmp(p, p + 1, len - 1);
}

static int write_run(struct image_stream *s, const uint8_t *p, size_t len,
		     uint64_t offset, struct error *err)
{
	while (len > 0) {
		ssize_t n = pwrite(s->blob_fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "write the blob");
		p += n;
		len -= (size_t)n;
		offset += (size_t)n;
	}
	return 0;
}

/* Writes the runs of blocks between holes. */
static int write_chunk(struct image_stream *s, const struct chunk *c,
		       struct error *err)
{
	size_t start = 0, pos = 0;
	int r;

	if (s->blob_fd < 0)
		return 0;
	while (pos < c->len) {
		size_t n = c->len - pos < HOLE_SIZE ? c->len - pos : HOLE_SIZE;

		if (is_zero(c->data + pos, n)) {
			r = write_run(s, c->data + start, pos - start,
				      s->offset + start, err);
			if (r < 0)
				return r;
			start = pos + n;
		}
		pos += n;
	}
	return write_run(s, c->data + start, pos - start, s->offset + start,
			 err);
}

/* Gives back the chunk handed out last, if any. */
static void release_chunk(struct image_stream *s)
{
	if (!s->is_lent)
		return;
	s->offset += s->chunks[s->n_used % STREAM_CHUNKS].len;
	s->is_lent = false;
	count_up(s, &s->n_used);
}

ssize_t image_stream_next(struct image_stream *s, const uint8_t **ret,
			  struct error *err)
{
	const struct chunk *c;
	int r;

	release_chunk(s);
	c = wait_chunk(s, s->n_used);
	if (!c) {
		if (s->error.code && err)
			*err = s->error;
		return -s->error.code;
	}
	r = write_chunk(s, c, err);
	if (r < 0)
		return r;
	s->is_lent = true;
	*ret = c->data;
	return (ssize_t)c->len;
}

/* Ends both threads; with STOP before their work is done. */
static void join(struct image_stream *s, bool stop)
{
	(void)pthread_mutex_lock(&s->lock);
	s->stop |= stop;
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
	if (stop && s->decompressor)
		decompressor_cancel(s->decompressor);
	if (s->has_producer)
		(void)pthread_join(s->producer, NULL);
	if (s->has_hasher)
		(void)pthread_join(s->hasher, NULL);
	s->has_producer = s->has_hasher = false;
}

int image_stream_finish(struct image_stream *s, struct image_totals *ret,
			struct error *err)
{
	assert(!s->is_lent);
	join(s, false);
	if (s->blob_fd >= 0 && ftruncate(s->blob_fd, (off_t)s->offset) < 0)
		return error_sys(err, errno, "set the blob's size");
	*ret = (struct image_totals){
		.compression = decompressor_type(s->decompressor),
		.image_size = decompressor_input_size(s->decompressor),
		.tar_size = s->offset,
	};
	decompressor_input_digest(s->decompressor, ret->image_digest);
	digest_final(&s->digest, ret->tar_digest);
	return 0;
}

void image_stream_free(struct image_stream *s)
{
	join(s, true);
	if (s->decompressor)
		decompressor_free(s->decompressor);
	digest_release(&s->digest);
	for (size_t i = 0; i < STREAM_CHUNKS; i++)
		free(s->chunks[i].data);
	(void)pthread_cond_destroy(&s->changed);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

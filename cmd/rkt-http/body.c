/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-http/body.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/http_bell.h"
#include "base/error.h"
#include "base/io.h"

#define VALIDATOR_MAX 1024

void body_release(struct body *b)
{
	strbuf_release(&b->validator);
}

int body_open(struct body *b, struct error *err)
{
	char text[VALIDATOR_MAX];
	struct stat st;
	ssize_t n;

	if (b->partial_fd < 0)
		return 0;
	if (fstat(b->fd, &st) < 0)
		return error_sys(err, errno, "look at the partial download");
	n = pread_full(b->partial_fd, text, sizeof(text), 0);
	if (n < 0)
		return error_sys(err, (int)-n, "read the partial download");
	if (n == 0 || st.st_size == 0 || (uint64_t)st.st_size > b->max)
		return 0;
	strbuf_add(&b->validator, text, strnlen(text, (size_t)n));
	b->size = b->resumed = (uint64_t)st.st_size;
	return 0;
}

/* In the order that a kill may cut anywhere. */
static int begin_file(struct body *b, struct error *err)
{
	const struct strbuf *word = &b->validator;

	if (ftruncate(b->fd, 0) < 0)
		return error_sys(err, errno, "empty the file of the download");
	if (b->partial_fd < 0)
		return 0;
	if (ftruncate(b->partial_fd, 0) < 0 ||
	    pwrite(b->partial_fd, word->buf, word->len, 0) !=
		    (ssize_t)word->len)
		return error_sys(err, errno, "note the download's version");
	return 0;
}

int body_restart(struct body *b, const char *validator, struct error *err)
{
	bool is_same = b->validator.len > 0 &&
		       strcmp(b->validator.buf, validator) == 0;

	b->at = 0;
	if (b->fd < 0)
		return 0;
	if (b->announced > 0)
		return is_same ? 0
			       : error_set(err, ESTALE,
					   "it changed on the server while it "
					   "was downloaded");
	b->size = b->resumed = 0;
	strbuf_reset(&b->validator);
	if (strlen(validator) < VALIDATOR_MAX)
		strbuf_addstr(&b->validator, validator);
	return begin_file(b, err);
}

void body_continue(struct body *b)
{
	b->at = b->size;
	b->announced = b->size;
	http_bell_ring(b->bell_fd);
}

static int too_long(const struct body *b, struct error *err)
{
	return error_set(err, EFBIG,
			 "it is more than the %" PRIu64 " bytes "
			 "that are allowed",
			 b->max);
}

int body_write(struct body *b, const void *data, size_t len, struct error *err)
{
	const char *from = data;
	/* What was announced stays as it is: it is the same anyway. */
	uint64_t skip = b->at < b->announced ? b->announced - b->at : 0;

	if (len > b->max || b->at > b->max - len)
		return too_long(b, err);
	if (skip > len)
		skip = len;
	for (size_t done = skip; b->fd >= 0 && done < len;) {
		ssize_t n = pwrite(b->fd, from + done, len - done,
				   (off_t)(b->at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "write the download");
		done += (size_t)n;
	}
	b->at += len;
	if (b->at > b->size)
		b->size = b->at;
	if (b->bell_fd >= 0)
		b->announced = b->size;
	http_bell_ring(b->bell_fd);
	return 0;
}

void body_end(const struct body *b)
{
	http_bell_end(b->bell_fd);
}

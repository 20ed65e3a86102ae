/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_GZIP_WRITE_H
#define ACI_GZIP_WRITE_H

/*
 * A gzip file: the same bytes for the same input on every machine.
 *
 *	struct gzip_writer w = {.what = "layer", .fd = fd};
 *	r = gzip_open(&w, err);
 *	... gzip_put(&w, data, n, err);
 *	r = gzip_close(&w, err);
 *	gzip_release(&w);
 */

#include <stddef.h>

struct archive;
struct error;

struct gzip_writer {
	const char *what; /* for messages: "write the WHAT" */
	int fd;
	/* Told what goes to the file; may be NULL. */
	void (*wrote)(void *arg, const void *data, size_t n);
	void *arg;
	struct archive *a;
	int failed; /* errno of the first write that failed */
};

int gzip_open(struct gzip_writer *w, struct error *err);
int gzip_put(struct gzip_writer *w, const void *data, size_t n,
	     struct error *err);
/* Writes the end of it. */
int gzip_close(struct gzip_writer *w, struct error *err);
/* What was not closed is given up: nothing more of it is written. */
void gzip_release(struct gzip_writer *w);

#endif

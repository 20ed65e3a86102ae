/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_DOWNLOAD_H
#define ACI_DOWNLOAD_H

/*
 * Downloads under way, below cas/download: for each URL a file HASH (its
 * SHA-256 in hex) with the bytes so far and a file HASH.version with what tells
 * whether they are still the right ones (the program that downloads writes
 * both).  Blobs of registries go by their digest instead of a URL.  Who
 * downloads holds HASH locked; who wants the same URL waits.  What an
 * interruption leaves is taken up by the next download of that URL or removed
 * by image gc.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct imagestore;

#define DOWNLOAD_NAME_MAX 80

struct download {
	int dirfd;
	int fd;		/* read-write, locked */
	int version_fd; /* read-write */
	char name[DOWNLOAD_NAME_MAX];
};

#define DOWNLOAD_INIT                                                          \
	{                                                                      \
		-1, -1, -1, ""                                                 \
	}

/* Closes; the files stay for a next time unless there is nothing in them. */
void download_release(struct download *d);
#define cleanup_download __attribute__((__cleanup__(download_release)))

/*
 * Opens and locks the file for URL: -EBUSY, without message, if another
 * process has it.
 */
int download_try(struct imagestore *store, const char *url,
		 struct download *ret, struct error *err);
/* The same, after the other process is done. */
int download_wait(struct imagestore *store, const char *url,
		  struct download *ret, struct error *err);

/* Removes the files: the image is stored, or the bytes are worth nothing. */
void download_remove(struct download *d);

/* Forgets the bytes: the next request begins anew. */
int download_restart(const struct download *d, struct error *err);

/* Whether after the error R (a negative errno) of a download its bytes are of
 * use to a next try. */
bool download_is_resumable(int r);

/* Removes downloads that nobody works on and that were last written to
 * before BEFORE (nanoseconds since 1970); *RET counts them. */
int downloads_collect(struct imagestore *store, int64_t before, size_t *ret,
		      struct error *err);

#endif

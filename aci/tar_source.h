/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_TAR_SOURCE_H
#define ACI_TAR_SOURCE_H

/* A file as libarchive's source, by pread(2) alone: the cage has no more. */

#include <stdint.h>
#include <sys/types.h>

struct archive;

struct tar_source {
	int fd; /* borrowed */
	off_t offset;
	uint8_t buf[1UL << 20];
};

/* archive_read_open(): S must last as long as A. */
int tar_source_open(struct archive *a, struct tar_source *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_ACI_READ_H
#define ACI_ACI_READ_H

/*
 * Reads and checks a whole image in one pass: decompression, digests, the
 * blob, and every archive entry as an extraction will see it (the same
 * library, the same options: aci_tar_open()).  Runs on hostile bytes: only
 * inside the sandbox, in tests and in fuzzers.
 */

#include <stdbool.h>
#include <stdint.h>

#include "aci/aci_check.h"
#include "aci/image_stream.h"
#include "aci/layout.h"
#include "base/strbuf.h"

struct archive;
struct archive_entry;
struct error;
struct tar_index;

struct aci_limits {
	uint64_t max_tar_size; /* bytes */
	uint64_t max_files;
	int bell_fd;   /* of struct image_input; 0 = none */
	bool is_layer; /* of an OCI image: oci_layer.h */
	enum digest_type image_digest;
};

struct aci_contents {
	struct image_totals totals;
	uint64_t n_files;	/* rootfs and below */
	uint64_t unpacked_size; /* bytes, in whole 4 KiB blocks */
	struct strbuf manifest; /* as in the archive, not yet parsed; a
				 * layer's is empty */
	/* The manifest's entry in the tar, its headers and padding included. */
	uint64_t manifest_start, manifest_end;
	uint8_t diff_id[32]; /* SHA-256 of a layer's tar */
};

#define ACI_CONTENTS_INIT                                                      \
	{                                                                      \
		.manifest = STRBUF_INIT                                        \
	}

/*
 * IMAGE_FD and BLOB_FD as image_stream_open() has them.  INDEX (if not NULL)
 * gets every entry.  -EINVAL: a bad image; -EFBIG: over a limit.
 */
int aci_read(int image_fd, int blob_fd, const struct aci_limits *limits,
	     struct tar_index *index, struct aci_contents *ret,
	     struct error *err);

/*
 * The entries of the tar BLOB_FD, read with pread(2), for INDEX alone: checked
 * as above, not hashed.
 */
int aci_read_blob(int blob_fd, bool is_layer, struct tar_index *index,
		  struct error *err);

void aci_contents_release(struct aci_contents *contents);
#define cleanup_aci_contents __attribute__((__cleanup__(aci_contents_release)))

/* A tar reader as both reading and extraction use it: tar only, no filters. */
struct archive *aci_tar_new(void);

/*
 * Judges the result R of an archive call on A: 0, 1 at the end of the archive,
 * or -EINVAL with the reason.  Warnings are errors, except names that are not
 * UTF-8, which are taken byte for byte.
 */
int aci_tar_result(struct archive *a, struct archive_entry *entry, int r,
		   struct error *err);

/* What ENTRY is, in our terms; strings borrowed from it. */
int aci_entry_make(struct archive_entry *entry, struct aci_entry *ret,
		   struct error *err);

/* Removes from ENTRY what an image may not set on this host's files, and
 * makes extended attributes that hold access control lists into lists. */
void aci_filter_properties(struct archive_entry *entry);

#endif

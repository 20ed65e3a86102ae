/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_OCI_LAYOUT_H
#define ACI_OCI_LAYOUT_H

/*
 * The files of an OCI image layout (image specification, "Image Layout"), of
 * a directory or of a tar of one; or of an archive as docker makes them.  What
 * they hold is hostile, and so may be what they are.
 */

#include <stdint.h>

#include "base/strv.h"

struct error;
struct image_fetcher;
struct imagestore;

struct oci_layout {
	int dirfd;	   /* negative: of an archive */
	int tar_fd;	   /* that one, unpacked */
	struct strv files; /* of it: name, offset and bytes, by threes */
};

#define OCI_LAYOUT_INIT                                                        \
	{                                                                      \
		-1, -1, STRV_INIT                                              \
	}

void oci_layout_release(struct oci_layout *layout);
#define cleanup_oci_layout __attribute__((__cleanup__(oci_layout_release)))

/* PATH, a directory or a file, as RET, which is to be released whatever
 * comes of it.  -EINVAL: it is no layout. */
int oci_layout_open(const struct image_fetcher *f, const char *path,
		    struct oci_layout *ret, struct error *err);
/* PATH, a file.  -EINVAL: docker did not make it. */
int oci_layout_open_docker(const struct image_fetcher *f, const char *path,
			   struct oci_layout *ret, struct error *err);

/* The file NAME, a regular one of at most MAX bytes, for reading; what is in
 * an archive becomes a file of STORE's. */
int oci_layout_open_file(const struct oci_layout *layout,
			 struct imagestore *store, const char *name,
			 uint64_t max, struct error *err);
/* The same of the blob DIGEST ("sha256:..."). */
int oci_layout_open_blob(const struct oci_layout *layout,
			 struct imagestore *store, const char *digest,
			 uint64_t max, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_FETCH_CLIENT_H
#define ACI_FETCH_CLIENT_H

/*
 * The trusted side of rkt-fetch.  Images, signatures and keys are never
 * parsed in the caller's process: each call starts LIBEXEC_DIR/rkt-fetch,
 * hands it the descriptors it may use, waits for its answer and for its end,
 * and checks every field of the answer.  The child runs unprivileged (when
 * started by root), without a file system, network or the right to make
 * processes; extraction runs as root, locked into the target directory.
 *
 * A child that dies, hangs or lies is one error naming what happened.
 * Descriptors stay the caller's; their offsets are neither used nor moved.
 * A verify starts a process of its own: a parser taken over by an unsigned
 * image has no say in whether that image is signed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aci/fetch_child.h"
#include "aci/fetch_types.h"

struct error;
struct strv;
struct index_plan;

/* Bounds of an import; 0 (or a NULL pointer) means the default. */
struct fetch_limits {
	/* Uncompressed tar, bytes.  Default: 64 GiB or what the file system
	 * of the blob has free, whichever is less.  Whatever is asked for,
	 * a stream may not exceed 1 GiB + 1,032 times its compressed size
	 * (the most deflate can do). */
	uint64_t max_tar_size;
	uint64_t max_files; /* tar entries; default FETCH_FILES_MAX */
	/* Not an image, but a layer of an OCI image (oci_layer.h). */
	bool is_layer;
	bool is_sha512; /* what image_digest is */
};

/* What an image was found to be. */
struct fetch_image {
	char id[FETCH_ID_LEN + 1]; /* of the uncompressed tar */
	char *name;		   /* AC Identifier, from the manifest */
	char *manifest; /* canonical ImageManifest, as spec/ writes it */
	size_t manifest_len;
	const char *compression; /* "none" "gzip" "bzip2" "xz" "zstd"; static */
	uint64_t image_size;	 /* bytes as transported */
	uint64_t tar_size;	 /* bytes in the blob */
	uint64_t n_files;	 /* entries below rootfs, rootfs included */
	uint64_t unpacked_size;	 /* file content in whole 4 KiB blocks, bytes */
	uint64_t index_size;	 /* bytes in the index; 0 = there is none */
	/* SHA-256, or what was asked for, of the bytes as transported. */
	uint8_t image_digest[64];
	/* The manifest's entry in the tar, its headers and padding included:
	 * whole blocks of 512 bytes. */
	uint64_t manifest_start, manifest_end;
	/* Of a layer: the SHA-256 of the tar.  Its name and manifest are made
	 * of that (spec/oci.h). */
	uint8_t diff_id[32];
};

void fetch_image_release(struct fetch_image *image);
#define cleanup_fetch_image __attribute__((__cleanup__(fetch_image_release)))

/*
 * Reads the image behind IMAGE_FD (a regular file, any compression), checks
 * all of it, and writes the uncompressed tar to BLOB_FD (an empty regular
 * file open for writing; zero runs become holes; not synced).  BLOB_FD may be
 * negative: then the image is only checked.  With a blob, INDEX_FD (the same
 * kind of file, or negative) gets an EROFS index of that one tar
 * (erofs_format.h), if there can be one.  On failure the files' content means
 * nothing.  EINVAL bad image, EFBIG over a limit, ENOSPC, EPROTO the
 * child died or lied.
 */
int fetch_import(const char *libexec_dir, int image_fd, int blob_fd,
		 int index_fd, const struct fetch_limits *limits,
		 struct fetch_image *ret, struct error *err);

/* Where an import reads from. */
struct fetch_source {
	int fd; /* a regular file */
	/* The read end of a pipe (http_bell.h) while the file is still
	 * being written; negative: it is whole. */
	int bell_fd;
	uint64_t size; /* bytes it will have; 0 = unknown or whole */
};

/* An import under way; read child.sock only, which is readable when there is
 * something to finish.  image_fd, blob_fd and index_fd are borrowed all the
 * while. */
struct fetch_importing {
	struct fetch_child child;
	int image_fd, blob_fd, index_fd;
	int manifest_fd; /* owned */
	uint64_t max_tar_size, max_files;
	bool is_space; /* max_tar_size is what the file system has free */
	bool is_layer;
};

#define FETCH_IMPORTING_INIT                                                   \
	(struct fetch_importing)                                               \
	{                                                                      \
		.child = FETCH_CHILD_INIT, .image_fd = -1, .blob_fd = -1,      \
		.index_fd = -1, .manifest_fd = -1                              \
	}

/* fetch_import() in two steps, for a file that is still being written. */
int fetch_import_start(const char *libexec_dir, const struct fetch_source *src,
		       int blob_fd, int index_fd,
		       const struct fetch_limits *limits,
		       struct fetch_importing *ret, struct error *err);
int fetch_import_finish(struct fetch_importing *job, struct fetch_image *ret,
			struct error *err);
/* Kills what still runs. */
void fetch_import_release(struct fetch_importing *job);
#define cleanup_fetch_importing                                                \
	__attribute__((__cleanup__(fetch_import_release)))

/* A verification under way. */
struct fetch_verifying {
	struct fetch_child child;
	int keys_fd;
};

#define FETCH_VERIFYING_INIT                                                   \
	(struct fetch_verifying)                                               \
	{                                                                      \
		.child = FETCH_CHILD_INIT, .keys_fd = -1                       \
	}

/*
 * Begins to check the detached OpenPGP signature SIG_FD (armored or binary)
 * over the bytes of IMAGE_FD, a whole file, beside its import: whose keys are
 * trusted depends on the image's name, and is said at the end.
 */
int fetch_verify_start(const char *libexec_dir, int image_fd, int sig_fd,
		       struct fetch_verifying *ret, struct error *err);
/*
 * Ends it against exactly the public keys in KEY_FDS (the ones trusted for the
 * image's name).  IMAGE is the import's result: the bytes must be the imported
 * ones.  NULL skips that comparison.
 *
 * 0: one of the keys made a good signature.  -ENOKEY: it is signed by others
 * only; -EPERM: no valid signature, with the reason (expired, revoked, weak
 * hash); -EBADMSG: a trusted key's signature does not match, or the image
 * changed meanwhile; -EINVAL: not an OpenPGP signature; -EKEYREJECTED: one of
 * the key files cannot be read.
 */
int fetch_verify_finish(struct fetch_verifying *job,
			const struct fetch_image *image, const int *key_fds,
			size_t n_keys, struct fetch_signer *ret,
			struct error *err);
/* Kills what still runs. */
void fetch_verify_release(struct fetch_verifying *job);
#define cleanup_fetch_verifying                                                \
	__attribute__((__cleanup__(fetch_verify_release)))

/* Reads the public key file KEY_FD (armored or binary).  -EINVAL: none. */
int fetch_key_info(const char *libexec_dir, int key_fd, struct fetch_key *ret,
		   struct error *err);

/*
 * Unpacks the validated tar BLOB_FD into the empty directory DIRFD: manifest
 * and rootfs/ as in the archive, with owners, modes, times and extended
 * attributes (not trusted.*).  Needs root.  Nothing is synced.  After a
 * failure the directory holds a part and is to be removed.  Of a layer of an
 * OCI image the whiteouts are there as files.
 */
int fetch_extract(const char *libexec_dir, int blob_fd, bool is_layer,
		  int dirfd, struct error *err);

/* Appends the discovery tags of the HTML page PAGE_FD, as
 * discovery_html_parse() does; printable. */
int fetch_discover(const char *libexec_dir, int page_fd, struct strv *ret,
		   struct error *err);

/*
 * Writes the index of PLAN to INDEX_FD (empty, open for writing; not synced)
 * out of the validated tars BLOB_FDS, one for each layer.  -EFBIG if an index
 * cannot say what is in them, or for more than FETCH_BLOBS_MAX.
 */
int fetch_index(const char *libexec_dir, const struct index_plan *plan,
		const int *blob_fds, int index_fd, uint64_t *ret_size,
		struct error *err);

/*
 * What the index would show, as an uncompressed App Container Image with the
 * manifest in MANIFEST_FD, to OUT_FD (empty, open for writing; not synced).
 */
int fetch_flatten(const char *libexec_dir, const struct index_plan *plan,
		  const int *blob_fds, int manifest_fd, int out_fd,
		  struct error *err);

/*
 * The tree below the directory ROOTFS_FD (opened for reading) with the manifest
 * in MANIFEST_FD as an App Container Image, compressed with gzip, to OUT_FD
 * (empty, open for writing; not synced).  -ESTALE: it changed meanwhile.
 */
int fetch_pack(const char *libexec_dir, int rootfs_fd, int manifest_fd,
	       int out_fd, struct error *err);

/* A layer of an OCI image as it was written. */
struct fetch_layer {
	uint8_t diff_id[32]; /* SHA-256 of the tar */
	uint8_t digest[64];  /* of the file: SHA-256 or SHA-512 */
	uint64_t size;	     /* bytes of the file */
	bool is_empty;	     /* it says nothing of any file */
};

/*
 * Writes the root file system that PLAN makes of the validated tars BLOB_FDS
 * to LAYER_FD (empty, open for writing; not synced) as a layer; or, with PLAN
 * NULL, the one file BLOB_FDS as it is.  Compressed with gzip, the same bytes
 * for the same input.  Errors as layer_write.h has them.
 */
int fetch_make_layer(const char *libexec_dir, const struct index_plan *plan,
		     const int *blob_fds, int layer_fd, bool is_sha512,
		     struct fetch_layer *ret, struct error *err);

/* The SHA-512 of the first SIZE bytes of FD, a regular file. */
int fetch_digest(const char *libexec_dir, int fd, uint64_t size,
		 uint8_t ret[64], struct error *err);

#endif

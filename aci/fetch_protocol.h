/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_FETCH_PROTOCOL_H
#define ACI_FETCH_PROTOCOL_H

/*
 * What aci/fetch_client.c and rkt-fetch say to each other.
 *
 *	rkt-fetch MODE		MODE: "parse" or "extract"
 *
 * with a SOCK_SEQPACKET socket as descriptor 3 (and /dev/null as 0, 1, 2).
 * One request record with its descriptors as SCM_RIGHTS, one reply record,
 * end.  The request is trusted; the reply is not.  Both sides are of one
 * build: a different version is an error, not a negotiation.
 *
 *	job		mode	 descriptors, in order
 *	IMPORT		parse	 image, manifest (memfd to write), [blob],
 *				 [index], [bell]
 *	VERIFY		parse	 image, signature, keys (memfd)
 *	KEY_INFO	parse	 key
 *	EXTRACT		extract	 blob, directory
 *	INDEX		parse	 index, plan (index_plan.h), blob...
 *	FLATTEN		parse	 image, plan, blob..., manifest
 *	DIGEST		parse	 file
 *	DISCOVER	parse	 page, tags (memfd to write)
 *	OCI		parse	 text, arguments, answer (oci_job.h), [manifest]
 *	LAYER		parse	 layer, plan (index_plan.h; empty: the one blob
 *				 as it is), blob...
 *	OCI_ARCHIVE	parse	 archive, tar to write, answer
 *	PACK		parse	 image, manifest, rootfs directory
 *	PACK_TREE	parse	 tar to write, file (O_PATH)
 *	UNPACK		extract	 tar, detached mount of the directory, [user
 *				 namespace]
 *	HTTP		http	 request, answer (memfds, http_wire.h), [body],
 *				 [partial], [bell], [upload]
 *
 * VERIFY begins with the bytes of the image; whose signature is wanted is said
 * later, by a fetch_trust.
 *
 * HTTP is a job of rkt-http, a program that is otherwise the same; before its
 * reply it sends fetch_http_events.
 */

#include <stdint.h>

#include "aci/fetch_types.h"
#include "base/error.h"

#define FETCH_SOCKET_FD 3
#define FETCH_MAGIC 0x46544b52 /* "RKTF" */
#define FETCH_VERSION 8
#define FETCH_FDS_MAX (FETCH_BLOBS_MAX + 2) /* the kernel takes 253 */

#define FETCH_MODE_PARSE "parse"
#define FETCH_MODE_EXTRACT "extract"
#define FETCH_MODE_HTTP "http"

enum fetch_job_id {
	FETCH_JOB_IMPORT = 1,
	FETCH_JOB_VERIFY,
	FETCH_JOB_KEY_INFO,
	FETCH_JOB_EXTRACT,
	FETCH_JOB_DISCOVER,
	FETCH_JOB_HTTP,
	FETCH_JOB_INDEX,
	FETCH_JOB_DIGEST,
	FETCH_JOB_OCI,
	FETCH_JOB_FLATTEN,
	FETCH_JOB_LAYER,
	FETCH_JOB_OCI_ARCHIVE,
	FETCH_JOB_PACK,
	FETCH_JOB_PACK_TREE,
	FETCH_JOB_UNPACK,
};

struct fetch_request {
	uint32_t magic, version, job;
	uint32_t n_fds;			  /* that come with this record */
	uint64_t max_tar_size, max_files; /* IMPORT */
	uint8_t has_bell;     /* IMPORT: the last descriptor is one */
	uint8_t has_index;    /* IMPORT: the one behind the blob */
	uint8_t is_layer;     /* IMPORT, EXTRACT: oci_layer.h */
	uint8_t is_sha512;    /* IMPORT, LAYER: of the file, not SHA-256 */
	uint64_t digest_size; /* DIGEST: of the first so many bytes */
	uint32_t oci_step;    /* OCI: enum oci_step */
	/* HTTP: max_tar_size bounds the body. */
	uint8_t has_body, has_partial, has_http_bell, has_upload;
	uint64_t upload_from; /* HTTP: offset of the first byte to send */
	uint32_t http_flags;  /* enum http_flags */
	uint32_t http_retries, http_timeout; /* times, seconds */
	char name[256];		  /* PACK_TREE, UNPACK: of the file */
	uint8_t is_live;	  /* PACK_TREE: of a running pod */
	uint8_t keep_owner;	  /* UNPACK */
	uint32_t first_id, n_ids; /* PACK_TREE: aci_write.h */
};

/* The second record of a VERIFY: the keys are in the memfd by now. */
struct fetch_trust {
	uint32_t magic, version;
	uint32_t n_keys;    /* files, one behind the other */
	uint8_t has_digest; /* the image must hash to this SHA-256 */
	uint8_t image_digest[32];
	uint64_t key_ends[FETCH_KEYS_MAX]; /* offsets */
};

/* What rkt-http says while it works, as often as it likes. */
struct fetch_http_event {
	uint32_t magic, version;
	uint32_t status; /* 2xx once the body has begun */
	uint64_t done, total, resumed;
	char note[256];
};

struct fetch_http_reply {
	uint32_t status;
	uint32_t answer_len; /* bytes in the memfd */
	uint64_t body_size;
};

struct fetch_import_reply {
	uint32_t compression;  /* enum compression */
	uint32_t manifest_len; /* bytes in the memfd */
	uint64_t image_size, tar_size, n_files, unpacked_size;
	uint64_t manifest_start, manifest_end; /* of its entry in the tar */
	uint64_t index_size; /* 0: an index cannot say what is in it */
	uint8_t image_digest[64], tar_digest[64];
	uint8_t diff_id[32]; /* of a layer, which has no manifest */
};

struct fetch_layer_reply {
	uint8_t diff_id[32]; /* SHA-256 of the tar */
	uint8_t digest[64];  /* of the layer */
	uint64_t size;	     /* bytes of the layer */
	uint8_t is_empty;    /* it says nothing of any file */
};

struct fetch_reply {
	uint32_t magic, version, job;
	uint32_t code;		 /* positive errno, 0 = done */
	char msg[ERROR_MSG_MAX]; /* when code is set */
	union {
		struct fetch_import_reply import;
		struct fetch_signer signer;
		struct fetch_key key;
		struct fetch_http_reply http;
		struct fetch_layer_reply layer;
		uint64_t index_size; /* INDEX */
		uint8_t digest[64];  /* DIGEST: SHA-512 */
		uint32_t tags_len;   /* DISCOVER: bytes in the memfd */
		uint32_t answer_len; /* OCI: the same */
		uint64_t n_left_out; /* PACK_TREE: sockets and devices */
	};
};

#endif

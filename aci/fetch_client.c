/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/fetch_client.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "aci/compression.h"
#include "aci/fetch_protocol.h"
#include "aci/http_wire.h"
#include "aci/index_plan.h"
#include "aci/printable.h"
#include "aci/signature.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/image_id.h"
#include "spec/image_manifest.h"
#include "spec/oci.h"

#define PROGRAM "rkt-fetch"
#define RATIO_MAX                                                              \
	1032 /* what deflate can reach; every format is held to it             \
	      */
#define RATIO_FREE (1ULL << 30)

_Static_assert(FETCH_ID_LEN == IMAGE_ID_LEN, "one length of image ids");

static const char *mode_of(uint32_t job)
{
	return job == FETCH_JOB_EXTRACT ? FETCH_MODE_EXTRACT : FETCH_MODE_PARSE;
}

static int begin(const char *libexec_dir, struct fetch_request *req,
		 const int *fds, struct fetch_child *ret, struct error *err)
{
	char *envp[] = {NULL};
	int r = fetch_child_start(libexec_dir, PROGRAM, mode_of(req->job), envp,
				  ret, err);

	return r < 0 ? r : fetch_child_send(ret, req, fds, err);
}

/* One request, one reply, one end. */
static int call(const char *libexec_dir, struct fetch_request *req,
		const int *fds, int seconds, struct fetch_reply *ret,
		struct error *err)
{
	cleanup_fetch_child struct fetch_child c = FETCH_CHILD_INIT;
	int r = begin(libexec_dir, req, fds, &c, err);

	return r < 0 ? r : fetch_child_reply(&c, req->job, seconds, ret, err);
}

static int regular_size(int fd, const char *what, uint64_t *ret,
			struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "read the %s", what);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "read the %s: not a regular file",
				 what);
	*ret = (uint64_t)st.st_size;
	return 0;
}

/* See struct fetch_limits. */
static uint64_t tar_size_limit(uint64_t asked, uint64_t image_size, int blob_fd,
			       bool *ret_is_space)
{
	uint64_t limit = asked ? asked : FETCH_TAR_SIZE_MAX;

	if (!asked && blob_fd >= 0 && free_bytes(blob_fd) < limit) {
		limit = free_bytes(blob_fd);
		*ret_is_space = true;
	}
	if (image_size < limit / RATIO_MAX &&
	    RATIO_FREE + image_size * RATIO_MAX < limit) {
		limit = RATIO_FREE + image_size * RATIO_MAX;
		*ret_is_space = false;
	}
	return limit;
}

static int lied(const char *what, struct error *err)
{
	return error_set(err, EPROTO, "%s gave a false answer: the %s", PROGRAM,
			 what);
}

/* The manifest must be what spec/ makes of it, byte for byte. */
static int take_manifest(int fd, uint32_t len, struct fetch_image *ret,
			 struct error *err)
{
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	cleanup_strbuf struct strbuf canonical = STRBUF_INIT;
	cleanup_free char *text = NULL;
	int r;

	if (len == 0 || len > FETCH_MANIFEST_MAX)
		return lied("manifest's size", err);
	text = xmalloc(len + 1UL);
	if (pread_full(fd, text, len, 0) != (ssize_t)len)
		return lied("manifest is short", err);
	text[len] = '\0';
	r = image_manifest_parse(text, len, &im, err);
	if (r < 0)
		return error_wrap(err, r, "%s gave a false answer", PROGRAM);
	image_manifest_write(&im, JSON_COMPACT_STYLE, &canonical);
	if (canonical.len != len || memcmp(canonical.buf, text, len) != 0)
		return lied("manifest is not canonical", err);
	ret->manifest = TAKE_PTR(text);
	ret->manifest_len = len;
	ret->name = xstrdup(im.name);
	return 0;
}

static bool is_manifest_placed(const struct fetch_import_reply *reply)
{
	return reply->manifest_end <= reply->tar_size &&
	       reply->manifest_start < reply->manifest_end &&
	       (reply->manifest_start | reply->manifest_end) % 512 == 0;
}

/* What no App Container Image may say. */
static int refuse_layer_name(const struct fetch_image *image, struct error *err)
{
	if (!oci_is_layer_name(image->name))
		return 0;
	return error_set(err, EINVAL,
			 "image %s: names that begin with " OCI_LAYER_PREFIX
			 " belong to layers of OCI images",
			 image->name);
}

static int take_image(const struct fetch_import_reply *reply,
		      const struct fetch_importing *job,
		      struct fetch_image *ret, struct error *err)
{
	struct image_id id;
	uint64_t image_size = 0, blob_size = 0, index_size = 0;
	int r;

	r = regular_size(job->image_fd, "image", &image_size, err);
	if (r < 0)
		return r;
	if (reply->image_size != image_size)
		return error_set(err, ESTALE,
				 "the image changed while it was read");
	if (job->blob_fd >= 0) {
		r = regular_size(job->blob_fd, "blob", &blob_size, err);
		if (r < 0)
			return r;
		if (blob_size != reply->tar_size)
			return lied("size of the blob", err);
	}
	if (job->index_fd >= 0) {
		r = regular_size(job->index_fd, "index", &index_size, err);
		if (r < 0)
			return r;
		if (reply->index_size && index_size != reply->index_size)
			return lied("size of the index", err);
		ret->index_size = reply->index_size;
	}
	ret->compression = compression_name(reply->compression);
	if (!ret->compression || reply->tar_size > job->max_tar_size ||
	    reply->n_files > job->max_files ||
	    (!job->is_layer && !is_manifest_placed(reply)))
		return lied("numbers are out of range", err);
	image_id_from_digest(reply->tar_digest, &id);
	memcpy(ret->id, id.text, sizeof(ret->id));
	ret->image_size = reply->image_size;
	ret->tar_size = reply->tar_size;
	ret->n_files = reply->n_files;
	ret->unpacked_size = reply->unpacked_size;
	ret->manifest_start = reply->manifest_start;
	ret->manifest_end = reply->manifest_end;
	memcpy(ret->image_digest, reply->image_digest,
	       sizeof(ret->image_digest));
	memcpy(ret->diff_id, reply->diff_id, sizeof(ret->diff_id));
	if (job->is_layer) {
		oci_layer_manifest_make(ret->diff_id, &ret->name,
					&ret->manifest);
		assert(ret->manifest);
		ret->manifest_len = strlen(ret->manifest);
		return 0;
	}
	r = take_manifest(job->manifest_fd, reply->manifest_len, ret, err);
	return r < 0 ? r : refuse_layer_name(ret, err);
}

/* What comes along with the request, in the protocol's order. */
static uint32_t import_fds(const struct fetch_importing *job, int bell_fd,
			   int *fds)
{
	uint32_t n = 0;

	fds[n++] = job->image_fd;
	fds[n++] = job->manifest_fd;
	if (job->blob_fd >= 0)
		fds[n++] = job->blob_fd;
	if (job->index_fd >= 0)
		fds[n++] = job->index_fd;
	if (bell_fd >= 0)
		fds[n++] = bell_fd;
	return n;
}

int fetch_import_start(const char *libexec_dir, const struct fetch_source *src,
		       int blob_fd, int index_fd,
		       const struct fetch_limits *limits,
		       struct fetch_importing *ret, struct error *err)
{
	static const struct fetch_limits defaults;
	cleanup_fd int manifest_fd = memfd_create("manifest", MFD_CLOEXEC);
	struct fetch_request req = {
		.job = FETCH_JOB_IMPORT,
		.has_bell = src->bell_fd >= 0,
	};
	uint64_t size = src->size;
	int fds[FETCH_FDS_MAX];
	int r = 0;

	if (!limits)
		limits = &defaults;
	*ret = FETCH_IMPORTING_INIT;
	ret->image_fd = src->fd;
	ret->blob_fd = blob_fd;
	ret->index_fd = blob_fd < 0 ? -EBADF : index_fd;
	req.has_index = ret->index_fd >= 0;
	if (manifest_fd < 0)
		return error_sys(err, errno, "make a memory file");
	if (!req.has_bell)
		r = regular_size(src->fd, "image", &size, err);
	if (r < 0)
		return r;
	ret->manifest_fd = TAKE_FD(manifest_fd);
	ret->max_tar_size =
		tar_size_limit(limits->max_tar_size, size ? size : UINT64_MAX,
			       blob_fd, &ret->is_space);
	ret->max_files =
		limits->max_files ? limits->max_files : FETCH_FILES_MAX;
	ret->is_layer = limits->is_layer;
	req.is_layer = limits->is_layer;
	req.is_sha512 = limits->is_sha512;
	req.max_tar_size = ret->max_tar_size;
	req.max_files = ret->max_files;
	req.n_fds = import_fds(ret, src->bell_fd, fds);
	return begin(libexec_dir, &req, fds, &ret->child, err);
}

int fetch_import_finish(struct fetch_importing *job, struct fetch_image *ret,
			struct error *err)
{
	cleanup_fetch_image struct fetch_image image = {0};
	struct fetch_reply reply = {0};
	int r = fetch_child_reply(&job->child, FETCH_JOB_IMPORT, 7300, &reply,
				  err);

	if (r == -EFBIG && job->is_space)
		return error_prefix(
			err, r, "the image store has %" PRIu64 " bytes free",
			job->max_tar_size);
	if (r == 0)
		r = take_image(&reply.import, job, &image, err);
	if (r < 0)
		return r;
	*ret = image;
	image = (struct fetch_image){0};
	return 0;
}

void fetch_import_release(struct fetch_importing *job)
{
	fetch_child_release(&job->child);
	fd_close(&job->manifest_fd);
}

int fetch_import(const char *libexec_dir, int image_fd, int blob_fd,
		 int index_fd, const struct fetch_limits *limits,
		 struct fetch_image *ret, struct error *err)
{
	cleanup_fetch_importing struct fetch_importing job =
		FETCH_IMPORTING_INIT;
	const struct fetch_source src = {.fd = image_fd, .bell_fd = -1};
	int r = fetch_import_start(libexec_dir, &src, blob_fd, index_fd, limits,
				   &job, err);

	return r < 0 ? r : fetch_import_finish(&job, ret, err);
}

void fetch_image_release(struct fetch_image *image)
{
	free(image->name);
	free(image->manifest);
	*image = (struct fetch_image){0};
}

static bool is_fingerprint(const char s[FETCH_FINGERPRINT_LEN + 1])
{
	return s[FETCH_FINGERPRINT_LEN] == '\0' &&
	       strspn(s, "0123456789abcdef") == FETCH_FINGERPRINT_LEN;
}

static bool take_user_ids(size_t n,
			  char ids[FETCH_USER_IDS_MAX][FETCH_USER_ID_MAX])
{
	if (n > FETCH_USER_IDS_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		ids[i][FETCH_USER_ID_MAX - 1] = '\0';
		make_printable(ids[i]);
	}
	return true;
}

int fetch_verify_start(const char *libexec_dir, int image_fd, int sig_fd,
		       struct fetch_verifying *ret, struct error *err)
{
	cleanup_fd int keys_fd = memfd_create("keys", MFD_CLOEXEC);
	struct fetch_request req = {
		.job = FETCH_JOB_VERIFY,
		.n_fds = 3,
		.max_tar_size = FETCH_TAR_SIZE_MAX,
	};
	const int fds[] = {image_fd, sig_fd, keys_fd};
	uint64_t size;
	int r;

	if (keys_fd < 0)
		return error_sys(err, errno, "make a memory file");
	r = regular_size(image_fd, "image", &size, err);
	if (r == 0)
		r = regular_size(sig_fd, "signature", &size, err);
	if (r == 0)
		r = begin(libexec_dir, &req, fds, &ret->child, err);
	if (r == 0)
		ret->keys_fd = TAKE_FD(keys_fd);
	return r;
}

/* -EKEYREJECTED: one of them cannot be one. */
static int copy_keys(const struct fetch_verifying *job, const int *key_fds,
		     size_t n, uint64_t *ends, struct error *err)
{
	uint64_t end = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t size = 0;
		off_t at = 0;
		int r = regular_size(key_fds[i], "public key", &size, err);

		if (r < 0 || size > KEY_SIZE_MAX)
			return -EKEYREJECTED;
		while ((uint64_t)at < size) {
			ssize_t c = sendfile(job->keys_fd, key_fds[i], &at,
					     size - (uint64_t)at);

			if (c < 0)
				return error_sys(err, errno,
						 "read a public key");
			if (c == 0)
				return -EKEYREJECTED;
		}
		end += size;
		ends[i] = end;
	}
	return 0;
}

static int send_trust(const struct fetch_verifying *job,
		      const struct fetch_image *image, const int *key_fds,
		      size_t n_keys, struct error *err)
{
	struct fetch_trust trust = {
		.magic = FETCH_MAGIC,
		.version = FETCH_VERSION,
		.n_keys = (uint32_t)n_keys,
		.has_digest = image != NULL,
	};
	int r;

	if (n_keys > FETCH_KEYS_MAX)
		return error_set(err, E2BIG,
				 "verify the signature: %zu trusted keys are "
				 "more than %d",
				 n_keys, FETCH_KEYS_MAX);
	if (image)
		memcpy(trust.image_digest, image->image_digest,
		       sizeof(trust.image_digest));
	r = copy_keys(job, key_fds, n_keys, trust.key_ends, err);
	if (r < 0)
		return r;
	/* A child that is gone already is reported by who waits for it. */
	if (send(job->child.sock, &trust, sizeof(trust), MSG_NOSIGNAL) < 0 &&
	    errno != EPIPE && errno != ECONNRESET)
		return error_sys(err, errno, "send %s the keys", PROGRAM);
	return 0;
}

int fetch_verify_finish(struct fetch_verifying *job,
			const struct fetch_image *image, const int *key_fds,
			size_t n_keys, struct fetch_signer *ret,
			struct error *err)
{
	struct fetch_reply reply = {0};
	int r = send_trust(job, image, key_fds, n_keys, err);

	if (r == 0)
		r = fetch_child_reply(&job->child, FETCH_JOB_VERIFY, 1900,
				      &reply, err);
	if (r < 0)
		return r;
	if (!is_fingerprint(reply.signer.fingerprint) ||
	    !is_fingerprint(reply.signer.signing_key) ||
	    !take_user_ids(reply.signer.n_user_ids, reply.signer.user_ids))
		return lied("signer", err);
	*ret = reply.signer;
	return 0;
}

void fetch_verify_release(struct fetch_verifying *job)
{
	fetch_child_release(&job->child);
	fd_close(&job->keys_fd);
}

/* What came over a socket may hold any byte where a bool is. */
static void take_bool(bool *b)
{
	unsigned char byte;

	memcpy(&byte, b, 1);
	*b = byte != 0;
}

static bool take_subkeys(struct fetch_key *key)
{
	if (key->n_subkeys > FETCH_SUBKEYS_MAX)
		return false;
	for (size_t i = 0; i < key->n_subkeys; i++) {
		if (!is_fingerprint(key->subkeys[i].fingerprint))
			return false;
		take_bool(&key->subkeys[i].revoked);
		take_bool(&key->subkeys[i].can_sign);
	}
	return true;
}

int fetch_key_info(const char *libexec_dir, int key_fd, struct fetch_key *ret,
		   struct error *err)
{
	struct fetch_request req = {
		.job = FETCH_JOB_KEY_INFO,
		.n_fds = 1,
		.max_tar_size = FETCH_TAR_SIZE_MAX,
	};
	struct fetch_reply reply = {0};
	struct fetch_key *key = &reply.key;
	uint64_t size;
	int r;

	r = regular_size(key_fd, "public key", &size, err);
	if (r == 0)
		r = call(libexec_dir, &req, &key_fd, 60, &reply, err);
	if (r < 0)
		return r;
	key->algorithm[sizeof(key->algorithm) - 1] = '\0';
	make_printable(key->algorithm);
	take_bool(&key->revoked);
	take_bool(&key->expired);
	take_bool(&key->can_sign);
	take_bool(&key->has_secret);
	if (!is_fingerprint(key->fingerprint) || key->n_primary == 0 ||
	    !take_user_ids(key->n_user_ids, key->user_ids) ||
	    !take_subkeys(key))
		return lied("key", err);
	*ret = *key;
	return 0;
}

int fetch_extract(const char *libexec_dir, int blob_fd, bool is_layer,
		  int dirfd, struct error *err)
{
	struct fetch_request req = {
		.job = FETCH_JOB_EXTRACT,
		.is_layer = is_layer,
		.n_fds = 2,
		.max_tar_size = FETCH_TAR_SIZE_MAX,
	};
	const int fds[] = {blob_fd, dirfd};
	struct fetch_reply reply = {0};

	return call(libexec_dir, &req, fds, 7300, &reply, err);
}

/* Tags by threes, of printable text. */
static int take_tags(int fd, uint32_t len, struct strv *ret, struct error *err)
{
	cleanup_strv struct strv tags = STRV_INIT;
	int r = http_wire_read(fd, len, &tags, err);

	if (r < 0)
		return r;
	if (tags.n % 3 != 0)
		return lied("page's tags", err);
	for (size_t i = 0; i < tags.n; i++)
		make_printable(tags.v[i]);
	strv_append(ret, &tags);
	return 0;
}

int fetch_discover(const char *libexec_dir, int page_fd, struct strv *ret,
		   struct error *err)
{
	cleanup_fd int tags_fd = memfd_create("tags", MFD_CLOEXEC);
	const int fds[] = {page_fd, tags_fd};
	struct fetch_request req = {
		.job = FETCH_JOB_DISCOVER,
		.n_fds = 2,
		.max_tar_size = HTTP_WIRE_MAX,
	};
	struct fetch_reply reply = {0};
	uint64_t size;
	int r;

	if (tags_fd < 0)
		return error_sys(err, errno, "make a memory file");
	r = regular_size(page_fd, "page", &size, err);
	if (r == 0)
		r = call(libexec_dir, &req, fds, 60, &reply, err);
	return r < 0 ? r : take_tags(tags_fd, reply.tags_len, ret, err);
}

static int memory_file(const struct index_plan *plan, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_fd int fd = memfd_create("plan", MFD_CLOEXEC);
	int r = 0;

	if (plan)
		index_plan_write(plan, &text);
	if (fd >= 0)
		r = write_full(fd, text.buf, text.len);
	if (fd < 0 || r < 0)
		return error_sys(err, fd < 0 ? errno : -r,
				 "make a memory file");
	return TAKE_FD(fd);
}

/* LAST_FD, if not negative, goes behind the blobs. */
static int call_plan(const char *libexec_dir, enum fetch_job_id job,
		     const struct index_plan *plan, const int *blob_fds,
		     int out_fd, int last_fd, struct fetch_reply *reply,
		     struct error *err)
{
	struct fetch_request req = {
		.job = job,
		.n_fds = (uint32_t)plan->n_layers + 2 + (last_fd >= 0),
		.max_tar_size = FETCH_TAR_SIZE_MAX,
	};
	cleanup_fd int plan_fd = -EBADF;
	int fds[FETCH_FDS_MAX] = {out_fd};

	if (req.n_fds > FETCH_FDS_MAX)
		return error_set(err, EFBIG,
				 "lay more than %d images over each other",
				 FETCH_FDS_MAX - 2 - (last_fd >= 0));
	plan_fd = memory_file(plan, err);
	if (plan_fd < 0)
		return plan_fd;
	fds[1] = plan_fd;
	memcpy(fds + 2, blob_fds, plan->n_layers * sizeof(*blob_fds));
	if (last_fd >= 0)
		fds[req.n_fds - 1] = last_fd;
	return call(libexec_dir, &req, fds, 7300, reply, err);
}

int fetch_index(const char *libexec_dir, const struct index_plan *plan,
		const int *blob_fds, int index_fd, uint64_t *ret_size,
		struct error *err)
{
	struct fetch_reply reply = {0};
	uint64_t size = 0;
	int r = call_plan(libexec_dir, FETCH_JOB_INDEX, plan, blob_fds,
			  index_fd, -EBADF, &reply, err);

	if (r == 0)
		r = regular_size(index_fd, "index", &size, err);
	if (r < 0)
		return r;
	if (size != reply.index_size)
		return lied("size of the index", err);
	*ret_size = size;
	return 0;
}

int fetch_flatten(const char *libexec_dir, const struct index_plan *plan,
		  const int *blob_fds, int manifest_fd, int out_fd,
		  struct error *err)
{
	struct fetch_reply reply = {0};

	return call_plan(libexec_dir, FETCH_JOB_FLATTEN, plan, blob_fds, out_fd,
			 manifest_fd, &reply, err);
}

int fetch_pack(const char *libexec_dir, int rootfs_fd, int manifest_fd,
	       int out_fd, struct error *err)
{
	struct fetch_request req = {
		.job = FETCH_JOB_PACK,
		.n_fds = 3,
		.max_tar_size = FETCH_TAR_SIZE_MAX,
	};
	const int fds[] = {out_fd, manifest_fd, rootfs_fd};
	struct fetch_reply reply = {0};

	return call(libexec_dir, &req, fds, 7300, &reply, err);
}

int fetch_make_layer(const char *libexec_dir, const struct index_plan *plan,
		     const int *blob_fds, int layer_fd, bool is_sha512,
		     struct fetch_layer *ret, struct error *err)
{
	size_t n = plan ? plan->n_layers : 1;
	struct fetch_request req = {
		.job = FETCH_JOB_LAYER,
		.n_fds = (uint32_t)n + 2,
		.max_tar_size = FETCH_TAR_SIZE_MAX,
		.is_sha512 = is_sha512,
	};
	cleanup_fd int plan_fd = -EBADF;
	int fds[FETCH_FDS_MAX] = {layer_fd};
	struct fetch_reply reply = {0};
	uint64_t size = 0;
	int r;

	if (n > FETCH_BLOBS_MAX)
		return error_set(err, EFBIG,
				 "make a layer: of more than %d images",
				 FETCH_BLOBS_MAX);
	plan_fd = memory_file(plan, err);
	if (plan_fd < 0)
		return plan_fd;
	fds[1] = plan_fd;
	memcpy(fds + 2, blob_fds, n * sizeof(*blob_fds));
	r = call(libexec_dir, &req, fds, 7300, &reply, err);
	if (r == 0)
		r = regular_size(layer_fd, "layer", &size, err);
	if (r < 0)
		return r;
	if (size != reply.layer.size)
		return lied("size of the layer", err);
	*ret = (struct fetch_layer){
		.size = size,
		.is_empty = reply.layer.is_empty,
	};
	memcpy(ret->diff_id, reply.layer.diff_id, sizeof(ret->diff_id));
	memcpy(ret->digest, reply.layer.digest, sizeof(ret->digest));
	return 0;
}

int fetch_digest(const char *libexec_dir, int fd, uint64_t size,
		 uint8_t ret[64], struct error *err)
{
	struct fetch_request req = {
		.job = FETCH_JOB_DIGEST,
		.n_fds = 1,
		.max_tar_size = FETCH_TAR_SIZE_MAX,
		.digest_size = size,
	};
	struct fetch_reply reply = {0};
	int r = call(libexec_dir, &req, &fd, 1900, &reply, err);

	if (r == 0)
		memcpy(ret, reply.digest, sizeof(reply.digest));
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/oci_job.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "aci/aci_check.h"
#include "aci/digest.h"
#include "aci/http_wire.h"
#include "aci/layout.h"
#include "aci/tar_entry.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/docker_archive.h"
#include "spec/image_manifest.h"
#include "spec/oci.h"
#include "spec/oci_digest.h"

/* Headers of two entries and the end of the archive. */
#define HEADERS_ROOM (64UL << 10)

struct job {
	const struct strbuf *in;
	const struct strv *args;
	char digest[OCI_DIGEST_MAX]; /* of the input */
	int manifest_fd, out_fd;
};

/* Of the algorithm that the first argument has, if it is one. */
static int digest_make(const struct strbuf *in, const struct strv *args,
		       char ret[OCI_DIGEST_MAX], struct error *err)
{
	bool is_sha512 = args->n > 0 && oci_digest_is_sha512(args->v[0]);
	cleanup_digest struct digest digest = DIGEST_INIT;
	uint8_t bytes[OCI_DIGEST_SIZE_MAX];
	int r = digest_init(&digest, is_sha512 ? DIGEST_SHA512 : DIGEST_SHA256,
			    err);

	if (r < 0)
		return r;
	digest_update(&digest, in->buf, in->len);
	digest_final(&digest, bytes);
	oci_digest_format(bytes, is_sha512, ret);
	return 0;
}

/* --- the steps ----------------------------------------------------------- */

static int read_challenge(const struct job *job, struct strv *ret,
			  struct error *err)
{
	cleanup_oci_challenge struct oci_challenge c = {0};
	int r = oci_challenge_parse(job->in->buf, &c, err);

	if (r < 0)
		return r;
	strv_push(ret, c.is_bearer ? "bearer" : "basic");
	strv_push(ret, c.realm ? c.realm : "");
	strv_push(ret, c.service ? c.service : "");
	strv_push(ret, c.scope ? c.scope : "");
	return 0;
}

static int read_token(const struct job *job, struct strv *ret,
		      struct error *err)
{
	char *token;
	int r = oci_token_parse(job->in->buf, job->in->len, &token, err);

	if (r == 0)
		strv_take(ret, token);
	return r;
}

static void add_descriptor(struct strv *ret, const struct oci_descriptor *d)
{
	strv_push(ret, d->digest);
	strv_pushf(ret, "%llu", (unsigned long long)d->size);
}

static int read_manifest(const struct job *job, struct strv *ret,
			 struct error *err)
{
	cleanup_oci_manifest struct oci_manifest m = OCI_MANIFEST_INIT;
	char *const *args = job->args->v;
	const struct oci_want want = {
		.tag = *args[OCI_ARG_TAG] ? args[OCI_ARG_TAG] : NULL,
		.os = args[OCI_ARG_OS],
		.arch = args[OCI_ARG_ARCH],
		.variant = args[OCI_ARG_VARIANT],
	};
	int r = oci_manifest_parse(job->in->buf, job->in->len, &want, &m, err);

	if (r < 0)
		return r;
	strv_push(ret, job->digest);
	strv_push(ret, m.is_index    ? "index"
		       : m.is_docker ? "docker"
				     : "manifest");
	add_descriptor(ret, &m.config);
	for (size_t i = 0; i < m.n_layers; i++)
		add_descriptor(ret, &m.layers[i]);
	return 0;
}

static int read_config(const struct job *job, struct strv *ret,
		       struct error *err)
{
	cleanup_oci_config struct oci_config config = OCI_CONFIG_INIT;
	int r = oci_config_parse(job->in->buf, job->in->len, &config, err);

	if (r == 0)
		strv_append(ret, &config.diff_ids);
	return r;
}

static int read_digest(const struct job *job, struct strv *ret,
		       struct error *err)
{
	(void)err;
	strv_push(ret, job->digest);
	return 0;
}

static int read_refusal(const struct job *job, struct strv *ret,
			struct error *err)
{
	char *text;
	int r = oci_refusal_parse(job->in->buf, job->in->len, &text, err);

	if (r == 0)
		strv_take(ret, text);
	return r;
}

/* Docker calls configurations by their digests: "HEX.json", "sha256/HEX". */
static void add_digest_of(const char *file, struct strv *ret)
{
	const char *slash = strrchr(file, '/');
	const char *name = slash ? slash + 1 : file;
	size_t len = strcspn(name, ".");
	cleanup_free char *digest = xasprintf(
		"%s:%.*s", len == 64 ? "sha256" : "sha512", (int)len, name);

	strv_push(ret, oci_digest_check(digest, NULL) == 0 ? digest : "");
}

static int read_archived(const struct job *job, struct strv *ret,
			 struct error *err)
{
	cleanup_docker_archive struct docker_archive a = DOCKER_ARCHIVE_INIT;
	const char *want = *job->args->v[1] ? job->args->v[1] : NULL;
	cleanup_free char *config = NULL;
	int r = docker_archive_parse(job->in->buf, job->in->len, want, &a, err);

	if (r == 0)
		r = aci_path_clean(a.config, &config, err);
	if (r < 0)
		return r;
	assert(config);
	strv_push(ret, a.tag ? a.tag : "");
	add_digest_of(config, ret);
	strv_push(ret, config);
	for (size_t i = 0; r == 0 && i < a.layers.n; i++) {
		cleanup_free char *file = NULL;

		r = aci_path_clean(a.layers.v[i], &file, err);
		if (r == 0)
			strv_push(ret, file);
	}
	return r;
}

/* --- the image ----------------------------------------------------------- */

static void archive_release(struct archive *a)
{
	(void)archive_write_free(a);
}
DEFINE_CLEANUP(struct archive *, archive_release);

static int write_entry(struct archive *a, const char *name, unsigned int type,
		       const struct strbuf *data)
{
	cleanup_entry struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, name);
	archive_entry_set_filetype(e, type);
	archive_entry_set_perm(e, type == AE_IFDIR ? 0755 : 0644);
	archive_entry_set_size(e, data ? (la_int64_t)data->len : 0);
	/* The top directory is what the layers make it: see aci_check.h. */
	archive_entry_set_mtime(e, 0, data ? 0 : ACI_IMPLIED_MTIME_NSEC);
	if (archive_write_header(a, e) != ARCHIVE_OK)
		return -EIO;
	if (data && archive_write_data(a, data->buf, data->len) !=
			    (la_ssize_t)data->len)
		return -EIO;
	return 0;
}

/* Into BUF; the same bytes for the same manifest. */
static int write_archive(const struct strbuf *manifest, char *buf, size_t size,
			 size_t *ret_used)
{
	cleanup_with(archive_release_cleanup) struct archive *a =
		archive_write_new();
	int r;

	if (!a || archive_write_set_format_pax(a) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(a, 1) != ARCHIVE_OK ||
	    archive_write_open_memory(a, buf, size, ret_used) != ARCHIVE_OK)
		return -EIO;
	r = write_entry(a, ACI_MANIFEST, AE_IFREG, manifest);
	if (r == 0)
		r = write_entry(a, ACI_ROOTFS, AE_IFDIR, NULL);
	if (r == 0 && archive_write_close(a) != ARCHIVE_OK)
		r = -EIO;
	return r;
}

static int write_image(int fd, const struct strbuf *manifest, struct error *err)
{
	size_t size = manifest->len + HEADERS_ROOM, used = 0;
	cleanup_free char *buf = xmalloc(size);
	int r = write_archive(manifest, buf, size, &used);

	if (r == 0)
		r = write_full(fd, buf, used);
	return r < 0 ? error_sys(err, -r, "write the image") : 0;
}

static int make_image(const struct job *job, struct strv *ret,
		      struct error *err)
{
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	cleanup_oci_config struct oci_config config = OCI_CONFIG_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_strv struct strv layers = STRV_INIT;
	cleanup_strbuf struct strbuf kept = STRBUF_INIT;
	char *const *args = job->args->v;
	struct oci_origin origin = {
		.registry = args[OCI_ARG_REGISTRY],
		.repository = args[OCI_ARG_REPOSITORY],
		.name = args[OCI_ARG_NAME],
		.tag = args[OCI_ARG_IMAGE_TAG],
		.manifest_digest = args[OCI_ARG_MANIFEST],
		.config_digest = job->digest,
		.layers = &layers,
	};
	int r = oci_config_parse(job->in->buf, job->in->len, &config, err);

	(void)ret;
	/* Both or none, so that what is pushed again is what was pulled; but
	 * some never had a manifest. */
	if (job->in->len <= OCI_KEPT_MAX && job->manifest_fd < 0) {
		origin.config_text = job->in->buf;
	} else if (job->in->len <= OCI_KEPT_MAX &&
		   lseek(job->manifest_fd, 0, SEEK_SET) == 0 &&
		   strbuf_read_fd(&kept, job->manifest_fd, OCI_KEPT_MAX) == 0) {
		origin.config_text = job->in->buf;
		origin.manifest_text = kept.buf;
	}
	for (size_t i = OCI_IMAGE_ARGS; i < job->args->n; i++)
		strv_push(&layers, args[i]);
	if (r == 0)
		r = oci_image_make(&config, &origin, &im, err);
	if (r < 0)
		return r;
	image_manifest_write(&im, JSON_COMPACT_STYLE, &text);
	return write_image(job->out_fd, &text, err);
}

/* --- all of them --------------------------------------------------------- */

static const struct {
	size_t min_args;
	const char *what;
	int (*run)(const struct job *job, struct strv *ret, struct error *err);
} steps[] = {
	[OCI_CHALLENGE] = {0, NULL, read_challenge},
	[OCI_TOKEN] = {0, "the token server's answer", read_token},
	[OCI_MANIFEST] = {OCI_MANIFEST_ARGS, "the manifest", read_manifest},
	[OCI_CONFIG] = {1, "the image's configuration", read_config},
	[OCI_DIGEST] = {1, NULL, read_digest},
	[OCI_REFUSAL] = {0, NULL, read_refusal},
	[OCI_IMAGE] = {OCI_IMAGE_ARGS, "the image's configuration", make_image},
	[OCI_ARCHIVED] = {2, DOCKER_ARCHIVE_LIST, read_archived},
};

static int check_digest(const struct job *job, const char *what,
			struct error *err)
{
	const char *want = job->args->n > 0 ? job->args->v[0] : "";

	if (!what || !*want || strcmp(want, job->digest) == 0)
		return 0;
	return error_set(err, EBADMSG, "%s has the digest %s, %s was asked for",
			 what, job->digest, want);
}

int oci_job_run(enum oci_step step, int in_fd, const struct strv *args,
		int manifest_fd, int out_fd, size_t *ret_len, struct error *err)
{
	cleanup_strbuf struct strbuf in = STRBUF_INIT;
	cleanup_strv struct strv answer = STRV_INIT;
	struct job job = {
		.in = &in,
		.args = args,
		.manifest_fd = manifest_fd,
		.out_fd = out_fd,
	};
	int r;

	*ret_len = 0;
	if ((size_t)step >= sizeof(steps) / sizeof(steps[0]) ||
	    args->n < steps[step].min_args)
		return error_set(err, EPROTO, "receive the request: unknown");
	if (lseek(in_fd, 0, SEEK_SET) < 0)
		return error_sys(err, errno, "read the file");
	r = strbuf_read_fd(&in, in_fd, OCI_TEXT_MAX);
	if (r < 0)
		return error_sys(err, -r, "read the file");
	r = digest_make(&in, args, job.digest, err);
	if (r == 0)
		r = check_digest(&job, steps[step].what, err);
	if (r == 0)
		r = steps[step].run(&job, &answer, err);
	/* The challenge's errors name what they are about. */
	if (r < 0)
		return steps[step].what && r != -EBADMSG
			       ? error_prefix(err, r, "%s", steps[step].what)
			       : r;
	return step == OCI_IMAGE
		       ? 0
		       : http_wire_write(out_fd, &answer, ret_len, err);
}

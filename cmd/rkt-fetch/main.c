/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rkt-fetch: where untrusted bytes are parsed.  Takes one request on
 * descriptor 3, locks itself in, does it, answers and ends
 * (aci/fetch_server.h).
 */
#include <errno.h>
#include <iconv.h>
#include <langinfo.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/aci_extract.h"
#include "aci/aci_read.h"
#include "aci/aci_write.h"
#include "aci/digest.h"
#include "aci/discovery_html.h"
#include "aci/fetch_server.h"
#include "aci/http_wire.h"
#include "aci/index_make.h"
#include "aci/index_plan.h"
#include "aci/layer_write.h"
#include "aci/layout.h"
#include "aci/oci_archive.h"
#include "aci/oci_job.h"
#include "aci/sandbox.h"
#include "aci/signature.h"
#include "aci/tar_unpack.h"
#include "aci/tree_tar.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/image_manifest.h"
#include "spec/json_read.h"

#define MiB (1ULL << 20)

static struct openpgp pgp; /* started before the sandbox */

/* Replaces the first problem, which is in ERR, by as many as fit into it. */
static int name_problems(const struct strbuf *raw, int r, struct error *err)
{
	cleanup_problems struct problems problems = PROBLEMS_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	size_t left;

	(void)image_manifest_validate(raw->buf, raw->len, &problems);
	left = problems.n_errors;
	for (size_t i = 0; i < problems.n && text.len < ERROR_MSG_MAX / 2;
	     i++) {
		const struct problem *p = &problems.v[i];

		if (p->is_warning)
			continue;
		strbuf_addf(&text, "%s%s%s%s", text.len ? "; " : "",
			    p->where ? p->where : "", p->where ? ": " : "",
			    p->text);
		left--;
	}
	if (left > 0)
		strbuf_addf(&text, "; and %zu more", left);
	return text.len ? error_set(err, -r, "image manifest: %s", text.buf)
			: r;
}

/* The manifest as rkt and stage1 will read it, into the memfd. */
static int rewrite_manifest(const struct strbuf *raw, int fd, uint32_t *ret_len,
			    struct error *err)
{
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	cleanup_strbuf struct strbuf canonical = STRBUF_INIT;
	int r;

	r = image_manifest_parse(raw->buf, raw->len, &im, err);
	if (r < 0)
		return name_problems(raw, r, err);
	image_manifest_write(&im, JSON_COMPACT_STYLE, &canonical);
	if (canonical.len > FETCH_MANIFEST_MAX)
		return error_set(err, EFBIG,
				 "image manifest: more than %lu bytes when "
				 "written out",
				 FETCH_MANIFEST_MAX);
	r = write_full(fd, canonical.buf, canonical.len);
	if (r < 0)
		return error_sys(err, -r, "write the manifest");
	*ret_len = (uint32_t)canonical.len;
	return 0;
}

/* Of the file that is read or written. */
static enum digest_type digest_type(const struct fetch_job *job)
{
	return job->request.is_sha512 ? DIGEST_SHA512 : DIGEST_SHA256;
}

static int run_import(struct fetch_job *job, struct fetch_reply *reply,
		      struct error *err)
{
	const struct aci_limits limits = {
		.max_tar_size = job->request.max_tar_size,
		.max_files = job->request.max_files,
		.is_layer = job->request.is_layer,
		.image_digest = digest_type(job),
		.bell_fd = job->request.has_bell
				   ? job->fds[job->request.n_fds - 1]
				   : 0,
	};
	cleanup_aci_contents struct aci_contents contents = ACI_CONTENTS_INIT;
	struct fetch_import_reply *ret = &reply->import;
	uint32_t n = job->request.n_fds - (job->request.has_bell ? 1 : 0);
	int blob_fd = n > 2 ? job->fds[2] : -EBADF;
	int r;

	if (job->request.has_index && n > 3)
		r = index_import(job->fds[0], blob_fd, job->fds[3], &limits,
				 &contents, &ret->index_size, err);
	else
		r = aci_read(job->fds[0], blob_fd, &limits, NULL, &contents,
			     err);
	if (r == 0 && !limits.is_layer)
		r = rewrite_manifest(&contents.manifest, job->fds[1],
				     &ret->manifest_len, err);
	if (r < 0)
		return r;
	ret->compression = contents.totals.compression;
	ret->image_size = contents.totals.image_size;
	ret->tar_size = contents.totals.tar_size;
	ret->n_files = contents.n_files;
	ret->unpacked_size = contents.unpacked_size;
	ret->manifest_start = contents.manifest_start;
	ret->manifest_end = contents.manifest_end;
	memcpy(ret->image_digest, contents.totals.image_digest,
	       sizeof(ret->image_digest));
	memcpy(ret->tar_digest, contents.totals.tar_digest,
	       sizeof(ret->tar_digest));
	memcpy(ret->diff_id, contents.diff_id, sizeof(ret->diff_id));
	return 0;
}

/* The second record: read(2), as no new system call is wanted for it. */
static int hear_trust(void *arg, struct signature_trust *ret, struct error *err)
{
	static struct fetch_trust trust;
	const struct fetch_job *job = arg;
	ssize_t n;

	do
		n = read(FETCH_SOCKET_FD, &trust, sizeof(trust));
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(trust) || trust.magic != FETCH_MAGIC ||
	    trust.version != FETCH_VERSION || trust.n_keys > FETCH_KEYS_MAX)
		return error_set(err, EPROTO,
				 "receive the keys: the record is not one");
	ret->digest = trust.has_digest ? trust.image_digest : NULL;
	ret->keys_fd = job->fds[2];
	ret->n = trust.n_keys;
	memcpy(ret->ends, trust.key_ends, sizeof(ret->ends));
	return 0;
}

static int run_verify(struct fetch_job *job, struct fetch_reply *reply,
		      struct error *err)
{
	return signature_verify(&pgp, job->fds[0], job->fds[1], hear_trust, job,
				&reply->signer, err);
}

static int run_key_info(struct fetch_job *job, struct fetch_reply *reply,
			struct error *err)
{
	return signature_key_info(&pgp, job->fds[0], &reply->key, err);
}

static int run_extract(struct fetch_job *job, struct fetch_reply *reply,
		       struct error *err)
{
	(void)reply;
	return aci_extract(job->fds[0], job->request.is_layer, err);
}

static int run_discover(struct fetch_job *job, struct fetch_reply *reply,
			struct error *err)
{
	cleanup_strbuf struct strbuf page = STRBUF_INIT;
	cleanup_strv struct strv tags = STRV_INIT;
	size_t len = 0;
	int r;

	if (lseek(job->fds[0], 0, SEEK_SET) < 0)
		return error_sys(err, errno, "read the page");
	r = strbuf_read_fd(&page, job->fds[0], DISCOVERY_PAGE_MAX);
	if (r < 0)
		return error_sys(err, -r, "read the page");
	discovery_html_parse(page.buf, page.len, &tags);
	r = http_wire_write(job->fds[1], &tags, &len, err);
	reply->tags_len = (uint32_t)len;
	return r;
}

static int run_oci(struct fetch_job *job, struct fetch_reply *reply,
		   struct error *err)
{
	cleanup_strv struct strv args = STRV_INIT;
	off_t end = lseek(job->fds[1], 0, SEEK_END);
	size_t len = 0;
	int r;

	if (end < 0)
		return error_sys(err, errno, "read the arguments");
	r = http_wire_read(job->fds[1], (size_t)end, &args, err);
	if (r == 0)
		r = oci_job_run(job->request.oci_step, job->fds[0], &args,
				job->request.n_fds > 3 ? job->fds[3] : -EBADF,
				job->fds[2], &len, err);
	reply->answer_len = (uint32_t)len;
	return r;
}

static int run_oci_archive(struct fetch_job *job, struct fetch_reply *reply,
			   struct error *err)
{
	cleanup_strv struct strv files = STRV_INIT;
	size_t len = 0;
	int r = oci_archive_read(job->fds[0], job->fds[1],
				 job->request.max_tar_size, &files, err);

	if (r == 0)
		r = http_wire_write(job->fds[2], &files, &len, err);
	reply->answer_len = (uint32_t)len;
	return r;
}

/* 0: the file is empty, 1: it is a plan for the job's descriptors. */
static int read_plan(const struct fetch_job *job, struct index_plan *ret,
		     struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	bool is_flat = job->request.job == FETCH_JOB_FLATTEN;
	int r;

	if (lseek(job->fds[1], 0, SEEK_SET) < 0)
		return error_sys(err, errno, "read the plan");
	r = strbuf_read_fd(&text, job->fds[1], STRBUF_MAX / 2);
	if (r < 0)
		return error_sys(err, -r, "read the plan");
	if (text.len == 0)
		return 0;
	r = index_plan_parse(text.buf, text.len, ret, err);
	if (r == 0 && ret->n_layers != job->request.n_fds - 2 - is_flat)
		r = error_set(err, EPROTO,
			      "receive the request: its descriptors are "
			      "missing");
	return r < 0 ? r : 1;
}

static int run_index(struct fetch_job *job, struct fetch_reply *reply,
		     struct error *err)
{
	cleanup_index_plan struct index_plan plan = INDEX_PLAN_INIT;
	int r = read_plan(job, &plan, err);

	if (r < 0)
		return r;
	if (job->request.job == FETCH_JOB_FLATTEN)
		return index_flatten(&plan, job->fds + 2,
				     job->fds[job->request.n_fds - 1],
				     job->fds[0], err);
	return index_make(&plan, job->fds + 2, job->fds[0], &reply->index_size,
			  err);
}

static int run_layer(struct fetch_job *job, struct fetch_reply *reply,
		     struct error *err)
{
	cleanup_index_plan struct index_plan plan = INDEX_PLAN_INIT;
	struct written_layer layer = {0};
	int r = read_plan(job, &plan, err);

	if (r > 0)
		r = layer_write(&plan, job->fds + 2, job->fds[0],
				digest_type(job), &layer, err);
	else if (r == 0)
		r = layer_copy(job->fds[2], job->fds[0], digest_type(job),
			       &layer, err);
	if (r < 0)
		return r;
	reply->layer.size = layer.size;
	reply->layer.is_empty = layer.is_empty;
	memcpy(reply->layer.diff_id, layer.diff_id, sizeof(layer.diff_id));
	memcpy(reply->layer.digest, layer.digest, sizeof(layer.digest));
	return 0;
}

static int run_pack(struct fetch_job *job, struct fetch_reply *reply,
		    struct error *err)
{
	const struct aci_write_options options = {.owner_root = false};
	cleanup_strbuf struct strbuf manifest = STRBUF_INIT;
	struct aci_layout layout = {
		.rootfsfd = job->fds[2],
		.st.st_mode = S_IFREG | 0644,
	};
	int r;

	(void)reply;
	if (lseek(job->fds[1], 0, SEEK_SET) < 0)
		return error_sys(err, errno, "read the manifest");
	r = strbuf_read_fd(&manifest, job->fds[1], ACI_MANIFEST_MAX);
	if (r < 0)
		return error_sys(err, -r, "read the manifest");
	layout.manifest = manifest.buf;
	layout.manifest_len = manifest.len;
	return aci_write(&layout, job->fds[0], &options, NULL, err);
}

static int check_name(const struct fetch_job *job, struct error *err)
{
	const char *name = job->request.name;

	if (*name && memchr(name, '\0', sizeof(job->request.name)))
		return 0;
	return error_set(err, EPROTO, "receive the request: it has no name");
}

static int run_pack_tree(struct fetch_job *job, struct fetch_reply *reply,
			 struct error *err)
{
	const struct aci_write_options options = {
		.no_compression = true,
		.is_live = job->request.is_live,
		.no_devices = true,
		.first_id = job->request.first_id,
		.n_ids = job->request.n_ids,
	};
	cleanup_strv struct strv left_out = STRV_INIT;
	int r = check_name(job, err);

	if (r == 0)
		r = aci_write_tree(job->fds[1], job->request.name, job->fds[0],
				   &options, &left_out, err);
	reply->n_left_out = left_out.n;
	return r;
}

static int run_unpack(struct fetch_job *job, struct fetch_reply *reply,
		      struct error *err)
{
	const struct tar_unpack options = {
		.name = job->request.name,
		.keep_owner = job->request.keep_owner,
	};
	int r = check_name(job, err);

	(void)reply;
	return r < 0 ? r : tar_unpack(job->fds[0], &options, err);
}

static int run_digest(struct fetch_job *job, struct fetch_reply *reply,
		      struct error *err)
{
	static uint8_t buf[1 << 20];
	cleanup_digest struct digest digest = DIGEST_INIT;
	uint64_t left = job->request.digest_size;
	off_t offset = 0;
	int r = digest_init(&digest, DIGEST_SHA512, err);

	while (r == 0 && left > 0) {
		size_t want = left < sizeof(buf) ? (size_t)left : sizeof(buf);
		ssize_t n = pread_full(job->fds[0], buf, want, offset);

		if (n < 0)
			return error_sys(err, (int)-n, "read the file");
		if (n == 0)
			return error_set(err, EBADMSG, "the file is too short");
		digest_update(&digest, buf, (size_t)n);
		offset += n;
		left -= (uint64_t)n;
	}
	if (r == 0)
		digest_final(&digest, reply->digest);
	return r;
}

/* --- before the sandbox -------------------------------------------------- */

/*
 * Names in archives are bytes.  libarchive takes those of pax headers for
 * text and composes accents, so that two names may become one; what it cannot
 * convert it leaves alone, and to the charset of the C locale that is all
 * that is not ASCII.  iconv reads its configuration once, before the cage.
 */
static void keep_names(void)
{
	iconv_t once = iconv_open(nl_langinfo(CODESET), "UTF-8");

	if (once != (iconv_t)-1)
		(void)iconv_close(once);
}

/* Threads share one heap: to give memory of another one back, malloc would
 * read a file of /proc, which the cage punishes with death. */
static int prepare_archives(struct error *err)
{
	(void)mallopt(M_ARENA_MAX, 1);
	keep_names();
	return digest_prepare(err);
}

static int prepare_openpgp(struct error *err)
{
	int r = digest_prepare(err);

	return r < 0 ? r : openpgp_open(&pgp, err);
}

static int prepare_tar(struct error *err)
{
	int r = prepare_archives(err);

	return r < 0 ? r : tree_tar_prepare(err);
}

static int lock_in_extract(const struct sandbox *s, const struct fetch_job *job,
			   struct error *err)
{
	struct sandbox without_dir = *s;

	without_dir.n_keep_fds = 2; /* the directory becomes "/" */
	return sandbox_enter_extract(&without_dir, job->fds[1], err);
}

static int lock_in_unpack(const struct sandbox *s, const struct fetch_job *job,
			  struct error *err)
{
	struct sandbox only_tar = *s;

	only_tar.n_keep_fds = 2;
	return sandbox_enter_unpack(
		&only_tar, job->fds[1],
		job->request.n_fds > 2 ? job->fds[2] : -EBADF, err);
}

static int lock_in_pack(const struct sandbox *s, const struct fetch_job *job,
			struct error *err)
{
	return sandbox_enter_pack(s, job->fds[2], err);
}

static int lock_in_pack_tree(const struct sandbox *s,
			     const struct fetch_job *job, struct error *err)
{
	return sandbox_enter_pack(s, job->fds[1], err);
}

/* The other end of a pipe may be gone: an error like others. */
static int prepare_copy(struct error *err)
{
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return error_sys(err, errno, "ignore SIGPIPE");
	return prepare_tar(err);
}

static const struct fetch_job_kind kinds[] = {
	{FETCH_JOB_IMPORT, FETCH_MODE_PARSE, 2, 2048 * MiB, 7200,
	 prepare_archives, fetch_lock_in_parse, run_import},
	{FETCH_JOB_VERIFY, FETCH_MODE_PARSE, 3, 1024 * MiB, 1800,
	 prepare_openpgp, fetch_lock_in_parse, run_verify},
	{FETCH_JOB_KEY_INFO, FETCH_MODE_PARSE, 1, 1024 * MiB, 30,
	 prepare_openpgp, fetch_lock_in_parse, run_key_info},
	{FETCH_JOB_EXTRACT, FETCH_MODE_EXTRACT, 2, 2048 * MiB, 7200,
	 prepare_archives, lock_in_extract, run_extract},
	{FETCH_JOB_DISCOVER, FETCH_MODE_PARSE, 2, 512 * MiB, 30,
	 prepare_archives, fetch_lock_in_parse, run_discover},
	{FETCH_JOB_INDEX, FETCH_MODE_PARSE, 3, 2048 * MiB, 7200,
	 prepare_archives, fetch_lock_in_parse, run_index},
	{FETCH_JOB_FLATTEN, FETCH_MODE_PARSE, 4, 2048 * MiB, 7200, prepare_tar,
	 fetch_lock_in_parse, run_index},
	{FETCH_JOB_LAYER, FETCH_MODE_PARSE, 3, 2048 * MiB, 7200, prepare_tar,
	 fetch_lock_in_parse, run_layer},
	{FETCH_JOB_OCI, FETCH_MODE_PARSE, 3, 512 * MiB, 30, prepare_archives,
	 fetch_lock_in_parse, run_oci},
	{FETCH_JOB_OCI_ARCHIVE, FETCH_MODE_PARSE, 3, 2048 * MiB, 7200,
	 prepare_archives, fetch_lock_in_parse, run_oci_archive},
	{FETCH_JOB_PACK, FETCH_MODE_PARSE, 3, 2048 * MiB, 7200, prepare_tar,
	 lock_in_pack, run_pack},
	{FETCH_JOB_PACK_TREE, FETCH_MODE_PARSE, 2, 2048 * MiB, 7200,
	 prepare_copy, lock_in_pack_tree, run_pack_tree},
	{FETCH_JOB_UNPACK, FETCH_MODE_EXTRACT, 2, 2048 * MiB, 7200,
	 prepare_copy, lock_in_unpack, run_unpack},
	{FETCH_JOB_DIGEST, FETCH_MODE_PARSE, 1, 1024 * MiB, 1800,
	 digest_prepare, fetch_lock_in_parse, run_digest},
	{0},
};

int main(int argc, char **argv)
{
	fetch_serve("rkt-fetch", kinds, argc, argv);
}

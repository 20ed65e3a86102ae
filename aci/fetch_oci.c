/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/fetch_oci.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "aci/fetch_child.h"
#include "aci/fetch_protocol.h"
#include "aci/http_wire.h"
#include "aci/oci_job.h"
#include "aci/printable.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "spec/oci.h"

#define PROGRAM "rkt-fetch"
#define SECONDS 60
#define ARCHIVE_SECONDS 7300

void oci_plan_release(struct oci_plan *plan)
{
	free(plan->layers);
	*plan = (struct oci_plan)OCI_PLAN_INIT;
}

static int lied(struct error *err)
{
	return error_set(err, EPROTO, "%s gave a false answer", PROGRAM);
}

/* A memory file with LIST in it. */
static int list_file(const struct strv *list, struct error *err)
{
	cleanup_fd int fd = memfd_create("list", MFD_CLOEXEC);
	size_t len;
	int r;

	if (fd < 0)
		return error_sys(err, errno, "make a memory file");
	r = http_wire_write(fd, list, &len, err);
	return r < 0 ? r : TAKE_FD(fd);
}

/* OUT_FD negative: the answer is a list, for RET. */
static int run(const char *libexec_dir, enum oci_step step, int in_fd,
	       const struct strv *args, int manifest_fd, int out_fd,
	       struct strv *ret, struct error *err)
{
	cleanup_fetch_child struct fetch_child c = FETCH_CHILD_INIT;
	cleanup_fd int args_fd = list_file(args, err);
	cleanup_fd int answer_fd = -EBADF;
	struct fetch_request req = {
		.job = FETCH_JOB_OCI,
		.n_fds = manifest_fd < 0 ? 3 : 4,
		.oci_step = step,
		.max_tar_size = FETCH_MANIFEST_MAX * 4,
	};
	struct fetch_reply reply = {0};
	char *envp[] = {NULL};
	int r;

	if (args_fd < 0)
		return args_fd;
	if (out_fd < 0)
		answer_fd = memfd_create("answer", MFD_CLOEXEC);
	if (out_fd < 0 && answer_fd < 0)
		return error_sys(err, errno, "make a memory file");
	r = fetch_child_start(libexec_dir, PROGRAM, FETCH_MODE_PARSE, envp, &c,
			      err);
	if (r == 0)
		r = fetch_child_send(
			&c, &req,
			(const int[]){in_fd, args_fd,
				      out_fd < 0 ? answer_fd : out_fd,
				      manifest_fd},
			err);
	if (r == 0)
		r = fetch_child_reply(&c, req.job, SECONDS, &reply, err);
	if (r == 0 && ret)
		r = http_wire_read(answer_fd, reply.answer_len, ret, err);
	return r;
}

static bool files_are_within(const struct strv *files, int tar_fd)
{
	struct stat st;

	if (files->n % 3 || fstat(tar_fd, &st) < 0)
		return false;
	for (size_t i = 0; i < files->n; i += 3) {
		uint64_t size = (uint64_t)st.st_size, at, len;

		if (parse_uint(files->v[i + 1], size, &at) < 0 ||
		    parse_uint(files->v[i + 2], size - at, &len) < 0)
			return false;
	}
	return true;
}

int fetch_oci_archive(const char *libexec_dir, int fd, int tar_fd,
		      struct strv *ret, struct error *err)
{
	cleanup_fetch_child struct fetch_child c = FETCH_CHILD_INIT;
	cleanup_fd int answer_fd = memfd_create("answer", MFD_CLOEXEC);
	cleanup_strv struct strv files = STRV_INIT;
	struct fetch_request req = {
		.job = FETCH_JOB_OCI_ARCHIVE,
		.n_fds = 3,
		.max_tar_size = FETCH_TAR_SIZE_MAX,
	};
	struct fetch_reply reply = {0};
	char *envp[] = {NULL};
	int r;

	if (answer_fd < 0)
		return error_sys(err, errno, "make a memory file");
	r = fetch_child_start(libexec_dir, PROGRAM, FETCH_MODE_PARSE, envp, &c,
			      err);
	if (r == 0)
		r = fetch_child_send(&c, &req,
				     (const int[]){fd, tar_fd, answer_fd}, err);
	if (r == 0)
		r = fetch_child_reply(&c, req.job, ARCHIVE_SECONDS, &reply,
				      err);
	if (r == 0)
		r = http_wire_read(answer_fd, reply.answer_len, &files, err);
	if (r < 0)
		return r;
	if (!files_are_within(&files, tar_fd))
		return lied(err);
	strv_append(ret, &files);
	return 0;
}

static bool take_digest(const char *answer, char ret[OCI_DIGEST_MAX])
{
	if (oci_digest_check(answer, NULL) < 0)
		return false;
	memcpy(ret, answer, strlen(answer) + 1);
	return true;
}

static bool take_blob(char *const *answer, struct oci_blob *ret)
{
	return take_digest(answer[0], ret->digest) &&
	       parse_uint(answer[1], INT64_MAX, &ret->size) == 0;
}

static bool take_plan(const struct strv *answer, struct oci_plan *ret)
{
	size_t n = answer->n / 2 - 2;

	if (answer->n < 4 || answer->n % 2 || n > OCI_LAYERS_MAX ||
	    !take_digest(answer->v[0], ret->digest) ||
	    !take_blob(answer->v + 2, &ret->config))
		return false;
	ret->is_index = strcmp(answer->v[1], "index") == 0;
	ret->is_docker = strcmp(answer->v[1], "docker") == 0;
	ret->layers = xcalloc(n + 1, sizeof(*ret->layers));
	for (; ret->n_layers < n; ret->n_layers++)
		if (!take_blob(answer->v + 4 + 2 * ret->n_layers,
			       &ret->layers[ret->n_layers]))
			return false;
	return true;
}

int fetch_oci_manifest(const char *libexec_dir, int fd, const char *digest,
		       const struct oci_want *want, struct oci_plan *ret,
		       struct error *err)
{
	cleanup_oci_plan struct oci_plan plan = OCI_PLAN_INIT;
	cleanup_strv struct strv args = STRV_INIT;
	cleanup_strv struct strv answer = STRV_INIT;
	int r;

	strv_push(&args, digest ? digest : "");
	strv_push(&args, want->tag ? want->tag : "");
	strv_push(&args, want->os);
	strv_push(&args, want->arch);
	strv_push(&args, want->variant);
	r = run(libexec_dir, OCI_MANIFEST, fd, &args, -1, -1, &answer, err);
	if (r < 0)
		return r;
	if (!take_plan(&answer, &plan))
		return lied(err);
	*ret = plan;
	plan = (struct oci_plan)OCI_PLAN_INIT;
	return 0;
}

int fetch_oci_config(const char *libexec_dir, int fd, const char *digest,
		     struct strv *ret, struct error *err)
{
	cleanup_strv struct strv args = STRV_INIT;
	cleanup_strv struct strv answer = STRV_INIT;
	int r;

	strv_push(&args, digest);
	r = run(libexec_dir, OCI_CONFIG, fd, &args, -1, -1, &answer, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < answer.n; i++)
		if (oci_digest_check(answer.v[i], NULL) < 0)
			return lied(err);
	strv_append(ret, &answer);
	return 0;
}

int fetch_oci_archived(const char *libexec_dir, int fd, const char *want,
		       struct strv *ret, struct error *err)
{
	cleanup_strv struct strv args = STRV_INIT;
	cleanup_strv struct strv answer = STRV_INIT;
	const char *digest;
	int r;

	strv_push(&args, "");
	strv_push(&args, want ? want : "");
	r = run(libexec_dir, OCI_ARCHIVED, fd, &args, -1, -1, &answer, err);
	if (r < 0)
		return r;
	if (answer.n <= OCI_ARCHIVED_FILES ||
	    answer.n > OCI_ARCHIVED_FILES + 1 + OCI_LAYERS_MAX)
		return lied(err);
	digest = answer.v[OCI_ARCHIVED_DIGEST];
	if (*digest && oci_digest_check(digest, NULL) < 0)
		return lied(err);
	strv_append(ret, &answer);
	return 0;
}

int fetch_oci_image(const char *libexec_dir, int config_fd, int manifest_fd,
		    const struct strv *args, int out_fd, struct error *err)
{
	return run(libexec_dir, OCI_IMAGE, config_fd, args, manifest_fd, out_fd,
		   NULL, err);
}

/* A memory file with TEXT in it. */
static int text_file(const char *text, size_t len, struct error *err)
{
	cleanup_fd int fd = memfd_create("text", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : write_full(fd, text, len);

	return r < 0 ? error_sys(err, -r, "make a memory file") : TAKE_FD(fd);
}

int fetch_oci_text(const char *libexec_dir, const char *text, size_t len,
		   const char *like, char ret[OCI_DIGEST_MAX],
		   struct error *err)
{
	cleanup_strv struct strv args = STRV_INIT;
	cleanup_strv struct strv answer = STRV_INIT;
	cleanup_fd int fd = text_file(text, len, err);
	int r;

	if (fd < 0)
		return fd;
	strv_push(&args, like ? like : "sha256:");
	r = run(libexec_dir, OCI_DIGEST, fd, &args, -1, -1, &answer, err);
	if (r < 0)
		return r;
	if (answer.n != 1 || !take_digest(answer.v[0], ret))
		return lied(err);
	return TAKE_FD(fd);
}

int fetch_oci_refusal(const char *libexec_dir, const char *text, char **ret,
		      struct error *err)
{
	static const struct strv no_args = STRV_INIT;
	cleanup_strv struct strv answer = STRV_INIT;
	cleanup_fd int fd = text_file(text, strlen(text), err);
	int r;

	if (fd < 0)
		return fd;
	r = run(libexec_dir, OCI_REFUSAL, fd, &no_args, -1, -1, &answer, err);
	if (r < 0)
		return r;
	if (answer.n != 1)
		return lied(err);
	*ret = xstrdup(answer.v[0]);
	return 0;
}

int fetch_oci_challenge(const char *libexec_dir, const char *header,
			struct strv *ret, struct error *err)
{
	static const struct strv no_args = STRV_INIT;
	cleanup_fd int fd = text_file(header, strlen(header), err);
	cleanup_strv struct strv answer = STRV_INIT;
	int r;

	if (fd < 0)
		return fd;
	r = run(libexec_dir, OCI_CHALLENGE, fd, &no_args, -1, -1, &answer, err);
	if (r < 0)
		return r;
	if (answer.n != 4)
		return lied(err);
	for (size_t i = 0; i < answer.n; i++)
		make_printable(answer.v[i]);
	strv_append(ret, &answer);
	return 0;
}

int fetch_oci_token(const char *libexec_dir, int fd, char **ret,
		    struct error *err)
{
	static const struct strv no_args = STRV_INIT;
	cleanup_strv struct strv answer = STRV_INIT;
	int r = run(libexec_dir, OCI_TOKEN, fd, &no_args, -1, -1, &answer, err);

	if (r < 0)
		return r;
	if (answer.n != 1 || !*answer.v[0] || strpbrk(answer.v[0], " \t\r\n"))
		return lied(err);
	*ret = xstrdup(answer.v[0]);
	return 0;
}

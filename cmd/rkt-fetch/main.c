/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rkt-fetch: where untrusted bytes are parsed.  Takes one request on
 * descriptor 3, locks itself in, does it, answers and ends
 * (aci/fetch_protocol.h).
 */
#include <errno.h>
#include <iconv.h>
#include <langinfo.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aci/aci_extract.h"
#include "aci/aci_read.h"
#include "aci/digest.h"
#include "aci/fetch_protocol.h"
#include "aci/sandbox.h"
#include "aci/signature.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "spec/image_manifest.h"
#include "spec/json_read.h"

#define MiB (1ULL << 20)

/* A request with the descriptors that came along. */
struct job {
	struct fetch_request request;
	int fds[FETCH_FDS_MAX];
	struct openpgp pgp; /* started before the sandbox */
};

static int take_fds(struct msghdr *msg, struct job *job, struct error *err)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	size_t n = 0;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		if (n <= FETCH_FDS_MAX)
			memcpy(job->fds, CMSG_DATA(c), n * sizeof(int));
	}
	if ((msg->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || n == 0 ||
	    n > FETCH_FDS_MAX || n != job->request.n_fds)
		return error_set(err, EPROTO,
				 "receive the request: its descriptors are "
				 "missing");
	return 0;
}

static int receive(struct job *job, struct error *err)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(FETCH_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {&job->request, sizeof(job->request)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n;

	n = recvmsg(FETCH_SOCKET_FD, &msg, MSG_CMSG_CLOEXEC);
	if (n < 0)
		return error_sys(err, errno, "receive the request");
	if (n != (ssize_t)sizeof(job->request) ||
	    job->request.magic != FETCH_MAGIC ||
	    job->request.version != FETCH_VERSION)
		return error_set(err, EPROTO,
				 "receive the request: rkt and rkt-fetch are "
				 "of different versions");
	return take_fds(&msg, job, err);
}

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

static int run_import(struct job *job, struct fetch_reply *reply,
		      struct error *err)
{
	const struct aci_limits limits = {
		.max_tar_size = job->request.max_tar_size,
		.max_files = job->request.max_files,
	};
	cleanup_aci_contents struct aci_contents contents = ACI_CONTENTS_INIT;
	struct fetch_import_reply *ret = &reply->import;
	int blob_fd = job->request.n_fds > 2 ? job->fds[2] : -EBADF;
	int r;

	r = aci_read(job->fds[0], blob_fd, &limits, &contents, err);
	if (r == 0)
		r = rewrite_manifest(&contents.manifest, job->fds[1],
				     &ret->manifest_len, err);
	if (r < 0)
		return r;
	ret->compression = contents.totals.compression;
	ret->image_size = contents.totals.image_size;
	ret->tar_size = contents.totals.tar_size;
	ret->n_files = contents.n_files;
	ret->unpacked_size = contents.unpacked_size;
	memcpy(ret->image_digest, contents.totals.image_digest,
	       sizeof(ret->image_digest));
	memcpy(ret->tar_digest, contents.totals.tar_digest,
	       sizeof(ret->tar_digest));
	return 0;
}

static int run_verify(struct job *job, struct fetch_reply *reply,
		      struct error *err)
{
	const struct fetch_request *req = &job->request;

	return signature_verify(&job->pgp, job->fds[0],
				req->has_digest ? req->image_digest : NULL,
				job->fds[1], job->fds + 2, req->n_fds - 2,
				&reply->signer, err);
}

static int run_key_info(struct job *job, struct fetch_reply *reply,
			struct error *err)
{
	return signature_key_info(&job->pgp, job->fds[0], &reply->key, err);
}

static int run_extract(struct job *job, struct fetch_reply *reply,
		       struct error *err)
{
	(void)reply;
	return aci_extract(job->fds[0], err);
}

static const struct job_kind {
	const char *mode;
	uint32_t min_fds;
	bool needs_openpgp;
	uint64_t max_memory, max_cpu; /* bytes, seconds */
	int (*run)(struct job *job, struct fetch_reply *reply,
		   struct error *err);
} kinds[] = {
	[FETCH_JOB_IMPORT] = {FETCH_MODE_PARSE, 2, false, 2048 * MiB, 7200,
			      run_import},
	[FETCH_JOB_VERIFY] = {FETCH_MODE_PARSE, 2, true, 1024 * MiB, 1800,
			      run_verify},
	[FETCH_JOB_KEY_INFO] = {FETCH_MODE_PARSE, 1, true, 1024 * MiB, 30,
				run_key_info},
	[FETCH_JOB_EXTRACT] = {FETCH_MODE_EXTRACT, 2, false, 2048 * MiB, 7200,
			       run_extract},
};

static const struct job_kind *find_kind(const struct job *job, const char *mode)
{
	const struct job_kind *kind;

	if (job->request.job >= sizeof(kinds) / sizeof(kinds[0]))
		return NULL;
	kind = &kinds[job->request.job];
	if (!kind->run || strcmp(kind->mode, mode) != 0 ||
	    job->request.n_fds < kind->min_fds)
		return NULL;
	return kind;
}

static int lock_in(const struct job_kind *kind, const struct job *job,
		   struct error *err)
{
	int keep[FETCH_FDS_MAX + 1] = {FETCH_SOCKET_FD};
	struct sandbox s = {
		.keep_fds = keep,
		.n_keep_fds = 1 + job->request.n_fds,
		.max_memory = kind->max_memory,
		.max_cpu = kind->max_cpu,
		.max_file_size = job->request.max_tar_size,
	};

	memcpy(keep + 1, job->fds, job->request.n_fds * sizeof(int));
	if (job->request.job != FETCH_JOB_EXTRACT)
		return sandbox_enter_parse(&s, err);
	s.n_keep_fds = 2; /* the directory becomes "/" */
	return sandbox_enter_extract(&s, job->fds[1], err);
}

/* Everything the libraries open, they open now. */
static int prepare_libraries(const struct job_kind *kind, struct job *job,
			     struct error *err)
{
	int r = digest_prepare(err);

	if (r == 0 && kind->needs_openpgp)
		r = openpgp_open(&job->pgp, err);
	return r;
}

static int run(struct job *job, const char *mode, struct fetch_reply *reply,
	       struct error *err)
{
	const struct job_kind *kind;
	int r;

	r = receive(job, err);
	if (r < 0)
		return r;
	reply->job = job->request.job;
	kind = find_kind(job, mode);
	if (!kind)
		return error_set(err, EPROTO, "receive the request: unknown");
	r = prepare_libraries(kind, job, err);
	if (r < 0)
		return r;
	r = lock_in(kind, job, err);
	if (r < 0)
		return error_wrap(err, r, "enter the sandbox");
	return kind->run(job, reply, err);
}

static bool is_started_by_rkt(void)
{
	socklen_t len = sizeof(int);
	int type = 0;

	return getsockopt(FETCH_SOCKET_FD, SOL_SOCKET, SO_TYPE, &type, &len) ==
		       0 &&
	       type == SOCK_SEQPACKET;
}

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

int main(int argc, char **argv)
{
	static struct job job;
	static struct fetch_reply reply;
	struct error err = ERROR_INIT;
	int r;

	if (argc != 2 || !is_started_by_rkt()) {
		(void)dprintf(STDERR_FILENO,
			      "rkt-fetch: this program is run by rkt\n");
		return 254;
	}
	reply.magic = FETCH_MAGIC;
	reply.version = FETCH_VERSION;
	keep_names();
	r = run(&job, argv[1], &reply, &err);
	if (r < 0) {
		reply.code = (uint32_t)-r;
		memcpy(reply.msg, err.msg, sizeof(reply.msg));
	}
	if (send(FETCH_SOCKET_FD, &reply, sizeof(reply), MSG_NOSIGNAL) < 0)
		_exit(254);
	/* Not exit(3): what the libraries would tidy up ends with us. */
	_exit(0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/fetch_copy.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aci/fetch_child.h"
#include "aci/fetch_protocol.h"
#include "base/cleanup.h"
#include "base/error.h"

#define SECONDS (-1) /* a tar may come from whoever types it */

static int start(const char *libexec_dir, struct fetch_request *req,
		 const struct fetch_copy *copy, const int *fds,
		 struct fetch_child *ret, struct error *err)
{
	char *envp[] = {NULL};
	const char *mode = req->job == FETCH_JOB_UNPACK ? FETCH_MODE_EXTRACT
							: FETCH_MODE_PARSE;
	int r;

	if (strlen(copy->name) >= sizeof(req->name))
		return error_set(err, ENAMETOOLONG,
				 "copy to %.32s...: too long", copy->name);
	(void)snprintf(req->name, sizeof(req->name), "%s", copy->name);
	req->max_tar_size = UINT64_MAX;
	r = fetch_child_start(libexec_dir, "rkt-fetch", mode, envp, ret, err);
	return r < 0 ? r : fetch_child_send(ret, req, fds, err);
}

static int start_pack(const char *libexec_dir, const struct fetch_copy *copy,
		      int tar, struct fetch_child *ret, struct error *err)
{
	struct fetch_request req = {
		.job = FETCH_JOB_PACK_TREE,
		.n_fds = 2,
		.is_live = copy->is_live,
		.first_id = copy->first_id,
		.n_ids = copy->n_ids,
	};
	const int fds[] = {tar, copy->from_fd};

	return start(libexec_dir, &req, copy, fds, ret, err);
}

static int start_unpack(const char *libexec_dir, const struct fetch_copy *copy,
			int tar, struct fetch_child *ret, struct error *err)
{
	struct fetch_request req = {
		.job = FETCH_JOB_UNPACK,
		.n_fds = copy->to_userns >= 0 ? 3 : 2,
		.keep_owner = copy->keep_owner,
	};
	const int fds[] = {tar, copy->to_mount, copy->to_userns};

	return start(libexec_dir, &req, copy, fds, ret, err);
}

static int end(struct fetch_child *c, uint32_t job, struct fetch_reply *reply,
	       struct error *err)
{
	return c->sock < 0 ? 0 : fetch_child_reply(c, job, SECONDS, reply, err);
}

/* The two call what is copied by its new name. */
static int of_side(const char *word, const char *what, int r, struct error *err)
{
	return r < 0 && what ? error_prefix(err, r, "copy %s %s", word, what)
			     : r;
}

int fetch_copy(const char *libexec_dir, struct fetch_copy *copy,
	       struct error *err)
{
	cleanup_fetch_child struct fetch_child packer = FETCH_CHILD_INIT;
	cleanup_fetch_child struct fetch_child unpacker = FETCH_CHILD_INIT;
	struct error pack_err = ERROR_INIT;
	struct fetch_reply packed = {0}, unpacked = {0};
	cleanup_fd int in = -EBADF;
	cleanup_fd int out = -EBADF;
	int fds[2], packer_r, r = 0;

	assert(copy->from_fd >= 0 || copy->to_mount >= 0);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	in = fds[0];
	out = fds[1];
	if (copy->from_fd >= 0)
		r = start_pack(libexec_dir, copy,
			       copy->to_mount >= 0 ? out : copy->to_tar,
			       &packer, err);
	if (r == 0 && copy->to_mount >= 0)
		r = start_unpack(libexec_dir, copy,
				 copy->from_fd >= 0 ? in : copy->from_tar,
				 &unpacker, err);
	fd_close(&in);
	fd_close(&out);
	if (r < 0)
		return r;
	r = end(&unpacker, FETCH_JOB_UNPACK, &unpacked, err);
	packer_r = end(&packer, FETCH_JOB_PACK_TREE, &packed, &pack_err);
	copy->n_left_out = packed.n_left_out;
	/* Whose error is the cause: the other then has half a tar, or no
	 * reader. */
	if (packer_r < 0 && (r == 0 || packer_r != -EPIPE)) {
		if (err)
			*err = pack_err;
		return of_side("from", copy->from, packer_r, err);
	}
	return of_side("to", copy->to, r, err);
}

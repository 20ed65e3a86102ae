/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/fetch_client.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "aci/compression.h"
#include "aci/fetch_protocol.h"
#include "aci/printable.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/process.h"
#include "base/strbuf.h"
#include "base/syscalls.h"
#include "spec/image_id.h"
#include "spec/image_manifest.h"

#define PROGRAM "rkt-fetch"
#define RATIO_MAX                                                              \
	1032 /* what deflate can reach; every format is held to it             \
	      */
#define RATIO_FREE (1ULL << 30)
#define END_SECONDS 10 /* from the reply to the end of the process */

_Static_assert(FETCH_ID_LEN == IMAGE_ID_LEN, "one length of image ids");

/* One run of rkt-fetch.  Released = killed, if it still runs, and reaped. */
struct child {
	int pidfd;
	int sock;
};

static void child_release(struct child *c)
{
	int status;

	if (c->pidfd >= 0) {
		(void)sys_pidfd_send_signal(c->pidfd, SIGKILL);
		(void)process_wait(c->pidfd, &status);
	}
	fd_close(&c->pidfd);
	fd_close(&c->sock);
}
#define cleanup_child cleanup_with(child_release)

static const char *mode_of(uint32_t job)
{
	return job == FETCH_JOB_EXTRACT ? FETCH_MODE_EXTRACT : FETCH_MODE_PARSE;
}

static int child_start(const char *libexec_dir, uint32_t job, struct child *ret,
		       struct error *err)
{
	cleanup_free char *path = xasprintf("%s/%s", libexec_dir, PROGRAM);
	char *argv[] = {(char *)PROGRAM, (char *)mode_of(job), NULL};
	char *envp[] = {NULL};
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	cleanup_fd int theirs = -EBADF;
	int pair[2];
	int r;

	if (null < 0)
		return error_sys(err, errno, "open /dev/null");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, errno, "make a socket pair");
	ret->sock = pair[0];
	theirs = pair[1];
	const struct fd_map map[] = {
		{null, 0}, {null, 1}, {null, 2}, {theirs, FETCH_SOCKET_FD}};
	r = process_spawn(path, -1, argv, envp, map,
			  sizeof(map) / sizeof(map[0]), NULL, err);
	if (r < 0)
		return r;
	ret->pidfd = r;
	return 0;
}

static int send_request(const struct child *c, struct fetch_request *req,
			const int *fds, struct error *err)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(FETCH_FDS_MAX * sizeof(int))];
	} control = {0};
	struct iovec iov = {req, sizeof(*req)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = CMSG_SPACE(req->n_fds * sizeof(int)),
	};
	struct cmsghdr *h = CMSG_FIRSTHDR(&msg);

	req->magic = FETCH_MAGIC;
	req->version = FETCH_VERSION;
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(req->n_fds * sizeof(int));
	memcpy(CMSG_DATA(h), fds, req->n_fds * sizeof(int));
	/* A child that is gone already is reported by wait_reply(). */
	if (sendmsg(c->sock, &msg, MSG_NOSIGNAL) < 0 && errno != EPIPE &&
	    errno != ECONNRESET)
		return error_sys(err, errno, "send %s its request", PROGRAM);
	return 0;
}

/* Until FD is readable: 1, 0 when SECONDS have passed, or -errno. */
static int wait_readable(int fd, int seconds)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct timespec now, end;

	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	for (;;) {
		int64_t left;
		int n;

		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		left = (end.tv_sec - now.tv_sec) * 1000 +
		       (end.tv_nsec - now.tv_nsec) / 1000000;
		n = poll(&p, 1, left > 0 ? (int)left : 0);
		if (n >= 0)
			return n;
		if (errno != EINTR)
			return -errno;
	}
}

/* Waits for the child's end; a child that does not end is killed. */
static int child_end(struct child *c, int *ret_status, struct error *err)
{
	int r = wait_readable(c->pidfd, END_SECONDS);

	if (r == 0)
		(void)sys_pidfd_send_signal(c->pidfd, SIGKILL);
	r = process_wait(c->pidfd, ret_status);
	if (r < 0)
		return error_sys(err, -r, "wait for %s", PROGRAM);
	fd_close(&c->pidfd);
	return 0;
}

static int report_death(int status, struct error *err)
{
	char text[64];

	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return error_set(err, EPROTO,
				 "%s tried a forbidden system call and was "
				 "stopped (signal %d): the file may be an "
				 "attack",
				 PROGRAM, SIGSYS);
	return error_set(err, EPROTO, "%s ended without an answer: %s", PROGRAM,
			 process_status_text(status, text, sizeof(text)));
}

static int check_reply(struct fetch_reply *reply, ssize_t n, uint32_t job,
		       struct error *err)
{
	if (n != (ssize_t)sizeof(*reply) || reply->magic != FETCH_MAGIC ||
	    reply->version != FETCH_VERSION || reply->job != job ||
	    reply->code > 4095)
		return error_set(err, EPROTO,
				 "%s gave a malformed answer; is it of another "
				 "version?",
				 PROGRAM);
	if (reply->code == 0)
		return 0;
	reply->msg[sizeof(reply->msg) - 1] = '\0';
	make_printable(reply->msg);
	return error_set(err, (int)reply->code, "%s",
			 reply->msg[0] ? reply->msg : "unknown error");
}

/* One request, one reply, one end. */
static int call(const char *libexec_dir, struct fetch_request *req,
		const int *fds, int seconds, struct fetch_reply *ret,
		struct error *err)
{
	cleanup_child struct child c = {-EBADF, -EBADF};
	ssize_t n;
	int r, status = 0;

	r = child_start(libexec_dir, req->job, &c, err);
	if (r == 0)
		r = send_request(&c, req, fds, err);
	if (r < 0)
		return r;
	r = wait_readable(c.sock, seconds);
	if (r < 0)
		return error_sys(err, -r, "wait for %s", PROGRAM);
	if (r == 0)
		return error_set(err, ETIMEDOUT,
				 "%s did not answer within %d seconds", PROGRAM,
				 seconds);
	n = recv(c.sock, ret, sizeof(*ret), MSG_TRUNC);
	r = child_end(&c, &status, err);
	if (r < 0)
		return r;
	if (n <= 0 || status != 0)
		return report_death(status, err);
	return check_reply(ret, n, req->job, err);
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
	struct statvfs fs;

	/* A file system without a size, as ramfs, tells nothing. */
	if (!asked && blob_fd >= 0 && fstatvfs(blob_fd, &fs) == 0 &&
	    fs.f_blocks > 0 && (uint64_t)fs.f_bavail * fs.f_frsize < limit) {
		limit = (uint64_t)fs.f_bavail * fs.f_frsize;
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

static int take_image(const struct fetch_import_reply *reply,
		      const struct fetch_request *req, const int *fds,
		      struct fetch_image *ret, struct error *err)
{
	struct image_id id;
	uint64_t image_size = 0, blob_size = 0;
	int r;

	r = regular_size(fds[0], "image", &image_size, err);
	if (r < 0)
		return r;
	if (reply->image_size != image_size)
		return error_set(err, ESTALE,
				 "the image changed while it was read");
	if (req->n_fds > 2) {
		r = regular_size(fds[2], "blob", &blob_size, err);
		if (r < 0)
			return r;
		if (blob_size != reply->tar_size)
			return lied("size of the blob", err);
	}
	ret->compression = compression_name(reply->compression);
	if (!ret->compression || reply->tar_size > req->max_tar_size ||
	    reply->n_files > req->max_files)
		return lied("numbers are out of range", err);
	image_id_from_digest(reply->tar_digest, &id);
	memcpy(ret->id, id.text, sizeof(ret->id));
	ret->image_size = reply->image_size;
	ret->tar_size = reply->tar_size;
	ret->n_files = reply->n_files;
	ret->unpacked_size = reply->unpacked_size;
	memcpy(ret->image_digest, reply->image_digest,
	       sizeof(ret->image_digest));
	return take_manifest(fds[1], reply->manifest_len, ret, err);
}

int fetch_import(const char *libexec_dir, int image_fd, int blob_fd,
		 const struct fetch_limits *limits, struct fetch_image *ret,
		 struct error *err)
{
	static const struct fetch_limits defaults;
	cleanup_fd int manifest_fd = memfd_create("manifest", MFD_CLOEXEC);
	cleanup_fetch_image struct fetch_image image = {0};
	struct fetch_reply reply = {0};
	const int fds[] = {image_fd, manifest_fd, blob_fd};
	struct fetch_request req = {
		.job = FETCH_JOB_IMPORT,
		.n_fds = blob_fd < 0 ? 2 : 3,
	};
	uint64_t image_size = 0;
	bool is_space = false;
	int r;

	if (!limits)
		limits = &defaults;
	if (manifest_fd < 0)
		return error_sys(err, errno, "make a memory file");
	r = regular_size(image_fd, "image", &image_size, err);
	if (r < 0)
		return r;
	req.max_tar_size = tar_size_limit(limits->max_tar_size, image_size,
					  blob_fd, &is_space);
	req.max_files = limits->max_files ? limits->max_files : FETCH_FILES_MAX;
	r = call(libexec_dir, &req, fds, 7300, &reply, err);
	if (r == -EFBIG && is_space)
		return error_prefix(
			err, r, "the image store has %" PRIu64 " bytes free",
			req.max_tar_size);
	if (r == 0)
		r = take_image(&reply.import, &req, fds, &image, err);
	if (r < 0)
		return r;
	*ret = image;
	image = (struct fetch_image){0};
	return 0;
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

int fetch_verify(const char *libexec_dir, int image_fd,
		 const struct fetch_image *image, int sig_fd,
		 const int *key_fds, size_t n_keys, struct fetch_signer *ret,
		 struct error *err)
{
	struct fetch_request req = {
		.job = FETCH_JOB_VERIFY,
		.n_fds = (uint32_t)n_keys + 2,
		.max_tar_size = FETCH_TAR_SIZE_MAX,
		.has_digest = image != NULL,
	};
	int fds[FETCH_FDS_MAX] = {image_fd, sig_fd};
	struct fetch_reply reply = {0};
	uint64_t size;
	int r;

	if (n_keys > FETCH_KEYS_MAX)
		return error_set(err, E2BIG,
				 "verify the signature: %zu trusted keys are "
				 "more than %d",
				 n_keys, FETCH_KEYS_MAX);
	r = regular_size(image_fd, "image", &size, err);
	if (r == 0)
		r = regular_size(sig_fd, "signature", &size, err);
	if (r < 0)
		return r;
	if (n_keys)
		memcpy(fds + 2, key_fds, n_keys * sizeof(*key_fds));
	if (image)
		memcpy(req.image_digest, image->image_digest,
		       sizeof(req.image_digest));
	r = call(libexec_dir, &req, fds, 1900, &reply, err);
	if (r < 0)
		return r;
	if (!is_fingerprint(reply.signer.fingerprint) ||
	    !is_fingerprint(reply.signer.signing_key) ||
	    !take_user_ids(reply.signer.n_user_ids, reply.signer.user_ids))
		return lied("signer", err);
	*ret = reply.signer;
	return 0;
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

int fetch_extract(const char *libexec_dir, int blob_fd, int dirfd,
		  struct error *err)
{
	struct fetch_request req = {
		.job = FETCH_JOB_EXTRACT,
		.n_fds = 2,
		.max_tar_size = FETCH_TAR_SIZE_MAX,
	};
	const int fds[] = {blob_fd, dirfd};
	struct fetch_reply reply = {0};

	return call(libexec_dir, &req, fds, 7300, &reply, err);
}

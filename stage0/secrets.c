/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/pod_manifest.h"
#include "spec/secret.h"
#include "spec/stage1_abi.h"
#include "stage0/pod.h"

/* One byte more than a secret has. */
#define BUFFER_SIZE (SECRET_SIZE_MAX + 1)

/* malloc'ed; NULL with an error. */
static char *source_path(const struct secret *s, struct error *err)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");

	if (s->source)
		return xstrdup(s->source);
	if (dir)
		return xasprintf("%s/%s", dir, s->credential);
	(void)error_set(
		err, ENOENT,
		"there is no credential \"%s\": systemd passes "
		"credentials to a unit that has LoadCredential= (a file "
		"is given with source=FILE)",
		s->credential);
	return NULL;
}

static int open_source(const char *path, struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL, "%s is no regular file", path);
	return TAKE_FD(fd);
}

/* All of FROM into a pipe that lives over execve(2).  TEXT, of BUFFER_SIZE, is
 * nobody else's. */
static int fill_pipe(int from, char *text, struct error *err)
{
	cleanup_fd int out = -EBADF;
	cleanup_fd int in = -EBADF;
	int fds[2], r;
	ssize_t n = read_full(from, text, BUFFER_SIZE);

	if (n > (ssize_t)SECRET_SIZE_MAX)
		return error_set(err, EFBIG, "it is larger than %lu bytes",
				 SECRET_SIZE_MAX);
	if (n < 0)
		return error_sys(err, (int)-n, "read it");
	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	out = fds[0];
	in = fds[1];
	/* Nobody reads before it is complete. */
	if (n > 0 && fcntl(in, F_SETPIPE_SZ, (int)n) < 0)
		return error_sys(err, errno, "make a pipe of %zd bytes", n);
	r = set_nonblock(in);
	if (r == 0)
		r = write_full(in, text, (size_t)n);
	if (r == 0)
		r = set_cloexec(out, 0);
	explicit_bzero(text, (size_t)n);
	return r < 0 ? error_sys(err, -r, "fill a pipe") : TAKE_FD(out);
}

static int read_secret(const struct secret *s, struct error *err)
{
	cleanup_free char *path = source_path(s, err);
	cleanup_fd int from = -EBADF;
	char *text;
	int r;

	if (!path)
		return -ENOENT;
	from = open_source(path, err);
	if (from < 0)
		return from;
	text = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (text == MAP_FAILED)
		return error_sys(err, errno, "read %s", path);
	/* Without root, as far as the limit goes. */
	(void)mlock2(text, BUFFER_SIZE, MLOCK_ONFAULT);
	r = fill_pipe(from, text, err);
	(void)munmap(text, BUFFER_SIZE);
	return r < 0 ? error_prefix(err, r, "%s", path) : r;
}

static int pass_all(const struct pod_manifest *pm, struct strbuf *ret,
		    struct error *err)
{
	for (size_t i = 0; i < pm->annotations.n; i++) {
		cleanup_secret struct secret s = {0};
		int r = secret_read_annotation(&pm->annotations.v[i], &s, err);
		int fd;

		if (r < 0)
			return r;
		if (r == 0)
			continue;
		fd = read_secret(&s, err);
		if (fd < 0)
			return error_prefix(err, fd, "secret %s", s.name);
		strbuf_addf(ret, "%s%s:%d", ret->len ? "," : "", s.name, fd);
	}
	return 0;
}

int pod_secrets_pass(const struct pod *pod, struct strv *env, struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_strbuf struct strbuf fds = STRBUF_INIT;
	int r = read_file_at(pod->fd, POD_MANIFEST_FILE, MANIFEST_MAX, &text,
			     err);

	/* Nearly no pod has any, and parsing takes its time. */
	if (r < 0 || !strstr(text.buf, SECRET_ANNOTATION))
		return r;
	r = pod_manifest_parse(text.buf, text.len, &pm, err);
	if (r == 0)
		r = pass_all(&pm, &fds, err);
	if (r == 0 && fds.len > 0)
		strv_env_set(env, STAGE1_ENV_SECRET_FDS, fds.buf);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/memory_volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/process.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/pod_manifest.h"
#include "spec/secret.h"
#include "spec/stage1_abi.h"
#include "stage1/mounts.h"
#include "stage1/pod_init.h"
#include "stage1/pod_root.h"
#include "stage1/users.h"

/* What a secret is made of. */
struct secret_file {
	struct secret secret;
	int fd; /* owned: a pipe that has all of it */
};

struct secret_files {
	struct secret_file *v;
	size_t n;
};

struct request {
	const struct pod_manifest *pm;
	const struct secret_files *secrets;
	const struct pod_init *init;
	const struct users *users;
};

static size_t count(const struct pod_manifest *pm)
{
	size_t n = 0;

	for (size_t i = 0; i < pm->n_volumes; i++)
		n += pm->volumes[i].in_memory;
	return n;
}

static int mount_one(const struct volume *v, const struct users *users, int dir,
		     struct error *err)
{
	cleanup_strbuf struct strbuf options = STRBUF_INIT;
	cleanup_fd int mnt = -EBADF;
	mode_t mode = 0;
	uid_t uid = 0;
	gid_t gid = 0;
	int r = volume_check_usable(v, &mode, &uid, &gid, err);

	if (r < 0)
		return r;
	strbuf_addf(&options, "mode=%o,uid=%u,gid=%u", (unsigned int)mode,
		    users_outside(users, uid), users_outside(users, gid));
	if (v->size)
		strbuf_addf(&options, ",size=%" PRIu64, v->size);
	mnt = mount_tmpfs(options.buf, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
			  err);
	if (mnt < 0)
		return mnt;
	if (mkdirat(dir, v->name, 0555) < 0)
		return error_sys(err, errno, "create its directory");
	return mount_attach(mnt, dir, v->name, err);
}

static int copy_secret(const struct secret_file *f, const struct users *users,
		       int dir, struct error *err)
{
	const struct secret *s = &f->secret;
	cleanup_fd int fd = openat(
		dir, s->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
	ssize_t n;

	if (fd < 0)
		return error_sys(err, errno, "create the file");
	while ((n = splice(f->fd, NULL, fd, NULL, SECRET_SIZE_MAX, 0)) > 0)
		;
	if (n < 0)
		return error_sys(err, errno, "write the file");
	if (fchown(fd, users_outside(users, s->uid),
		   users_outside(users, s->gid)) < 0 ||
	    fchmod(fd, s->mode) < 0)
		return error_sys(err, errno, "give the file to its user");
	return 0;
}

/* ramfs has no way to the disk. */
static int mount_secrets(const struct secret_files *files,
			 const struct users *users, int dir, struct error *err)
{
	const uint64_t attrs =
		MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV;
	cleanup_fd int mnt = -EBADF;
	int r = 0;

	if (files->n == 0)
		return 0;
	mnt = mount_new("ramfs", "mode=0755", attrs, err);
	if (mnt < 0)
		return mnt;
	for (size_t i = 0; i < files->n && r == 0; i++) {
		r = copy_secret(&files->v[i], users, mnt, err);
		if (r < 0)
			return error_prefix(err, r, "secret %s",
					    files->v[i].secret.name);
	}
	r = mount_set_attr(mnt, MOUNT_ATTR_RDONLY, false, err);
	if (r == 0 && mkdirat(dir, MEMORY_SECRETS_DIR, 0555) < 0)
		r = error_sys(err, errno, "create a directory for secrets");
	return r < 0 ? r : mount_attach(mnt, dir, MEMORY_SECRETS_DIR, err);
}

/* A directory for the volumes' own, over the one of the read-only root. */
static int mount_directory(size_t n, struct error *err)
{
	cleanup_free char *options =
		xasprintf("mode=0555,size=4k,nr_inodes=%zu", n + 3);
	cleanup_fd int dir = mount_tmpfs(
		options,
		MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV, err);
	int r;

	if (dir < 0)
		return dir;
	r = mount_attach(dir, AT_FDCWD, POD_ROOT_VOLUMES, err);
	return r < 0 ? r : TAKE_FD(dir);
}

static int mount_all(const struct request *req, struct error *err)
{
	cleanup_fd int dir = -EBADF;
	int r;

	if (setns(req->init->pidfd, CLONE_NEWNS) < 0)
		return error_sys(err, errno, "join the pod's mounts");
	r = users_act(req->users, err);
	if (r < 0)
		return r;
	dir = mount_directory(count(req->pm), err);
	if (dir < 0)
		return dir;
	for (size_t i = 0; i < req->pm->n_volumes; i++) {
		const struct volume *v = &req->pm->volumes[i];

		r = v->in_memory ? mount_one(v, req->users, dir, err) : 0;
		if (r < 0)
			return error_prefix(err, r, "volume %s", v->name);
	}
	r = mount_secrets(req->secrets, req->users, dir, err);
	return r < 0 ? r : mount_set_attr(dir, MOUNT_ATTR_RDONLY, false, err);
}

static void mount_in_pod(const void *req, int to_parent)
{
	struct error err = ERROR_INIT;

	(void)mount_all(req, &err);
	(void)write_full(to_parent, &err, sizeof(err));
}

static void secret_files_release(struct secret_files *files)
{
	for (size_t i = 0; i < files->n; i++) {
		secret_release(&files->v[i].secret);
		fd_close(&files->v[i].fd);
	}
	free(files->v);
}
#define cleanup_secret_files cleanup_with(secret_files_release)

/* The descriptor of the secret NAME in TEXT. */
static int find_fd(const char *text, const char *name)
{
	cleanup_strv struct strv items = STRV_INIT;
	size_t len = strlen(name);
	uint64_t fd;

	strv_split(&items, text, ',');
	for (size_t i = 0; i < items.n; i++)
		if (strncmp(items.v[i], name, len) == 0 &&
		    items.v[i][len] == ':' &&
		    parse_uint(items.v[i] + len + 1, 1 << 20, &fd) == 0)
			return (int)fd;
	return -EBADF;
}

static int take_secrets(const struct pod_manifest *pm, struct secret_files *ret,
			struct error *err)
{
	const char *text = getenv(STAGE1_ENV_SECRET_FDS);

	ret->v = xcalloc(pm->annotations.n + 1, sizeof(*ret->v));
	for (size_t i = 0; i < pm->annotations.n; i++) {
		struct secret_file *f = &ret->v[ret->n];
		int r = secret_read_annotation(&pm->annotations.v[i],
					       &f->secret, err);

		if (r < 0)
			return r;
		if (r == 0)
			continue;
		ret->n++;
		f->fd = find_fd(text ? text : "", f->secret.name);
		if (f->fd < 0 || set_cloexec(f->fd, 1) < 0)
			return error_set(err, EBADF,
					 "secret %s did not come along",
					 f->secret.name);
	}
	(void)unsetenv(STAGE1_ENV_SECRET_FDS);
	return 0;
}

int memory_volumes_make(const struct pod_manifest *pm, struct pod_init *init,
			const struct users *users, struct error *err)
{
	struct secret_files secrets cleanup_secret_files = {0};
	const struct request req = {pm, &secrets, init, users};
	struct error answer = ERROR_INIT;
	cleanup_fd int pidfd = -EBADF;
	cleanup_fd int said = -EBADF;
	int status, r;

	r = take_secrets(pm, &secrets, err);
	if (r < 0 || (count(pm) == 0 && secrets.n == 0))
		return r;
	/* Before that, the host's root may lie over the pod's. */
	r = pod_init_wait_ready(init, err);
	if (r == 0)
		r = pidfd = process_start(CLONE_VFORK, mount_in_pod, &req,
					  &said, NULL, err);
	if (r < 0)
		return r;
	(void)process_wait(pidfd, &status);
	if (read_full(said, &answer, sizeof(answer)) != (ssize_t)sizeof(answer))
		return error_set(err, ECHILD, "the mounting process died");
	if (answer.code && err)
		*err = answer;
	return -answer.code;
}

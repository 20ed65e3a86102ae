/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/memory_volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/process.h"
#include "base/strbuf.h"
#include "spec/pod_manifest.h"
#include "stage1/mounts.h"
#include "stage1/pod_init.h"
#include "stage1/pod_root.h"
#include "stage1/users.h"

struct request {
	const struct pod_manifest *pm;
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

/* A directory for the volumes' own, over the one of the read-only root. */
static int mount_directory(size_t n, struct error *err)
{
	cleanup_free char *options =
		xasprintf("mode=0555,size=4k,nr_inodes=%zu", n + 2);
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
	return mount_set_attr(dir, MOUNT_ATTR_RDONLY, false, err);
}

static void mount_in_pod(const void *req, int to_parent)
{
	struct error err = ERROR_INIT;

	(void)mount_all(req, &err);
	(void)write_full(to_parent, &err, sizeof(err));
}

int memory_volumes_make(const struct pod_manifest *pm, struct pod_init *init,
			const struct users *users, struct error *err)
{
	const struct request req = {pm, init, users};
	struct error answer = ERROR_INIT;
	cleanup_fd int pidfd = -EBADF;
	cleanup_fd int said = -EBADF;
	int status, r;

	if (count(pm) == 0)
		return 0;
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

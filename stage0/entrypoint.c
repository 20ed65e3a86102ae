/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/entrypoint.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/imagestore.h"
#include "aci/treestore.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/process.h"
#include "stage0/pod.h"
#include "stage0/pod_stage1.h"

static int clone_mount(int fd)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	cleanup_fd int mnt = -EBADF;

	mnt = open_tree(fd, "",
			OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (mnt < 0)
		return -errno;
	if (mount_setattr(mnt, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	return TAKE_FD(mnt);
}

static int sealed_copy(int fd)
{
	cleanup_fd int copy = -EBADF;
	int r;

	copy = memfd_create("stage1", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0)
		return -errno;
	r = copy_fd(fd, copy);
	if (r < 0)
		return r;
	if (fcntl(copy, F_ADD_SEALS,
		  F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return -errno;
	return TAKE_FD(copy);
}

/* FD is O_PATH; READABLE the same file, or -errno, for who cannot clone. */
static int protect(int fd, int (*open_readable)(const void *arg),
		   const void *arg)
{
	cleanup_fd int readable = -EBADF;
	int r = clone_mount(fd);

	/* Not possible for a file on a mount of another namespace, or
	 * without CAP_SYS_ADMIN. */
	if (r >= 0)
		return r;
	readable = open_readable(arg);
	return readable < 0 ? readable : sealed_copy(readable);
}

static int open_readable_file(const void *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int entrypoint_open_program(const char *libexec_dir, const char *program,
			    struct error *err)
{
	cleanup_free char *path = xasprintf("%s/%s", libexec_dir, program);
	cleanup_fd int fd = -EBADF;
	int r;

	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "open %s", path);
	r = protect(fd, open_readable_file, path);
	if (r < 0)
		return error_sys(err, -r, "protect %s against its pods", path);
	return r;
}

/* --- of an image -----------------------------------------------------------
 */

void entrypoint_release(struct entrypoint *ep)
{
	fd_close(&ep->fd);
	fd_close(&ep->root_fd);
	strv_release(&ep->argv);
}

static int open_image_root(const struct pod *pod, const struct image_id *id,
			   const char *libexec_dir, int *ret, struct error *err)
{
	struct imagestore *store = NULL;
	int r = imagestore_open(pod->pods->dir, libexec_dir, 0, &store, err);

	if (r == 0)
		r = treestore_open(
			&(const struct treestore){
				.images = store,
				.libexec_dir = libexec_dir,
			},
			id, ret, err);
	imagestore_free(store);
	return r;
}

struct image_file {
	int root;
	const char *path;
};

static int open_readable_entry(const void *arg)
{
	const struct image_file *file = arg;

	return open_in_root(file->root, file->path, O_RDONLY);
}

static int open_image_entry(int root, const char *path, int *ret,
			    struct error *err)
{
	const struct image_file file = {root, path};
	cleanup_fd int fd = open_in_root(root, path, O_PATH);
	struct stat st;
	int r;

	if (fd < 0)
		return error_sys(err, -fd, "open %s", path);
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "examine %s", path);
	if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		return error_set(err, EACCES, "%s is no program", path);
	r = protect(fd, open_readable_entry, &file);
	if (r < 0)
		return error_sys(err, -r, "protect %s against its pods", path);
	*ret = r;
	return 0;
}

static int open_image(const struct pod *pod, const struct pod_stage1 *stage1,
		      enum stage1_entry entry, const char *libexec_dir,
		      struct entrypoint *ret, struct error *err)
{
	const struct image_manifest *im = &stage1->image.manifest;
	const char *path = stage1_image_entry(im, entry);
	int r;

	if (!path)
		return error_set(err, EOPNOTSUPP,
				 "rkt %s not implemented for pod's stage1 (%s)",
				 stage1_entry_name(entry), im->name);
	r = open_image_root(pod, &stage1->image.id, libexec_dir, &ret->root_fd,
			    err);
	if (r == 0)
		r = open_image_entry(ret->root_fd, path, &ret->fd, err);
	if (r < 0)
		return error_prefix(err, r, "stage1 %s", im->name);
	strv_push(&ret->argv, path);
	return 0;
}

/* Who owns the pod has chosen the program. */
static int check_owner(const struct pod *pod, struct error *err)
{
	struct stat st;

	if (fstat(pod->fd, &st) < 0)
		return error_sys(err, errno, "look at pod %s", pod->uuid);
	if (st.st_uid == geteuid())
		return 0;
	return error_set(err, EPERM,
			 "pod %s belongs to user %u: its stage1 is an image, "
			 "which nobody else executes. Use rkt as that user",
			 pod->uuid, (unsigned int)st.st_uid);
}

int entrypoint_open(const struct pod *pod, const struct pod_stage1 *stage1,
		    enum stage1_entry entry, const char *libexec_dir,
		    struct entrypoint *ret, struct error *err)
{
	const struct stage1_flavour *own = stage1->flavour;
	int r;

	if (!own) {
		r = check_owner(pod, err);
		return r < 0 ? r
			     : open_image(pod, stage1, entry, libexec_dir, ret,
					  err);
	}
	ret->fd = entrypoint_open_program(libexec_dir, own->program, err);
	strv_push(&ret->argv, own->program);
	strv_push(&ret->argv, stage1_entry_name(entry));
	return ret->fd < 0 ? ret->fd : 0;
}

/* --- starting --------------------------------------------------------------
 */

int entrypoint_exec(const struct pod *pod, const struct entrypoint *ep,
		    char *const envp[], struct error *err)
{
	if (fchdir(pod->fd) < 0)
		return error_sys(err, errno, "enter directory of pod %s",
				 pod->uuid);
	/* A script is read by its interpreter. */
	if (ep->root_fd >= 0 && set_cloexec(ep->fd, 0) < 0)
		return error_sys(err, errno, "hand on stage1");
	(void)execveat(ep->fd, "", ep->argv.v, envp, AT_EMPTY_PATH);
	return error_sys(err, errno, "execute stage1");
}

/* A script is read by its interpreter, so what is of an image stays open. */
#define IMAGE_ENTRY_FD 3

static int spawn_in(const struct pod *pod, const struct entrypoint *ep,
		    struct error *err)
{
	const struct fd_map map[] = {
		{STDIN_FILENO, STDIN_FILENO},
		{STDOUT_FILENO, STDOUT_FILENO},
		{STDERR_FILENO, STDERR_FILENO},
		{ep->fd, IMAGE_ENTRY_FD},
	};
	cleanup_fd int here = -EBADF;
	char path[PROC_FD_MAX];
	int r;

	here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fchdir(pod->fd) < 0)
		return error_sys(err, errno, "enter directory of pod %s",
				 pod->uuid);
	if (ep->root_fd >= 0)
		r = process_spawn(proc_fd_path(IMAGE_ENTRY_FD, path), -EBADF,
				  ep->argv.v, environ, map, 4, NULL, err);
	else
		r = process_spawn(NULL, ep->fd, ep->argv.v, environ, map, 3,
				  NULL, err);
	if (here >= 0 && fchdir(here) < 0 && chdir("/") < 0)
		return error_sys(err, errno, "leave directory of pod %s",
				 pod->uuid);
	return r;
}

int entrypoint_call(const struct pod *pod, const struct entrypoint *ep,
		    struct error *err)
{
	cleanup_fd int pidfd = spawn_in(pod, ep, err);
	int status;
	int r;

	if (pidfd < 0)
		return pidfd;
	r = process_wait(pidfd, &status);
	if (r < 0)
		return error_sys(err, -r, "wait for %s", ep->argv.v[0]);
	return process_exit_code(status);
}

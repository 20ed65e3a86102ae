/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/imagestore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "aci/fetch_client.h"
#include "aci/image_mounts.h"
#include "aci/imagestore_internal.h"
#include "aci/seal.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/path.h"
#include "base/process.h"
#include "base/strv.h"

/*
 * A tar is sealed when it is known to be on the disk, and that is said by its
 * mode: SEALED_MODE.  Small ones are when they get their name.  For a large one
 * nobody is to wait: it has WRITTEN_MODE, and a process that got it from who
 * wrote it, and keeps it locked, syncs and seals it.  While that lives, all
 * that is read is right, from the page cache; without it nobody knows.
 */
#define SEALED_MODE 0440
#define WRITTEN_MODE 0640
#define SEAL_LATER_MIN (64ULL << 20)
/* A process that seals waits so long for the end of the command: what that
 * still writes does not have to wait for the tar then. */
#define COMMAND_END_MS 30000

/* --- names --------------------------------------------------------------- */

const char *blob_name(const char *id, char *buf)
{
	(void)snprintf(buf, STORE_NAME_MAX, "blob/%s.tar", id);
	return buf;
}

bool blob_exists(const struct imagestore *store, const char *id)
{
	char name[STORE_NAME_MAX];

	return faccessat(store->dirfd, blob_name(id, name), F_OK, 0) == 0;
}

bool blob_id_of(const char *file, struct image_id *ret)
{
	size_t len = strlen(file);
	char text[IMAGE_ID_LEN + 1];

	if (len != IMAGE_ID_LEN + 4 || strcmp(file + IMAGE_ID_LEN, ".tar") != 0)
		return false;
	memcpy(text, file, IMAGE_ID_LEN);
	text[IMAGE_ID_LEN] = '\0';
	return image_id_parse(text, ret, NULL) == 0 &&
	       strcmp(ret->text, text) == 0;
}

/* --- what is on the disk ------------------------------------------------- */

static bool is_sealed(const struct stat *st)
{
	return !(st->st_mode & 0222);
}

/* Of the open file, not of the process: it goes along with a fork. */
static struct flock whole_file(short type)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET};
}

static int claim(int fd)
{
	struct flock lock = whole_file(F_WRLCK);

	return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

static bool is_claimed(int fd)
{
	struct flock lock = whole_file(F_RDLCK);

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* Until nobody seals it any more. */
static int wait_claim(int fd)
{
	struct flock lock = whole_file(F_RDLCK);
	int r;

	do
		r = fcntl(fd, F_OFD_SETLKW, &lock);
	while (r < 0 && errno == EINTR);
	lock.l_type = F_UNLCK;
	return r < 0 || fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

/* True if FD's bytes are right: on the disk, or here for who seals it. */
static bool is_right(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	if (is_sealed(&st) || is_claimed(fd))
		return true;
	/* It may have been sealed in between. */
	return fstat(fd, &st) == 0 && is_sealed(&st);
}

/* FD is still the file of ID's name. */
static bool has_name(const struct imagestore *store, const struct image_id *id,
		     int fd)
{
	char name[STORE_NAME_MAX];
	struct stat a, b;

	return fstat(fd, &a) == 0 &&
	       fstatat(store->dirfd, blob_name(id->text, name), &b,
		       AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

int imagestore_condemn(struct imagestore *store, const struct image_id *id,
		       struct error *err)
{
	/* The tar may lie below others' mounts, too: all are made again when
	 * they are needed. */
	cleanup_strv struct strv mounts = STRV_INIT;
	char from[STORE_NAME_MAX], to[STORE_NAME_MAX];

	(void)blob_name(id->text, from);
	(void)snprintf(to, sizeof(to), "tmp/%s.bad", id->text);
	seal_lift(store->dirfd, from);
	/* Of an earlier time, and sealed since by who had it open. */
	seal_lift(store->dirfd, to);
	if (renameat(store->dirfd, from, store->dirfd, to) < 0 &&
	    errno != ENOENT)
		return error_sys(err, errno, "take stored image %s away",
				 id->text);
	/* Who cannot unmount has mounted nothing. */
	(void)image_mounts_list(store->dirfd, &mounts, NULL);
	for (size_t i = 0; i < mounts.n; i++)
		(void)image_mount_detach(store->dirfd, mounts.v[i], NULL);
	return store_sync_dir(store, "blob", err);
}

/* --- sealing ------------------------------------------------------------- */

static int sync_tar(int fd, struct error *err)
{
	if (fsync(fd) < 0)
		return error_sys(err, errno, "write an image to the disk");
	return 0;
}

static int set_sealed(int fd, struct error *err)
{
	if (fchmod(fd, SEALED_MODE) < 0)
		return error_sys(err, errno, "seal an image");
	seal_verity(fd);
	seal_immutable(fd);
	return 0;
}

/* FD was opened by its writer, or before it was read whole: what went wrong
 * since is told to it. */
static int seal(int fd, struct error *err)
{
	int r = sync_tar(fd, err);

	return r < 0 ? r : set_sealed(fd, err);
}

/* Without terminal, session, directory or files of the command's. */
static int detach_process(const int *keep, size_t n)
{
	(void)setsid();
	(void)prctl(PR_SET_NAME, "rkt-seal", 0, 0, 0);
	if (chdir("/") < 0 || close_all_from(0, keep, n) < 0)
		return -errno;
	process_open_standard_fds();
	return 0;
}

static void __attribute__((__noreturn__))
seal_alone(const struct imagestore *from, int fd, const struct image_id *id)
{
	struct imagestore store = {.data_dir = from->data_dir};
	struct pollfd command = {.fd = from->command_fds[0], .events = POLLIN};
	struct error err = ERROR_INIT;
	int r;

	/* Another one than the command's, which holds a lock. */
	store.dirfd =
		openat(from->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store.dirfd < 0 ||
	    detach_process((const int[]){fd, command.fd, store.dirfd}, 3) < 0)
		_exit(1);
	(void)poll(&command, 1, COMMAND_END_MS);
	r = sync_tar(fd, &err);
	/* While rm and gc work, nothing gets a seal that they have lifted. */
	if (r == 0 && lock_wait(store.dirfd, LOCK_SH) == 0)
		r = set_sealed(fd, &err);
	if (r < 0) {
		if (has_name(&store, id, fd))
			(void)imagestore_condemn(&store, id, NULL);
		syslog(LOG_USER | LOG_ERR,
		       "rkt: image %.*s was taken away, fetch it again: %s",
		       IMAGE_ID_FULL_LEN, id->text, err.msg);
	}
	_exit(0);
}

/* A grandchild: whatever the command becomes, it has no child to wait for. */
static int seal_later(struct imagestore *store, int fd,
		      const struct image_id *id)
{
	pid_t pid;
	int status;

	if (store->command_fds[1] < 0) {
		fd_close(&store->command_fds[0]);
		if (pipe2(store->command_fds, O_CLOEXEC) < 0)
			return -errno;
	}
	pid = fork();
	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			seal_alone(store, fd, id);
		_exit(pid < 0);
	}
	/* It cannot be waited for where SIGCHLD is ignored, and need not. */
	if (pid < 0 || (waitpid(pid, &status, 0) == pid && status != 0))
		return -EAGAIN;
	return 0;
}

/* FD is claimed. */
static int seal_somehow(struct imagestore *store, int fd,
			const struct image_id *id, struct error *err)
{
	if (seal_later(store, fd, id) == 0)
		return 0;
	return seal(fd, err);
}

/* --- what nobody seals --------------------------------------------------- */

/*
 * The host went down before ID was on the disk, or who sealed it was killed:
 * reads it.  Nothing that the disk may not have is taken from memory, unless
 * it is still to be written: then FD's fsync says whether it was.
 */
static int read_whole(struct imagestore *store, int fd,
		      const struct image_id *id, struct error *err)
{
	uint8_t digest[64];
	struct image_id got;
	struct stat st;
	int r;

	log_info("checking image %.*s: it may not be on the disk whole",
		 IMAGE_ID_FULL_LEN, id->text);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "stat stored image %s", id->text);
	r = fetch_digest(store->libexec_dir, fd, (uint64_t)st.st_size, digest,
			 err);
	if (r < 0)
		return error_prefix(err, r, "image %.*s", IMAGE_ID_FULL_LEN,
				    id->text);
	image_id_from_digest(digest, &got);
	if (strcmp(got.text, id->text) != 0)
		return error_set(err, EUCLEAN,
				 "image %.*s is damaged: the host went down "
				 "before it was on the disk (fetch it again)",
				 IMAGE_ID_FULL_LEN, id->text);
	strv_push(&store->read, id->text);
	return 0;
}

/* Another opening of FD's file, for writing if that is possible. */
static int open_again(int fd)
{
	char path[PROC_FD_MAX];
	int again = open(proc_fd_path(fd, path), O_RDWR | O_CLOEXEC);

	return again < 0 ? open(path, O_RDONLY | O_CLOEXEC) : again;
}

/* 0: FD can be used.  NOW: it is sealed on return, if it can be at all. */
static int settle(struct imagestore *store, int opened,
		  const struct image_id *id, bool now, struct error *err)
{
	cleanup_fd int fd = open_again(opened);
	int r;

	if (fd < 0)
		return error_sys(err, errno, "open stored image %s", id->text);
	r = read_whole(store, fd, id, err);
	if (r < 0)
		return r;
	/* By somebody else, or nobody: the file system is read-only. */
	if (claim(fd) < 0)
		return 0;
	return now ? seal(fd, err) : seal_somehow(store, fd, id, err);
}

int store_check_tar(struct imagestore *store, int fd, const struct image_id *id,
		    struct error *err)
{
	struct error why = ERROR_INIT;
	int r;

	if (is_right(fd) || strv_has(&store->read, id->text))
		return 0;
	r = settle(store, fd, id, false, &why);
	if (r == -EUCLEAN && has_name(store, id, fd))
		(void)imagestore_condemn(store, id, NULL);
	if (r < 0 && err)
		*err = why;
	return r;
}

bool blob_is_usable(struct imagestore *store, const struct image_id *id)
{
	struct error why = ERROR_INIT;
	char name[STORE_NAME_MAX];
	cleanup_fd int fd = -EBADF;
	struct stat st;

	if (fstatat(store->dirfd, blob_name(id->text, name), &st,
		    AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	if (is_sealed(&st))
		return true;
	fd = openat(store->dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	/* Who cannot read it may still name it. */
	if (fd < 0)
		return errno != ENOENT;
	if (store_check_tar(store, fd, id, &why) == 0)
		return true;
	log_warning("%s", why.msg);
	return false;
}

/* --- one image ----------------------------------------------------------- */

int imagestore_open_blob(struct imagestore *store, const struct image_id *id,
			 struct error *err)
{
	char name[STORE_NAME_MAX];
	cleanup_fd int fd = openat(store->dirfd, blob_name(id->text, name),
				   O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0)
		return error_sys(err, errno, "open stored image %s", id->text);
	r = store_check_tar(store, fd, id, err);
	return r < 0 ? r : TAKE_FD(fd);
}

/*
 * 1 if ID is stored: IM's file is not needed.  Without knowing what is on the
 * disk it is better taken than what is there.
 */
static int keep_stored(struct imagestore *store, const struct image_import *im,
		       const char *name, struct error *err)
{
	cleanup_fd int fd =
		openat(store->dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "open stored image %s",
				 im->id.text);
	if (!is_right(fd)) {
		int r = imagestore_condemn(store, &im->id, err);

		return r < 0 ? r : 0;
	}
	if (is_sealed(&st))
		seal_immutable(fd);
	return 1;
}

int store_blob(struct imagestore *store, const struct image_import *im,
	       struct error *err)
{
	bool later = im->size >= SEAL_LATER_MIN && claim(im->blob_fd) == 0;
	char name[STORE_NAME_MAX];
	int r;

	r = keep_stored(store, im, blob_name(im->id.text, name), err);
	if (r != 0) {
		imagestore_drop_file(store, im->blob_fd);
		return r;
	}
	if (fchmod(im->blob_fd, later ? WRITTEN_MODE : SEALED_MODE) < 0)
		return error_sys(err, errno, "set mode of image %s",
				 im->id.text);
	if (!later)
		seal_verity(im->blob_fd);
	r = store_link_file(store, im->blob_fd, name, !later, err);
	if (r == 0 && later)
		r = seal_somehow(store, im->blob_fd, &im->id, err);
	else if (r == 0)
		seal_immutable(im->blob_fd);
	return r;
}

/* --- all images ---------------------------------------------------------- */

static int finish_blob(struct imagestore *store, const struct image_id *id,
		       bool wait, struct error *err)
{
	char name[STORE_NAME_MAX];
	cleanup_fd int fd = openat(store->dirfd, blob_name(id->text, name),
				   O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct error why = ERROR_INIT;
	int r = 0;

	if (fd < 0)
		return errno == ENOENT ? 0
				       : error_sys(err, errno, "open %s", name);
	if (wait)
		r = wait_claim(fd);
	if (r < 0)
		return error_sys(err, -r, "wait for image %s", id->text);
	if (wait && !has_name(store, id, fd))
		return error_set(err, EIO,
				 "image %.*s could not be written to the disk "
				 "and was taken away (see the system log)",
				 IMAGE_ID_FULL_LEN, id->text);
	if (is_right(fd))
		return 0;
	r = settle(store, fd, id, true, &why);
	if (r == 0)
		return 0;
	if (r != -EUCLEAN && r != -EIO) {
		if (err)
			*err = why;
		return r;
	}
	log_warning("%s", why.msg);
	return imagestore_condemn(store, id, err);
}

int imagestore_finish(struct imagestore *store, bool wait, struct error *err)
{
	cleanup_dir DIR *dir = NULL;
	const struct dirent *e;
	int r = store_opendir(store, "blob", &dir, err);

	/* As far as they are concerned the command has ended. */
	fd_close(&store->command_fds[1]);
	while (r >= 0 && (e = readdir(dir))) {
		struct image_id id;
		struct stat st;

		if (blob_id_of(e->d_name, &id) &&
		    fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) ==
			    0 &&
		    !is_sealed(&st))
			r = finish_blob(store, &id, wait, err);
	}
	return r;
}

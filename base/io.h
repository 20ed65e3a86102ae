/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_IO_H
#define BASE_IO_H

/* Whole reads and writes; small files below a directory descriptor. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;
struct strbuf;

/* Reads up to N bytes until end of file; returns how many or -errno. */
ssize_t read_full(int fd, void *buf, size_t n);
/* Writes all N bytes; 0 or -errno. */
int write_full(int fd, const void *buf, size_t n);
ssize_t pread_full(int fd, void *buf, size_t n, off_t offset);

/*
 * Appends the file NAME below DIRFD (no symlink followed in the last
 * component, no wait for a writer of a FIFO) to SB.  At most MAX bytes, else
 * -EFBIG.  Errors name the file.
 */
int read_file_at(int dirfd, const char *name, size_t max, struct strbuf *sb,
		 struct error *err);
/* The same for a file somebody named: a symlink or a pipe is fine. */
int read_file_path(const char *path, size_t max, struct strbuf *sb,
		   struct error *err);

/*
 * Puts LEN bytes in NAME below DIRFD: a temporary name in the same
 * directory, then rename, so a reader sees the old file or the new one.
 * Not synced: see atomic_file_write() for what must survive a power cut.
 */
int write_file_at(int dirfd, const char *name, mode_t mode, const void *data,
		  size_t len, struct error *err);
int write_string_at(int dirfd, const char *name, mode_t mode, const char *s,
		    struct error *err);

/* The same without the rename: for a file nobody reads before it is whole. */
int write_new_file_at(int dirfd, const char *name, mode_t mode,
		      const void *data, size_t len, struct error *err);

/* write_file_at() with fsync of the file and of its directory. */
int atomic_file_write(int dirfd, const char *name, mode_t mode,
		      const void *data, size_t len, struct error *err);

/*
 * Writes what stdio still holds for stdout.  Fails if that or any earlier
 * write to it did: what a main() asks before it says that all is well.
 */
int stdout_flush(struct error *err);

/* Copies everything from IN (its current offset) to OUT. */
int copy_fd(int in, int out);
/* The same; -EFBIG if that is more than MAX bytes: no more are copied. */
int copy_fd_max(int in, int out, uint64_t max);

/* Bytes for files in FD's file system; UINT64_MAX if it has no size. */
uint64_t free_bytes(int fd);

int set_nonblock(int fd);
int set_cloexec(int fd, int on);

/* Whether what is left to read from A and B is the same: 1, 0, or -errno. */
int same_content(int a, int b);
/* The same of the extended attributes; a file system without any has none. */
int same_xattrs(int a, int b);

#endif

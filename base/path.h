/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PATH_H
#define BASE_PATH_H

/*
 * Paths.  Nothing below an untrusted root is joined and opened: the
 * open_in_root()/mkdir_in_root() calls resolve below a directory descriptor
 * with openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;
struct strv;

/* Lexical clean like Go's path.Clean: malloc'ed; "." for the empty path. */
char *path_clean(const char *path);
/* The same when cleaned. */
bool path_equal(const char *a, const char *b);
bool path_is_absolute(const char *path);
/* Last component; borrows. */
const char *path_base(const char *path);
/* True if PATH is BELOW (cleaned, absolute) or lies under it. */
bool path_is_below(const char *path, const char *below);

/*
 * Opens PATH as if ROOTFD were "/": symlinks and ".." cannot leave it, magic
 * links are refused.  Returns a descriptor (O_CLOEXEC added) or -errno.
 */
int open_in_root(int rootfd, const char *path, uint64_t flags);
/* The same, but what leads out of DIRFD is -EXDEV.  RESOLVE adds to
 * RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS. */
int open_beneath(int dirfd, const char *path, uint64_t flags, uint64_t resolve);

/*
 * Creates PATH and its missing parents below ROOTFD as directories with
 * MODE, 0:0, following symlinks in-root as open_in_root() does.  Returns an
 * O_PATH descriptor of PATH, or -errno (-ENOTDIR if something else is there).
 */
int mkdir_in_root(int rootfd, const char *path, mode_t mode);

/* The same with an empty regular file as last component. */
int mkfile_in_root(int rootfd, const char *path, mode_t mode);

/* mkdir -p below DIRFD, symlinks not followed in the last component. */
int mkdir_p_at(int dirfd, const char *path, mode_t mode);

/* The names in the directory FD (O_PATH will do), sorted, without "." and
 * "..".  Returns 0 or -errno. */
int dir_names(int fd, struct strv *ret);

/*
 * Removes NAME below DIRFD with everything under it, never crossing a mount
 * and never following a symlink.  A missing NAME is success.
 */
int remove_tree_at(int dirfd, const char *name, struct error *err);

/*
 * PREFIX/libexec/rkt, PREFIX being two levels above the running program: the
 * build tree and an installation have the same shape.  malloc'ed.
 */
int path_libexec(char **ret, struct error *err);

/* "/proc/self/fd/N" into a caller's buffer of PROC_FD_MAX. */
#define PROC_FD_MAX 32
const char *proc_fd_path(int fd, char *buf);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

/*
 * Scope-bound ownership.  A local that owns something is declared with one
 * of the cleanup_* attributes and initialised where it is declared; handing
 * the value on is visible as TAKE_PTR() or TAKE_FD().  Every cleanup function
 * keeps errno, accepts the empty value (NULL, a negative descriptor) and
 * leaves the empty value behind.
 */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define cleanup_with(fn) __attribute__((__cleanup__(fn)))

/* DEFINE_CLEANUP(type, fn): cleanup_<fn> for locals of pointer type TYPE. */
#define DEFINE_CLEANUP(type, fn)                                               \
	static inline void fn##_cleanup(type *p)                               \
	{                                                                      \
		int saved_errno = errno;                                       \
		if (*p)                                                        \
			fn(*p);                                                \
		*p = NULL;                                                     \
		errno = saved_errno;                                           \
	}                                                                      \
	struct base_cleanup_semicolon

#define TAKE_PTR(p)                                                            \
	({                                                                     \
		__typeof__(p) *take_from_ = &(p);                              \
		__typeof__(p) taken_ = *take_from_;                            \
		*take_from_ = NULL;                                            \
		taken_;                                                        \
	})

#define TAKE_FD(fd)                                                            \
	({                                                                     \
		int *take_from_ = &(fd);                                       \
		int taken_ = *take_from_;                                      \
		*take_from_ = -EBADF;                                          \
		taken_;                                                        \
	})

static inline void free_cleanup(void *pp)
{
	void **p = pp;
	int saved_errno = errno;

	free(*p);
	*p = NULL;
	errno = saved_errno;
}

/* Closes *FD if it is open; keeps errno and leaves -EBADF behind. */
static inline void fd_close(int *fd)
{
	int saved_errno = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -EBADF;
	errno = saved_errno;
}

DEFINE_CLEANUP(FILE *, fclose);
DEFINE_CLEANUP(DIR *, closedir);

#define cleanup_free cleanup_with(free_cleanup)
#define cleanup_fd cleanup_with(fd_close)
#define cleanup_file cleanup_with(fclose_cleanup)
#define cleanup_dir cleanup_with(closedir_cleanup)

#endif

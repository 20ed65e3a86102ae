/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lock.h"

#include <errno.h>
#include <sys/file.h>

int lock_try(int fd, int how)
{
	if (flock(fd, how | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return 0;
}

int lock_wait(int fd, int how)
{
	while (flock(fd, how) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

bool lock_is_held(int fd)
{
	if (lock_try(fd, LOCK_SH) == 0) {
		(void)flock(fd, LOCK_UN);
		return false;
	}
	return true;
}

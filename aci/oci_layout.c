/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/oci_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"

int oci_layout_open_file(int dirfd, const char *name, uint64_t max,
			 struct error *err)
{
	cleanup_fd int fd =
		openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "open %s of the layout", name);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL,
				 "open %s of the layout: it is not a regular "
				 "file",
				 name);
	if ((uint64_t)st.st_size > max)
		return error_set(err, EFBIG,
				 "open %s of the layout: it is longer than "
				 "%llu bytes",
				 name, (unsigned long long)max);
	return TAKE_FD(fd);
}

int oci_layout_open_blob(int dirfd, const char *digest, uint64_t max,
			 struct error *err)
{
	cleanup_free char *name = xasprintf("blobs/%s", digest);

	*strchr(name, ':') = '/';
	return oci_layout_open_file(dirfd, name, max, err);
}

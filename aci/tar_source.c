/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/tar_source.h"

#include <archive.h>
#include <string.h>

#include "base/io.h"

static la_ssize_t on_read(struct archive *a, void *data, const void **ret)
{
	struct tar_source *s = data;
	ssize_t n = pread_full(s->fd, s->buf, sizeof(s->buf), s->offset);

	if (n < 0) {
		archive_set_error(a, (int)-n, "read the tar: %s",
				  strerrordesc_np((int)-n));
		return -1;
	}
	s->offset += n;
	*ret = s->buf;
	return n;
}

int tar_source_open(struct archive *a, struct tar_source *s)
{
	return archive_read_open(a, s, NULL, on_read, NULL);
}

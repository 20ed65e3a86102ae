/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/stored_tars.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "aci/fetch_client.h"
#include "aci/imagestore.h"
#include "aci/imagestore_internal.h"
#include "aci/render_load.h"
#include "base/cleanup.h"
#include "base/error.h"

#define HEX_DIGITS "0123456789abcdef"

const char *stored_tar_kept_name(const char *id, char *buf)
{
	(void)snprintf(buf, STORE_NAME_MAX, STORE_INDEX "/%s.tar", id);
	return buf;
}

int stored_tar_open(struct imagestore *store, const struct image_id *id,
		    struct error *err)
{
	char name[STORE_NAME_MAX];
	int cas = imagestore_dirfd(store);
	cleanup_fd int fd = openat(cas, blob_name(id->text, name),
				   O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0 && errno == ENOENT)
		fd = openat(cas, stored_tar_kept_name(id->text, name),
			    O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "open stored image %s", id->text);
	r = store_check_tar(store, fd, id, err);
	return r < 0 ? r : TAKE_FD(fd);
}

void stored_tar_digest(const struct image_id *id, uint8_t ret[64])
{
	const char *hex = id->text + IMAGE_ID_PREFIX_LEN;

	for (size_t i = 0; i < 64; i++) {
		const char *high = strchr(HEX_DIGITS, hex[2 * i]);
		const char *low = strchr(HEX_DIGITS, hex[2 * i + 1]);

		ret[i] = (uint8_t)((high - HEX_DIGITS) << 4 |
				   (low - HEX_DIGITS));
	}
}

int stored_tar_refuse(const struct image_id *id, struct error *err)
{
	return error_set(err, EUCLEAN,
			 "the stored image %.*s holds other bytes: remove it "
			 "with \"rkt image rm\" and fetch it again",
			 IMAGE_ID_FULL_LEN, id->text);
}

static int check_one(struct imagestore *store, const char *libexec_dir,
		     const struct image_id *id, struct error *err)
{
	cleanup_fd int fd = stored_tar_open(store, id, err);
	uint8_t want[64], got[64];
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "stat stored image %s", id->text);
	stored_tar_digest(id, want);
	r = fetch_digest(libexec_dir, fd, (uint64_t)st.st_size, got, err);
	if (r < 0 || memcmp(want, got, sizeof(want)) == 0)
		return r;
	return stored_tar_refuse(id, err);
}

int stored_tars_check(struct imagestore *store, const char *libexec_dir,
		      const struct image_id *id, const struct image_id *but,
		      struct error *err)
{
	cleanup_render_set struct render_set set = RENDER_SET_INIT;
	int r = render_set_load(store, id, &set, err);

	for (size_t i = 0; r >= 0 && i < set.n; i++)
		if (!but || strcmp(set.v[i].id.text, but->text) != 0)
			r = check_one(store, libexec_dir, &set.v[i].id, err);
	return r < 0 ? r : 0;
}

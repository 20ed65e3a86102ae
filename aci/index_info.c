/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/index_info.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "aci/erofs_format.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"

#define DEVICES_MAX 4096

void index_info_release(struct index_info *info)
{
	free(info->devices);
	*info = (struct index_info)INDEX_INFO_INIT;
}

static int bad(struct error *err)
{
	return error_set(err, EBADMSG, "the index is damaged");
}

static int read_at(int fd, void *buf, size_t len, uint64_t at,
		   struct error *err)
{
	ssize_t n = pread_full(fd, buf, len, (off_t)at);

	if (n < 0)
		return error_sys(err, (int)-n, "read the index");
	return (size_t)n == len ? 0 : bad(err);
}

static bool is_super(const struct erofs_super *super, uint64_t size)
{
	return le32toh(super->magic) == EROFS_MAGIC &&
	       super->block_bits == EROFS_BLOCK_BITS &&
	       le16toh(super->slots_at) == EROFS_SLOTS_AT / EROFS_SLOT_SIZE &&
	       le16toh(super->n_devices) > 0 &&
	       le16toh(super->n_devices) <= DEVICES_MAX &&
	       le32toh(super->n_blocks) * EROFS_BLOCK == size;
}

/* The digest is not of itself: what lies around it is to be as written. */
static bool is_trailer(const struct erofs_trailer *trailer)
{
	struct erofs_trailer want = {.magic = EROFS_TRAILER_MAGIC};

	memcpy(want.digest, trailer->digest, sizeof(want.digest));
	return memcmp(&want, trailer, sizeof(want)) == 0;
}

static int read_devices(int fd, struct index_info *info, struct error *err)
{
	info->devices = xcalloc(info->n_devices, sizeof(*info->devices));
	for (size_t i = 0; i < info->n_devices; i++) {
		struct erofs_device_slot slot;
		int r = read_at(fd, &slot, sizeof(slot),
				EROFS_SLOTS_AT + i * EROFS_SLOT_SIZE, err);

		if (r < 0)
			return r;
		image_id_from_digest(slot.tag, &info->devices[i].id);
		info->devices[i].n_blocks = le32toh(slot.n_blocks);
	}
	return 0;
}

int index_info_read(int fd, struct index_info *ret, struct error *err)
{
	cleanup_index_info struct index_info info = INDEX_INFO_INIT;
	struct erofs_super super;
	struct erofs_trailer trailer;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "read the index");
	if (st.st_size < (off_t)(EROFS_SLOTS_AT + 2 * EROFS_BLOCK))
		return bad(err);
	info.size = (uint64_t)st.st_size - sizeof(trailer);
	r = read_at(fd, &super, sizeof(super), EROFS_SUPER_AT, err);
	if (r == 0)
		r = read_at(fd, &trailer, sizeof(trailer), info.size, err);
	if (r < 0)
		return r;
	if (!is_super(&super, info.size) || !is_trailer(&trailer))
		return bad(err);
	memcpy(info.digest, trailer.digest, sizeof(info.digest));
	info.n_devices = le16toh(super.n_devices);
	r = read_devices(fd, &info, err);
	if (r < 0)
		return r;
	*ret = info;
	info = (struct index_info)INDEX_INFO_INIT;
	return 0;
}

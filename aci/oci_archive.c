/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/oci_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

#include "aci/aci_check.h"
#include "aci/aci_read.h"
#include "aci/image_stream.h"
#include "aci/tar_source.h"
#include "aci/tar_walk.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strv.h"

DEFINE_CLEANUP(struct image_stream *, image_stream_free);
#define cleanup_stream cleanup_with(image_stream_free_cleanup)

static void reader_free(struct archive *a)
{
	(void)archive_read_free(a);
}
DEFINE_CLEANUP(struct archive *, reader_free);
#define cleanup_reader cleanup_with(reader_free_cleanup)

static int unpack(int fd, int tar_fd, uint64_t max_size, struct tar_walk *walk,
		  struct error *err)
{
	const struct image_input input = {.fd = fd, .bell_fd = -EBADF};
	cleanup_stream struct image_stream *s = NULL;
	struct image_totals totals;
	const uint8_t *chunk;
	ssize_t n;
	int r = image_stream_open(&input, tar_fd, max_size, &s, err);

	if (r < 0)
		return r;
	while ((n = image_stream_next(s, &chunk, err)) > 0) {
		r = tar_walk_feed(walk, chunk, (size_t)n, err);
		if (r < 0)
			return r;
	}
	r = n < 0 ? (int)n : tar_walk_end(walk, err);
	return r < 0 ? r : image_stream_finish(s, &totals, err);
}

static int add_file(struct archive_entry *entry, const struct tar_place *place,
		    struct strv *ret, struct error *err)
{
	const char *path = archive_entry_pathname(entry);
	cleanup_free char *clean = NULL;
	int r;

	if (archive_entry_filetype(entry) != AE_IFREG ||
	    archive_entry_hardlink(entry))
		return 0;
	if (ret->n / 3 >= OCI_ARCHIVE_ENTRIES_MAX)
		return error_set(err, EFBIG,
				 "the archive has more than %d files",
				 OCI_ARCHIVE_ENTRIES_MAX);
	r = aci_path_clean(path ? path : "", &clean, err);
	if (r < 0)
		return r;
	if (archive_entry_sparse_count(entry) > 0 ||
	    (uint64_t)archive_entry_size(entry) != place->size)
		return error_set(err, EINVAL,
				 "the archive has a file with holes");
	strv_push(ret, clean);
	strv_pushf(ret, "%llu", (unsigned long long)place->data);
	strv_pushf(ret, "%llu", (unsigned long long)place->size);
	return 0;
}

/* WALK has the places, the library the names: of the same entries. */
static int list(int tar_fd, struct tar_walk *walk, struct strv *ret,
		struct error *err)
{
	cleanup_free struct tar_source *source = xcalloc(1, sizeof(*source));
	cleanup_reader struct archive *a = aci_tar_new();
	int r;

	source->fd = tar_fd;
	r = aci_tar_result(a, NULL, tar_source_open(a, source), err);
	while (r == 0) {
		struct archive_entry *entry = NULL;
		struct tar_place place;

		r = archive_read_next_header(a, &entry);
		r = aci_tar_result(a, entry, r, err);
		if (r != 0)
			break;
		if (!tar_walk_next_place(walk, &place))
			return error_set(err, EINVAL,
					 "the archive is ambiguous");
		r = add_file(entry, &place, ret, err);
	}
	return r < 0 ? r : 0;
}

int oci_archive_read(int fd, int tar_fd, uint64_t max_size, struct strv *ret,
		     struct error *err)
{
	cleanup_tar_walk struct tar_walk walk;
	int r;

	tar_walk_init(&walk);
	walk.keeps_places = true;
	r = unpack(fd, tar_fd, max_size, &walk, err);
	return r < 0 ? r : list(tar_fd, &walk, ret, err);
}

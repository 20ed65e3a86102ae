/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/oci_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

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

/* --- links --------------------------------------------------------------- */

/* TARGET seen from the directory that NAME is in; NULL if it leads out. */
static char *resolve(const char *name, const char *target)
{
	const char *slash = strrchr(name, '/');
	cleanup_free char *path = xasprintf(
		"%.*s/%s", slash ? (int)(slash - name) : 0, name, target);
	cleanup_free char *out = xmalloc(strlen(path) + 1);
	char *save = NULL;
	size_t len = 0;

	if (*target == '/')
		return NULL;
	for (char *step = strtok_r(path, "/", &save); step;
	     step = strtok_r(NULL, "/", &save)) {
		if (strcmp(step, ".") == 0)
			continue;
		if (strcmp(step, "..") != 0) {
			len += (size_t)sprintf(out + len, "%s%s",
					       len ? "/" : "", step);
			continue;
		}
		if (len == 0)
			return NULL;
		while (len > 0 && out[--len] != '/')
			;
	}
	out[len] = '\0';
	return TAKE_PTR(out);
}

/* Appends NAME and what it means, which need not be there. */
static int add_link(struct archive_entry *entry, struct strv *links,
		    struct error *err)
{
	const char *hard = archive_entry_hardlink(entry);
	const char *soft = archive_entry_symlink(entry);
	const char *path = archive_entry_pathname(entry);
	cleanup_free char *name = NULL;
	cleanup_free char *target = NULL;
	int r;

	if (!hard && !soft)
		return 0;
	if (links->n / 2 >= OCI_ARCHIVE_LINKS_MAX)
		return error_set(err, EFBIG,
				 "the archive has more than %d links",
				 OCI_ARCHIVE_LINKS_MAX);
	r = aci_path_clean(path ? path : "", &name, err);
	if (r < 0)
		return r;
	target = hard ? resolve("", hard) : resolve(name, soft);
	if (!target)
		return 0;
	strv_push(links, name);
	strv_push(links, target);
	return 0;
}

/* The last of the files called NAME, NULL if there is none. */
static char *const *find_file(const struct strv *files, size_t n,
			      const char *name)
{
	for (size_t i = n; i >= 3; i -= 3)
		if (strcmp(files->v[i - 3], name) == 0)
			return files->v + i - 3;
	return NULL;
}

/* A link that is also a file is that: one hop, so there are no loops. */
static void add_aliases(const struct strv *links, struct strv *files)
{
	size_t n = files->n;

	for (size_t i = 0; i + 1 < links->n; i += 2) {
		char *const *file = find_file(files, n, links->v[i + 1]);
		cleanup_free char *at = NULL;
		cleanup_free char *size = NULL;

		if (!file || find_file(files, n, links->v[i]))
			continue;
		at = xstrdup(file[1]);
		size = xstrdup(file[2]);
		strv_push(files, links->v[i]);
		strv_push(files, at);
		strv_push(files, size);
	}
}

/* --- files --------------------------------------------------------------- */

static int add_file(struct archive_entry *entry, const struct tar_place *place,
		    struct strv *ret, struct error *err)
{
	const char *path = archive_entry_pathname(entry);
	cleanup_free char *clean = NULL;
	int r;

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
	cleanup_strv struct strv links = STRV_INIT;
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
		if (archive_entry_filetype(entry) == AE_IFREG &&
		    !archive_entry_hardlink(entry))
			r = add_file(entry, &place, ret, err);
		else
			r = add_link(entry, &links, err);
	}
	if (r < 0)
		return r;
	add_aliases(&links, ret);
	return 0;
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

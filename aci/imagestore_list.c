/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/imagestore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "aci/imagestore_internal.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"

/*
 * A store may have thousands of images, and nobody wants to wait for a list
 * of them.  What one look at each file would cost is told apart by a look at
 * directories: no row is without its blob as long as blob/ was not changed
 * since that was seen, and only images used since their import have a file in
 * used/.
 */

#define NS_PER_S 1000000000LL

static int64_t file_time(const struct stat *st)
{
	return st->st_mtim.tv_sec * NS_PER_S + st->st_mtim.tv_nsec;
}

/* --- rows by their IDs --------------------------------------------------- */

/* Open addressing; a slot is a row's number + 1. */
struct row_index {
	const struct image_rows *rows;
	size_t *slots;
	size_t mask;
};

/* IDs are digests: some of their digits are as good as any hash of them. */
static size_t id_hash(const char *id)
{
	size_t h;

	memcpy(&h, id + IMAGE_ID_PREFIX_LEN, sizeof(h));
	return (h * 0x9e3779b97f4a7c15) >> 32;
}

static bool is_id_text(const char *id)
{
	return strnlen(id, IMAGE_ID_LEN + 1) == IMAGE_ID_LEN;
}

static void row_index_make(const struct image_rows *rows, struct row_index *ret)
{
	size_t n = 16;

	while (n < rows->n * 2)
		n *= 2;
	*ret = (struct row_index){
		.rows = rows,
		.slots = xcalloc(n, sizeof(*ret->slots)),
		.mask = n - 1,
	};
	for (size_t i = 0; i < rows->n; i++) {
		size_t at;

		if (!is_id_text(rows->v[i].id))
			continue;
		at = id_hash(rows->v[i].id) & ret->mask;
		while (ret->slots[at])
			at = (at + 1) & ret->mask;
		ret->slots[at] = i + 1;
	}
}

static void row_index_release(struct row_index *index)
{
	free(index->slots);
}
#define cleanup_row_index __attribute__((__cleanup__(row_index_release)))

/* The row of the ID that FILE begins with; NULL if there is none. */
static struct image_row *row_find(const struct row_index *index,
				  const char *file)
{
	for (size_t at = id_hash(file) & index->mask; index->slots[at];
	     at = (at + 1) & index->mask) {
		struct image_row *row = &index->rows->v[index->slots[at] - 1];

		if (memcmp(row->id, file, IMAGE_ID_LEN) == 0)
			return row;
	}
	return NULL;
}

/* FN for each row whose ID and then SUFFIX is a file's name in cas/NAME/. */
static int each_file(const struct imagestore *store, const char *name,
		     const char *suffix, const struct row_index *index,
		     void (*fn)(int dirfd, const char *file,
				struct image_row *row),
		     struct error *err)
{
	cleanup_dir DIR *dir = NULL;
	const struct dirent *e;
	int r = store_opendir(store, name, &dir, err);

	for (errno = 0; r >= 0 && (e = readdir(dir)); errno = 0) {
		struct image_row *row;

		if (strlen(e->d_name) != IMAGE_ID_LEN + strlen(suffix) ||
		    strcmp(e->d_name + IMAGE_ID_LEN, suffix) != 0)
			continue;
		row = row_find(index, e->d_name);
		if (row)
			fn(dirfd(dir), e->d_name, row);
	}
	if (r >= 0 && errno)
		r = error_sys(err, errno, "read %s/cas/%s", store->data_dir,
			      name);
	return r;
}

/* --- which are stored ---------------------------------------------------- */

/*
 * cas/complete has the mtime that blob/ had when every row was seen to have
 * its blob.  Rows are added after their blobs, so until blob/ changes it is so.
 */
static bool is_complete(const struct imagestore *store, struct timespec *ret)
{
	struct stat blobs, seen;

	if (fstatat(store->dirfd, "blob", &blobs, 0) < 0)
		return false;
	*ret = blobs.st_mtim;
	return fstatat(store->dirfd, STORE_COMPLETE, &seen,
		       AT_SYMLINK_NOFOLLOW) == 0 &&
	       seen.st_mtim.tv_sec == blobs.st_mtim.tv_sec &&
	       seen.st_mtim.tv_nsec == blobs.st_mtim.tv_nsec;
}

/* Two changes in one tick of the file system's clock have one mtime. */
#define TICK_MAX_S 2

static void note_complete(const struct imagestore *store,
			  const struct timespec *blobs)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, *blobs};
	cleanup_fd int fd = -EBADF;
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec - blobs->tv_sec <= TICK_MAX_S)
		return;
	fd = openat(store->dirfd, STORE_COMPLETE,
		    O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd >= 0)
		(void)futimens(fd, times);
}

static void mark_stored(int dirfd, const char *file, struct image_row *row)
{
	(void)dirfd;
	(void)file;
	row->is_stored = true;
}

static void keep_stored(struct image_rows *rows)
{
	size_t n = 0;

	for (size_t i = 0; i < rows->n; i++)
		if (rows->v[i].is_stored)
			rows->v[n++] = rows->v[i];
	rows->n = n;
}

static void mark_used(int dirfd, const char *file, struct image_row *row)
{
	struct stat st;

	if (fstatat(dirfd, file, &st, AT_SYMLINK_NOFOLLOW) == 0)
		row->last_used = file_time(&st);
}

static int look_at_all(const struct imagestore *store, struct image_rows *rows,
		       struct error *err)
{
	cleanup_row_index struct row_index index = {0};
	struct timespec blobs = {0};
	bool complete = is_complete(store, &blobs);
	size_t n = rows->n;
	int r = 0;

	row_index_make(rows, &index);
	for (size_t i = 0; i < n; i++)
		rows->v[i].is_stored = complete && is_id_text(rows->v[i].id);
	if (!complete)
		r = each_file(store, "blob", ".tar", &index, mark_stored, err);
	/* A store without used/ is one of an older version. */
	if (r >= 0)
		(void)each_file(store, STORE_USED, "", &index, mark_used, NULL);
	if (r < 0)
		return r;
	keep_stored(rows);
	if (!complete && rows->n == n)
		note_complete(store, &blobs);
	return 0;
}

static void look_at_each(const struct imagestore *store,
			 struct image_rows *rows)
{
	cleanup_fd int used = openat(store->dirfd, STORE_USED,
				     O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < rows->n; i++) {
		struct image_row *row = &rows->v[i];

		row->is_stored = blob_exists(store, row->id);
		mark_used(used, row->id, row);
	}
	keep_stored(rows);
}

static void drop_damaged(const struct imagestore *store,
			 struct image_rows *rows)
{
	size_t n = 0;

	for (size_t i = 0; i < rows->n; i++) {
		if (store_row_is_damaged(store, &rows->v[i]))
			continue;
		rows->v[n] = rows->v[i];
		rows->v[n].last_used = rows->v[n].imported;
		n++;
	}
	rows->n = n;
}

int imagestore_list(struct imagestore *store, const char *name,
		    struct image_rows *ret, struct error *err)
{
	cleanup_image_rows struct image_rows rows = IMAGE_ROWS_INIT;
	struct imagedb *db;
	int r;

	r = imagestore_db(store, false, &db, err);
	if (r >= 0)
		r = imagedb_list(db, name, &rows, err);
	if (r < 0 && r != -ENOENT)
		return r;
	drop_damaged(store, &rows);
	if (name)
		look_at_each(store, &rows);
	else
		r = look_at_all(store, &rows, err);
	if (r < 0 && r != -ENOENT)
		return r;
	*ret = rows;
	rows = (struct image_rows)IMAGE_ROWS_INIT;
	return 0;
}

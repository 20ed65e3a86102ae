/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/imagestore.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "aci/imagestore_internal.h"
#include "aci/seal.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/json_read.h"
#include "spec/stage1_abi.h"

#define NS_PER_S 1000000000LL

/* --- mending ------------------------------------------------------------- */

/* Entries of tmp/ whose name begins with PREFIX. */
static int clear_tmp(struct imagestore *store, const char *prefix, size_t *n,
		     struct error *err)
{
	cleanup_dir DIR *dir = NULL;
	const struct dirent *e;
	int r;

	r = store_opendir(store, "tmp", &dir, err);
	while (r >= 0 && (e = readdir(dir))) {
		if (e->d_name[0] == '.' ||
		    strncmp(e->d_name, prefix, strlen(prefix)) != 0)
			continue;
		/* A tar that was taken away while somebody sealed it. */
		seal_lift(dirfd(dir), e->d_name);
		r = remove_tree_at(dirfd(dir), e->d_name, err);
		(*n)++;
	}
	return r;
}

int imagestore_sweep(struct imagestore *store, struct error *err)
{
	size_t n = 0;

	return clear_tmp(store, STORE_TRASH "-", &n, err);
}

static int64_t file_time(const struct stat *st)
{
	return st->st_mtim.tv_sec * NS_PER_S + st->st_mtim.tv_nsec;
}

/* What manifest and blob say of ID. */
static int row_of_files(struct imagestore *store, const struct image_id *id,
			struct image_row *ret, struct error *err)
{
	cleanup_strbuf struct strbuf manifest = STRBUF_INIT;
	char name[STORE_NAME_MAX];
	struct stat st;
	int r;

	if (fstatat(store->dirfd, blob_name(id->text, name), &st,
		    AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, errno, "stat stored image %s", id->text);
	r = imagestore_read_manifest(store, id, &manifest, err);
	if (r >= 0)
		r = image_row_make(id, manifest.buf, manifest.len, ret, err);
	if (r < 0)
		return r;
	ret->imported = file_time(&st);
	ret->size = (uint64_t)st.st_size;
	return 0;
}

/* A blob without a row: killed before the row, or the table or the row was
 * lost. */
static int add_row(struct imagestore *store, struct imagedb *db,
		   const struct image_id *id, struct error *err)
{
	cleanup_image_row struct image_row row = {0};
	int r = row_of_files(store, id, &row, err);

	return r < 0 ? r : imagedb_put(db, &row, err);
}

static void take_text(char **to, char **from)
{
	free(*to);
	*to = TAKE_PTR(*from);
}

int imagestore_mend_row(struct imagestore *store, const struct image_id *id,
			struct error *err)
{
	cleanup_image_row struct image_row row = {0};
	cleanup_image_row struct image_row right = {0};
	struct imagedb *db;
	int r = imagestore_db(store, true, &db, err);

	if (r >= 0)
		r = row_of_files(store, id, &right, err);
	if (r < 0)
		return r;
	assert(right.name && right.labels && right.version);
	r = imagedb_get(db, id->text, &row, err);
	if (r == -ENOENT) {
		r = imagedb_put(db, &right, err);
		return r < 0 ? r : 1;
	}
	if (r < 0 ||
	    (strcmp(row.name, right.name) == 0 &&
	     strcmp(row.labels, right.labels) == 0 &&
	     strcmp(row.version, right.version) == 0 && row.size == right.size))
		return r;
	take_text(&row.name, &right.name);
	take_text(&row.labels, &right.labels);
	take_text(&row.version, &right.version);
	row.size = right.size;
	r = imagedb_put(db, &row, err);
	return r < 0 ? r : 1;
}

static int mend_blob(struct imagestore *store, struct imagedb *db,
		     const struct image_id *id, struct imagestore_repairs *ret,
		     struct error *err)
{
	cleanup_image_row struct image_row row = {0};
	struct error why = ERROR_INIT;
	char name[STORE_NAME_MAX];
	int r;

	seal_again(store->dirfd, blob_name(id->text, name));
	r = imagedb_get(db, id->text, &row, err);
	if (r != -ENOENT)
		return r;
	r = add_row(store, db, id, &why);
	if (r >= 0) {
		ret->n_rows_added++;
		return 0;
	}
	/* What the table does not take now it takes later. */
	if (r == -ENOSPC || r == -EIO || r == -EBUSY || r == -EACCES) {
		log_warning("image %s is not listed: %s", id->text, why.msg);
		return 0;
	}
	/* Nobody can use an image without a manifest: the way back is to
	 * import it again. */
	log_warning("removing image %s: %s", id->text, why.msg);
	ret->n_files_removed++;
	return imagestore_remove(store, id, err);
}

static int mend_blobs(struct imagestore *store, struct imagedb *db,
		      struct imagestore_repairs *ret, struct error *err)
{
	cleanup_dir DIR *dir = NULL;
	const struct dirent *e;
	int r;

	r = store_opendir(store, "blob", &dir, err);
	while (r >= 0 && (e = readdir(dir))) {
		struct image_id id;

		if (blob_id_of(e->d_name, &id))
			r = mend_blob(store, db, &id, ret, err);
	}
	return r;
}

/* Files of cas/NAME/ whose image is not there. */
static int drop_lone_files(struct imagestore *store, const char *name,
			   struct imagestore_repairs *ret, struct error *err)
{
	cleanup_dir DIR *dir = NULL;
	const struct dirent *e;
	int r;

	r = store_opendir(store, name, &dir, err);
	while (r >= 0 && (e = readdir(dir))) {
		if (e->d_name[0] == '.' || blob_exists(store, e->d_name))
			continue;
		r = remove_tree_at(dirfd(dir), e->d_name, err);
		if (r < 0)
			r = error_wrap(err, r, "remove %s/cas/%s/%s",
				       store->data_dir, name, e->d_name);
		ret->n_files_removed++;
	}
	return r;
}

static int drop_lone_rows(struct imagestore *store, struct imagedb *db,
			  struct imagestore_repairs *ret, struct error *err)
{
	cleanup_image_rows struct image_rows rows = IMAGE_ROWS_INIT;
	int r;

	r = imagedb_list(db, NULL, &rows, err);
	for (size_t i = 0; r >= 0 && i < rows.n; i++) {
		if (blob_exists(store, rows.v[i].id))
			continue;
		r = imagedb_delete(db, rows.v[i].id, err);
		ret->n_rows_removed++;
	}
	return r;
}

int imagestore_reconcile(struct imagestore *store,
			 struct imagestore_repairs *ret, struct error *err)
{
	struct imagedb *db;
	int r;

	*ret = (struct imagestore_repairs){0};
	/* First what frees space. */
	r = clear_tmp(store, "", &ret->n_files_removed, err);
	if (r >= 0)
		r = imagestore_db(store, true, &db, err);
	if (r >= 0)
		r = imagedb_mend(db, err);
	if (r >= 0)
		r = mend_blobs(store, db, ret, err);
	if (r >= 0)
		r = drop_lone_files(store, "manifest", ret, err);
	if (r >= 0)
		r = drop_lone_files(store, STORE_USED, ret, err);
	if (r >= 0)
		r = drop_lone_rows(store, db, ret, err);
	return r;
}

int imagestore_mend_manifest(struct imagestore *store,
			     const struct image_id *id, const char *text,
			     size_t len, struct error *err)
{
	cleanup_strbuf struct strbuf stored = STRBUF_INIT;
	char name[STORE_NAME_MAX];
	int r = imagestore_read_manifest(store, id, &stored, NULL);

	if (r >= 0 && stored.len == len && memcmp(stored.buf, text, len) == 0)
		return 0;
	r = atomic_file_write(store->dirfd, manifest_name(id->text, name), 0640,
			      text, len, err);
	return r < 0 ? r : 1;
}

/* --- what pods use ------------------------------------------------------- */

/*
 * A pod only moves on through these, so one that moves while they are read
 * is met again further down; an exited pod that is started goes back to run.
 */
static const char *const pod_dirs[] = {
	"embryo", "prepare", "prepared", "run", "exited-garbage", "run",
};

typedef int (*child_fn)(int dirfd, const char *name, struct strv *ids,
			struct error *err);

/* FN for each sub-directory of NAME below DIRFD; gone or no directory: none.
 */
static int each_child(int dirfd, const char *name, child_fn fn,
		      struct strv *ids, struct error *err)
{
	cleanup_strv struct strv names = STRV_INIT;
	cleanup_fd int fd = openat(
		dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = 0;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
		return 0;
	if (fd < 0)
		return error_sys(err, errno, "open pod directory %s", name);
	/* A pod that is not seen loses its images. */
	r = dir_names(fd, &names);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return error_sys(err, -r, "read pod directory %s", name);
	for (size_t i = 0; r >= 0 && i < names.n; i++)
		if (names.v[i][0] != '.')
			r = fn(fd, names.v[i], ids, err);
	return r;
}

/* The ID in the file FILE of the directory NAME, if there is one. */
static int add_id(int dirfd, const char *name, const char *file,
		  struct strv *ids, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	char path[300];
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s", name, file);
	r = read_file_at(dirfd, path, 4096, &text, err);
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		return r;
	strbuf_setlen(&text, strcspn(text.buf, "\n"));
	strv_push(ids, text.buf);
	return 0;
}

static int add_generation(int dirfd, const char *name, struct strv *ids,
			  struct error *err)
{
	return add_id(dirfd, name, GENERATION_IMAGE_ID_FILE, ids, err);
}

static int add_app(int dirfd, const char *name, struct strv *ids,
		   struct error *err)
{
	return each_child(dirfd, name, add_generation, ids, err);
}

/* What an app was asked for is looked for at its next start, whatever updates
 * have made of it. */
static int add_asked(int dirfd, const char *name, struct strv *ids,
		     struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_strv struct strv asked = STRV_INIT;
	int r = read_file_at(dirfd, name, MANIFEST_MAX, &text, err);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	if (json_strv_parse(text.buf, text.len, &asked, NULL) == 0 &&
	    asked.n == 2)
		strv_push(ids, asked.v[1]);
	return 0;
}

static int add_pod(int dirfd, const char *name, struct strv *ids,
		   struct error *err)
{
	char path[300];
	int r;

	r = add_id(dirfd, name, POD_STAGE1_ID_FILE, ids, err);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "%s/" POD_GENERATIONS_DIR, name);
	r = each_child(dirfd, path, add_app, ids, err);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "%s/" POD_ASKED_DIR, name);
	return each_child(dirfd, path, add_asked, ids, err);
}

int imagestore_pod_images(struct imagestore *store, struct strv *ret,
			  struct error *err)
{
	cleanup_free char *path = xasprintf("%s/pods", store->data_dir);
	cleanup_fd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return error_sys(err, errno, "open %s", path);
	for (size_t i = 0; r >= 0 && i < sizeof(pod_dirs) / sizeof(*pod_dirs);
	     i++)
		r = each_child(fd, pod_dirs[i], add_pod, ret, err);
	strv_sort(ret);
	return r;
}

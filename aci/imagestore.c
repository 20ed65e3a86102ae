/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/imagestore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "aci/image_labels.h"
#include "aci/imagestore_internal.h"
#include "aci/seal.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/image_manifest.h"
#include "spec/image_ref.h"
#include "spec/stage1_abi.h"

#define ID_PREFIX_MIN (IMAGE_ID_PREFIX_LEN + 2)

DEFINE_CLEANUP(struct imagestore *, imagestore_free);
#define cleanup_imagestore cleanup_with(imagestore_free_cleanup)

/* --- opening ------------------------------------------------------------- */

static const struct {
	const char *name;
	mode_t mode;
} store_dirs[] = {
	{"blob", 0770},
	{"manifest", 0770},
	/* Root file systems with set-user-ID programs of any age: nobody
	 * but root may reach them by path. */
	{"tree", 0700},
	{"tmp", 0770},
	/* What the kernel is to mount. */
	{STORE_INDEX, 0700},
	/* Last: if it is there, so are the others. */
	{STORE_USED, 0770},
};

static int make_dirs(int dirfd, const char *data_dir, struct error *err)
{
	if (faccessat(dirfd, STORE_USED, F_OK, 0) == 0)
		return 0;
	for (size_t i = 0; i < sizeof(store_dirs) / sizeof(*store_dirs); i++) {
		if (mkdirat(dirfd, store_dirs[i].name, store_dirs[i].mode) <
			    0 &&
		    errno != EEXIST)
			return error_sys(err, errno, "create %s/cas/%s",
					 data_dir, store_dirs[i].name);
	}
	return 0;
}

static int open_cas(const char *data_dir, bool create, struct error *err)
{
	cleanup_free char *path = xasprintf("%s/cas", data_dir);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0 && errno == ENOENT && create) {
		r = mkdir_p_at(AT_FDCWD, data_dir, 0750);
		if (r < 0)
			return error_sys(err, -r, "create data directory %s",
					 data_dir);
		if (mkdir(path, 0770) < 0 && errno != EEXIST)
			return error_sys(err, errno, "create %s", path);
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0)
		return error_sys(err, errno, "open image store %s", path);
	return fd;
}

static int lock_cas(int fd, int how, bool wait, const char *data_dir,
		    struct error *err)
{
	int r = lock_try(fd, how);

	if (r == -EBUSY && !wait)
		return error_set(err, EBUSY,
				 "the image store %s/cas is being cleaned: try "
				 "again",
				 data_dir);
	if (r == -EBUSY) {
		log_info("waiting for other users of the image store %s/cas",
			 data_dir);
		r = lock_wait(fd, how);
	}
	if (r < 0)
		return error_sys(err, -r, "lock image store %s/cas", data_dir);
	return 0;
}

int imagestore_open(const char *data_dir, const char *libexec_dir,
		    unsigned flags, struct imagestore **ret, struct error *err)
{
	cleanup_imagestore struct imagestore *store =
		xcalloc(1, sizeof(*store));
	int r;

	store->data_dir = xstrdup(data_dir);
	store->libexec_dir = libexec_dir;
	store->command_fds[0] = store->command_fds[1] = -EBADF;
	store->dirfd = open_cas(data_dir, flags & IMAGESTORE_CREATE, err);
	if (store->dirfd < 0)
		return store->dirfd;
	r = lock_cas(store->dirfd,
		     flags & IMAGESTORE_EXCLUSIVE ? LOCK_EX : LOCK_SH,
		     !(flags & IMAGESTORE_NOWAIT), data_dir, err);
	if (r >= 0 && flags & IMAGESTORE_CREATE)
		r = make_dirs(store->dirfd, data_dir, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(store);
	return 0;
}

void imagestore_free(struct imagestore *store)
{
	if (!store)
		return;
	imagedb_free(store->db);
	strv_release(&store->read);
	fd_close(&store->command_fds[0]);
	fd_close(&store->command_fds[1]);
	fd_close(&store->dirfd);
	free(store->data_dir);
	free(store);
}

int imagestore_share(struct imagestore *store, struct error *err)
{
	return lock_cas(store->dirfd, LOCK_SH, true, store->data_dir, err);
}

int imagestore_dirfd(const struct imagestore *store)
{
	return store->dirfd;
}

const char *imagestore_data_dir(const struct imagestore *store)
{
	return store->data_dir;
}

int imagestore_db(struct imagestore *store, bool create, struct imagedb **ret,
		  struct error *err)
{
	cleanup_free char *path = NULL;
	int r;

	if (!store->db) {
		path = xasprintf("%s/cas/images.sqlite", store->data_dir);
		if (!create && access(path, F_OK) < 0)
			return -ENOENT;
		r = imagedb_open(path, create, &store->db, err);
		if (r < 0)
			return r;
	}
	*ret = store->db;
	return 0;
}

/* --- finding ------------------------------------------------------------- */

const char *manifest_name(const char *id, char *buf)
{
	(void)snprintf(buf, STORE_NAME_MAX, "manifest/%s", id);
	return buf;
}

static int no_such_id(const char *prefix, struct error *err)
{
	return error_set(err, ENOENT, "no image IDs found for \"%s\"", prefix);
}

/* One more file of blob/: -EEXIST when it is the second that fits. */
static int match_blob(const char *file, const char *prefix,
		      struct image_id *ret, struct error *err)
{
	struct image_id id;

	if (strncmp(file, prefix, strlen(prefix)) != 0 ||
	    !blob_id_of(file, &id))
		return 0;
	if (ret->text[0])
		return error_set(err, EEXIST, "ambiguous image ID: \"%s\"",
				 prefix);
	*ret = id;
	return 0;
}

int store_opendir(const struct imagestore *store, const char *name, DIR **ret,
		  struct error *err)
{
	int fd = openat(store->dirfd, name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return error_sys(err, errno, "open %s/cas/%s", store->data_dir,
				 name);
	*ret = fdopendir(fd);
	if (!*ret) {
		int code = errno;

		fd_close(&fd);
		return error_sys(err, code, "read %s/cas/%s", store->data_dir,
				 name);
	}
	return 0;
}

static int find_abbreviated(struct imagestore *store, const char *prefix,
			    struct image_id *ret, struct error *err)
{
	cleanup_dir DIR *dir = NULL;
	struct image_id found = {""};
	const struct dirent *e;
	int r;

	r = store_opendir(store, "blob", &dir, err);
	if (!dir)
		return r;
	while ((e = readdir(dir))) {
		r = match_blob(e->d_name, prefix, &found, err);
		if (r < 0)
			return r;
	}
	if (!found.text[0])
		return no_such_id(prefix, err);
	if (!blob_is_usable(store, &found))
		return no_such_id(prefix, err);
	*ret = found;
	return 0;
}

int imagestore_find_id(struct imagestore *store, const char *prefix,
		       struct image_id *ret, struct error *err)
{
	struct image_id id;
	int r;

	r = image_id_parse_prefix(prefix, &id, err);
	if (r < 0)
		return r;
	if (strlen(id.text) == IMAGE_ID_LEN) {
		if (!blob_is_usable(store, &id))
			return no_such_id(prefix, err);
		*ret = id;
		return 0;
	}
	if (strlen(id.text) < ID_PREFIX_MIN)
		return error_set(err, EINVAL,
				 "image ID \"%s\" is too short: at least two "
				 "hex digits are needed",
				 prefix);
	return find_abbreviated(store, id.text, ret, err);
}

bool store_row_is_damaged(const struct imagestore *store,
			  const struct image_row *row)
{
	if (row->is_damaged)
		log_warning("row %llu of %s/cas/images.sqlite is damaged and "
			    "not used: \"rkt image gc\" mends it",
			    (unsigned long long)row->serial, store->data_dir);
	return row->is_damaged;
}

static bool is_row_usable(struct imagestore *store, const struct image_row *row,
			  struct image_id *ret)
{
	return image_id_parse(row->id, ret, NULL) == 0 &&
	       blob_is_usable(store, ret);
}

int imagestore_find_name(struct imagestore *store, const struct image_ref *ref,
			 struct image_id *ret, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_image_rows struct image_rows rows = IMAGE_ROWS_INIT;
	struct imagedb *db;
	int r;

	r = imagestore_db(store, false, &db, err);
	if (r >= 0)
		r = imagedb_list(db, ref->name, &rows, err);
	if (r < 0 && r != -ENOENT)
		return r;
	for (size_t i = 0; i < rows.n; i++) {
		if (!store_row_is_damaged(store, &rows.v[i]) &&
		    image_labels_match(rows.v[i].labels, &ref->labels) &&
		    is_row_usable(store, &rows.v[i], ret))
			return 0;
	}
	image_ref_format(ref, &text);
	return error_set(err, ENOENT, "image \"%s\" not found in the store",
			 text.buf);
}

int imagestore_find_source(struct imagestore *store, const char *source,
			   struct image_row *ret, struct error *err)
{
	cleanup_image_row struct image_row row = {0};
	struct image_id id;
	struct imagedb *db;
	int r;

	r = imagestore_db(store, false, &db, err);
	if (r >= 0)
		r = imagedb_get_source(db, source, &row, err);
	if (r < 0)
		return r;
	if (!is_row_usable(store, &row, &id))
		return -ENOENT;
	*ret = row;
	row = (struct image_row){0};
	return 0;
}

/* --- one image ----------------------------------------------------------- */

int imagestore_read_manifest(struct imagestore *store,
			     const struct image_id *id, struct strbuf *sb,
			     struct error *err)
{
	char name[STORE_NAME_MAX];

	return read_file_at(store->dirfd, manifest_name(id->text, name),
			    MANIFEST_MAX, sb, err);
}

int imagestore_get(struct imagestore *store, const struct image_id *id,
		   struct image_row *ret, struct error *err)
{
	struct imagedb *db;
	int r = imagestore_db(store, false, &db, err);

	return r < 0 ? r : imagedb_get(db, id->text, ret, err);
}

/* An image that was imported just now needs no file that says so. */
#define JUST_NOW_S 60

static bool is_just_imported(const struct imagestore *store,
			     const struct image_id *id)
{
	char name[STORE_NAME_MAX];
	struct timespec now;
	struct stat st;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return fstatat(store->dirfd, blob_name(id->text, name), &st,
		       AT_SYMLINK_NOFOLLOW) < 0 ||
	       llabs((long long)now.tv_sec - st.st_mtim.tv_sec) < JUST_NOW_S;
}

void imagestore_touch(struct imagestore *store, const struct image_id *id)
{
	char name[STORE_NAME_MAX];
	const struct timespec now[2] = {{.tv_nsec = UTIME_NOW},
					{.tv_nsec = UTIME_NOW}};
	int fd;

	(void)snprintf(name, sizeof(name), STORE_USED "/%s", id->text);
	if (utimensat(store->dirfd, name, now, AT_SYMLINK_NOFOLLOW) == 0 ||
	    errno != ENOENT || is_just_imported(store, id))
		return;
	fd = openat(store->dirfd, name,
		    O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd >= 0)
		(void)close(fd);
}

/* --- writing ------------------------------------------------------------- */

int imagestore_new_file(struct imagestore *store, struct error *err)
{
	char name[64];
	struct timespec now;
	int fd = openat(store->dirfd, "tmp", O_TMPFILE | O_RDWR | O_CLOEXEC,
			0600);

	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR)
		return error_sys(err, errno, "create a file in %s/cas/tmp",
				 store->data_dir);
	/* A file system without O_TMPFILE: the name goes when it is stored or
	 * dropped. */
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)snprintf(name, sizeof(name), "tmp/import-%d-%lld%09ld",
		       (int)getpid(), (long long)now.tv_sec, now.tv_nsec);
	fd = openat(store->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
		    0600);
	if (fd < 0)
		return error_sys(err, errno, "create %s/cas/%s",
				 store->data_dir, name);
	return fd;
}

void imagestore_drop_file(struct imagestore *store, int fd)
{
	char link[PROC_FD_MAX], path[4096], name[300];
	ssize_t n = fd < 0 ? -1
			   : readlink(proc_fd_path(fd, link), path,
				      sizeof(path) - 1);

	if (n <= 0)
		return;
	path[n] = '\0';
	if (strncmp(path_base(path), "import-", 7) != 0)
		return;
	(void)snprintf(name, sizeof(name), "tmp/%s", path_base(path));
	(void)unlinkat(store->dirfd, name, 0);
}

int store_sync_dir(const struct imagestore *store, const char *dir,
		   struct error *err)
{
	cleanup_fd int fd =
		openat(store->dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return error_sys(err, errno, "sync %s/cas/%s", store->data_dir,
				 dir);
	return 0;
}

int store_link_file(struct imagestore *store, int fd, const char *name,
		    bool sync, struct error *err)
{
	cleanup_free char *dir = xstrndup(name, strcspn(name, "/"));
	char link[PROC_FD_MAX];
	bool exists = false;
	int r = 0;

	if (sync && fsync(fd) < 0)
		return error_sys(err, errno, "sync %s/cas/%s", store->data_dir,
				 name);
	if (linkat(AT_FDCWD, proc_fd_path(fd, link), store->dirfd, name,
		   AT_SYMLINK_FOLLOW) < 0) {
		exists = errno == EEXIST;
		if (!exists)
			r = error_sys(err, errno, "store %s/cas/%s",
				      store->data_dir, name);
	}
	imagestore_drop_file(store, fd);
	if (r >= 0)
		r = store_sync_dir(store, dir, err);
	return r < 0 ? r : exists;
}

static int link_manifest(struct imagestore *store,
			 const struct image_import *im, const char *name,
			 struct error *err)
{
	cleanup_fd int fd = imagestore_new_file(store, err);
	int r;

	if (fd < 0)
		return fd;
	r = write_full(fd, im->manifest, im->manifest_len);
	if (r < 0 || fchmod(fd, 0640) < 0)
		return error_sys(err, r < 0 ? -r : errno,
				 "write manifest of %s", im->id.text);
	return store_link_file(store, fd, name, true, err);
}

static bool is_manifest(const struct strbuf *text)
{
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;

	return image_manifest_parse(text->buf, text->len, &im, NULL) == 0;
}

/*
 * The manifest in force goes to TEXT.  What an unsigned image's parser says
 * never replaces what is stored, unless that is damaged; a signed image's
 * does.
 */
static int store_manifest(struct imagestore *store,
			  const struct image_import *im, struct strbuf *text,
			  struct error *err)
{
	char name[STORE_NAME_MAX];
	int r = 0;

	(void)manifest_name(im->id.text, name);
	if (faccessat(store->dirfd, name, F_OK, 0) < 0)
		r = link_manifest(store, im, name, err);
	if (r >= 0)
		r = imagestore_read_manifest(store, &im->id, text, err);
	if (r < 0 ||
	    (text->len == im->manifest_len &&
	     memcmp(text->buf, im->manifest, text->len) == 0) ||
	    (!im->signer && is_manifest(text)))
		return r;
	strbuf_reset(text);
	strbuf_add(text, im->manifest, im->manifest_len);
	return atomic_file_write(store->dirfd, name, 0640, text->buf, text->len,
				 err);
}

static int link_index(struct imagestore *store, const struct image_id *id,
		      int fd, struct error *err)
{
	char name[STORE_NAME_MAX];
	int r;

	(void)snprintf(name, sizeof(name), STORE_INDEX "/%s.erofs", id->text);
	if (fchmod(fd, 0400) < 0)
		return error_sys(err, errno, "set mode of %s", name);
	/* A store that an older version made has no such directory. */
	if (mkdirat(store->dirfd, STORE_INDEX, 0700) < 0 && errno != EEXIST)
		return error_sys(err, errno, "create %s/cas/" STORE_INDEX,
				 store->data_dir);
	r = store_link_file(store, fd, name, true, err);
	if (r == 0)
		store->fresh_index = *id;
	return r;
}

int store_replace_index(struct imagestore *store, const struct image_id *id,
			int fd, struct error *err)
{
	char name[STORE_NAME_MAX];

	(void)snprintf(name, sizeof(name), STORE_INDEX "/%s.erofs", id->text);
	if (unlinkat(store->dirfd, name, 0) < 0 && errno != ENOENT)
		return error_sys(err, errno, "remove %s", name);
	return link_index(store, id, fd, err);
}

bool store_index_is_fresh(const struct imagestore *store,
			  const struct image_id *id)
{
	return strcmp(store->fresh_index.text, id->text) == 0;
}

/* What is there already stays. */
static int store_index(struct imagestore *store, const struct image_import *im,
		       struct error *err)
{
	return im->index_fd <= 0
		       ? 0
		       : link_index(store, &im->id, im->index_fd, err);
}

int image_row_make(const struct image_id *id, const char *manifest, size_t len,
		   struct image_row *ret, struct error *err)
{
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	cleanup_strbuf struct strbuf labels = STRBUF_INIT;
	const char *version;
	int r;

	r = image_manifest_parse(manifest, len, &im, err);
	if (r < 0)
		return error_prefix(err, r, "stored manifest of %.*s",
				    IMAGE_ID_FULL_LEN, id->text);
	version = name_values_get(&im.labels, "version");
	image_labels_make(&im.labels, &labels);
	*ret = (struct image_row){
		.id = xstrdup(id->text),
		.name = xstrdup(im.name),
		.labels = strbuf_detach(&labels),
		.version = xstrdup(version ? version : ""),
		.source = xstrdup(""),
		.etag = xstrdup(""),
		.signer = xstrdup(""),
	};
	return 0;
}

static void replace(char **p, const char *s)
{
	free(*p);
	*p = xstrdup(s ? s : "");
}

/* What is stored stays as signed as it was, and what was signed is called what
 * it was: an unsigned import of the same image adds nothing to it. */
static int keep_signer(struct imagedb *db, struct image_row *row,
		       struct error *err)
{
	cleanup_image_row struct image_row old = {0};
	int r;

	if (row->signer[0])
		return 0;
	r = imagedb_get(db, row->id, &old, err);
	if (r < 0 || !old.signer[0])
		return r == -ENOENT ? 0 : r;
	replace(&row->signer, old.signer);
	replace(&row->name, old.name);
	replace(&row->labels, old.labels);
	replace(&row->version, old.version);
	return 0;
}

static int store_row(struct imagestore *store, const struct image_import *im,
		     const struct strbuf *manifest, bool existed,
		     struct error *err)
{
	cleanup_image_row struct image_row row = {0};
	struct imagedb *db;
	struct timespec now;
	int r;

	r = image_row_make(&im->id, manifest->buf, manifest->len, &row, err);
	if (r < 0)
		return r;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	replace(&row.source, im->source);
	replace(&row.etag, im->etag);
	replace(&row.signer, im->signer);
	row.expiry = im->expiry;
	row.imported = now.tv_sec * 1000000000LL + now.tv_nsec;
	row.size = im->size;
	row.unpacked = im->unpacked;
	row.latest = im->latest;
	r = imagestore_db(store, true, &db, err);
	if (r >= 0 && existed)
		r = keep_signer(db, &row, err);
	return r < 0 ? r : imagedb_put(db, &row, err);
}

/* What was rendered of an image of this ID stays when that is removed while a
 * pod uses it, and when its import is killed. */
static bool is_rendered(const struct imagestore *store,
			const struct image_id *id)
{
	char index[STORE_NAME_MAX], tree[STORE_NAME_MAX];

	(void)snprintf(index, sizeof(index), STORE_INDEX "/%s.erofs", id->text);
	(void)snprintf(tree, sizeof(tree), "tree/%s", id->text);
	return faccessat(store->dirfd, index, F_OK, 0) == 0 ||
	       faccessat(store->dirfd, tree, F_OK, 0) == 0;
}

int imagestore_commit(struct imagestore *store, const struct image_import *im,
		      struct error *err)
{
	cleanup_strbuf struct strbuf manifest = STRBUF_INIT;
	bool was_rendered = is_rendered(store, &im->id);
	int existed;
	int r;

	r = store_manifest(store, im, &manifest, err);
	if (r < 0)
		return r;
	r = store_index(store, im, err);
	if (r < 0)
		return r;
	existed = store_blob(store, im, err);
	if (existed < 0)
		return existed;
	if ((existed || was_rendered) && im->signer && !im->is_checked)
		return error_set(err, ESTALE,
				 "image %.*s is being stored by another "
				 "command: try again",
				 IMAGE_ID_FULL_LEN, im->id.text);
	r = store_row(store, im, &manifest, existed, err);
	if (r >= 0)
		imagestore_touch(store, &im->id);
	return r;
}

int imagestore_refresh(struct imagestore *store, const struct image_row *row,
		       int64_t expiry, struct error *err)
{
	struct image_row fresh = *row; /* borrows */
	struct imagedb *db;
	int r = imagestore_db(store, true, &db, err);

	fresh.expiry = expiry;
	return r < 0 ? r : imagedb_put(db, &fresh, err);
}

int imagestore_remove(struct imagestore *store, const struct image_id *id,
		      struct error *err)
{
	char name[STORE_NAME_MAX];
	struct imagedb *db;
	int r;

	seal_lift(store->dirfd, blob_name(id->text, name));
	if (unlinkat(store->dirfd, name, 0) < 0 && errno != ENOENT)
		return error_sys(err, errno, "remove stored image %s",
				 id->text);
	r = store_sync_dir(store, "blob", err);
	if (r < 0)
		return r;
	if (unlinkat(store->dirfd, manifest_name(id->text, name), 0) < 0 &&
	    errno != ENOENT)
		return error_sys(err, errno, "remove manifest of %s", id->text);
	(void)snprintf(name, sizeof(name), STORE_USED "/%s", id->text);
	(void)unlinkat(store->dirfd, name, 0);
	r = imagestore_db(store, false, &db, err);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : imagedb_delete(db, id->text, err);
}

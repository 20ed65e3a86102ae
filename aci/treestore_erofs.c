/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/treestore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/erofs_mount.h"
#include "aci/fetch_client.h"
#include "aci/image_mounts.h"
#include "aci/imagestore.h"
#include "aci/imagestore_internal.h"
#include "aci/index_info.h"
#include "aci/index_plan.h"
#include "aci/render_load.h"
#include "aci/seal.h"
#include "aci/stored_tars.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/strv.h"

#define ATTACH_TRIES 16
#define COMPARE_BLOCK (128UL << 10)

struct fds {
	int *v;
	size_t n;
};

static void fds_release(struct fds *fds)
{
	for (size_t i = 0; i < fds->n; i++)
		(void)close(fds->v[i]);
	free(fds->v);
}
#define cleanup_fds cleanup_with(fds_release)

/* --- names --------------------------------------------------------------- */

static const char *index_name(const char *id, char *buf)
{
	(void)snprintf(buf, STORE_NAME_MAX, STORE_INDEX "/%s.erofs", id);
	return buf;
}

/* --- what is mounted ----------------------------------------------------- */

static int erofs_open(const struct treestore *ts, const struct image_id *id,
		      struct error *err)
{
	char name[IMAGE_MOUNT_NAME_MAX];
	int r = image_mount_name(imagestore_dirfd(ts->images), id->text,
				 "/rootfs", name, err);
	int fd;

	if (r < 0)
		return r;
	/* An empty directory when nothing is mounted there. */
	fd = open(name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == EACCES))
		return -ENOENT;
	if (fd < 0)
		return error_sys(err, errno, "open %s", name);
	return fd;
}

static int make_mount_point(const struct treestore *ts, const char *name,
			    struct error *err)
{
	char parent[IMAGE_MOUNT_NAME_MAX];
	int r = image_mount_name(imagestore_dirfd(ts->images), "", "", parent,
				 err);
	const char *dirs[] = {IMAGE_MOUNT_RUN_DIR, IMAGE_MOUNT_DIR, parent,
			      name};

	/* Root file systems of any age: for root alone. */
	for (size_t i = 0; r == 0 && i < sizeof(dirs) / sizeof(*dirs); i++)
		if (mkdir(dirs[i], i ? 0700 : 0755) < 0 && errno != EEXIST)
			r = error_sys(err, errno, "create %s", dirs[i]);
	return r;
}

static int attach(const struct treestore *ts, const struct image_id *id,
		  int mnt, struct error *err)
{
	char name[IMAGE_MOUNT_NAME_MAX];
	int r = image_mount_name(imagestore_dirfd(ts->images), id->text, "",
				 name, err);

	if (r < 0)
		return r;
	/* Who unmounts takes the empty directories away. */
	for (int n = 0; n < ATTACH_TRIES; n++) {
		r = make_mount_point(ts, name, err);
		if (r == 0 && move_mount(mnt, "", AT_FDCWD, name,
					 MOVE_MOUNT_F_EMPTY_PATH) < 0)
			r = error_sys(err, errno, "mount the image at %s",
				      name);
		if (r != -ENOENT)
			break;
	}
	return r;
}

int treestore_unmount(const struct treestore *ts, const struct strv *used,
		      struct error *err)
{
	cleanup_strv struct strv ids = STRV_INIT;
	int cas = imagestore_dirfd(ts->images);
	int r = image_mounts_list(cas, &ids, err);

	for (size_t i = 0; r >= 0 && i < ids.n; i++) {
		struct image_id id;

		if (image_id_parse(ids.v[i], &id, NULL) == 0 &&
		    !strv_sorted_has(used, id.text))
			r = image_mount_detach(cas, id.text, err);
	}
	return r;
}

/* --- making an index ----------------------------------------------------- */

static int plan_make(const struct render_set *set, struct index_plan *ret,
		     struct error *err)
{
	int r = render_set_plan(set, &ret->passes, err);

	if (r < 0)
		return r;
	ret->n_layers = set->n;
	ret->layers = xcalloc(set->n, sizeof(*ret->layers));
	for (size_t i = 0; i < set->n; i++) {
		stored_tar_digest(&set->v[i].id, ret->layers[i].digest);
		ret->layers[i].format =
			set->v[i].is_layer ? INDEX_LAYER_OCI : INDEX_LAYER_ACI;
	}
	return 0;
}

/* The tars of the plan's layers, whose sizes go into it. */
static int open_tars(const struct treestore *ts, const struct render_set *set,
		     struct index_plan *plan, struct fds *ret,
		     struct error *err)
{
	ret->v = xreallocarray(NULL, set->n, sizeof(*ret->v));
	for (size_t i = 0; i < set->n; i++) {
		int fd = stored_tar_open(ts->images, &set->v[i].id, err);
		struct stat st;

		if (fd < 0)
			return fd;
		ret->v[ret->n++] = fd;
		if (fstat(fd, &st) < 0)
			return error_sys(err, errno, "stat stored image %s",
					 set->v[i].id.text);
		plan->layers[i].size = (uint64_t)st.st_size;
	}
	return 0;
}

/* What ID's tree is made of, itself and what it depends on. */
static int load_parts(const struct treestore *ts, const struct image_id *id,
		      struct index_plan *plan, struct fds *tars,
		      struct error *err)
{
	cleanup_render_set struct render_set set = RENDER_SET_INIT;
	int r = render_set_load(ts->images, id, &set, err);

	if (r >= 0)
		r = plan_make(&set, plan, err);
	return r < 0 ? r : open_tars(ts, &set, plan, tars, err);
}

/* An index of ID and what it depends on, as a file without a name. */
static int build(const struct treestore *ts, const struct image_id *id,
		 struct error *err)
{
	cleanup_index_plan struct index_plan plan = INDEX_PLAN_INIT;
	cleanup_fds struct fds tars = {0};
	int fd = -EBADF;
	uint64_t size;
	int r = load_parts(ts, id, &plan, &tars, err);

	if (r < 0)
		return r;
	fd = imagestore_new_file(ts->images, err);
	if (fd < 0)
		return fd;
	r = fetch_index(ts->libexec_dir, &plan, tars.v, fd, &size, err);
	if (r < 0) {
		imagestore_drop_file(ts->images, fd);
		fd_close(&fd);
		return r;
	}
	return fd;
}

int treestore_flatten(const struct treestore *ts, const struct image_id *id,
		      int manifest_fd, int out_fd, struct error *err)
{
	cleanup_index_plan struct index_plan plan = INDEX_PLAN_INIT;
	cleanup_fds struct fds tars = {0};
	int r = load_parts(ts, id, &plan, &tars, err);

	return r < 0 ? r
		     : fetch_flatten(ts->libexec_dir, &plan, tars.v,
				     manifest_fd, out_fd, err);
}

/* --- using an index ------------------------------------------------------ */

/*
 * -ENOENT without message if there is none.  Only root writes what a kernel
 * is to mount.
 */
static int open_index(const struct treestore *ts, const struct image_id *id,
		      struct error *err)
{
	char name[STORE_NAME_MAX];
	cleanup_fd int fd =
		openat(imagestore_dirfd(ts->images), index_name(id->text, name),
		       O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "open the index of image %s",
				 id->text);
	if (st.st_uid != 0 || (st.st_mode & 022))
		return error_set(err, EBADMSG,
				 "the index can be written by others than "
				 "root");
	return TAKE_FD(fd);
}

/* The tars of the index; -EUCLEAN if one is not as long as it says. */
static int open_devices(const struct treestore *ts,
			const struct index_info *info, struct fds *ret,
			struct error *err)
{
	ret->v = xreallocarray(NULL, info->n_devices, sizeof(*ret->v));
	for (size_t i = 0; i < info->n_devices; i++) {
		const struct index_device *d = &info->devices[i];
		int fd = stored_tar_open(ts->images, &d->id, err);
		struct stat st;

		if (fd < 0)
			return fd;
		ret->v[ret->n++] = fd;
		if (fstat(fd, &st) < 0 ||
		    ((uint64_t)st.st_size + 511) / 512 != d->n_blocks)
			return stored_tar_refuse(&d->id, err);
	}
	return 0;
}

static int check_digest(const struct treestore *ts, int fd,
			const struct index_info *info, struct error *err)
{
	uint8_t digest[64];
	int r = fetch_digest(ts->libexec_dir, fd, info->size, digest, err);

	if (r == 0 && memcmp(digest, info->digest, sizeof(digest)) != 0)
		r = error_set(err, EBADMSG, "the index is damaged");
	return r;
}

struct opened {
	int index;
	struct fds tars;
};

static void opened_release(struct opened *o)
{
	fd_close(&o->index);
	fds_release(&o->tars);
	o->tars = (struct fds){0};
}
#define cleanup_opened cleanup_with(opened_release)

/*
 * -EBADMSG the index is damaged; -EUCLEAN it is not, but a tar is.  What this
 * process has stored itself needs no second look.
 */
static int open_stored(const struct treestore *ts, const struct image_id *id,
		       bool check, struct opened *ret, struct error *err)
{
	cleanup_index_info struct index_info info = INDEX_INFO_INIT;
	bool is_checked = check && !store_index_is_fresh(ts->images, id);
	int r;

	ret->index = open_index(ts, id, err);
	if (ret->index < 0)
		return ret->index;
	r = index_info_read(ret->index, &info, err);
	if (r == 0 && is_checked)
		r = check_digest(ts, ret->index, &info, err);
	if (r < 0)
		return r;
	r = open_devices(ts, &info, &ret->tars, err);
	if (r == -EUCLEAN && !is_checked &&
	    check_digest(ts, ret->index, &info, NULL) < 0)
		r = -EBADMSG; /* it was the index that lied */
	return r;
}

/* Opened and good, made anew if it is missing or damaged. */
static int open_good(const struct treestore *ts, const struct image_id *id,
		     bool check, struct opened *ret, struct error *err)
{
	cleanup_fd int fd = -EBADF;
	struct error why = ERROR_INIT;
	int r = open_stored(ts, id, check, ret, &why);

	if (r == -EUCLEAN && err)
		*err = why;
	if (r == 0 || r == -EUCLEAN)
		return r;
	if (why.msg[0])
		log_debug("index of image %s: %s", id->text, why.msg);
	opened_release(ret);
	/* What damaged the index may have met the tars, too. */
	if (r != -ENOENT)
		r = stored_tars_check(ts->images, ts->libexec_dir, id, NULL,
				      err);
	if (r < 0 && r != -ENOENT)
		return r;
	fd = build(ts, id, err);
	if (fd < 0)
		return fd;
	r = store_replace_index(ts->images, id, fd, err);
	return r < 0 ? r : open_stored(ts, id, false, ret, err);
}

/* The tars it needs are stored, or kept. */
static bool erofs_has(const struct treestore *ts, const struct image_id *id)
{
	cleanup_opened struct opened o = {.index = -EBADF};

	return open_stored(ts, id, false, &o, NULL) == 0;
}

static int prepare(const struct treestore *ts, const struct image_id *id,
		   bool now, enum erofs_source source, struct error *err)
{
	/* Its lock: one process mounts, the others find the mount. */
	cleanup_fd int tar = stored_tar_open(ts->images, id, err);
	cleanup_opened struct opened o = {.index = -EBADF};
	cleanup_fd int mnt = -EBADF;
	int r;

	if (tar < 0)
		return tar;
	r = lock_wait(tar, LOCK_EX);
	if (r < 0)
		return error_sys(err, -r, "lock image %s", id->text);
	mnt = erofs_open(ts, id, err);
	if (mnt != -ENOENT)
		return mnt < 0 ? mnt : 0;
	r = open_good(ts, id, now, &o, err);
	if (r < 0)
		return r;
	mnt = erofs_mount(source, o.index, o.tars.v, o.tars.n, err);
	if (mnt < 0)
		return mnt;
	return now ? attach(ts, id, mnt, err) : 0;
}

static int files_prepare(const struct treestore *ts, const struct image_id *id,
			 bool now, struct error *err)
{
	return prepare(ts, id, now, EROFS_FROM_FILES, err);
}

static int loops_prepare(const struct treestore *ts, const struct image_id *id,
			 bool now, struct error *err)
{
	return prepare(ts, id, now, EROFS_FROM_LOOPS, err);
}

static int erofs_probe(const struct treestore *ts, struct error *err)
{
	(void)ts;
	if (geteuid() != 0)
		return error_set(err, EPERM,
				 "only root can mount images: run rkt as root");
	return 0;
}

/* --- the store ----------------------------------------------------------- */

static int erofs_remove(const struct treestore *ts, const struct image_id *id,
			struct error *err)
{
	char name[STORE_NAME_MAX];
	int r = image_mount_detach(imagestore_dirfd(ts->images), id->text, err);

	if (r < 0)
		return r;
	if (unlinkat(imagestore_dirfd(ts->images), index_name(id->text, name),
		     0) < 0 &&
	    errno != ENOENT)
		return error_sys(err, errno, "remove the index of %s",
				 id->text);
	return 0;
}

static int compare_files(int a, int b, struct error *err)
{
	cleanup_free char *x = xmalloc(COMPARE_BLOCK);
	cleanup_free char *y = xmalloc(COMPARE_BLOCK);
	off_t at = 0;

	for (;;) {
		ssize_t n = pread_full(a, x, COMPARE_BLOCK, at);
		ssize_t m = pread_full(b, y, COMPARE_BLOCK, at);

		if (n < 0 || m < 0)
			return error_sys(err, n < 0 ? (int)-n : (int)-m,
					 "read the index");
		if (n != m || memcmp(x, y, (size_t)n) != 0)
			return error_set(err, EBADMSG,
					 "its index is not what the image "
					 "makes");
		if (n == 0)
			return 0;
		at += n;
	}
}

/* The same images give the same bytes. */
static int erofs_check(const struct treestore *ts, const struct image_id *id,
		       struct error *err)
{
	cleanup_fd int stored = open_index(ts, id, err);
	cleanup_fd int fresh = -EBADF;
	int r;

	if (stored < 0)
		return stored;
	fresh = build(ts, id, err);
	if (fresh < 0)
		return fresh;
	r = compare_files(stored, fresh, err);
	imagestore_drop_file(ts->images, fresh);
	return r;
}

/* The ID of a file of index/ that ends in SUFFIX. */
static bool id_of(const char *file, const char *suffix, struct image_id *ret)
{
	cleanup_free char *text = NULL;

	if (strlen(file) != IMAGE_ID_LEN + strlen(suffix) ||
	    strcmp(file + IMAGE_ID_LEN, suffix) != 0)
		return false;
	text = xstrndup(file, IMAGE_ID_LEN);
	return image_id_parse(text, ret, NULL) == 0;
}

/* All files of index/ that end in SUFFIX, as IDs. */
static int list_ids(const struct treestore *ts, const char *suffix,
		    struct strv *ret, struct error *err)
{
	cleanup_dir DIR *dir = NULL;
	const struct dirent *e;
	struct image_id id;
	int r;

	r = store_opendir(ts->images, STORE_INDEX, &dir, err);
	if (r == -ENOENT) /* of a store that an older version made */
		return 0;
	for (errno = 0; r >= 0 && (e = readdir(dir)); errno = 0)
		if (id_of(e->d_name, suffix, &id))
			strv_push(ret, id.text);
	if (r >= 0 && errno)
		r = error_sys(err, errno, "read the indexes of images");
	return r;
}

static int erofs_list(const struct treestore *ts, struct strv *ret,
		      struct error *err)
{
	return list_ids(ts, ".erofs", ret, err);
}

/* --- tars that outlive their image --------------------------------------- */

int treestore_list_needed(const struct treestore *ts, struct strv *ret,
			  struct error *err)
{
	cleanup_strv struct strv ids = STRV_INIT;
	int r = list_ids(ts, ".erofs", &ids, err);

	for (size_t i = 0; r >= 0 && i < ids.n; i++) {
		cleanup_index_info struct index_info info = INDEX_INFO_INIT;
		cleanup_fd int fd = -EBADF;
		struct image_id id;

		r = image_id_parse(ids.v[i], &id, err);
		if (r >= 0)
			fd = open_index(ts, &id, NULL);
		/* One that is damaged will be made anew. */
		if (fd < 0 || index_info_read(fd, &info, NULL) < 0)
			continue;
		for (size_t k = 0; k < info.n_devices; k++)
			strv_push(ret, info.devices[k].id.text);
	}
	strv_sort(ret);
	return r;
}

int treestore_keep(const struct treestore *ts, const struct image_id *id,
		   const struct strv *needed, struct error *err)
{
	char from[STORE_NAME_MAX], to[STORE_NAME_MAX];
	int cas = imagestore_dirfd(ts->images);

	if (!strv_sorted_has(needed, id->text))
		return 0;
	seal_lift(cas, blob_name(id->text, from));
	if (linkat(cas, from, cas, stored_tar_kept_name(id->text, to), 0) < 0 &&
	    errno != EEXIST && errno != ENOENT)
		return error_sys(err, errno, "keep the tar of image %s",
				 id->text);
	return store_sync_dir(ts->images, STORE_INDEX, err);
}

int treestore_trim(const struct treestore *ts, struct error *err)
{
	cleanup_strv struct strv needed = STRV_INIT;
	cleanup_strv struct strv kept = STRV_INIT;
	char name[STORE_NAME_MAX];
	int cas = imagestore_dirfd(ts->images);
	int r = list_ids(ts, ".tar", &kept, err);

	if (r >= 0 && kept.n > 0)
		r = treestore_list_needed(ts, &needed, err);
	for (size_t i = 0; r >= 0 && i < kept.n; i++) {
		(void)stored_tar_kept_name(kept.v[i], name);
		if (strv_sorted_has(&needed, kept.v[i]) &&
		    !blob_exists(ts->images, kept.v[i])) {
			/* Its other name was taken away, and with that the
			 * flag. */
			seal_again(cas, name);
			continue;
		}
		seal_lift(cas, name);
		if (unlinkat(cas, name, 0) < 0)
			r = error_sys(err, errno, "remove %s", name);
		seal_again(cas, blob_name(kept.v[i], name));
	}
	return r;
}

const struct tree_driver tree_driver_erofs = {
	.name = "erofs",
	.probe = erofs_probe,
	.prepare = files_prepare,
	.open = erofs_open,
	.has = erofs_has,
	.remove = erofs_remove,
	.check = erofs_check,
	.list = erofs_list,
};

const struct tree_driver tree_driver_loop = {
	.name = "loop",
	.probe = erofs_probe,
	.prepare = loops_prepare,
	.open = erofs_open,
	.has = erofs_has,
	.remove = erofs_remove,
	.check = erofs_check,
	.list = erofs_list,
};

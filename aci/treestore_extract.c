/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/treestore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "aci/aci_check.h"
#include "aci/fetch_client.h"
#include "aci/imagestore.h"
#include "aci/imagestore_internal.h"
#include "aci/layer_links.h"
#include "aci/render_load.h"
#include "aci/tree_compare.h"
#include "aci/tree_merge.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/path.h"
#include "base/strv.h"

#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define TMP_NAME_MAX 64

static const char *tree_name(const struct image_id *id, const char *below,
			     char *buf)
{
	(void)snprintf(buf, STORE_NAME_MAX, "tree/%s%s", id->text, below);
	return buf;
}

static int extract_probe(const struct treestore *ts, struct error *err)
{
	(void)ts;
	if (geteuid() != 0)
		return error_set(
			err, EPERM,
			"only root can unpack images: run rkt as root");
	return 0;
}

static int extract_open(const struct treestore *ts, const struct image_id *id,
			struct error *err)
{
	char name[STORE_NAME_MAX];
	int fd = openat(imagestore_dirfd(ts->images),
			tree_name(id, "/rootfs", name),
			O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return error_sys(err, errno, "open rendered image %s",
				 id->text);
	return fd;
}

/* What is rendered can be opened. */
static bool extract_has(const struct treestore *ts, const struct image_id *id)
{
	(void)ts;
	(void)id;
	return false;
}

static int make_dir(int dirfd, const char *name, struct error *err)
{
	int fd;

	if (mkdirat(dirfd, name, 0700) < 0)
		return error_sys(err, errno, "create directory %s", name);
	fd = openat(dirfd, name, OPEN_DIR);
	if (fd < 0)
		return error_sys(err, errno, "open directory %s", name);
	return fd;
}

static int extract_blob(const struct treestore *ts,
			const struct render_member *image, int dirfd,
			struct error *err)
{
	cleanup_fd int blob = imagestore_open_blob(ts->images, &image->id, err);

	if (blob < 0)
		return blob;
	return fetch_extract(ts->libexec_dir, blob, image->is_layer, dirfd,
			     err);
}

/* Unpacks an image beside WORK/rootfs and moves it over. */
static int apply_pass(const struct treestore *ts,
		      const struct render_pass *pass,
		      const struct render_member *image, int work, int rootfs,
		      struct error *err)
{
	cleanup_fd int layer = make_dir(work, "layer", err);
	cleanup_fd int src = -EBADF;
	int r;

	if (layer < 0)
		return layer;
	r = extract_blob(ts, image, layer, err);
	if (r < 0)
		return r;
	src = openat(layer, "rootfs", OPEN_DIR);
	if (src < 0)
		return error_sys(err, errno, "open rootfs of image %s",
				 image->id.text);
	r = layer_links_apply(layer, rootfs, err);
	if (r == 0)
		r = tree_merge(src, rootfs, pass, err);
	return r < 0 ? r : remove_tree_at(work, "layer", err);
}

/* As if no image said anything of it. */
static int make_rootfs(int work, struct error *err)
{
	const struct timespec times[2] = {
		{.tv_nsec = ACI_IMPLIED_MTIME_NSEC},
		{.tv_nsec = ACI_IMPLIED_MTIME_NSEC},
	};
	cleanup_fd int fd = make_dir(work, "rootfs", err);

	if (fd < 0)
		return fd;
	if (fchmod(fd, 0755) < 0 || futimens(fd, times) < 0)
		return error_sys(err, errno, "set attributes of rootfs");
	return TAKE_FD(fd);
}

static int apply_plan(const struct treestore *ts, const struct render_set *set,
		      const struct render_plan *plan, int work,
		      struct error *err)
{
	cleanup_fd int rootfs = make_rootfs(work, err);
	int r = rootfs;

	for (size_t i = 0; r >= 0 && i < plan->n; i++) {
		const struct render_pass *pass = &plan->v[i];

		log_debug("rendering image %s (%zu of %zu)",
			  set->v[pass->image].id.text, i + 1, plan->n);
		r = apply_pass(ts, pass, &set->v[pass->image], work, rootfs,
			       err);
	}
	return r;
}

int tree_render(const struct treestore *ts, const struct image_id *id, int work,
		struct error *err)
{
	cleanup_render_set struct render_set set = RENDER_SET_INIT;
	cleanup_render_plan struct render_plan plan = RENDER_PLAN_INIT;
	int r;

	r = render_set_load(ts->images, id, &set, err);
	if (r >= 0)
		r = render_set_plan(&set, &plan, err);
	if (r < 0)
		return r;
	if (plan.n == 1 && !plan.v[0].is_filtered && !set.v[0].is_layer)
		return extract_blob(ts, &set.v[0], work, err);
	return apply_plan(ts, &set, &plan, work, err);
}

static void make_tmp_name(const char *kind, char name[TMP_NAME_MAX])
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)snprintf(name, TMP_NAME_MAX, "tmp/%s-%d-%lld%09ld", kind,
		       (int)getpid(), (long long)now.tv_sec, now.tv_nsec);
}

/* A new empty directory in cas/tmp/; its name below cas/ goes to NAME. */
static int make_work(const struct treestore *ts, char name[TMP_NAME_MAX],
		     struct error *err)
{
	make_tmp_name("tree", name);
	return make_dir(imagestore_dirfd(ts->images), name, err);
}

/* A half-removed tree is never found under its name.  Nothing is made for
 * that: a full disk is to be freed, too. */
static int extract_remove(const struct treestore *ts, const struct image_id *id,
			  struct error *err)
{
	int cas = imagestore_dirfd(ts->images);
	char name[STORE_NAME_MAX], trash[TMP_NAME_MAX];

	make_tmp_name(STORE_TRASH, trash);
	if (renameat(cas, tree_name(id, "", name), cas, trash) < 0 &&
	    errno != ENOENT)
		return error_sys(err, errno, "remove rendered image %s",
				 id->text);
	return 0;
}

/* Everything below WORK is on disk before its name says it is complete. */
static int publish(const struct treestore *ts, const struct image_id *id,
		   int work, const char *work_name, struct error *err)
{
	int cas = imagestore_dirfd(ts->images);
	char name[STORE_NAME_MAX];
	int r;

	if (syncfs(work) < 0)
		return error_sys(err, errno, "sync rendered image");
	/* What lies there without a rootfs is no tree, and somebody may have
	 * removed all trees with their directory. */
	r = extract_remove(ts, id, err);
	if (r < 0)
		return r;
	if (mkdirat(cas, "tree", 0700) < 0 && errno != EEXIST)
		return error_sys(err, errno, "create directory tree");
	if (renameat2(cas, work_name, cas, tree_name(id, "", name),
		      RENAME_NOREPLACE) < 0)
		return error_sys(err, errno, "put rendered image in place");
	return store_sync_dir(ts->images, "tree", err);
}

static int render_locked(const struct treestore *ts, const struct image_id *id,
			 struct error *err)
{
	cleanup_fd int work = -EBADF;
	char name[TMP_NAME_MAX];
	int r;

	work = make_work(ts, name, err);
	if (work < 0)
		return work;
	r = tree_render(ts, id, work, err);
	if (r >= 0)
		r = publish(ts, id, work, name, err);
	if (r < 0)
		(void)remove_tree_at(imagestore_dirfd(ts->images), name, NULL);
	return r;
}

static int extract_prepare(const struct treestore *ts,
			   const struct image_id *id, bool now,
			   struct error *err)
{
	/* Its lock: one process renders, the others wait for the result. */
	cleanup_fd int blob = imagestore_open_blob(ts->images, id, err);
	cleanup_fd int tree = -EBADF;
	int r;

	(void)now; /* what is rendered is there */
	if (blob < 0)
		return blob;
	r = lock_wait(blob, LOCK_EX);
	if (r < 0)
		return error_sys(err, -r, "lock image %s", id->text);
	tree = extract_open(ts, id, err);
	if (tree != -ENOENT)
		return tree < 0 ? tree : 0;
	return render_locked(ts, id, err);
}

static int compare_again(const struct treestore *ts, const struct image_id *id,
			 int tree, int work, struct error *err)
{
	cleanup_fd int fresh = -EBADF;
	cleanup_fd int stored = -EBADF;
	int r;

	r = tree_render(ts, id, work, err);
	if (r < 0)
		return r;
	fresh = openat(work, "rootfs", OPEN_DIR);
	stored = openat(tree, ".", OPEN_DIR);
	if (fresh < 0 || stored < 0)
		return error_sys(err, errno, "open rendered image %s",
				 id->text);
	return tree_compare(stored, fresh, err);
}

static int extract_check(const struct treestore *ts, const struct image_id *id,
			 struct error *err)
{
	cleanup_fd int tree = extract_open(ts, id, err);
	cleanup_fd int work = -EBADF;
	char name[TMP_NAME_MAX];
	int r;

	if (tree < 0)
		return tree;
	work = make_work(ts, name, err);
	if (work < 0)
		return work;
	r = compare_again(ts, id, tree, work, err);
	(void)remove_tree_at(imagestore_dirfd(ts->images), name, NULL);
	return r;
}

static int extract_list(const struct treestore *ts, struct strv *ret,
			struct error *err)
{
	cleanup_dir DIR *dir = NULL;
	const struct dirent *e;
	int r;

	r = store_opendir(ts->images, "tree", &dir, err);
	while (r >= 0 && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			strv_push(ret, e->d_name);
	return r;
}

const struct tree_driver tree_driver_extract = {
	.name = "tree",
	.probe = extract_probe,
	.prepare = extract_prepare,
	.open = extract_open,
	.has = extract_has,
	.remove = extract_remove,
	.check = extract_check,
	.list = extract_list,
};

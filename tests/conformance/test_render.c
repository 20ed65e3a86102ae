/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The render vectors of appc-vectors.json, on the plan (aci/render.h) with a
 * small model of the file system, on real directories (tree_merge), and in one
 * index over all images.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/aci_check.h"
#include "aci/erofs_write.h"
#include "aci/image_tree.h"
#include "aci/render.h"
#include "aci/tree_merge.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "tests/conformance/vectors.h"
#include "tests/fuzz/erofs_read.h"

#define IMAGES_MAX 8

struct images {
	json_t *json; /* borrowed array */
	size_t n;
	struct render_image v[IMAGES_MAX];
	struct strv whitelists[IMAGES_MAX];
	size_t dependencies[IMAGES_MAX][IMAGES_MAX];
};

static const char *member(json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static size_t image_index(const struct images *im, const char *name)
{
	const char *slash = strrchr(name, '/');

	for (size_t i = 0; i < im->n; i++)
		if (strcmp(member(json_array_get(im->json, i), "name"),
			   slash ? slash + 1 : name) == 0)
			return i;
	cr_assert_fail("no image %s", name);
	return 0;
}

static void images_load(struct images *im, json_t *json)
{
	im->json = json;
	im->n = json_array_size(json);
	cr_assert_leq(im->n, IMAGES_MAX);
	for (size_t i = 0; i < im->n; i++) {
		json_t *one = json_array_get(json, i), *item;
		size_t k;

		im->v[i].name = member(one, "name");
		im->v[i].path_whitelist = &im->whitelists[i];
		im->v[i].dependencies = im->dependencies[i];
		json_array_foreach (json_object_get(one, "pathWhitelist"), k,
				    item)
			strv_push(&im->whitelists[i], json_string_value(item));
		json_array_foreach (json_object_get(one, "deps"), k, item)
			im->dependencies[i][im->v[i].n_dependencies++] =
				image_index(im, json_string_value(item));
	}
}

static void images_release(struct images *im)
{
	for (size_t i = 0; i < im->n; i++)
		strv_release(&im->whitelists[i]);
}

/* The last pass of each image, highest first, without repeats. */
static void expect_order(const struct vector *v, const struct images *im,
			 const struct render_plan *plan)
{
	json_t *want = json_object_get(v->json, "priority_order_highest_first");
	bool seen[IMAGES_MAX] = {false};
	size_t n = 0;

	for (size_t i = plan->n; i-- > 0;) {
		size_t image = plan->v[i].image;

		if (seen[image])
			continue;
		seen[image] = true;
		cr_expect_eq(image,
			     image_index(im, json_string_value(
						     json_array_get(want, n))),
			     "%zu: place %zu", v->index, n);
		n++;
	}
	cr_expect_eq(n, json_array_size(want), "%zu", v->index);
}

/* --- real directories ---------------------------------------------------- */

static mode_t entry_mode(json_t *entry)
{
	const char *mode = member(entry, "mode");

	if (mode)
		return (mode_t)strtoul(mode, NULL, 8);
	return strcmp(member(entry, "type"), "dir") == 0 ? 0755 : 0644;
}

/* True if the layer has an entry for the directory PATH. */
static bool has_entry(json_t *image, const char *path)
{
	json_t *entry;
	size_t i;

	json_array_foreach (json_object_get(image, "entries"), i, entry)
		if (strcmp(member(entry, "path"), path) == 0)
			return true;
	return false;
}

/* As extraction does: a directory without an entry is marked by its time. */
static void mark_implied(int dirfd, json_t *image, const char *path)
{
	static const struct timespec marked[2] = {
		{.tv_nsec = ACI_IMPLIED_MTIME_NSEC},
		{.tv_nsec = ACI_IMPLIED_MTIME_NSEC},
	};

	for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
		cleanup_free char *parent = xstrndup(path, (size_t)(p - path));

		if (!has_entry(image, parent))
			cr_assert_eq(utimensat(dirfd, parent, marked, 0), 0);
	}
}

static void make_entry(int dirfd, json_t *entry)
{
	const char *path = member(entry, "path");
	const char *type = member(entry, "type");
	const char *content = member(entry, "content");
	cleanup_free char *parent = xstrdup(path);
	char *slash = strrchr(parent, '/');

	if (slash) {
		*slash = '\0';
		(void)mkdir_p_at(dirfd, parent, 0755);
	}
	if (strcmp(type, "dir") == 0) {
		(void)mkdirat(dirfd, path, 0755);
		cr_assert_eq(fchmodat(dirfd, path, entry_mode(entry), 0), 0);
	} else if (strcmp(type, "symlink") == 0) {
		cr_assert_eq(symlinkat(member(entry, "link"), dirfd, path), 0);
	} else {
		cr_assert_eq(write_string_at(dirfd, path, entry_mode(entry),
					     content ? content : "", NULL),
			     0);
	}
}

static void make_layer(int dirfd, json_t *image)
{
	json_t *entry;
	size_t i;

	(void)mkdirat(dirfd, "rootfs", 0755);
	json_array_foreach (json_object_get(image, "entries"), i, entry)
		make_entry(dirfd, entry);
	json_array_foreach (json_object_get(image, "entries"), i, entry)
		mark_implied(dirfd, image, member(entry, "path"));
}

static void apply_pass(int work, const struct images *im,
		       const struct render_pass *pass, int dst)
{
	cleanup_fd int layer = -EBADF;
	cleanup_fd int src = -EBADF;
	struct error err = ERROR_INIT;

	cr_assert_eq(mkdirat(work, "layer", 0700), 0);
	layer = openat(work, "layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_layer(layer, json_array_get(im->json, pass->image));
	src = openat(layer, "rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(src, 0);
	cr_assert_eq(tree_merge(src, dst, pass, &err), 0, "%s", err.msg);
	cr_assert_eq(remove_tree_at(work, "layer", NULL), 0);
}

/* "rootfs/a dir 0755", "rootfs/b file 5", "rootfs/c symlink" */
static void expect_line(const struct vector *v, int work, const char *line)
{
	char path[256], type[16], rest[16] = "", got[300] = "";
	struct stat st;

	cr_assert_geq(sscanf(line, "%255s %15s %15s", path, type, rest), 2);
	if (fstatat(work, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		cr_assert_fail("%zu: no %s", v->index, path);
	if (S_ISDIR(st.st_mode))
		(void)snprintf(got, sizeof(got), "%s dir %04o", path,
			       st.st_mode & 07777);
	else if (S_ISLNK(st.st_mode))
		(void)snprintf(got, sizeof(got), "%s symlink", path);
	else
		(void)snprintf(got, sizeof(got), "%s file %lld", path,
			       (long long)st.st_size);
	cr_expect_str_eq(got, line, "%zu", v->index);
}

static bool is_expected(json_t *result, const char *path)
{
	size_t len = strlen(path), i;
	json_t *line;

	json_array_foreach (result, i, line) {
		const char *s = json_string_value(line);

		/* the path, or a directory that only leads to one */
		if (strncmp(s, path, len) == 0 &&
		    (s[len] == ' ' || s[len] == '/'))
			return true;
	}
	return false;
}

static void expect_no_more(const struct vector *v, int work, const char *path,
			   json_t *result)
{
	cleanup_dir DIR *dir = NULL;
	const struct dirent *e;
	int fd = openat(work, path,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	dir = fd < 0 ? NULL : fdopendir(fd);
	while (dir && (e = readdir(dir))) {
		cleanup_free char *below = xasprintf("%s/%s", path, e->d_name);

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		cr_expect(is_expected(result, below), "%zu: %s is too much",
			  v->index, below);
		expect_no_more(v, work, below, result);
	}
}

static void expect_tree(const struct vector *v, const struct images *im,
			const struct render_plan *plan)
{
	json_t *result = json_object_get(v->json, "spec_result"), *line;
	char root[] = "/tmp/rkt-render.XXXXXX";
	cleanup_fd int work = -EBADF;
	cleanup_fd int dst = -EBADF;
	size_t i;

	if (!result)
		result = json_object_get(v->json, "result");
	cr_assert(mkdtemp(root));
	work = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(mkdirat(work, "rootfs", 0755), 0);
	dst = openat(work, "rootfs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (i = 0; i < plan->n; i++)
		apply_pass(work, im, &plan->v[i], dst);
	json_array_foreach (result, i, line)
		expect_line(v, work, json_string_value(line));
	expect_no_more(v, work, "rootfs", result);
	cr_expect_eq(remove_tree_at(AT_FDCWD, root, NULL), 0);
}

/* --- an index ------------------------------------------------------------ */

static struct image_inode *entry_inode(struct image_pool *pool, json_t *entry)
{
	const char *type = member(entry, "type");
	const char *content = member(entry, "content");
	struct image_inode *inode = image_inode_new(pool, entry_mode(entry));
	size_t len = content ? strlen(content) : 0;
	struct image_extent extent = {.len = 512, .device = IMAGE_LITERAL};
	struct strbuf *literals = image_pool_literals(pool);
	static const char zeros[512];

	if (strcmp(type, "dir") == 0) {
		inode->mode |= S_IFDIR;
	} else if (strcmp(type, "symlink") == 0) {
		inode->mode = S_IFLNK | 0777;
		inode->target = member(entry, "link");
	} else {
		inode->mode |= S_IFREG;
		inode->size = len;
		extent.physical = literals->len;
		strbuf_add(literals, content ? content : "", len);
		strbuf_add(literals, zeros, sizeof(zeros) - len % 512);
		inode->extents = image_pool_copy(pool, &extent, sizeof(extent));
		inode->n_extents = 1;
	}
	return inode;
}

static struct image_tree *index_layer(struct image_pool *pool, json_t *image)
{
	struct image_tree *tree = image_tree_new(pool);
	json_t *entry;
	size_t i;

	(void)image_tree_put(tree, "rootfs",
			     image_inode_new(pool, S_IFDIR | 0755));
	json_array_foreach (json_object_get(image, "entries"), i, entry) {
		cleanup_free char *path = NULL;

		cr_assert_eq(aci_path_clean(member(entry, "path"), &path, NULL),
			     0);
		cr_assert(image_tree_put(tree, path, entry_inode(pool, entry)));
	}
	return tree;
}

static void expect_node(const struct vector *v, const struct er_image *im,
			const char *line)
{
	char path[256], type[16], rest[16] = "", got[300] = "";
	const struct er_node *n;

	cr_assert_geq(sscanf(line, "%255s %15s %15s", path, type, rest), 2);
	n = er_find(im, path);
	cr_assert(n, "%zu: no %s in the index", v->index, path);
	if (S_ISDIR(n->mode))
		(void)snprintf(got, sizeof(got), "%s dir %04o", path,
			       n->mode & 07777);
	else if (S_ISLNK(n->mode))
		(void)snprintf(got, sizeof(got), "%s symlink", path);
	else
		(void)snprintf(got, sizeof(got), "%s file %llu", path,
			       (unsigned long long)n->size);
	cr_expect_str_eq(got, line, "%zu", v->index);
}

static void expect_index(const struct vector *v, const struct images *im,
			 const struct render_plan *plan)
{
	static const struct erofs_device no_devices[1];
	json_t *result = json_object_get(v->json, "spec_result"), *line;
	struct image_pool *pool = image_pool_new();
	struct image_tree *tree = image_tree_new(pool), *layers[IMAGES_MAX];
	cleanup_fd int fd = memfd_create("index", MFD_CLOEXEC);
	cleanup_strbuf struct strbuf bytes = STRBUF_INIT;
	struct er_image image = {0};
	struct error err = ERROR_INIT;
	uint64_t size = 0;
	size_t i;

	if (!result)
		result = json_object_get(v->json, "result");
	for (i = 0; i < im->n; i++)
		layers[i] = index_layer(pool, json_array_get(im->json, i));
	for (i = 0; i < plan->n; i++)
		cr_assert_eq(image_tree_merge(tree, layers[plan->v[i].image],
					      &plan->v[i], NULL),
			     0);
	cr_assert_eq(erofs_write(tree, no_devices, 0, fd, &size, &err), 0, "%s",
		     err.msg);
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	cr_assert_eq(strbuf_read_fd(&bytes, fd, 1 << 24), 0);
	er_read(&image, (const uint8_t *)bytes.buf, size);
	json_array_foreach (result, i, line)
		expect_node(v, &image, json_string_value(line));
	for (i = 0; i < image.n; i++)
		if (strncmp(image.nodes[i].path, "rootfs/", 7) == 0)
			cr_expect(is_expected(result, image.nodes[i].path),
				  "%zu: %s is too much", v->index,
				  image.nodes[i].path);
	er_release(&image);
	image_pool_free(pool);
}

static void run_render(const struct vector *v)
{
	cleanup_render_plan struct render_plan plan = RENDER_PLAN_INIT;
	struct images im = {0};
	struct error err = ERROR_INIT;
	size_t top;

	images_load(&im, json_object_get(v->json, "images"));
	top = image_index(&im, vector_string(v, "render"));
	cr_assert_eq(render_make(im.v, top, &plan, &err), 0, "%zu: %s",
		     v->index, err.msg);
	expect_order(v, &im, &plan);
	expect_tree(v, &im, &plan);
	expect_index(v, &im, &plan);
	images_release(&im);
}

Test(conformance, render)
{
	vectors_run("render", 13, run_render);
}

/* --- what the vectors leave out ------------------------------------------- */

static void expect_passes(const struct render_image *images, const char *want)
{
	cleanup_render_plan struct render_plan plan = RENDER_PLAN_INIT;
	cleanup_strbuf struct strbuf got = STRBUF_INIT;
	struct error err = ERROR_INIT;

	cr_assert_eq(render_make(images, 0, &plan, &err), 0, "%s", err.msg);
	for (size_t i = 0; i < plan.n; i++) {
		strbuf_addf(&got, "%s%s", i ? " " : "",
			    images[plan.v[i].image].name);
		if (!plan.v[i].is_filtered)
			continue;
		strbuf_addch(&got, '(');
		for (size_t k = 0; k < plan.v[i].keep.n; k++)
			strbuf_addf(&got, "%s%s", k ? "," : "",
				    plan.v[i].keep.v[k]);
		strbuf_addch(&got, ')');
	}
	cr_expect_str_eq(got.buf, want, "%s", got.buf);
}

/* A20: a diamond is walked once per path, with the whitelists of its branch;
 * A23: the intersection along the whole chain (the reference code looks at
 * the own and the top-most list only). */
Test(render, order_and_whitelists)
{
	struct strv none = STRV_INIT;
	struct strv wa = STRV_INIT, wb = STRV_INIT, wd = STRV_INIT;
	static const size_t a_deps[] = {1, 2}, b_deps[] = {3}, c_deps[] = {3};
	struct render_image images[] = {
		{"A", &none, a_deps, 2, false},
		{"B", &none, b_deps, 1, false},
		{"C", &none, c_deps, 1, false},
		{"D", &none, NULL, 0, false},
	};

	expect_passes(images, "D B D C A");
	strv_push(&wb, "x//y/");
	strv_push(&wb, "/z");
	images[1].path_whitelist = &wb;
	expect_passes(images, "D(/x/y,/z) B(/x/y,/z) D C A");
	strv_push(&wd, "/z");
	strv_push(&wd, "/w");
	images[3].path_whitelist = &wd;
	expect_passes(images, "D(/z) B(/x/y,/z) D(/w,/z) C A");
	strv_push(&wa, "/w/../w");
	images[0].path_whitelist = &wa;
	expect_passes(images, "D() B() D(/w) C(/w) A(/w)");
	strv_release(&wa);
	strv_release(&wb);
	strv_release(&wd);
}

Test(render, loops_and_limits)
{
	static const struct strv none = STRV_INIT;
	static const size_t to_b[] = {1}, to_a[] = {0};
	const struct render_image loop[] = {{"A", &none, to_b, 1, false},
					    {"B", &none, to_a, 1, false}};
	struct render_image deep[12];
	size_t next[12][2];
	cleanup_render_plan struct render_plan plan = RENDER_PLAN_INIT;
	struct error err = ERROR_INIT;

	cr_expect_eq(render_make(loop, 0, &plan, &err), -ELOOP);
	cr_expect(strstr(err.msg, "depends on itself"));
	/* Each depends on the next one twice: 2^12 ways. */
	for (size_t i = 0; i < 12; i++) {
		next[i][0] = next[i][1] = i + 1;
		deep[i] = (struct render_image){"x", &none, next[i],
						i < 11 ? 2 : 0, false};
	}
	cr_expect_eq(render_make(deep, 0, &plan, &err), -E2BIG);
	cr_expect_eq(plan.n, 0);
}

Test(render, keeps)
{
	struct render_pass pass = {.is_filtered = true};

	strv_push(&pass.keep, "/a/b");
	cr_expect(render_keeps(&pass, "/"));
	cr_expect(render_keeps(&pass, "/a/b"));
	cr_expect_not(render_keeps(&pass, "/a"));
	cr_expect_not(render_keeps(&pass, "/a/b/c"));
	pass.is_filtered = false;
	cr_expect(render_keeps(&pass, "/x"));
	strv_release(&pass.keep);
}

/* A symlink of a lower image is never followed by an upper one's files, and
 * a directory takes a file's place and the other way round. */
Test(render, symlinks_are_replaced)
{
	char root[] = "/tmp/rkt-render.XXXXXX";
	const struct render_pass all = {0};
	cleanup_fd int work = -EBADF, src = -EBADF, dst = -EBADF;
	struct error err = ERROR_INIT;
	struct stat st;

	cr_assert(mkdtemp(root));
	work = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mkdir_p_at(work, "outside", 0755);
	mkdir_p_at(work, "dst/was-dir/x", 0755);
	mkdir_p_at(work, "src/link", 0755);
	mkdir_p_at(work, "src/was-file", 0755);
	dst = openat(work, "dst", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	src = openat(work, "src", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(symlinkat("../outside", dst, "link"), 0);
	write_string_at(dst, "was-file", 0644, "x", NULL);
	write_string_at(src, "link/file", 0644, "x", NULL);
	write_string_at(src, "was-dir", 0644, "x", NULL);
	cr_assert_eq(tree_merge(src, dst, &all, &err), 0, "%s", err.msg);
	cr_expect_neq(fstatat(work, "outside/file", &st, 0), 0);
	cr_expect_eq(fstatat(dst, "link", &st, AT_SYMLINK_NOFOLLOW), 0);
	cr_expect(S_ISDIR(st.st_mode));
	cr_expect_eq(fstatat(dst, "link/file", &st, 0), 0);
	cr_expect_eq(fstatat(dst, "was-file", &st, 0), 0);
	cr_expect(S_ISDIR(st.st_mode));
	cr_expect_eq(fstatat(dst, "was-dir", &st, 0), 0);
	cr_expect(S_ISREG(st.st_mode));
	cr_expect_eq(remove_tree_at(AT_FDCWD, root, NULL), 0);
}

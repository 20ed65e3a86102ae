/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/image_tree.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "aci/index_plan.h"
#include "aci/render.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"

/*
 * A tree as text: names below rootfs by bytes, directories with a slash at
 * the end, the uid that tells who provided it behind a colon, "!" for a name
 * that only leads somewhere, "-" before a whiteout, "=" before an opaque
 * directory.
 */
static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void collect(const struct image_entry *dir, const char *path,
		    struct strv *ret)
{
	for (const struct image_entry *e = dir->first; e; e = e->next) {
		cleanup_free char *here = xasprintf("%s%s", path, e->name);
		cleanup_free char *below = xasprintf("%s/", here);

		strv_pushf(ret, "%s%s%s:%u%s",
			   e->is_whiteout ? "-"
			   : e->is_opaque ? "="
					  : "",
			   here, image_entry_is_dir(e) ? "/" : "",
			   e->inode->uid, e->is_implied ? "!" : "");
		if (image_entry_is_dir(e))
			collect(e, below, ret);
	}
}

static char *text_of(const struct image_tree *tree)
{
	cleanup_strv struct strv lines = STRV_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	collect(image_tree_find(tree, "rootfs"), "", &lines);
	if (lines.n)
		qsort(lines.v, lines.n, sizeof(*lines.v), by_text);
	for (size_t i = 0; i < lines.n; i++)
		strbuf_addf(&text, "%s%s", i ? " " : "", lines.v[i]);
	return strbuf_detach(&text);
}

static void add(struct image_tree *tree, char *word)
{
	bool whiteout = *word == '-', opaque = *word == '=';
	char *colon = strchr(word, ':');
	char *name = word + (whiteout || opaque);
	struct image_inode *inode = image_inode_new(tree->pool, S_IFREG | 0644);
	cleanup_free char *path = NULL;
	struct image_entry *e;

	if (colon) {
		inode->uid = (uint32_t)strtoul(colon + 1, NULL, 10);
		*colon = '\0';
	}
	if (name[strlen(name) - 1] == '/') {
		inode->mode = S_IFDIR | 0755;
		name[strlen(name) - 1] = '\0';
	}
	path = xasprintf("rootfs/%s", name);
	if (whiteout) {
		cr_assert(image_tree_whiteout(tree, path));
		return;
	}
	e = image_tree_put(tree, path, inode);
	cr_assert(e, "%s", path);
	e->is_opaque |= opaque;
}

static struct image_tree *tree_of(struct image_pool *pool, const char *text)
{
	struct image_tree *tree = image_tree_new(pool);
	cleanup_strv struct strv words = STRV_INIT;

	(void)image_tree_put(tree, "rootfs",
			     image_inode_new(pool, S_IFDIR | 0755));
	strv_split(&words, text, ' ');
	for (size_t i = 0; i < words.n; i++)
		if (*words.v[i])
			add(tree, words.v[i]);
	return tree;
}

Test(image_tree, merge)
{
	static const struct {
		const char *lower, *upper, *keep, *want;
	} rows[] = {
		{"a:1 b:1", "b:2 c:2", NULL, "a:1 b:2 c:2"},
		{"d/:1 d/a:1", "d/:2 d/b:2", NULL, "d/:2 d/a:1 d/b:2"},
		/* a directory without an entry says nothing about one */
		{"d/:1 d/a:1", "d/b:2", NULL, "d/:1 d/a:1 d/b:2"},
		{"a:1", "d/b:2", NULL, "a:1 d/:0! d/b:2"},
		/* a file over a directory, and the other way round */
		{"d/:1 d/a:1", "d:2", NULL, "d:2"},
		{"d:1", "d/:2 d/a:2", NULL, "d/:2 d/a:2"},
		{"d:1", "d/a:2", NULL, "d/:0! d/a:2"},
		/* whitelists */
		{"a:1", "b:2 c:2", "/b", "a:1 b:2"},
		{"", "d/:2 d/a:2 d/b:2", "/d/a", "d/:0! d/a:2"},
		{"", "d/:2 d/a:2", "/d", "d/:2"},
		{"", "d/:2 d/a:2", "/x", ""},
		{"d:1", "d/:2 d/a:2", "/x", "d:1"},
		{"d:1", "d/:2 d/a:2", "/d/a", "d/:0! d/a:2"},
		/* whiteouts and opaque directories */
		{"a:1 b:1", "-a", NULL, "b:1"},
		{"d/:1 d/a:1 d/e/b:1", "-d/a", NULL, "d/:1 d/e/:0! d/e/b:1"},
		{"d/:1 d/a:1", "-d", NULL, ""},
		{"d/:1 d/a:1", "=d/:2 d/b:2", NULL, "d/:2 d/b:2"},
		{"a:1", "-a a:2", NULL, "a:2"},
		{"a:1", "a:2 -a", NULL, "a:2"},
		{"d/:1 d/a:1", "-d d/:2 d/b:2", NULL, "d/:2 d/b:2"},
		{"d/:1 d/a:1", "d/:2 d/b:2 -d", NULL, "d/:2 d/b:2"},
		{"d/:1 d/a:1", "-d d/b:2", NULL, "d/:1 d/b:2"},
		{"", "-a", NULL, ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct image_pool *pool = image_pool_new();
		struct image_tree *lower = tree_of(pool, rows[i].lower);
		struct image_tree *upper = tree_of(pool, rows[i].upper);
		struct image_tree *tree = image_tree_new(pool);
		cleanup_strv struct strv keep = STRV_INIT;
		const struct render_pass all = {0};
		struct render_pass pass = {.is_filtered = rows[i].keep};
		cleanup_free char *before = text_of(upper);
		cleanup_free char *after = NULL;
		cleanup_free char *got = NULL;

		if (rows[i].keep)
			strv_push(&keep, rows[i].keep);
		pass.keep = keep;
		(void)image_tree_merge(tree, lower, &all, NULL);
		(void)image_tree_merge(tree, upper, &pass, NULL);
		got = text_of(tree);
		after = text_of(upper);
		/* A new directory that replaces one is opaque: no matter
		 * here, there is nothing below a merged tree. */
		cr_expect_str_eq(got, rows[i].want, "row %zu: %s", i, got);
		cr_expect_str_eq(after, before, "row %zu: the layer changed",
				 i);
		image_pool_free(pool);
	}
}

/* Hard links last as long as nothing takes one of the names away; two passes
 * of one image are two sets of files. */
Test(image_tree, hard_links)
{
	struct image_pool *pool = image_pool_new();
	struct image_tree *layer = tree_of(pool, "a:1");
	struct image_tree *tree = image_tree_new(pool);
	cleanup_strv struct strv only_a = STRV_INIT;
	const struct render_pass all = {0};
	struct render_pass one = {.is_filtered = true};
	struct image_inode *first;

	(void)image_tree_put(layer, "rootfs/b",
			     image_tree_find(layer, "rootfs/a")->inode);
	(void)image_tree_merge(tree, layer, &all, NULL);
	first = image_tree_find(tree, "rootfs/b")->inode;
	cr_expect_eq(image_tree_find(tree, "rootfs/a")->inode, first);
	cr_expect_neq(image_tree_find(layer, "rootfs/a")->inode, first);
	strv_push(&only_a, "/a");
	one.keep = only_a;
	(void)image_tree_merge(tree, layer, &one, NULL);
	cr_expect_neq(image_tree_find(tree, "rootfs/a")->inode, first);
	cr_expect_eq(image_tree_find(tree, "rootfs/b")->inode, first);
	image_pool_free(pool);
}

/* A layer's hard link to what lies below it is another name of that file, as
 * it was before the layer. */
Test(image_tree, links_below)
{
	static const struct render_pass all = {.is_layer = true};
	struct image_pool *pool = image_pool_new();
	struct image_tree *tree = tree_of(pool, "a:1 d/:2");
	struct image_tree *layer = tree_of(pool, "a:3");
	struct image_inode *link = image_inode_new(pool, S_IFREG);
	struct image_inode *old = image_tree_find(tree, "rootfs/a")->inode;
	struct error err = ERROR_INIT;

	link->link = "rootfs/a";
	layer->has_links = true;
	(void)image_tree_put(layer, "rootfs/b", link);
	(void)image_tree_put(layer, "rootfs/n/c", link);
	cr_assert_eq(image_tree_merge(tree, layer, &all, &err), 0);
	cr_expect_eq(image_tree_find(tree, "rootfs/b")->inode, old);
	cr_expect_eq(image_tree_find(tree, "rootfs/n/c")->inode, old);
	cr_expect_neq(image_tree_find(tree, "rootfs/a")->inode, old);
	for (size_t i = 0; i < 3; i++) {
		link->link = (const char *[]){"rootfs/x", "rootfs/d",
					      "rootfs/a/x"}[i];
		cr_expect_eq(image_tree_merge(tree, layer, &all, &err), -EINVAL,
			     "%s", link->link);
		cr_expect(strstr(err.msg, link->link + strlen("rootfs/")));
	}
	image_pool_free(pool);
}

Test(image_tree, many_names)
{
	struct image_pool *pool = image_pool_new();
	struct image_tree *tree = image_tree_new(pool);
	char path[64];

	for (int i = 0; i < 20000; i++) {
		(void)snprintf(path, sizeof(path), "rootfs/%d/%d", i % 100, i);
		cr_assert(image_tree_put(
			tree, path, image_inode_new(pool, S_IFREG | 0600)));
	}
	for (int i = 0; i < 20000; i++) {
		(void)snprintf(path, sizeof(path), "rootfs/%d/%d", i % 100, i);
		cr_assert(image_tree_find(tree, path), "%s", path);
	}
	cr_expect_eq(tree->n_entries, 20101);
	image_tree_remove(tree, image_tree_find(tree, "rootfs/7"));
	cr_expect(!image_tree_find(tree, "rootfs/7/107"));
	cr_expect_eq(tree->n_entries, 20101 - 201);
	cr_expect(!image_tree_put(tree, "rootfs/8/108/below", NULL));
	image_pool_free(pool);
}

Test(index_plan, reads_what_it_writes)
{
	struct index_layer layers[2] = {
		{.digest = {1, 2}, .size = 1ULL << 40},
		{.digest = {3}, .size = 512},
	};
	struct render_pass passes[2] = {{.image = 1}, {.is_filtered = true}};
	const struct index_plan plan = {layers, 2, {passes, 2}};
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	cleanup_index_plan struct index_plan got = INDEX_PLAN_INIT;
	struct error err = ERROR_INIT;

	strv_push(&passes[1].keep, "/");
	strv_push(&passes[1].keep, "/a/b");
	index_plan_write(&plan, &sb);
	cr_assert_eq(index_plan_parse(sb.buf, sb.len, &got, &err), 0, "%s",
		     err.msg);
	cr_assert_eq(got.n_layers, 2);
	cr_expect_arr_eq(got.layers[0].digest, layers[0].digest, 64);
	cr_expect_eq(got.layers[0].size, 1ULL << 40);
	cr_assert_eq(got.passes.n, 2);
	cr_expect_eq(got.passes.v[0].image, 1);
	cr_expect(!got.passes.v[0].is_filtered && got.passes.v[1].is_filtered);
	cr_assert_eq(got.passes.v[1].keep.n, 2);
	cr_expect_str_eq(got.passes.v[1].keep.v[1], "/a/b");
	for (size_t len = 0; len < sb.len; len++) {
		struct index_plan cut = INDEX_PLAN_INIT;

		cr_expect_eq(index_plan_parse(sb.buf, len, &cut, NULL), -EPROTO,
			     "cut at %zu", len);
		index_plan_release(&cut);
	}
	strv_release(&passes[1].keep);
}

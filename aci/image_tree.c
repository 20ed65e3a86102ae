/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/image_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "aci/aci_check.h"
#include "aci/render.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"

#define CHUNK (256UL << 10)
#define ROOTFS "rootfs"

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(16) char bytes[];
};

struct image_pool {
	struct chunk *chunks;
	struct strbuf literals;
	struct image_tree **all;
	size_t n_all;
	uint64_t seed[2];
};

/* --- memory -------------------------------------------------------------- */

struct image_pool *image_pool_new(void)
{
	struct image_pool *pool = xcalloc(1, sizeof(*pool));

	pool->literals = (struct strbuf)STRBUF_INIT;
	if (getrandom(pool->seed, sizeof(pool->seed), 0) != sizeof(pool->seed))
		abort();
	return pool;
}

void image_pool_free(struct image_pool *pool)
{
	if (!pool)
		return;
	for (size_t i = 0; i < pool->n_all; i++)
		free(pool->all[i]->slots);
	while (pool->chunks) {
		struct chunk *next = pool->chunks->next;

		free(pool->chunks);
		pool->chunks = next;
	}
	strbuf_release(&pool->literals);
	free(pool->all);
	free(pool);
}

void *image_pool_alloc(struct image_pool *pool, size_t size)
{
	struct chunk *c = pool->chunks;
	void *p;

	size = (size + 15) & ~15UL;
	if (!c || c->size - c->used < size) {
		size_t room = size > CHUNK ? size : CHUNK;

		c = xmalloc(sizeof(*c) + room);
		c->used = 0;
		c->size = room;
		c->next = pool->chunks;
		pool->chunks = c;
	}
	p = c->bytes + c->used;
	c->used += size;
	return memset(p, 0, size);
}

void *image_pool_copy(struct image_pool *pool, const void *data, size_t len)
{
	void *p = image_pool_alloc(pool, len + 1);

	return len ? memcpy(p, data, len) : p;
}

struct strbuf *image_pool_literals(struct image_pool *pool)
{
	return &pool->literals;
}

struct image_inode *image_inode_new(struct image_pool *pool, uint32_t mode)
{
	struct image_inode *inode = image_pool_alloc(pool, sizeof(*inode));

	inode->mode = mode;
	return inode;
}

/* A directory no archive says anything about. */
static struct image_inode *implied_dir(struct image_pool *pool)
{
	struct image_inode *inode = image_inode_new(pool, S_IFDIR | 0755);

	inode->mtime_nsec = ACI_IMPLIED_MTIME_NSEC;
	return inode;
}

struct image_tree *image_tree_new(struct image_pool *pool)
{
	struct image_tree *tree = image_pool_alloc(pool, sizeof(*tree));

	tree->pool = pool;
	tree->n_slots = 1024;
	tree->slots = xcalloc(tree->n_slots, sizeof(struct image_entry *));
	tree->top = image_pool_alloc(pool, sizeof(*tree->top));
	tree->top->name = "";
	tree->top->inode = implied_dir(pool);
	tree->top->is_implied = true;
	pool->all = xreallocarray(pool->all, pool->n_all + 1,
				  sizeof(struct image_tree *));
	pool->all[pool->n_all++] = tree;
	return tree;
}

/* --- the table of names -------------------------------------------------- */

/* Keyed with random bits: an archive cannot choose names that collide. */
static uint32_t hash_name(const struct image_tree *tree,
			  const struct image_entry *dir, const char *name,
			  size_t len)
{
	const uint64_t *seed = tree->pool->seed;
	uint64_t h = (seed[0] ^ (uintptr_t)dir) * (seed[1] | 1);

	while (len > 0) {
		uint64_t word = 0;
		size_t n = len < sizeof(word) ? len : sizeof(word);

		memcpy(&word, name, n);
		h = (h ^ word ^ len) * (seed[1] | 1);
		h ^= h >> 32;
		name += n;
		len -= n;
	}
	return (uint32_t)(h ^ h >> 29);
}

struct image_entry *image_tree_child(const struct image_tree *tree,
				     const struct image_entry *dir,
				     const char *name, size_t len)
{
	uint32_t hash = hash_name(tree, dir, name, len);
	struct image_entry *e = tree->slots[hash & (tree->n_slots - 1)];

	while (e && (e->hash != hash || e->parent != dir ||
		     e->name_len != len || memcmp(e->name, name, len) != 0))
		e = e->chain;
	return e;
}

static void grow(struct image_tree *tree)
{
	struct image_entry **old = tree->slots;
	size_t n = tree->n_slots;

	tree->n_slots *= 2;
	tree->slots = xcalloc(tree->n_slots, sizeof(struct image_entry *));
	for (size_t i = 0; i < n; i++) {
		while (old[i]) {
			struct image_entry *e = old[i];
			size_t at = e->hash & (tree->n_slots - 1);

			old[i] = e->chain;
			e->chain = tree->slots[at];
			tree->slots[at] = e;
		}
	}
	free(old);
}

static struct image_entry *add_child(struct image_tree *tree,
				     struct image_entry *dir, const char *name,
				     size_t len, struct image_inode *inode)
{
	struct image_entry *e = image_pool_alloc(tree->pool, sizeof(*e));
	size_t at;

	e->name = image_pool_copy(tree->pool, name, len);
	e->name_len = (uint32_t)len;
	e->hash = hash_name(tree, dir, name, len);
	e->parent = dir;
	e->inode = inode;
	e->next = dir->first;
	if (dir->first)
		dir->first->prev = e;
	dir->first = e;
	at = e->hash & (tree->n_slots - 1);
	e->chain = tree->slots[at];
	tree->slots[at] = e;
	if (++tree->n_entries > tree->n_slots)
		grow(tree);
	return e;
}

static void forget(struct image_tree *tree, struct image_entry *e)
{
	struct image_entry **p = &tree->slots[e->hash & (tree->n_slots - 1)];

	for (struct image_entry *c = e->first; c; c = c->next)
		forget(tree, c);
	while (*p != e)
		p = &(*p)->chain;
	*p = e->chain;
	tree->n_entries--;
}

void image_tree_remove(struct image_tree *tree, struct image_entry *entry)
{
	forget(tree, entry);
	if (entry->prev)
		entry->prev->next = entry->next;
	else
		entry->parent->first = entry->next;
	if (entry->next)
		entry->next->prev = entry->prev;
}

static void remove_children(struct image_tree *tree, struct image_entry *dir)
{
	while (dir->first)
		image_tree_remove(tree, dir->first);
}

/* --- paths --------------------------------------------------------------- */

struct image_entry *image_tree_find(const struct image_tree *tree,
				    const char *path)
{
	struct image_entry *e = tree->top;

	while (e && *path) {
		size_t n = strcspn(path, "/");

		e = image_tree_child(tree, e, path, n);
		path += n + (path[n] == '/');
	}
	return e;
}

/* E gets another inode (NULL: stays or becomes a directory of its own). */
static void set_inode(struct image_tree *tree, struct image_entry *e,
		      struct image_inode *inode)
{
	bool was_dir = image_entry_is_dir(e);

	if (!inode && was_dir)
		return;
	e->inode = inode ? inode : implied_dir(tree->pool);
	e->is_implied = !inode;
	e->is_opaque |= e->is_whiteout && image_entry_is_dir(e);
	e->is_whiteout = false;
	if (was_dir && !image_entry_is_dir(e))
		remove_children(tree, e);
}

static struct image_entry *make_dir(struct image_tree *tree,
				    struct image_entry *dir, const char *name,
				    size_t len)
{
	struct image_entry *e = image_tree_child(tree, dir, name, len);

	if (e && e->is_whiteout)
		set_inode(tree, e, NULL);
	if (e)
		return image_entry_is_dir(e) ? e : NULL;
	e = add_child(tree, dir, name, len, implied_dir(tree->pool));
	e->is_implied = true;
	return e;
}

struct image_entry *image_tree_put(struct image_tree *tree, const char *path,
				   struct image_inode *inode)
{
	struct image_entry *dir = tree->top, *e;
	const char *slash;

	while (dir && (slash = strchr(path, '/'))) {
		dir = make_dir(tree, dir, path, (size_t)(slash - path));
		path = slash + 1;
	}
	if (!dir)
		return NULL;
	e = *path ? image_tree_child(tree, dir, path, strlen(path)) : dir;
	if (e) {
		set_inode(tree, e, inode);
		return e;
	}
	if (!inode)
		return make_dir(tree, dir, path, strlen(path));
	return add_child(tree, dir, path, strlen(path), inode);
}

bool image_tree_whiteout(struct image_tree *tree, const char *path)
{
	struct image_entry *e = image_tree_find(tree, path);

	if (!e) {
		e = image_tree_put(tree, path,
				   image_inode_new(tree->pool, S_IFSOCK));
		if (!e)
			return false;
		e->is_whiteout = true;
	}
	if (image_entry_is_dir(e))
		e->is_opaque = true;
	return true;
}

/* --- merging ------------------------------------------------------------- */

struct merge {
	struct image_tree *tree;
	const struct render_pass *pass;
};

static void clear_marks(struct image_entry *e)
{
	e->is_kept = e->leads = false;
	for (struct image_entry *c = e->first; c; c = c->next)
		clear_marks(c);
}

/* Marks what PASS names in the layer, and the directories above that. */
static void mark_kept(const struct image_tree *layer, struct image_entry *root,
		      const struct render_pass *pass)
{
	clear_marks(root);
	for (size_t i = 0; i < pass->keep.n; i++) {
		struct image_entry *e = root;
		const char *p = pass->keep.v[i] + 1; /* "/a/b", "/" */

		while (e && *p) {
			size_t n = strcspn(p, "/");

			e = image_tree_child(layer, e, p, n);
			p += n + (p[n] == '/');
		}
		if (!e)
			continue;
		e->is_kept = true;
		for (e = e->parent; e && !e->leads; e = e->parent)
			e->leads = true;
	}
	root->is_kept = true;
}

static int link_refuse(const struct image_entry *e, const char *target,
		       struct error *err)
{
	cleanup_free char *from = aci_quote(e->name);
	cleanup_free char *to = aci_quote(target + strlen(ROOTFS "/"));

	return error_set(err, EINVAL,
			 "layer entry %s: it is a hard link to %s, and no "
			 "layer below it has such a file",
			 from, to);
}

/* Hard links inside one pass share one copy; passes share nothing. */
static struct image_inode *copy_inode(struct merge *m,
				      struct image_inode *inode)
{
	if (inode->visited == m)
		return inode->copy;
	inode->copy = image_pool_copy(m->tree->pool, inode, sizeof(*inode));
	inode->copy->visited = NULL;
	inode->visited = m;
	return inode->copy;
}

static void merge_dir(struct merge *m, const struct image_entry *from,
		      struct image_entry *to);

static void merge_subdir(struct merge *m, const struct image_entry *from,
			 struct image_entry *dir, struct image_entry *to)
{
	bool kept = !m->pass->is_filtered || from->is_kept;

	if (!kept && !from->leads)
		return;
	if (to && !image_entry_is_dir(to)) {
		image_tree_remove(m->tree, to);
		to = NULL;
	}
	if (to && from->is_opaque)
		remove_children(m->tree, to);
	if (!to) {
		to = add_child(m->tree, dir, from->name, from->name_len,
			       implied_dir(m->tree->pool));
		to->is_implied = true;
	}
	if (kept && !from->is_implied) {
		to->inode = copy_inode(m, from->inode);
		to->is_implied = false;
	}
	merge_dir(m, from, to);
}

static void merge_entry(struct merge *m, const struct image_entry *from,
			struct image_entry *dir)
{
	struct image_entry *to =
		image_tree_child(m->tree, dir, from->name, from->name_len);

	if (image_entry_is_dir(from)) {
		merge_subdir(m, from, dir, to);
		return;
	}
	if (m->pass->is_filtered && !from->is_kept)
		return;
	if (to)
		image_tree_remove(m->tree, to);
	if (!from->is_whiteout)
		(void)add_child(m->tree, dir, from->name, from->name_len,
				copy_inode(m, from->inode));
}

static void merge_dir(struct merge *m, const struct image_entry *from,
		      struct image_entry *to)
{
	for (const struct image_entry *e = from->first; e; e = e->next)
		merge_entry(m, e, to);
}

/* What lies below the layer as nothing of it is laid over that yet. */
static int find_links(struct merge *m, const struct image_entry *dir,
		      struct error *err)
{
	int r = 0;

	for (const struct image_entry *e = dir->first; r == 0 && e;
	     e = e->next) {
		struct image_inode *inode = e->inode;
		const struct image_entry *to;

		if (image_entry_is_dir(e)) {
			r = find_links(m, e, err);
			continue;
		}
		if (!inode->link)
			continue;
		to = image_tree_find(m->tree, inode->link);
		if (!to || image_entry_is_dir(to))
			return link_refuse(e, inode->link, err);
		inode->copy = to->inode;
		inode->visited = m;
	}
	return r;
}

int image_tree_merge(struct image_tree *tree, const struct image_tree *layer,
		     const struct render_pass *pass, struct error *err)
{
	struct merge *m = image_pool_alloc(tree->pool, sizeof(*m));
	struct image_entry *from =
		image_tree_child(layer, layer->top, ROOTFS, strlen(ROOTFS));
	struct image_entry *to =
		make_dir(tree, tree->top, ROOTFS, strlen(ROOTFS));

	if (!from)
		return 0;
	/* Its address tells this pass from others. */
	*m = (struct merge){tree, pass};
	if (layer->has_links && find_links(m, from, err) < 0)
		return -EINVAL;
	mark_kept(layer, from, pass);
	if (from->is_opaque)
		remove_children(tree, to);
	if (!from->is_implied) {
		to->inode = copy_inode(m, from->inode);
		to->is_implied = false;
	}
	merge_dir(m, from, to);
	return 0;
}

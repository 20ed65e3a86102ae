/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_IMAGE_TREE_H
#define ACI_IMAGE_TREE_H

/*
 * File systems in memory: what archives hold, laid over each other, without
 * their data.  A file's data stays where it is and is named by extents.
 *
 * All trees that are merged come from one pool, which owns everything and is
 * freed as a whole.  Names are bytes; paths are cleaned ones ("rootfs/a/b",
 * "" for the top), checked before they come here (aci_check.h).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/strbuf.h"

struct error;
struct image_pool;
struct render_pass;

/* The device of an extent that lies in the pool's own literals. */
#define IMAGE_LITERAL UINT32_MAX

/* A run of a file's data; what no extent covers is a hole. */
struct image_extent {
	uint64_t logical;  /* bytes from the start of the file */
	uint64_t physical; /* bytes from the start of the device */
	uint64_t len;	   /* bytes */
	uint32_t device;   /* number of the archive, or IMAGE_LITERAL */
};

struct image_xattr {
	const char *name;
	const uint8_t *value;
	size_t len;
};

/* What hard links share. */
struct image_inode {
	uint32_t mode; /* with the type; S_IFSOCK stands for no file type */
	uint32_t uid, gid;
	uint32_t mtime_nsec;
	int64_t mtime;
	uint32_t major, minor;
	uint64_t size;	    /* logical, of a regular file */
	const char *target; /* of a symlink */
	/* Of a layer's hard link to what lies below it: that path.  Nothing
	 * else is known of it until a merge. */
	const char *link;
	const struct image_extent *extents; /* ascending, not touching */
	size_t n_extents;
	const struct image_xattr *xattrs; /* by name */
	size_t n_xattrs;

	/* Scratch of a merge and of the writer. */
	const void *visited;
	struct image_inode *copy;
	size_t number; /* of the writer's */
};

struct image_entry {
	const char *name;
	uint32_t name_len;
	uint32_t hash;
	struct image_entry *parent; /* NULL for the top */
	struct image_entry *first;  /* children, in no order */
	struct image_entry *next, *prev;
	struct image_entry *chain; /* same slot of the table */
	struct image_inode *inode;
	bool is_implied;  /* a directory that only leads to entries */
	bool is_whiteout; /* of a layer: removes the name below it */
	bool is_opaque;	  /* of a layer: hides what is below the directory */
	bool is_kept;	  /* scratch of a merge */
	bool leads;	  /* scratch of a merge: to something kept */
};

struct image_tree {
	struct image_pool *pool;
	struct image_entry *top;
	struct image_entry **slots;
	size_t n_slots, n_entries;
	bool has_links; /* inodes with `link` */
};

struct image_pool *image_pool_new(void);
/* Frees every tree that was made from it, too. */
void image_pool_free(struct image_pool *pool);
/* Memory that lives as long as the pool, zeroed. */
void *image_pool_alloc(struct image_pool *pool, size_t size);
void *image_pool_copy(struct image_pool *pool, const void *data, size_t len);
/* Data that lies in no device, in whole 512-byte blocks; at most 32 MiB. */
struct strbuf *image_pool_literals(struct image_pool *pool);
#define IMAGE_LITERALS_MAX (32UL << 20)

/* A tree with an empty top directory: 0755, 0:0, implied. */
struct image_tree *image_tree_new(struct image_pool *pool);

struct image_inode *image_inode_new(struct image_pool *pool, uint32_t mode);

/* NULL if there is none. */
struct image_entry *image_tree_child(const struct image_tree *tree,
				     const struct image_entry *dir,
				     const char *name, size_t len);
struct image_entry *image_tree_find(const struct image_tree *tree,
				    const char *path);

/*
 * The entry PATH with INODE (NULL: a new directory, 0755 0:0, implied), its
 * missing parents implied.  An entry that is there gets INODE; a directory
 * keeps its children if INODE is one.  NULL if a parent is no directory.
 */
struct image_entry *image_tree_put(struct image_tree *tree, const char *path,
				   struct image_inode *inode);

/*
 * Notes in a layer that PATH is to go from what lies below it (".wh.NAME" of
 * an OCI layer); what the layer itself has of that name stays, whichever came
 * first.  False if a parent is no directory.
 */
bool image_tree_whiteout(struct image_tree *tree, const char *path);

void image_tree_remove(struct image_tree *tree, struct image_entry *entry);

/*
 * Lays LAYER (which stays as it is) over TREE as tree_merge.h describes it:
 * below "rootfs", what PASS lets through.  A whiteout of the layer removes the
 * name in TREE, and an opaque directory what TREE has below it, before
 * anything of the layer is put there (OCI image specification, layers).
 * Hard links to what lies below the layer become those of TREE as it was.
 * -EINVAL: TREE has no such file; it is as before then.
 */
int image_tree_merge(struct image_tree *tree, const struct image_tree *layer,
		     const struct render_pass *pass, struct error *err);

static inline bool image_entry_is_dir(const struct image_entry *e)
{
	return e->inode && (e->inode->mode & 0170000) == 0040000;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_TREE_DIFF_H
#define ACI_TREE_DIFF_H

/* What differs between two rendered trees.  Times are left out: an image that
 * was built again has other ones everywhere. */

#include <stddef.h>
#include <stdint.h>

struct error;

enum tree_change_kind { TREE_ADDED, TREE_REMOVED, TREE_CHANGED };

enum tree_change_what {
	TREE_DIFFERS_TYPE = 1 << 0,
	TREE_DIFFERS_MODE = 1 << 1,
	TREE_DIFFERS_OWNER = 1 << 2,
	TREE_DIFFERS_CONTENT = 1 << 3,
	TREE_DIFFERS_TARGET = 1 << 4, /* of a symbolic link */
	TREE_DIFFERS_DEVICE = 1 << 5,
	/* Of files and directories: file capabilities, ACLs. */
	TREE_DIFFERS_XATTRS = 1 << 6,
};

struct tree_change {
	enum tree_change_kind kind;
	unsigned int what; /* of TREE_CHANGED: enum tree_change_what */
	char *path;	   /* absolute in the tree */
	uint64_t before;   /* bytes of a regular file, otherwise 0 */
	uint64_t after;
};

struct tree_changes {
	struct tree_change *v; /* in the order of the paths' components */
	size_t n;
	uint64_t before, after; /* bytes of all regular files */
};

#define TREE_CHANGES_INIT                                                      \
	{                                                                      \
		NULL, 0, 0, 0                                                  \
	}

void tree_changes_release(struct tree_changes *changes);
#define cleanup_tree_changes __attribute__((__cleanup__(tree_changes_release)))

/* Files of one size are read and compared. */
int tree_diff(int before, int after, struct tree_changes *ret,
	      struct error *err);

#endif

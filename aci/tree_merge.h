/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_TREE_MERGE_H
#define ACI_TREE_MERGE_H

/*
 * Lays one extracted root file system over another by renaming: the files
 * stay the same inodes, so hard links inside a layer survive.  No symlink is
 * followed; a directory that meets anything else replaces it and the other
 * way round (ace.md: "removed and replaced").  Whiteouts of an OCI layer, as
 * aci_extract() leaves them, remove what lies in DST and are then gone.
 */

struct error;
struct render_pass;

/*
 * Moves what PASS lets through from the directory SRC into DST; both are
 * open for reading and on one file system.  A directory that is in both has
 * SRC's owner, mode, times and extended attributes afterwards; one that only
 * leads to a kept file is 0755, 0:0.  What remains in SRC is garbage.
 */
int tree_merge(int src, int dst, const struct render_pass *pass,
	       struct error *err);

#endif

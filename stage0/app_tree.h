/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_APP_TREE_H
#define STAGE0_APP_TREE_H

/*
 * The root file system of an app that does not run, as it left it: the image
 * with what the committed generation changed.  Owners are as in the image,
 * also with --private-users.
 */

struct error;
struct treestore;

/*
 * A directory for reading, on a mount that nobody else sees and that goes with
 * the descriptor.  Nothing is changed.  The pod must stay locked meanwhile.
 */
int app_tree_open(int poddir_fd, const char *app, unsigned int generation,
		  const struct treestore *ts, int *ret_fd, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_TREE_COPY_H
#define STAGE0_TREE_COPY_H

/*
 * A copy of a rendered root file system for --no-overlay: content, types,
 * owners, modes, times, extended attributes and hard links.  Sockets are
 * left out.  Data is shared with the original where the file system can
 * (FICLONE).
 */

struct error;

/* Copies what is in FROM (may be O_PATH) into the empty directory TO. */
int tree_copy(int from, int to, struct error *err);

#endif

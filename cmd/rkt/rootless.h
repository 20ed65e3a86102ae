/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_ROOTLESS_H
#define CMD_RKT_ROOTLESS_H

/* rkt of an ordinary user: where things are, and how it becomes root of a
 * namespace of that user. */

#include <stdbool.h>

struct error;

/* True for whoever is not root, also when he has become so in a namespace of
 * his own. */
bool rootless_is_user(void);

/* Who has become root of a namespace of his own: malloc'ed, NULL for who has
 * not. */
char *rootless_user_name(void);

/* $XDG_DATA_HOME/rkt and $XDG_CONFIG_HOME/rkt, or what stands for them:
 * malloc'ed; NULL without a home. */
char *rootless_data_dir(void);
char *rootless_config_dir(void);

/* Whether the data directory DIR is the user's, or not there. */
bool rootless_owns(const char *dir);

/*
 * Executes this program again, with the same words, as root of the namespace
 * of the data directory DIR, which is made if it is missing.  Returns only to
 * say why it cannot.
 */
int rootless_become_root(const char *dir, struct error *err);

#endif

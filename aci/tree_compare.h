/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_TREE_COMPARE_H
#define ACI_TREE_COMPARE_H

struct error;

/*
 * Compares the directories HAVE and WANT and everything below: names, types,
 * modes, owners, sizes, device numbers, modification times (not of
 * directories), link targets, extended attributes, content.  0 equal,
 * -EBADMSG naming the first difference, another errno if reading fails.
 */
int tree_compare(int have, int want, struct error *err);

#endif

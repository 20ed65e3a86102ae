/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_TAR_INDEX_H
#define ACI_TAR_INDEX_H

/*
 * Archive entries, as aci_read.h comes by them, into an image tree: each
 * property as an extraction would leave it (aci_extract.h), and where in the
 * archive the data lies.  Runs on hostile bytes: only inside the sandbox.
 *
 * Call order for each entry that aci_check_entry() accepted: _entry, for a
 * regular file _data for each run of bytes, then _end_file.
 *
 * What an index cannot say (extended attributes over 64 KiB, lists of rights
 * the kernel would refuse, too much unaligned sparse data) makes the archive
 * unfit for one, and no more: it is extracted instead.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aci_entry;
struct archive_entry;
struct error;
struct image_tree;
struct tar_index;

/* The entries go to TREE, which is borrowed; DEVICE is the archive's number
 * in its extents. */
struct tar_index *tar_index_new(struct image_tree *tree, uint32_t device);
void tar_index_free(struct tar_index *ti);
/* The entries are an OCI layer's: oci_layer.h. */
void tar_index_take_whiteouts(struct tar_index *ti);

/* ENTRY and what aci_entry_make() and aci_check_entry() (ROLE) made of it. */
int tar_index_entry(struct tar_index *ti, struct archive_entry *entry,
		    const struct aci_entry *e, int role, struct error *err);
/* N bytes of the file, at LOGICAL in it and at PHYSICAL in the archive; in
 * ascending order. */
void tar_index_data(struct tar_index *ti, const uint8_t *data, size_t n,
		    uint64_t logical, uint64_t physical);
void tar_index_end_file(struct tar_index *ti);

/* NULL if all of it is in the tree, else what is not. */
const char *tar_index_unfit(const struct tar_index *ti);

#endif

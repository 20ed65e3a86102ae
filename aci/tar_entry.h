/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_TAR_ENTRY_H
#define ACI_TAR_ENTRY_H

/* Entries of the archives rkt writes: one form, whoever writes them. */

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/cleanup.h"

/* Of the pax format: one form of extended attributes, the one every reader
 * knows. */
#define TAR_PAX_OPTIONS "pax:xattrheader=SCHILY"

/*
 * An entry NAME with the type, owner, mtime, size (0 but for files) and
 * device number that ST has; the caller adds what else there is to it.
 */
struct archive_entry *tar_entry_new(const char *name, const struct stat *st);

/*
 * Writes E's header; false if something of it would be lost.  A warning means
 * that, except for names that are not UTF-8: those are written as bytes.  The
 * thread's locale is one of UTF-8.
 */
bool tar_entry_put(struct archive *a, struct archive_entry *e);

static inline void tar_entry_free(struct archive_entry *e)
{
	archive_entry_free(e);
}
DEFINE_CLEANUP(struct archive_entry *, tar_entry_free);
#define cleanup_entry cleanup_with(tar_entry_free_cleanup)

#endif

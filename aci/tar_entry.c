/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/tar_entry.h"

#include <stdlib.h>
#include <sys/sysmacros.h>

struct archive_entry *tar_entry_new(const char *name, const struct stat *st)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_copy_pathname(e, name);
	archive_entry_set_mode(e, st->st_mode);
	archive_entry_set_uid(e, st->st_uid);
	archive_entry_set_gid(e, st->st_gid);
	archive_entry_set_mtime(e, st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	archive_entry_set_size(e, S_ISREG(st->st_mode) ? st->st_size : 0);
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		archive_entry_set_rdevmajor(e, major(st->st_rdev));
		archive_entry_set_rdevminor(e, minor(st->st_rdev));
	}
	return e;
}

static bool is_utf8(const char *s)
{
	return !s || mbstowcs(NULL, s, 0) != (size_t)-1;
}

bool tar_entry_put(struct archive *a, struct archive_entry *e)
{
	int r = archive_write_header(a, e);

	return r == ARCHIVE_OK ||
	       (r == ARCHIVE_WARN && !(is_utf8(archive_entry_pathname(e)) &&
				       is_utf8(archive_entry_symlink(e)) &&
				       is_utf8(archive_entry_hardlink(e))));
}

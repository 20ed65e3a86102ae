/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_IDS_H
#define STAGE1_IDS_H

/*
 * User and group of an app (appc B17), in this order:
 *   "/path"   owner (user) or owning group (group) of that file in the image
 *   a name    in the image's /etc/passwd or /etc/group; "root" is 0 when the
 *             image has no such file or line
 *   a number  the id itself, if no name matched
 * Everything is opened below the image's root: symlinks cannot leave it, and
 * what is not a regular file (FIFO, device) is refused.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

#define IDS_FILE_MAX (1024UL * 1024) /* bytes of /etc/passwd, /etc/group */

/* -ENOENT: nothing matched; the message says what was looked up where. */
int ids_find_user(int rootfd, const char *user, uid_t *ret, struct error *err);
int ids_find_group(int rootfd, const char *group, gid_t *ret,
		   struct error *err);

/*
 * The same, but a group called as the user that is not in /etc/group is that
 * user's own, as /etc/passwd says: what is meant by images that were made
 * without naming a group (spec/oci.h).
 */
int ids_find_user_group(int rootfd, const char *user, const char *group,
			gid_t *ret, struct error *err);

/*
 * The id in the third field of the first line of TEXT (LEN bytes, need not
 * be terminated) whose first field is NAME: passwd(5) and group(5) alike.
 * 0, -ENOENT, or -EINVAL if that line's id is no id.
 */
int ids_find_in_text(const char *text, size_t len, const char *name,
		     uint32_t *ret);

/* setgroups() to exactly GROUPS and setresgid(GID). */
int ids_set_groups(gid_t gid, const gid_t *groups, size_t n_groups,
		   struct error *err);
/* setresuid(UID), checked. */
int ids_set_user(uid_t uid, struct error *err);

#endif

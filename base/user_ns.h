/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_USER_NS_H
#define BASE_USER_NS_H

/* User namespaces, and mounts that show owners as one of them has them. */

#include <stdbool.h>
#include <stdint.h>

struct error;

/*
 * A new user namespace without a process in it, where users and groups 0 to
 * COUNT - 1 are FIRST, FIRST + 1, ... of the caller's, who must be root there.
 * Returns a descriptor of it.
 */
int user_ns_new(uint32_t first, uint32_t count, struct error *err);

/* True if NS maps so: users and groups 0 to COUNT - 1, to FIRST on and to
 * nobody else. */
bool user_ns_has_range(int ns, uint32_t first, uint32_t count);

/*
 * The detached mount MOUNT, with all below it when RECURSIVE, shows what 0
 * owns on disk as owned by the root of the user namespace NS, and so on (Linux
 * 5.12, and by file system: EROFS 5.19, tmpfs 6.3).  -EINVAL without a message
 * if the file system cannot.
 */
int user_ns_map_mount(int ns, int mount, bool recursive, struct error *err);

#endif

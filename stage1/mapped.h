/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_MAPPED_H
#define STAGE1_MAPPED_H

/*
 * Mounts with the owners a pod sees: as on disk, or mapped into its user
 * namespace (users.h).
 */

#include <stdbool.h>
#include <stdint.h>

struct error;
struct users;

/* mount_clone() of FD, mapped. */
int mapped_clone(int fd, bool recursive, uint64_t attrs,
		 const struct users *users, struct error *err);

/*
 * A detached overlay over LOWER of the directories UPPER and WORK in DIRFD,
 * all mapped.  Only for private USERS: the kernel takes layers from mounts of
 * the calling namespace alone (Linux 6.1), so this starts a process that has
 * one of its own.
 */
int mapped_overlay(int lower, int dirfd, const char *upper, const char *work,
		   uint64_t attrs, const struct users *users,
		   struct error *err);

#endif

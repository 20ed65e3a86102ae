/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_SECCOMP_SETS_H
#define SPEC_SECCOMP_SETS_H

/*
 * What is known about system calls: one row a name, with the sets it is in,
 * the capabilities that lift the default profile's ban, and the argument
 * check of the default profile.  Sources: the containers' default profile of
 * 2026 (moby/profiles), rkt's seccomp_wildcards.go (Docker's lists of 2016),
 * systemd 252's syscall-filter groups.  Needs libseccomp.
 */

#include <stddef.h>
#include <stdint.h>

struct error;
struct strv;

enum seccomp_set {
	SECCOMP_SET_ALLOW = 1 << 0,   /* default profile, no capability */
	SECCOMP_SET_WHITE16 = 1 << 1, /* Docker's and rkt's list of 2016 */
	SECCOMP_SET_BLACK16 = 1 << 2,
	SECCOMP_SET_BLACK = 1 << 3, /* added to the blacklist since */
	SECCOMP_SET_SD_CLOCK = 1 << 4,
	SECCOMP_SET_SD_DEFAULT = 1 << 5,
	SECCOMP_SET_SD_MOUNT = 1 << 6,
	SECCOMP_SET_SD_NETWORK_IO = 1 << 7,
	SECCOMP_SET_SD_OBSOLETE = 1 << 8,
	SECCOMP_SET_SD_PRIVILEGED = 1 << 9,
	SECCOMP_SET_SD_PROCESS = 1 << 10,
	SECCOMP_SET_SD_RAW_IO = 1 << 11,
	SECCOMP_SET_WHITELIST = SECCOMP_SET_ALLOW | SECCOMP_SET_WHITE16,
	SECCOMP_SET_BLACKLIST = SECCOMP_SET_BLACK16 | SECCOMP_SET_BLACK,
};

/* Calls the default profile decides by argument. */
enum seccomp_special {
	SECCOMP_ANY,
	SECCOMP_CLONE,
	SECCOMP_CLONE3,
	SECCOMP_UNSHARE,
	SECCOMP_SOCKET,
	SECCOMP_PERSONALITY,
	SECCOMP_SPECIAL_MAX
};

struct seccomp_row {
	const char *name;
	uint16_t sets; /* enum seccomp_set */
	uint8_t special;
	uint64_t caps; /* any of them allows the call unchecked */
};

extern const struct seccomp_row seccomp_rows[]; /* sorted by name */
extern const size_t seccomp_n_rows;

/* NULL if no row has NAME. */
const struct seccomp_row *seccomp_row_find(const char *name);

/* The sets a wildcard ("@docker/default-whitelist") means; 0 if unknown.
 * @appc.io/all and /empty are the caller's. */
uint32_t seccomp_wildcard_sets(const char *name);

/*
 * Numbers libseccomp 2.5 may not know.  From 451 on every architecture uses
 * the same ones.  -1 if NAME is none of them.
 */
#define SECCOMP_MODERN_FIRST 451
#define SECCOMP_MODERN_LAST 469 /* file_setattr, Linux 6.17 */
int seccomp_modern_number(const char *name);

/* -EINVAL names every entry that is neither a call of any architecture nor a
 * known set. */
int seccomp_set_check(const struct strv *set, struct error *err);

/* "EPERM" -> EPERM; 0 if unknown. */
int seccomp_errno_find(const char *name);

#endif

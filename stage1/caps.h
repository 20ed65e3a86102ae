/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_CAPS_H
#define STAGE1_CAPS_H

/*
 * Capabilities of an app as 64-bit masks, bit N = capability N.
 *
 * The child applies them in this order (the numbers are DESIGN's):
 *   1 caps_drop_bounding(keep)
 *   2 groups and gid (ids.h)
 *   3 caps_keep_on_setuid(), then setresuid
 *   4 caps_set_for_exec(keep, uid): inheritable and ambient empty,
 *     CAP_SYS_ADMIN raised for the seccomp filter
 *   5 seccomp_install(), execve
 *
 * After execve a root app has permitted = effective = bounding = keep, another
 * app has nothing; nobody has inheritable capabilities, so an exec in the app
 * gains none (CVE-2022-29162).
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "spec/capability.h"

struct error;
struct strv;

#define CAPS_ALL UINT64_MAX

/* The bounding set without an isolator (ace.md): 14 capabilities. */
extern const uint64_t caps_default;

struct caps_request {
	/* Isolator sets; NULL = no such isolator.  Both = error. */
	const struct strv *retain;
	const struct strv *remove;
	/* --insecure-options=capabilities: everything. */
	bool unrestricted;
};

/* Decides the app's bounding set.  -EINVAL names what is wrong. */
int caps_make(const struct caps_request *req, uint64_t *ret, struct error *err);

/* Those of CAPS that the bounding set of this process does not have. */
uint64_t caps_missing(uint64_t caps);

/* Drops every capability not in KEEP from the bounding set.  What the host
 * lacks anyway is skipped. */
int caps_drop_bounding(uint64_t keep, struct error *err);

/* All that is permitted is effective; nothing is inheritable. */
int caps_raise_permitted(struct error *err);

/* Nothing is permitted any more. */
int caps_drop_permitted(struct error *err);

/* Permitted capabilities survive the following setresuid. */
int caps_keep_on_setuid(struct error *err);

/*
 * Inheritable and ambient empty; permitted and effective = CAP_SYS_ADMIN (if
 * we have it), plus KEEP for uid 0: with no_new_privs an exec cannot get back
 * what was not permitted before.
 */
int caps_set_for_exec(uint64_t keep, uid_t uid, struct error *err);

#endif

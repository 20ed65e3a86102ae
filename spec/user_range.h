/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_USER_RANGE_H
#define SPEC_USER_RANGE_H

/*
 * The users and groups of the host that a pod with --private-users has for its
 * own: as text "SHIFT:COUNT", which rkt gives to stage1 and keeps in the pod.
 * Inside, user N is SHIFT + N of the host.
 */

#include <stddef.h>
#include <stdint.h>

struct app;
struct error;
struct pod_manifest;
struct uuid;
struct volume;

/* count 0: the host's own users, as without --private-users. */
struct user_range {
	uint32_t first, count;
};

/* Every range is that long and begins at a multiple of it: as many users as
 * nobody, 65534, needs. */
#define USER_RANGE_COUNT 65536U
/* systemd-nspawn's: what no distribution gives to users or services. */
#define USER_RANGE_FIRST_MIN 0x00080000U
#define USER_RANGE_FIRST_MAX 0x6FFF0000U
#define USER_RANGE_TEXT_MAX 24

/* -EINVAL: not a range as above. */
int user_range_parse(const char *text, struct user_range *ret,
		     struct error *err);
void user_range_format(const struct user_range *range,
		       char ret[USER_RANGE_TEXT_MAX]);

/* Ranges that are somebody's. */
struct user_ranges {
	struct user_range *v;
	size_t n;
};

#define USER_RANGES_INIT                                                       \
	{                                                                      \
		NULL, 0                                                        \
	}

void user_ranges_add(struct user_ranges *ranges,
		     const struct user_range *range);
void user_ranges_release(struct user_ranges *ranges);
#define cleanup_user_ranges __attribute__((__cleanup__(user_ranges_release)))

/* Those of TEXT, the content of /etc/subuid or /etc/subgid (subuid(5)); lines
 * that are none are skipped. */
void user_ranges_add_subids(struct user_ranges *ranges, const char *text);

/*
 * A range of the pod UUID that meets none of TAKEN: one that follows from the
 * UUID, or the next one that is free.  -ENOSPC: there is none.
 */
int user_range_choose(const struct uuid *uuid, const struct user_ranges *taken,
		      struct user_range *ret, struct error *err);

/* Numbers of users and groups that a range has no place for: -EINVAL says
 * which one where. */
int user_range_check_app(const struct app *app, struct error *err);
int user_range_check_pod(const struct pod_manifest *pm, struct error *err);

#endif

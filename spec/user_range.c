/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/user_range.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strv.h"
#include "spec/app.h"
#include "spec/pod_manifest.h"
#include "spec/uuid.h"
#include "spec/volume.h"

#define N_RANGES                                                               \
	((USER_RANGE_FIRST_MAX - USER_RANGE_FIRST_MIN) / USER_RANGE_COUNT + 1)

int user_range_parse(const char *text, struct user_range *ret,
		     struct error *err)
{
	const char *colon = strchr(text, ':');
	cleanup_free char *first =
		xstrndup(text, colon ? (size_t)(colon - text) : 0);
	uint64_t shift, count;

	if (!colon || parse_uint(first, USER_RANGE_FIRST_MAX, &shift) < 0 ||
	    shift < USER_RANGE_FIRST_MIN || shift % USER_RANGE_COUNT != 0 ||
	    parse_uint(colon + 1, USER_RANGE_COUNT, &count) < 0 ||
	    count != USER_RANGE_COUNT)
		return error_set(err, EINVAL,
				 "\"%s\" is no range of private users: must be "
				 "SHIFT:%u",
				 text, USER_RANGE_COUNT);
	*ret = (struct user_range){(uint32_t)shift, (uint32_t)count};
	return 0;
}

void user_range_format(const struct user_range *range,
		       char ret[USER_RANGE_TEXT_MAX])
{
	(void)snprintf(ret, USER_RANGE_TEXT_MAX, "%u:%u", range->first,
		       range->count);
}

/* --- what is taken ---------------------------------------------------------
 */

void user_ranges_add(struct user_ranges *ranges, const struct user_range *range)
{
	ranges->v = xreallocarray(ranges->v, ranges->n + 1, sizeof(*ranges->v));
	ranges->v[ranges->n++] = *range;
}

void user_ranges_release(struct user_ranges *ranges)
{
	free(ranges->v);
	*ranges = (struct user_ranges)USER_RANGES_INIT;
}

static void add_line(struct user_ranges *ranges, const char *line)
{
	cleanup_strv struct strv fields = STRV_INIT;
	uint64_t first, count;

	strv_split(&fields, line, ':');
	if (fields.n != 3 || parse_uint(fields.v[1], UINT32_MAX, &first) < 0 ||
	    parse_uint(fields.v[2], UINT32_MAX, &count) < 0)
		return;
	user_ranges_add(ranges, &(const struct user_range){(uint32_t)first,
							   (uint32_t)count});
}

void user_ranges_add_subids(struct user_ranges *ranges, const char *text)
{
	cleanup_strv struct strv lines = STRV_INIT;

	strv_split(&lines, text, '\n');
	for (size_t i = 0; i < lines.n; i++)
		add_line(ranges, lines.v[i]);
}

static bool is_taken(const struct user_ranges *taken, uint32_t first)
{
	for (size_t i = 0; i < taken->n; i++) {
		const struct user_range *t = &taken->v[i];

		if ((uint64_t)first + USER_RANGE_COUNT > t->first &&
		    (uint64_t)t->first + t->count > first)
			return true;
	}
	return false;
}

int user_range_choose(const struct uuid *uuid, const struct user_ranges *taken,
		      struct user_range *ret, struct error *err)
{
	uint32_t start = 0;

	/* Random, but for its version number: see RFC 4122. */
	for (int i = 0; i < 4; i++)
		start = start << 8 | uuid->b[i];
	for (uint32_t i = 0; i < N_RANGES; i++) {
		uint32_t page = (start % N_RANGES + i) % N_RANGES;
		uint32_t first = USER_RANGE_FIRST_MIN + page * USER_RANGE_COUNT;

		if (is_taken(taken, first))
			continue;
		*ret = (struct user_range){first, USER_RANGE_COUNT};
		return 0;
	}
	return error_set(err, ENOSPC,
			 "choose private users: each of the %u ranges of %u "
			 "from %u on is a pod's, or somebody's in /etc/subuid "
			 "or /etc/subgid",
			 N_RANGES, USER_RANGE_COUNT, USER_RANGE_FIRST_MIN);
}

/* --- what fits -------------------------------------------------------------
 */

static int too_big(const char *what, const char *id, struct error *err)
{
	return error_set(err, EINVAL,
			 "--private-users: %s %s is not below %u, and a user "
			 "namespace has no more",
			 what, id, USER_RANGE_COUNT);
}

static bool is_too_big(const char *id)
{
	uint32_t number;

	return id && parse_id(id, &number) == 0 && number >= USER_RANGE_COUNT;
}

int user_range_check_app(const struct app *app, struct error *err)
{
	if (is_too_big(app->user))
		return too_big("user", app->user, err);
	if (is_too_big(app->group))
		return too_big("group", app->group, err);
	for (size_t i = 0; i < app->n_supplementary_gids; i++) {
		char id[24];

		(void)snprintf(id, sizeof(id), "%lld",
			       (long long)app->supplementary_gids[i]);
		if (is_too_big(id))
			return too_big("supplementary group", id, err);
	}
	return 0;
}

static int check_volume(const struct volume *v, struct error *err)
{
	char id[16];
	mode_t mode;
	uid_t uid = 0;
	gid_t gid = 0;
	int r;

	if (v->kind != VOLUME_EMPTY)
		return 0;
	r = volume_check_usable(v, &mode, &uid, &gid, err);
	if (r < 0 || (uid < USER_RANGE_COUNT && gid < USER_RANGE_COUNT))
		return r;
	(void)snprintf(id, sizeof(id), "%u",
		       uid < USER_RANGE_COUNT ? gid : uid);
	r = too_big("owner", id, err);
	return error_prefix(err, r, "volume %s", v->name);
}

static int check_mount(const struct mount *m, struct error *err)
{
	if (m->propagation == PROPAGATION_SHARED)
		return error_set(err, EINVAL,
				 "mount at %s: --private-users: what is "
				 "mounted there stays in the pod (no "
				 "propagation=rshared)",
				 m->path);
	return m->has_app_volume ? check_volume(&m->app_volume, err) : 0;
}

int user_range_check_pod(const struct pod_manifest *pm, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < pm->n_volumes && r == 0; i++)
		r = check_volume(&pm->volumes[i], err);
	for (size_t i = 0; i < pm->n_apps && r == 0; i++) {
		const struct runtime_app *ra = &pm->apps[i];

		r = ra->has_app ? user_range_check_app(&ra->app, err) : 0;
		if (r < 0)
			return error_prefix(err, r, "app %s", ra->name);
		for (size_t k = 0; k < ra->n_mounts && r == 0; k++)
			r = check_mount(&ra->mounts[k], err);
	}
	return r;
}

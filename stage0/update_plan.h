/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_UPDATE_PLAN_H
#define STAGE0_UPDATE_PLAN_H

/*
 * What an update of one app would do, before anything is done: which image
 * follows which, what that changes for the app, by which tier it goes, and
 * what forbids it (DESIGN "Live update").  Everything here is pure.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/strv.h"
#include "spec/image_id.h"
#include "spec/runtime_app.h"
#include "spec/stage1_abi.h"

struct image_rows;
struct name_values;
struct pod_image;
struct pod_manifest;

/* Annotations of images. */
#define UPDATE_OVERLAP "rkt.io/update/overlap"

struct update_rules {
	bool allow_rename;    /* another image name */
	bool allow_downgrade; /* a lower version, or one that has no order */
};

struct update_facts {
	const struct pod_manifest *pod; /* as committed */
	const char *app;
	unsigned int from; /* the committed generation */
	unsigned int to;   /* one that ran before; 0 = a new one */
	const struct pod_image *old_image;
	const struct pod_image *new_image;
	const char *old_signer; /* fingerprint; NULL = unchecked, unknown */
	const char *new_signer;
	/* What the app would be with the new image, not yet satisfied by the
	 * pod's volumes; NULL when CANNOT says why that cannot be made. */
	const struct runtime_app *new_app;
	const char *cannot;
	const char *not_updatable; /* why the pod takes no update; NULL */
	bool has_all_caps;	   /* the pod's apps keep every capability */
	bool has_private_users;
	struct update_rules rules;
	enum update_strategy strategy; /* asked for; UPDATE_AUTO */
	unsigned int tiers; /* 1 << enum update_strategy: what stage1 can */
	/* The highest tier that what runs allows, as the pod's stage1 says,
	 * and why no higher one; UPDATE_AUTO = it was not asked. */
	enum update_strategy running_tier;
	const char *running_why;
};

struct plan_image {
	char *name;
	char *version; /* NULL = has none */
	struct image_id id;
	char *signer; /* NULL = unchecked, or not known any more */
};

/* One thing that will be another. */
struct plan_change {
	const char *what; /* "environment", "port", ...; static */
	char *name;	  /* which of them; NULL where there is one */
	char *from, *to;  /* NULL = is not there */
};

struct plan_tier {
	enum update_strategy tier;
	bool applies;
	char *reason;
};

#define PLAN_TIERS 4

struct update_plan {
	char *app;
	unsigned int from, to;
	struct plan_image old_image, new_image;
	struct plan_change *changes;
	size_t n_changes;
	/* Highest first. */
	struct plan_tier tiers[PLAN_TIERS];
	enum update_strategy tier; /* UPDATE_AUTO = none applies */
	struct strv refusals;	   /* none: it may go */
	bool is_same;		   /* the image runs already */
	struct runtime_app next;   /* what is to be staged */
};

#define UPDATE_PLAN_INIT                                                       \
	{                                                                      \
		.app = NULL                                                    \
	}

/* RET must be UPDATE_PLAN_INIT; release it in any case. */
void update_plan_make(const struct update_facts *facts,
		      struct update_plan *ret);
void update_plan_release(struct update_plan *plan);
#define cleanup_update_plan __attribute__((__cleanup__(update_plan_release)))

/* What is looked for in the store. */
struct update_wanted {
	const char *app;
	const char *history; /* of the pod */
	const char *id;	     /* of the image that runs */
	const char *name;
	const struct name_values *labels; /* of the image that runs: os, arch */
	const char *version;		  /* that runs; NULL = none */
	const char *to;			  /* this one; NULL = the highest */
	const struct strv *skip; /* NAME:VERSION: none of them; may be NULL */
	bool may_be_unsigned;
};

/*
 * Chooses among ROWS, newest import first as imagedb_list() gives them.  The
 * highest of those higher than what runs: by SemVer, then by what can be told
 * of the build (spec/semver.h), then by when it was imported; but none that the
 * app has gone back from.  Returns the index, -EALREADY if nothing is higher,
 * -ENOENT or -EPERM (unsigned, no order) with reason.
 */
int update_choose(const struct image_rows *rows,
		  const struct update_wanted *wanted, struct error *err);

#endif

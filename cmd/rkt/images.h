/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_IMAGES_H
#define CMD_RKT_IMAGES_H

/* What the commands that deal with images share: the stores, opened as the
 * global options say. */

#include "aci/config_load.h"
#include "aci/image_fetch.h"
#include "aci/imagestore.h"
#include "aci/keystore.h"
#include "aci/treestore.h"
#include "base/option.h"
#include "cmd/rkt/progress.h"

struct error;
struct rkt;

struct images {
	struct imagestore *store; /* owned */
	struct treestore trees;
	struct keystore keystore;
	struct config_dirs config_dirs;
	struct progress progress;     /* of the download under way */
	struct image_fetcher fetcher; /* policy PULL_NEW */
};

/* All but the store. */
void images_init(const struct rkt *rkt, struct images *im);
/* FLAGS: enum imagestore_flags. */
int images_open(const struct rkt *rkt, unsigned flags, struct images *ret,
		struct error *err);
void images_close(struct images *im);
#define cleanup_images __attribute__((__cleanup__(images_close)))

/*
 * images_open() to read only: a data directory without a store is an empty
 * one, im->store is NULL then.
 */
int images_open_existing(const struct rkt *rkt, struct images *ret,
			 struct error *err);

/* --sync, for structs with a `bool`: imagestore_finish(). */
#define SYNC_OPTION_ROW(type, field)                                           \
	{                                                                      \
		.name = "sync", .kind = OPTION_BOOL, .implied = "true",        \
		.offset = offsetof(type, field),                               \
		.help = "end only when all stored images are on the disk; "    \
			"otherwise large ones are written to it after the "    \
			"command has ended"                                    \
	}

/* --pull-policy and its old forms, for structs with a `struct pull_opts`. */
struct pull_opts {
	const char *policy; /* NULL: the command's default */
	bool store_only;
	bool no_store;
};
#define PULL_OPTION_ROWS(type, field, default_policy)                          \
	{.name = "pull-policy",                                                \
	 .kind = OPTION_STRING,                                                \
	 .shown = default_policy,                                              \
	 .values = "new|update|never",                                         \
	 .offset = offsetof(type, field.policy),                               \
	 .help = "when to pull an image: new (what is not stored), update "    \
		 "or never"},                                                  \
		{.name = "store-only",                                         \
		 .kind = OPTION_BOOL,                                          \
		 .implied = "true",                                            \
		 .flags = OPTION_DEPRECATED,                                   \
		 .help = "use --pull-policy=never instead",                    \
		 .offset = offsetof(type, field.store_only)},                  \
	{                                                                      \
		.name = "no-store", .kind = OPTION_BOOL, .implied = "true",    \
		.flags = OPTION_DEPRECATED,                                    \
		.help = "use --pull-policy=update instead",                    \
		.offset = offsetof(type, field.no_store)                       \
	}
int pull_opts_resolve(const struct pull_opts *opts,
		      enum pull_policy default_policy, enum pull_policy *ret,
		      struct error *err);

#endif

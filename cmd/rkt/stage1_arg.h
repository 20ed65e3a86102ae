/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_STAGE1_ARG_H
#define CMD_RKT_STAGE1_ARG_H

/* --stage1-url, -path, -name, -hash, -from-dir, and what they come to. */

#include "base/option.h"

struct error;
struct images;
struct pod_stage1;

enum stage1_arg_kind {
	STAGE1_ARG_URL,
	STAGE1_ARG_PATH,
	STAGE1_ARG_NAME,
	STAGE1_ARG_HASH,
	STAGE1_ARG_FROM_DIR,
};

struct stage1_opts {
	const char *flag; /* that was given; NULL: none */
	const char *value;
	enum stage1_arg_kind kind;
};

/* Of OPTION_CALL rows: one of them, once. */
int stage1_opt_parse(const struct option_row *row, void *target,
		     const char *value, struct error *err);

#define STAGE1_OPTION_ROW(row_name, row_tag, row_values, type, field,          \
			  row_help)                                            \
	{                                                                      \
		.name = (row_name), .kind = OPTION_CALL,                       \
		.parse = stage1_opt_parse, .tag = (row_tag),                   \
		.values = (row_values), .offset = offsetof(type, field),       \
		.help = (row_help)                                             \
	}

/* For structs with a `struct stage1_opts`. */
#define STAGE1_OPTION_ROWS(type, field)                                        \
	STAGE1_OPTION_ROW("stage1-url", STAGE1_ARG_URL, NULL, type, field,     \
			  "URL of an image to use as stage1"),                 \
		STAGE1_OPTION_ROW("stage1-path", STAGE1_ARG_PATH,              \
				  OPTION_VALUES_FILES, type, field,            \
				  "path of an image to use as stage1"),        \
		STAGE1_OPTION_ROW(                                             \
			"stage1-name", STAGE1_ARG_NAME,                        \
			"coreos.com/rkt/stage1-native|"                        \
			"coreos.com/rkt/stage1-fly",                           \
			type, field,                                           \
			"name of an image to use as stage1, or "               \
			"coreos.com/rkt/stage1-fly: no isolation but a root "  \
			"of its own"),                                         \
		STAGE1_OPTION_ROW("stage1-hash", STAGE1_ARG_HASH, NULL, type,  \
				  field,                                       \
				  "hash of a stored image to use as stage1"),  \
		STAGE1_OPTION_ROW("stage1-from-dir", STAGE1_ARG_FROM_DIR,      \
				  NULL, type, field,                           \
				  "file name of an image in the stage1 "       \
				  "images directory to use as stage1")

/*
 * The stage1 for a new pod: what the flag says, else what is configured, else
 * rkt's own.  An image is fetched if need be, and has a trusted signature, or
 * lies beside rkt's own programs.
 */
int stage1_choose(struct images *im, const struct stage1_opts *o,
		  struct pod_stage1 *ret, struct error *err);

#endif

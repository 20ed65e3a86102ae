/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_CONFIG_AUTO_UPDATE_H
#define SPEC_CONFIG_AUTO_UPDATE_H

/* What configuration says of rkt auto-update: the members of files of rktKind
 * "auto-update" (spec/config.h). */

#include <stdbool.h>
#include <stdint.h>

#include "base/strv.h"

struct json_node;
struct json_writer;

#define CONFIG_UNSAID (-1)

/* Of rkt auto-update. */
struct config_auto_update {
	bool has_windows;      /* none: at any time */
	struct strv windows;   /* spec/time_window.h */
	int64_t share;	       /* 1/100 of a percent; or CONFIG_UNSAID */
	int64_t tries;	       /* 1 to CONFIG_TRIES_MAX; or CONFIG_UNSAID */
	int64_t success_after; /* nanoseconds; or CONFIG_UNSAID */
	bool has_unsigned;
	struct strv unsigned_from; /* HOST[:PORT][/REPOSITORY] of registries */
};

#define CONFIG_TRIES_MAX 100

#define CONFIG_AUTO_UPDATE_INIT                                                \
	{                                                                      \
		.share = CONFIG_UNSAID, .tries = CONFIG_UNSAID,                \
		.success_after = CONFIG_UNSAID,                                \
	}

/* Problems are noted in FILE's document. */
void config_auto_update_read(const struct json_node *file,
			     struct config_auto_update *u);
/* Takes what MORE says over U; MORE is empty afterwards. */
void config_auto_update_override(struct config_auto_update *u,
				 struct config_auto_update *more);
bool config_auto_update_is_said(const struct config_auto_update *u);
/* The members, into the object that is open. */
void config_auto_update_write(const struct config_auto_update *u,
			      struct json_writer *w);

#endif

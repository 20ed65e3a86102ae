/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_APP_H
#define SPEC_APP_H

/* The "app" object of image and pod manifests: how to execute an image. */

#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"
#include "spec/isolator.h"
#include "spec/mount_point.h"
#include "spec/name_value.h"
#include "spec/port.h"

#define EVENT_PRE_START "pre-start"
#define EVENT_POST_STOP "post-stop"

struct event_handler {
	char *name; /* EVENT_PRE_START or EVENT_POST_STOP */
	struct strv exec;
};

struct app {
	struct strv exec; /* may be empty */
	char *user;	  /* name, number or /path; never empty */
	char *group;
	int64_t *supplementary_gids; /* as written: check before use */
	size_t n_supplementary_gids;
	struct event_handler *event_handlers;
	size_t n_event_handlers;
	char *working_directory; /* absolute; NULL = "/" */
	struct name_values environment;
	struct isolators isolators;
	struct mount_point *mount_points;
	size_t n_mount_points;
	struct port *ports;
	size_t n_ports;
	struct name_values user_annotations;
	struct name_values user_labels;
};

void app_release(struct app *app);
#define cleanup_app __attribute__((__cleanup__(app_release)))

/* A deep copy; RET is overwritten, not released. */
void app_copy(struct app *ret, const struct app *app);

int app_parse(const char *buf, size_t len, struct app *ret, struct error *err);
/* The handler NAME or NULL. */
const struct event_handler *app_event_handler(const struct app *app,
					      const char *name);

void app_read(const struct json_node *object, struct app *ret);
void app_write(const struct app *app, const char *key, struct json_writer *w);

#endif

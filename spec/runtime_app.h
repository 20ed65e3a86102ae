/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_RUNTIME_APP_H
#define SPEC_RUNTIME_APP_H

/* One element of a pod's "apps", alone as in generations/APP/N/app. */

#include <stdbool.h>
#include <stddef.h>

#include "spec/app.h"
#include "spec/json_write.h"
#include "spec/mount.h"
#include "spec/name_value.h"

struct error;
struct json_node;
struct strbuf;

struct runtime_image {
	char *name; /* AC Identifier; NULL = not given */
	char *id;   /* NULL = not given; image_id_parse() before use */
	struct name_values labels;
};

struct runtime_app {
	char *name; /* AC Name; NULL = not given */
	struct runtime_image image;
	bool has_app;
	struct app app; /* replaces the image's app as a whole */
	bool read_only_rootfs;
	struct mount *mounts;
	size_t n_mounts;
	struct name_values annotations;
};

#define RUNTIME_APP_INIT                                                       \
	{                                                                      \
		0                                                              \
	}

/* -EINVAL with line and column or JSON path; *RET is set only on success. */
int runtime_app_parse(const char *buf, size_t len, struct runtime_app *ret,
		      struct error *err);
void runtime_app_release(struct runtime_app *ra);
#define cleanup_runtime_app __attribute__((__cleanup__(runtime_app_release)))
void runtime_app_copy(struct runtime_app *ret, const struct runtime_app *ra);
void runtime_app_write(const struct runtime_app *ra, enum json_style style,
		       struct strbuf *out);

/* Writes what mounts ask for into annotations: MOUNT_ANNOTATION.  Once. */
void runtime_app_annotate_mounts(struct runtime_app *ra);

/* What rkt makes of readOnly: the volume's word counts more than the mount
 * point's, and the mount's makes what is writable read-only.  V is the volume
 * of M, which may be no element of RA. */
bool runtime_app_mounts_read_only(const struct runtime_app *ra,
				  const struct mount *m,
				  const struct volume *v);

/* As a part of the pod manifest. */
void runtime_app_read(const struct json_node *object, struct runtime_app *ret);
void runtime_app_add(const struct runtime_app *ra, struct json_writer *w);

#endif

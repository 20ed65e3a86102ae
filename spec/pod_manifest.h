/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_POD_MANIFEST_H
#define SPEC_POD_MANIFEST_H

/*
 * Pod Manifest (pods.md).  Parsing accepts templates, where names, image IDs
 * and mounts may still be missing; pod_manifest_check_runnable() accepts
 * what can be executed as it stands.
 */

#include <stdbool.h>
#include <stddef.h>

#include "spec/app.h"
#include "spec/isolator.h"
#include "spec/json_write.h"
#include "spec/mount.h"
#include "spec/name_value.h"
#include "spec/port.h"
#include "spec/volume.h"

struct error;
struct problems;
struct strbuf;

struct runtime_image {
	char *name; /* AC Identifier; NULL = not given */
	char *id;   /* NULL = not given; image_id_parse() before use */
	struct name_values labels;
};

/* One element of "apps". */
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

struct pod_manifest {
	char *ac_version; /* NULL = not given */
	struct runtime_app *apps;
	size_t n_apps;
	struct volume *volumes;
	size_t n_volumes;
	struct isolators isolators;
	struct name_values annotations;
	struct exposed_port *ports;
	size_t n_ports;
	struct name_values user_annotations;
	struct name_values user_labels;
};

#define POD_MANIFEST_INIT                                                      \
	{                                                                      \
		0                                                              \
	}
#define RUNTIME_APP_INIT                                                       \
	{                                                                      \
		0                                                              \
	}

/* -EINVAL with line and column or JSON path; *RET is set only on success. */
int pod_manifest_parse(const char *buf, size_t len, struct pod_manifest *ret,
		       struct error *err);
void pod_manifest_release(struct pod_manifest *pm);
#define cleanup_pod_manifest __attribute__((__cleanup__(pod_manifest_release)))

int pod_manifest_validate(const char *buf, size_t len,
			  struct problems *problems);

/*
 * Nothing missing that an executor needs: acVersion, at least one app and no
 * more than POD_APPS_MAX, app names, full image IDs, mount volumes that
 * exist and absolute paths, volumes and ports in range, no port name twice.
 */
int pod_manifest_check_runnable(const struct pod_manifest *pm,
				struct error *err);

void pod_manifest_write(const struct pod_manifest *pm, enum json_style style,
			struct strbuf *out);

/* Borrowed; NULL if there is none of that name. */
struct runtime_app *pod_manifest_find_app(const struct pod_manifest *pm,
					  const char *name);
const struct volume *pod_manifest_find_volume(const struct pod_manifest *pm,
					      const char *name);
/* A new zeroed element at the end, borrowed until the next one. */
struct runtime_app *pod_manifest_add_app(struct pod_manifest *pm);

/* One app alone, as in generations/APP/N/app. */
int runtime_app_parse(const char *buf, size_t len, struct runtime_app *ret,
		      struct error *err);
void runtime_app_release(struct runtime_app *ra);
#define cleanup_runtime_app __attribute__((__cleanup__(runtime_app_release)))
void runtime_app_copy(struct runtime_app *ret, const struct runtime_app *ra);
void runtime_app_write(const struct runtime_app *ra, enum json_style style,
		       struct strbuf *out);

#endif

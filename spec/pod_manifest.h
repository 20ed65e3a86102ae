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

#include "spec/isolator.h"
#include "spec/json_write.h"
#include "spec/name_value.h"
#include "spec/port.h"
#include "spec/runtime_app.h"
#include "spec/volume.h"

struct error;
struct problems;
struct strbuf;

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
/* -EINVAL with line and column or JSON path; *RET is set only on success. */
int pod_manifest_parse(const char *buf, size_t len, struct pod_manifest *ret,
		       struct error *err);
void pod_manifest_release(struct pod_manifest *pm);
#define cleanup_pod_manifest __attribute__((__cleanup__(pod_manifest_release)))

int pod_manifest_validate(const char *buf, size_t len,
			  struct problems *problems);

/*
 * Nothing missing that an executor needs: acVersion, at least one app (a
 * mutable pod may have none) and no more than POD_APPS_MAX, app names, full
 * image IDs, mount volumes that exist and absolute paths, volumes, ports and
 * quantities in range.
 */
int pod_manifest_check_runnable(const struct pod_manifest *pm,
				struct error *err);

/* The part of it that concerns an app object, of an image too. */
int app_check_runnable(const struct app *app, struct error *err);

void pod_manifest_write(const struct pod_manifest *pm, enum json_style style,
			struct strbuf *out);

/* Borrowed; NULL if there is none of that name. */
struct runtime_app *pod_manifest_find_app(const struct pod_manifest *pm,
					  const char *name);
const struct volume *pod_manifest_find_volume(const struct pod_manifest *pm,
					      const char *name);
/* Apps come and go while the pod runs: `rkt app`. */
#define MUTABLE_ANNOTATION "coreos.com/rkt/stage1/mutable"
bool pod_manifest_is_mutable(const struct pod_manifest *pm);
/* Without the app NAME, which it has. */
void pod_manifest_remove_app(struct pod_manifest *pm, const char *name);
/* New zeroed elements at the end, borrowed until the next one. */
struct runtime_app *pod_manifest_add_app(struct pod_manifest *pm);
struct volume *pod_manifest_add_volume(struct pod_manifest *pm);
struct exposed_port *pod_manifest_add_port(struct pod_manifest *pm);

#endif

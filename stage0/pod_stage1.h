/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_POD_STAGE1_H
#define STAGE0_POD_STAGE1_H

/*
 * Which stage1 a pod has: one of rkt's own, or a stored image.  Chosen when
 * the pod is made, and kept in it: whatever becomes of configuration and
 * store, the stage1 that knows the pod enters, stops and cleans it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "stage0/generation.h"

struct error;
struct pod_manifest;
struct strv;

/* One of rkt's own. */
struct stage1_flavour {
	const char *name;    /* "native" */
	const char *program; /* below libexec; entrypoints are words */
	bool one_app;	     /* it runs no pods of several */
};

extern const struct stage1_flavour stage1_native;

/* NULL if there is none of that name. */
const struct stage1_flavour *stage1_flavour_find(const char *name);
/* Appends "native, fly". */
void stage1_flavour_names(struct strbuf *out);

struct pod_stage1 {
	const struct stage1_flavour *flavour; /* NULL: the image's */
	struct pod_image image;
};

#define POD_STAGE1_INIT                                                        \
	{                                                                      \
		.flavour = &stage1_native, .image = POD_IMAGE_INIT             \
	}

void pod_stage1_release(struct pod_stage1 *s);
#define cleanup_pod_stage1 __attribute__((__cleanup__(pod_stage1_release)))

static inline bool pod_stage1_is_native(const struct pod_stage1 *s)
{
	return s->flavour == &stage1_native;
}

/* Appends NAME:VERSION. */
void pod_stage1_format(const struct pod_stage1 *s, struct strbuf *out);
bool pod_stage1_equal(const struct pod_stage1 *a, const struct pod_stage1 *b);

/* That of the pod; RET must be POD_STAGE1_INIT.  -EMEDIUMTYPE: CoreOS rkt left
 * the pod, whose tree store and so stage1 nobody has. */
int pod_stage1_load(int poddir_fd, struct pod_stage1 *ret, struct error *err);
/* Writes it into a pod that has none yet; nothing is synced. */
int pod_stage1_save(int poddir_fd, const struct pod_stage1 *s,
		    struct error *err);

/* -EOPNOTSUPP if it cannot do what it is asked for: so many apps, what
 * annotations of PM say of volumes, secrets and mounts, or to stay in the
 * background. */
int pod_stage1_check(const struct pod_stage1 *s, const struct pod_manifest *pm,
		     bool detach, struct error *err);
/* -EOPNOTSUPP if the pod's is not native, for what native alone can; 0 if that
 * cannot be found out. */
int pod_stage1_want_native(int poddir_fd, struct error *err);

/* Arguments of its `run`, of those native gets; warnings for those left out. */
int pod_stage1_run_args(const struct pod_stage1 *s, const struct strv *args,
			struct strv *ret, struct strv *warnings,
			struct error *err);

#endif

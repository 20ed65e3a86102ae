/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_FLY_APP_H
#define STAGE1_FLY_APP_H

/* The only app of the pod in the working directory, and what to do for it:
 * stage1's plan, with rkt's defaults for fly. */

#include <errno.h>
#include <sys/types.h>

#include "spec/image_manifest.h"
#include "spec/pod_manifest.h"
#include "stage1/plan.h"

struct error;

struct fly_app {
	struct pod_manifest manifest;
	struct image_manifest image;
	struct runtime_app app;
	struct app_plan plan;
	int generation; /* directory */
};

#define FLY_APP_INIT                                                           \
	{                                                                      \
		.manifest = POD_MANIFEST_INIT, .image = IMAGE_MANIFEST_INIT,   \
		.app = RUNTIME_APP_INIT, .plan = APP_PLAN_INIT,                \
		.generation = -EBADF                                           \
	}

/* Reads the committed generation. */
int fly_app_load(struct fly_app *ret, struct error *err);
void fly_app_release(struct fly_app *app);
#define cleanup_fly_app __attribute__((__cleanup__(fly_app_release)))

/* To be called in the app's root: user and group as the image says. */
int fly_app_find_ids(const struct fly_app *app, int root, uid_t *ret_uid,
		     gid_t *ret_gid, struct error *err);

/*
 * Executes ARGV in the root that this process has, with ENV and in the
 * directory DIR; returns only on failure.
 */
int fly_execute(int root, const char *dir, const struct strv *argv,
		const struct strv *env, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_UPDATE_H
#define STAGE0_UPDATE_H

/*
 * The host side of an update: the app as it will be, which generation is
 * which, and what of them stays on disk.  Whether it may be is decided in
 * update_plan.h; the transaction itself is stage1's.
 */

#include <stdbool.h>

#include "spec/image_id.h"
#include "spec/pod_manifest.h"

struct error;
struct image_manifest;
struct pod_image;
struct strv;

/*
 * What APP of the pod PM at PODDIR_FD would be with IMAGE: the words the pod
 * was started with, or, for a pod of a manifest, what that said with another
 * image.  For update_plan_make(), which satisfies its mount points.
 */
int update_make_app(int poddir_fd, const struct pod_manifest *pm,
		    const char *app, const struct pod_image *image,
		    struct runtime_app *ret, struct error *err);

/* True if the pod's stage1 was given OPTION. */
bool update_was_started_with(int poddir_fd, const char *option);

/*
 * The apps to update, into RET: NAMES, each once, or the only one when NAMES
 * is empty.  -ENOENT no such app, -EINVAL several apps and no name.
 */
int update_find_apps(int poddir_fd, const struct strv *names, struct strv *ret,
		     struct error *err);

/* The generation the committed one came after, for a rollback.  -ENOENT when
 * there was none or it is no longer kept. */
int update_find_previous(int poddir_fd, const char *app, unsigned int *ret,
			 struct error *err);

/* -ENOENT, with the reason, unless APP has a generation N. */
int update_find_generation(int poddir_fd, const char *app, unsigned int n,
			   struct error *err);

/* flock on pod.lck: one change at a time.  -EBUSY. */
int update_lock(int poddir_fd, struct error *err);
/* The same, after whoever holds it. */
int update_lock_wait(int poddir_fd, struct error *err);

/* A number APP has never had a generation of, not even one that failed. */
int update_next_number(int poddir_fd, const char *app, unsigned int *ret,
		       struct error *err);

/* "NAME:VERSION", malloc'ed. */
char *update_image_label(const struct image_manifest *image);
/* True if APP has gone back from IMAGE, a NAME:VERSION: spec/history.h. */
bool update_is_held(int poddir_fd, const char *app, const char *image);

/* Notes in the history of a pod that is not running that APP went from
 * generation FROM to TO. */
int update_note_change(int poddir_fd, const char *app, unsigned int from,
		       unsigned int to, struct error *err);
/* Has APP of a pod that is not running, and is locked, start as the generation
 * before next time; WHO did that, and why, goes to its history. */
int update_go_back(int poddir_fd, const char *app, const char *who,
		   const char *why, struct error *err);

/*
 * Removes generations of APP that never served and never will: what a killed
 * command staged.  No update of the pod may be under way.
 */
int update_remove_stale(int poddir_fd, const char *app, struct error *err);

/*
 * How many generations before the committed one the pod keeps for rollbacks;
 * stage1 removes the others when it commits an update.
 */
unsigned int update_keep(int poddir_fd);

/*
 * Removes the generations of APP that are neither the committed one nor among
 * those kept that came before it, each the one that the next came after; with
 * them goes what holds their images in the store.  For a pod that does not
 * run.
 */
int update_collect(int poddir_fd, const char *app, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_APP_ARGS_H
#define STAGE0_APP_ARGS_H

/*
 * What the user asks of one app: its flags behind the image name and the
 * arguments behind "--" (rkt-cli: app-argument grammar).  The words are kept
 * as they were typed, in the pod's args/APP, and applied again to the app of
 * a later image by the same table: an update keeps what the user asked for
 * and takes everything else from the new image.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/option.h"
#include "base/strv.h"
#include "spec/isolator.h"
#include "spec/mount.h"
#include "spec/name_value.h"
#include "spec/volume.h"

struct app;
struct error;
struct image_manifest;
struct runtime_app;

/* The words, understood.  NULL and unset mean: as the image says. */
struct app_options {
	const char *name;
	const char *exec;
	const char *working_dir;
	const char *user;
	const char *group;
	const char *signature; /* file, not part of the app */
	enum tristate read_only_rootfs;
	bool has_gids;
	int64_t *gids;
	size_t n_gids;
	struct mount *mounts;
	size_t n_mounts;
	struct name_values annotations;
	struct name_values user_annotations;
	struct name_values user_labels;
	struct name_values inherited_environment; /* below the image's */
	struct name_values pod_environment;	  /* above it */
	struct name_values environment;		  /* above all */
	struct isolators isolators;
	struct strv args;
	bool has_args;
};

#define APP_OPTIONS_INIT                                                       \
	{                                                                      \
		0                                                              \
	}

/* Rows of the per-app flags, offsets in struct app_options. */
extern const struct option_row app_option_rows[];

void app_options_release(struct app_options *o);
#define cleanup_app_options __attribute__((__cleanup__(app_options_release)))

/*
 * Reads the words of one app, once more: flags, then "--" and arguments.  RET
 * borrows strings of WORDS.  Release RET also on failure.
 */
int app_options_parse(const struct strv *words, struct app_options *ret,
		      struct error *err);
/* Rules between flags (--caps-retain with --caps-remove). */
int app_options_check(const struct app_options *o, struct error *err);

/*
 * The runtime app that WORDS make of IMAGE: pure.  Name, image name and
 * labels are set, image.id is the caller's; mounts are those asked for
 * (pod_app_reify() adds what the image's mount points need).  IMAGE may lack
 * an app if --exec is given.  RET is set on success only.
 */
int app_args_apply(const struct image_manifest *image, const struct strv *words,
		   struct runtime_app *ret, struct error *err);

/* args/APP: a JSON array of the words. */
int app_args_load(int poddir_fd, const char *app, struct strv *ret,
		  struct error *err);

#endif

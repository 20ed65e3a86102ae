/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_POD_MAKE_H
#define CMD_RKT_POD_MAKE_H

/* What run and prepare share: from their words to a filled pod directory. */

#include <stdbool.h>
#include <stddef.h>

#include "base/option.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/stage1_arg.h"
#include "spec/pod_manifest.h"
#include "stage0/pod_request.h"
#include "stage0/pod_stage1.h"

struct cmd_call;
struct error;
struct pod;
struct pod_image;
struct pods;

struct make_opts {
	struct pod_request req;
	struct pull_opts pull;
	struct stage1_opts stage1;
	const char *pod_manifest; /* file */
	const char *pod_file;	  /* spec/pod_file.h */
	struct strv file_words;	  /* what it says; flags point into it */
	const char *pod_name;
	bool replace;
	bool no_overlay;
	bool private_users;
};

/* Target struct make_opts; pod_request_rows are read besides. */
extern const struct option_row make_rows[];

/* Reads the words of CALL, and of --pod-file; SETS as pod_request_parse(). */
int make_parse(struct cmd_call *call, struct make_opts *o,
	       const struct option_set *sets, size_t n_sets, struct error *err);
void make_opts_release(struct make_opts *o);

/* Falls back to copies, with a notice, where overlays do not work. */
void make_choose_overlay(struct make_opts *o, const struct pods *pods);

/* Usage errors that need no file to be opened. */
int make_opts_check(const struct make_opts *o, struct error *err);

/* A pod, decided: manifest and images, one an app. */
struct made {
	struct pod_manifest manifest;
	struct pod_image *images;
	size_t n_images;
	struct strv *words; /* NULL: no command line */
	struct strv asked;  /* the images as they were asked for, one an app */
	struct pod_stage1 stage1; /* of a pod that is made of it */
};

#define MADE_INIT                                                              \
	{                                                                      \
		.manifest = POD_MANIFEST_INIT, .stage1 = POD_STAGE1_INIT       \
	}

void made_release(struct made *made);
#define cleanup_made __attribute__((__cleanup__(made_release)))

/* Finds or imports the images and makes the manifest; warnings are logged. */
int made_make(struct images *im, struct make_opts *o, struct made *ret,
	      struct error *err);

/* Makes the manifest of MADE's images anew; warnings are logged. */
int made_build_manifest(const struct pod_request *req, struct made *made,
			struct error *err);

/* Can the pod have users of its own, if it is to?  Before one is made. */
int make_check_users(const struct make_opts *o, const struct pods *pods,
		     const struct made *made, struct error *err);

/* Fills the new, locked pod. */
int made_prepare(struct images *im, const struct make_opts *o,
		 const struct made *made, struct pod *pod, struct error *err);

/* Removes a pod whose preparation failed; gc does what is left over. */
void make_undo(struct pod *pod);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_MANIFEST_PATCH_H
#define SPEC_MANIFEST_PATCH_H

/*
 * Edits of an image manifest in the words of the appc tool's
 * `patch-manifest`, one member a flag.
 */

#include <stdbool.h>

#include "base/strv.h"

struct error;
struct image_manifest;

/* NULL or empty: leave it as it is.  Borrowed. */
struct manifest_patch {
	const char *name; /* AC Identifier */
	const char *exec; /* words between blanks; makes an app if none is */
	const char *user;
	const char *group;
	const char *supplementary_groups; /* "10,20": all of them */
	const char *capability;		  /* "CAP_A,CAP_B": the retain set */
	const char *revoke_capability;	  /* the remove set */
	const char *mounts;		  /* "a,path=/x[:b,path=/y]", by name */
	const char *ports; /* "a,protocol=tcp,port=1[:b,...]", by name */
	const char
		*isolators; /* "resource/cpu,limit=1[:NAME,VALUE]", by name */
	const char *seccomp_mode; /* "retain|remove[,errno=E]" */
	const char *seccomp_set;  /* "call,@set" */
	struct strv environment;  /* "NAME=VALUE" each */
};

bool manifest_patch_is_empty(const struct manifest_patch *patch);

/*
 * Changes IM.  -EINVAL or -ERANGE with the flag's name.  What the parts make
 * together is checked by whoever reads the written manifest:
 * image_manifest_parse().
 */
int manifest_patch_apply(const struct manifest_patch *patch,
			 struct image_manifest *im, struct error *err);

#endif

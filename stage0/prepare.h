/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_PREPARE_H
#define STAGE0_PREPARE_H

/*
 * Fills a new pod's directory: manifest, arguments, generation 1 of every
 * app, empty volumes.  This is the start path of every `rkt run`: few system
 * calls, and nothing synced unless the pod has a name.
 */

#include <stdbool.h>
#include <stddef.h>

struct error;
struct pod;
struct pod_image;
struct pod_manifest;
struct pod_stage1;
struct strv;

struct pod_contents {
	const struct pod_manifest *manifest;
	const struct pod_image *images; /* one for each app, in its order */
	const struct strv *words;	/* the same; NULL: no command line */
	const struct strv *asked; /* one word an app: its image argument */
	const int *copied_trees;  /* the same, O_PATH; NULL: overlays */
	const char *name;	  /* --pod-name, or NULL */
	const struct pod_stage1 *stage1;
	bool private_users; /* give it a range of its own */
};

/* The pod must be in `prepare` and locked. */
int pod_prepare(struct pod *pod, const struct pod_contents *contents,
		struct error *err);

/* Writes PM as the pod's manifest, replacing the old one. */
int pod_manifest_save(int poddir_fd, const struct pod_manifest *pm, bool sync,
		      struct error *err);
/* Replaces args/APP. */
int app_args_save(int poddir_fd, const char *app, const struct strv *words,
		  bool sync, struct error *err);
/*
 * asked/APP: the IMAGE argument a named pod's app was last made or changed
 * by, and the id it meant.  _load gives both, or -ENOENT.
 */
int app_asked_save(int poddir_fd, const char *app, const char *image,
		   const char *id, struct error *err);
int app_asked_load(int poddir_fd, const char *app, struct strv *ret,
		   struct error *err);
/* As the file is: its apps may be those before an update whose stage1 was
 * killed between the commit and writing the file. */
int pod_manifest_load(int poddir_fd, struct pod_manifest *ret,
		      struct error *err);
/* With each app as its committed generation has it. */
int pod_manifest_load_committed(int poddir_fd, struct pod_manifest *ret,
				struct error *err);

/* Empty volumes of PM that do not exist yet. */
int pod_volumes_make(int poddir_fd, const struct pod_manifest *pm,
		     struct error *err);

#endif

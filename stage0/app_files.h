/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_APP_FILES_H
#define STAGE0_APP_FILES_H

/*
 * The files of an app that comes to a mutable pod or goes.  The manifest of
 * the pod, which stage1 writes, is what counts: all that is of an app it does
 * not have is what a killed command left.  The caller holds the pod's lock.
 */

struct error;
struct pod_image;
struct pod_manifest;
struct strv;

/* An app of PM, of IMAGE, as WORDS ask for it; TREE_FD (O_PATH) is copied
 * when >= 0. */
struct app_files {
	const struct pod_manifest *pm; /* with the app */
	const char *app;
	const struct pod_image *image;
	const struct strv *words;
	int tree_fd;
};

/* Writes all that CONTROL_APP_ADD is for; *RET_N is its generation. */
int app_files_write(int poddir_fd, const struct app_files *files,
		    unsigned int *ret_n, struct error *err);

/* Removes what is of APP, but for its volumes, which are the pod's. */
int app_files_remove(int poddir_fd, const char *app, struct error *err);

/* Removes what is of apps that PM, the pod's manifest, does not have. */
int app_files_sweep(int poddir_fd, const struct pod_manifest *pm,
		    struct error *err);

#endif

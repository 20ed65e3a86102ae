/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_APP_LOAD_H
#define STAGE1_APP_LOAD_H

/* What a generation's directory says of its app. */

struct error;
struct image_manifest;
struct runtime_app;

/*
 * Reads image manifest and app from the directory DIRFD; both are to be empty.
 * An app that says nothing of what to execute gets what the image says: -EINVAL
 * if that is nothing, too.
 */
int app_load(int dirfd, struct image_manifest *image, struct runtime_app *app,
	     struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_MOUNT_H
#define SPEC_MOUNT_H

/* mounts of an app in a pod: which volume satisfies which path. */

#include <stdbool.h>

#include "spec/volume.h"

struct mount {
	char *volume; /* AC Name; NULL = not given (pod templates) */
	char *path;   /* inside the app; NULL = not given */
	bool has_app_volume;
	struct volume app_volume; /* instead of the pod's volume */
};

/* The string form of rkt's --mount: volume=NAME,target=/PATH. */
int mount_parse(const char *s, struct mount *ret, struct error *err);
/*
 * The string form of rkt's --mnt-volume, a mount and its volume in one:
 * target=/PATH,name=NAME, and what else volume_parse() knows.
 */
int mount_volume_parse(const char *s, struct mount *ret, struct error *err);
void mount_release(struct mount *m);
#define cleanup_mount __attribute__((__cleanup__(mount_release)))
void mount_copy(struct mount *ret, const struct mount *m);

void mount_read(const struct json_node *object, struct mount *ret);
void mount_write(const struct mount *m, struct json_writer *w);

#endif

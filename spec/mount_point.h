/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_MOUNT_POINT_H
#define SPEC_MOUNT_POINT_H

/*
 * mountPoints of an app: where it wants a volume.  The string form is
 * NAME,path=/x[,readOnly=BOOL].
 */

#include <stdbool.h>
#include <stddef.h>

struct error;
struct json_node;
struct json_writer;
struct strbuf;

struct mount_point {
	char *name; /* AC Name; NULL = not given (pod templates) */
	char *path; /* NULL = not given */
	bool read_only;
};

int mount_point_parse(const char *s, struct mount_point *ret,
		      struct error *err);
void mount_point_release(struct mount_point *mp);
#define cleanup_mount_point __attribute__((__cleanup__(mount_point_release)))
void mount_point_copy(struct mount_point *ret, const struct mount_point *mp);

void mount_point_read(const struct json_node *object, struct mount_point *ret);
void mount_point_write(const struct mount_point *mp, struct json_writer *w);

#endif

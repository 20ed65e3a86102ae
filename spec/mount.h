/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_MOUNT_H
#define SPEC_MOUNT_H

/*
 * mounts of an app in a pod: which volume satisfies which path.
 *
 * appc has no field for subPath, readOnly and propagation of a mount: in a pod
 * manifest they are the value of an annotation of the app, MOUNT_ANNOTATION
 * and anything, together with the target, which says which mount is meant.
 */

#include <stdbool.h>

#include "spec/volume.h"

#define MOUNT_ANNOTATION "rkt.io/mount/"

/* Which mounts, made later below one of both places, the other one gets. */
enum mount_propagation {
	PROPAGATION_UNSET = 0,
	PROPAGATION_PRIVATE,
	PROPAGATION_SLAVE,  /* the app gets those of the host */
	PROPAGATION_SHARED, /* and the host those of the app */
};

struct mount {
	char *volume; /* AC Name; NULL = not given (pod templates) */
	char *path;   /* inside the app; NULL = not given */
	bool has_app_volume;
	struct volume app_volume; /* instead of the pod's volume */
	/* Of the volume; relative, cleaned, without ".."; NULL = all of it. */
	char *sub_path;
	/* True makes a volume read-only that is not. */
	enum tristate read_only;
	enum mount_propagation propagation;
};

/*
 * The string form of rkt's --mount: volume=NAME,target=/PATH; and, which rkt
 * did not have, [,subPath=DIR][,readOnly=BOOL][,propagation=P], where P is
 * private, rslave or rshared.
 */
int mount_parse(const char *s, struct mount *ret, struct error *err);
/*
 * The string form of rkt's --mnt-volume, a mount and its volume in one:
 * target=/PATH,name=NAME[,subPath=DIR][,propagation=P], and what else
 * volume_parse() knows.
 */
int mount_volume_parse(const char *s, struct mount *ret, struct error *err);
void mount_release(struct mount *m);
#define cleanup_mount __attribute__((__cleanup__(mount_release)))
void mount_copy(struct mount *ret, const struct mount *m);

/* M asks for more than appc knows. */
bool mount_has_options(const struct mount *m);
/* "target=/PATH,subPath=DIR,...": the annotation's value. */
void mount_format_options(const struct mount *m, struct strbuf *out);
/* Into a mount without volume; -EINVAL. */
int mount_parse_options(const char *s, struct mount *ret, struct error *err);
/* Moves them from FROM to M. */
void mount_take_options(struct mount *m, struct mount *from);
/* They fit the volume, V. */
int mount_check_options(const struct mount *m, const struct volume *v,
			struct error *err);

void mount_read(const struct json_node *object, struct mount *ret);
void mount_write(const struct mount *m, struct json_writer *w);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_VOLUME_H
#define SPEC_VOLUME_H

/*
 * Volumes of a pod.  The string form is
 *	NAME,kind=host,source=/p[,readOnly=B][,recursive=B]
 *	NAME,kind=empty[,readOnly=B][,mode=M][,uid=N][,gid=N]
 *		[,medium=memory][,size=QUANTITY]
 *
 * appc has no field for the last two: in a pod manifest they are the value of
 * the annotation VOLUME_ANNOTATION and the volume's name.
 */

#define VOLUME_ANNOTATION "rkt.io/volume/"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;
struct json_node;
struct json_writer;
struct strbuf;

enum tristate {
	TRISTATE_UNSET = 0,
	TRISTATE_FALSE,
	TRISTATE_TRUE,
};

static inline enum tristate tristate(bool b)
{
	return b ? TRISTATE_TRUE : TRISTATE_FALSE;
}

enum volume_kind {
	VOLUME_EMPTY = 1,
	VOLUME_HOST,
};

#define VOLUME_DEFAULT_MODE "0755"

struct volume {
	char *name; /* AC Name */
	enum volume_kind kind;
	char *source; /* host: absolute path; empty: NULL */
	/* Unset lets the mount point's flag stand, else this overrides it. */
	enum tristate read_only;
	enum tristate recursive; /* unset = recursive */
	/* kind empty only; text and ids unchecked, see volume_check_usable */
	char *mode; /* never NULL for kind empty */
	int64_t uid, gid;
	/* kind empty only: a file system in memory, which is new at each start
	 * of the pod. */
	bool in_memory;
	uint64_t size; /* bytes; 0: what the kernel gives; only in memory */
};

int volume_parse(const char *s, struct volume *ret, struct error *err);
void volume_release(struct volume *v);
#define cleanup_volume __attribute__((__cleanup__(volume_release)))
void volume_copy(struct volume *ret, const struct volume *v);
void volume_format(const struct volume *v, struct strbuf *out);

/* Kind and fields fit each other. */
int volume_check(const struct volume *v, struct error *err);
/* Also: mode is octal, ids fit; for kind empty they go to the non-NULL out. */
int volume_check_usable(const struct volume *v, mode_t *mode, uid_t *uid,
			gid_t *gid, struct error *err);

/* "medium=memory,size=BYTES": the annotation's value. */
int volume_parse_options(const char *s, struct volume *v, struct error *err);
void volume_format_options(const struct volume *v, struct strbuf *out);

void volume_read(const struct json_node *object, struct volume *ret);
void volume_write(const struct volume *v, const char *key,
		  struct json_writer *w);

#endif

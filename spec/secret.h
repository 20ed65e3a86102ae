/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_SECRET_H
#define SPEC_SECRET_H

/*
 * Secrets of a pod: files that its apps see and that lie in memory alone.
 * What they are made of is read at each start of the pod.  The string form is
 *	NAME[,source=/FILE|credential=ID][,target=/PATH][,mode=M][,uid=N][,gid=N]
 * and a pod manifest has, without the name, the value of the annotation
 * SECRET_ANNOTATION and the name.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;
struct name_value;
struct strbuf;

#define SECRET_ANNOTATION "rkt.io/secret/"
#define SECRET_SIZE_MAX (1024UL * 1024) /* systemd's for credentials */

struct secret {
	char *name; /* AC Name */
	/* One of them: a path of the host, relative as long as nobody made it
	 * absolute, or a file in $CREDENTIALS_DIRECTORY. */
	char *source;
	char *credential;
	char *target; /* absolute; default /run/secrets/NAME */
	mode_t mode;  /* default 0400 */
	uint32_t uid, gid;
};

int secret_parse(const char *s, struct secret *ret, struct error *err);
void secret_release(struct secret *s);
#define cleanup_secret __attribute__((__cleanup__(secret_release)))
/* Without the name. */
void secret_format(const struct secret *s, struct strbuf *out);

/* 1 if the annotation NV is a secret, 0 if it is something else. */
int secret_read_annotation(const struct name_value *nv, struct secret *ret,
			   struct error *err);

#endif

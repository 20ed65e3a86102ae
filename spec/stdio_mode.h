/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_STDIO_MODE_H
#define SPEC_STDIO_MODE_H

/*
 * What an app of a pod has as standard input, output and error, by annotations
 * of it in the pod manifest, which are rkt's: coreos.com/rkt/stage2/stdin,
 * .../stdout and .../stderr.  Pure.
 */

#include <stdbool.h>

struct error;
struct name_values;

#define STDIO_ANNOTATION_PREFIX "coreos.com/rkt/stage2/"

enum stdio_mode {
	STDIO_NULL,   /* nothing; of stdin the default */
	STDIO_LOG,    /* goes to the app's log; of the outputs the default */
	STDIO_STREAM, /* the same; can be attached to */
	STDIO_TTY,    /* the app's own terminal; can be attached to */
};

/* "stdin", "stdout" or "stderr". */
extern const char *const stdio_names[3];

/* TEXT as the mode of stdio_names[INDEX]. */
int stdio_mode_parse(int index, const char *text, enum stdio_mode *ret,
		     struct error *err);

/* -EINVAL names the annotation. */
int stdio_modes_make(const struct name_values *annotations,
		     enum stdio_mode ret[3], struct error *err);

bool stdio_has(const enum stdio_mode modes[3], enum stdio_mode mode);

#endif

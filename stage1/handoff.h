/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_HANDOFF_H
#define STAGE1_HANDOFF_H

/*
 * The record one stage1 leaves for the next (stage1/state.h): the pod, and
 * what is not the pod's.  What is said of it, too: the check of `stage1 adopt`
 * ends with a line HANDOFF_CAN VERSION if it went well.
 */

#include <stdint.h>

struct error;
struct json_node;
struct pod;
struct state_writer;
struct strbuf;

#define HANDOFF_CAN "can go on as "

struct handoff {
	unsigned int format;
	char *version;	  /* of who leaves */
	uint64_t left_ns; /* nobody supervises from then on */
	int asker;	  /* gets the answer */
};

/* The record of POD into OUT, and into W the descriptors it names. */
int handoff_make(const struct pod *pod, int asker, uint64_t left_ns,
		 struct strbuf *out, struct state_writer *w, struct error *err);

/* All but the pod; RET owns what it has.  -EINVAL: this stage1 does not know
 * records like ROOT. */
int handoff_read(const struct json_node *root, struct handoff *ret,
		 struct error *err);

#endif

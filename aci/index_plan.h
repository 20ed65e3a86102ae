/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_INDEX_PLAN_H
#define ACI_INDEX_PLAN_H

/*
 * What an index is to be made of: archives, and how they are laid over each
 * other.  As bytes, for rkt-fetch, which is told and need not guess:
 *
 *	plan  = n-layers n-passes layer... pass...	numbers are 32 bit
 *	layer = format SHA-512 size		size is 64 bit
 *	pass  = layer-number is-filtered n-paths *( path NUL )
 */

#include <stddef.h>
#include <stdint.h>

#include "aci/render.h"

struct error;
struct strbuf;

enum index_layer_format {
	INDEX_LAYER_ACI, /* manifest and rootfs/ */
	INDEX_LAYER_OCI, /* oci_layer.h */
};

struct index_layer {
	uint32_t format;    /* enum index_layer_format */
	uint8_t digest[64]; /* SHA-512 of the tar */
	uint64_t size;	    /* bytes of the tar */
};

struct index_plan {
	struct index_layer *layers; /* the devices of the index, in order */
	size_t n_layers;
	struct render_plan passes; /* `image` is the number of a layer */
};

#define INDEX_PLAN_INIT                                                        \
	{                                                                      \
		NULL, 0, RENDER_PLAN_INIT                                      \
	}

void index_plan_release(struct index_plan *plan);
#define cleanup_index_plan __attribute__((__cleanup__(index_plan_release)))

void index_plan_write(const struct index_plan *plan, struct strbuf *sb);
/* -EPROTO: not a plan. */
int index_plan_parse(const char *buf, size_t len, struct index_plan *ret,
		     struct error *err);

#endif

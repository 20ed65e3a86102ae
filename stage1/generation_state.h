/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_GENERATION_STATE_H
#define STAGE1_GENERATION_STATE_H

/*
 * A generation that runs, for another supervisor (stage1/state.h): its
 * manifests and its plan are read again, its processes go on.
 */

#include <stdbool.h>

struct error;
struct generation;
struct json_node;
struct pod_app;
struct state_writer;
struct strv;

/* Nothing of G is between two states that a record can tell.  ERR says what
 * it is that has to be over first: a moment, mostly. */
bool generation_is_settled(const struct generation *g, struct error *err);

void generation_save(const struct generation *g, struct state_writer *w,
		     const char *key);

/* Becomes APP's current one; DIRS are the pod's control groups. */
int generation_restore(const struct json_node *node, struct pod_app *app,
		       const struct strv *dirs, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_POD_STATE_H
#define STAGE1_POD_STATE_H

/*
 * A pod that runs, as a record for another supervisor (stage1/state.h): what is
 * in the pod's directory is read again, the rest is in the record.
 */

#include <stdbool.h>

struct error;
struct json_node;
struct pod;
struct state_writer;

/*
 * Everything is in a state that a record can tell.  Else ERR says what is not:
 * -EBUSY what a moment ends, any other code what is not over so soon.
 */
bool pod_is_settled(const struct pod *pod, struct error *err);

/* What cannot be gone on with by another one begins anew, here or there. */
void pod_rewind(struct pod *pod);

/* Into the open object. */
void pod_save(const struct pod *pod, struct state_writer *w);

/*
 * POD is empty.  Everything is watched and armed then, so the next thing is
 * its event loop; nothing outside of this process has changed.
 */
int pod_restore(const struct json_node *node, struct pod *pod,
		struct error *err);

#endif

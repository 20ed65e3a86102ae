/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_CONTROL_H
#define STAGE1_CONTROL_H

/*
 * The pod's control socket: requests of later rkt commands (records of
 * spec/stage1_abi.h), answered only to uid 0.
 */

#include <stdbool.h>

struct error;
struct json_node;
struct pod;
struct state_writer;

int control_open(struct pod *pod, struct error *err);
void control_close(struct pod *pod);

/* --- for another supervisor (stage1/state.h) --------------------------------
 */

/* No request is half read. */
bool control_is_settled(const struct pod *pod);
void control_save(const struct pod *pod, struct state_writer *w,
		  const char *key);
int control_restore(struct pod *pod, const struct json_node *node,
		    struct error *err);

#endif

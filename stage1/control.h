/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_CONTROL_H
#define STAGE1_CONTROL_H

/*
 * The pod's control socket: requests of later rkt commands (records of
 * spec/stage1_abi.h), answered only to uid 0.
 */

struct error;
struct pod;

int control_open(struct pod *pod, struct error *err);
void control_close(struct pod *pod);

#endif

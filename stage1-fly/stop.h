/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_FLY_STOP_H
#define STAGE1_FLY_STOP_H

/*
 * `stage1-fly stop [--force] UUID`: SIGTERM or SIGKILL to the app's process;
 * when that has ended and others hold the pod still, to its process group.
 */
int fly_stop_main(int argc, char *const argv[]);

#endif

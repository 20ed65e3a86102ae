/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_FLY_PROCESS_H
#define STAGE1_FLY_PROCESS_H

/* The process of the pod in the working directory, for who comes later. */

#include <sys/types.h>

struct error;

/*
 * A pidfd of the app's process, of the file `pid`, which a pod that is just
 * starting gets soon.  A process whose number it has now but which has not the
 * pod's directory open is another's: -ESRCH.
 */
int fly_process_open(pid_t *ret_pid, struct error *err);

/* The process group of the app, if it is its own: no caller of rkt is in it.
 * -ESRCH if not. */
int fly_process_group(pid_t *ret, struct error *err);

#endif

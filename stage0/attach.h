/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_ATTACH_H
#define STAGE0_ATTACH_H

/*
 * `rkt attach` between the caller's standard input, output and error and an app
 * of a running pod, over the pod's control socket.
 */

#include <stdbool.h>
#include <stdint.h>

struct error;

struct attach_result {
	bool is_detached; /* by ^]^]^]; the app goes on */
	int signal;	  /* that ended it, or 0 */
	int exit_code;	  /* of the app, if neither */
};

/*
 * What the app APP of the pod behind CONN can be attached to, as
 * CONTROL_ATTACH_* flags, with WANTS 0; with some of them, attaches to these.
 */
int attach_ask(int conn, const char *app, uint32_t wants, uint32_t *ret,
	       struct error *err);

/* Runs the attached CONN until the app or the caller ends it.  With
 * CONTROL_ATTACH_TTY_IN a terminal at standard input is in raw mode meanwhile.
 * Signals are as before then. */
int attach_run(int conn, uint32_t wants, struct attach_result *ret,
	       struct error *err);

#endif

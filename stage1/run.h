/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_RUN_H
#define STAGE1_RUN_H

struct error;
struct pod;

/* `stage1 run`: builds the pod, supervises it, takes it down. */
int run_main(int argc, char *const argv[]);

/* --- for stage1/adopt.c ----------------------------------------------------
 */

/* What every supervisor is: nobody can read it, no signal disturbs it. */
int run_harden(struct error *err);
/* Takes the pod down, in whatever state it is; R, with ERR, is how it went.
 * Returns stage1's exit code. */
int run_end(struct pod *pod, int r, const struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_RUN_H
#define STAGE1_RUN_H

/* `stage1 run`: builds and supervises one pod; returns its exit code. */
int run_main(int argc, char *const argv[]);

#endif

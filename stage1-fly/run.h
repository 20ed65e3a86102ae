/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_FLY_RUN_H
#define STAGE1_FLY_RUN_H

/*
 * `stage1-fly run [OPTION...] UUID`: becomes the app, in the namespaces of the
 * host but for the mount namespace, where the app's root is all there is.
 * Nobody supervises: the pod's lock is the app's, and so is the exit code.
 */
int fly_run_main(int argc, char *const argv[]);

#endif

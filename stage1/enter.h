/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_ENTER_H
#define STAGE1_ENTER_H

/*
 * `stage1 enter --pid=N --appname=APP -- CMD [ARGS]`, in the directory of a
 * running pod: CMD as root inside APP, within everything that holds the app:
 * its root, cgroup, capabilities, filter and device policy (CVE-2019-10144,
 * -10145, -10147).  The caller's terminal is not handed in: the command gets
 * one of the pod's own.  Exits with the command's code.
 */
int enter_main(int argc, char *const argv[]);

#endif

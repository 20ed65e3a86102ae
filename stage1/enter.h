/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_ENTER_H
#define STAGE1_ENTER_H

/*
 * `stage1 enter --pid=N --appname=APP [OPTION...] -- CMD [ARGS]`, in the
 * directory of a running pod: CMD inside APP, within everything that holds the
 * app: its root, cgroup, resource limits, capabilities, filter and device
 * policy (CVE-2019-10144, -10145, -10147).  It runs as root at "/" (`rkt
 * enter`), or with
 * --as-app as the app's user where the app does (`rkt exec`); --user, --group,
 * --working-dir and --set-env then say otherwise.  The caller's terminal is not
 * handed in: the command gets one of the pod's own, if standard input is one or
 * --tty=always|never says so.  Exits with the command's code.
 */
int enter_main(int argc, char *const argv[]);

#endif

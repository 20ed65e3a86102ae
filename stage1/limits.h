/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_LIMITS_H
#define STAGE1_LIMITS_H

/*
 * Resource limits (setrlimit(2)) of another process.  prlimit(2) gives them to
 * its own user and to CAP_SYS_RESOURCE, which root of a container may lack;
 * /proc/PID/limits is for all.
 */

#include <sys/resource.h>
#include <sys/types.h>

struct error;

/* All RLIM_NLIMITS, by number. */
int limits_read(pid_t pid, struct rlimit *ret, struct error *err);

/* TEXT is that of /proc/PID/limits: a head line, then one for each in order
 * (Linux, fs/proc/base.c).  -EINVAL if it is not. */
int limits_parse(const char *text, struct rlimit *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_SECCOMP_COMPILE_H
#define STAGE1_SECCOMP_COMPILE_H

/*
 * From a plan to one BPF program.  Two parts:
 *
 *   head   per architecture a binary search over ranges of numbers with the
 *          same answer; i386 socketcall(2) and ipc(2) are decided by their
 *          sub-call
 *   tail   what depends on arguments: libseccomp's program for those rules
 *
 * libseccomp could do all of it, but its programs (850 instructions for the
 * default profile on two architectures, a comparison and a RET a call) take
 * the kernel 300 us to install, 780 without its binary tree, on the path of
 * every app start; these 260 take half of that.  Names and numbers of every
 * architecture are libseccomp's in both parts.
 *
 * Calls of an architecture that is not native (or i386 on x86-64), and x32
 * calls, answer ENOSYS.
 */

#include <linux/filter.h>

struct error;
struct seccomp_plan;

/* ret->filter is malloc'ed; len 0 = everything is allowed. */
int seccomp_compile(const struct seccomp_plan *plan, struct sock_fprog *ret,
		    struct error *err);

#endif

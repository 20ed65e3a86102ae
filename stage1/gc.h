/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_GC_H
#define STAGE1_GC_H

/*
 * `stage1 gc UUID`, in the directory of a pod that is over: takes back what
 * a killed stage1 left in the kernel (cgroups, networks), from the pod's
 * files alone.  Running it twice is harmless.
 */
struct error;
struct strv;

/* Lines of the pod file `cgroup`; -ENOENT if there is none. */
int cgroup_file_read(int pod_dirfd, struct strv *ret, struct error *err);

int gc_main(int argc, char *const argv[]);

#endif

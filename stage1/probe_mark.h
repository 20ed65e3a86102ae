/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_PROBE_MARK_H
#define STAGE1_PROBE_MARK_H

/*
 * A mark (SO_MARK) on every IP socket that is made in a control group: for
 * programs that cannot be told to set it themselves
 * (BPF_CGROUP_INET_SOCK_CREATE, Linux 4.10).
 */

#include <stdint.h>

struct cgroup_leaf;
struct error;

/* Until the group is removed.  -ENOTSUP without a unified group. */
int probe_mark_sockets(const struct cgroup_leaf *leaf, uint32_t mark,
		       struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_MASQUERADE_H
#define STAGE1_MASQUERADE_H

/*
 * Masquerading for the built-in `default` network: one nf_tables table a pod
 * (raw nfnetlink, Linux 3.13; beside iptables since 4.18).  What the plugin
 * does for "ipMasq" in eight runs of iptables, some 80 ms to and fro, is one
 * transaction here, and the pod's UUID alone is enough to undo it.
 */

#include <stdbool.h>
#include <stdint.h>

struct error;

/* True if the kernel has nf_tables and we may use it. */
bool masquerade_available(void);

/*
 * Traffic from SUBNET/BITS (host byte order) to elsewhere leaves with the
 * host's address.  The table is "rkt-UUID"; one that is there is replaced.
 * Takes some 8 ms of waiting (an RCU grace period), little work.
 */
int masquerade_add(const char *uuid, uint32_t subnet, unsigned int bits,
		   struct error *err);

/* Removes the pod's table; none is success. */
int masquerade_remove(const char *uuid, struct error *err);

#endif

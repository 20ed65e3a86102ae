/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_MASQUERADE_H
#define STAGE1_MASQUERADE_H

/*
 * What is done with nf_tables beside the plugins.
 *
 * Masquerading for the built-in `default` network: one nf_tables table a pod
 * (raw nfnetlink, Linux 3.13; beside iptables since 4.18).  What the plugin
 * does for "ipMasq" in eight runs of iptables, some 80 ms to and fro, is one
 * transaction here, and the pod's UUID alone is enough to undo it.
 *
 * Of a pod with an IPv6 address, the plugin portmap translates the destination
 * ::1, too, and the kernel drops what leaves a host with that source.  A table
 * of IPv6, of the same name, keeps such connections where they are: at
 * host_ports.h.
 */

#include <stdbool.h>
#include <stddef.h>
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

struct loopback_port {
	bool udp;
	uint16_t port;
};

/* What goes to these PORTS of ::1 is not translated.  -errno. */
int loopback_spare_add(const char *uuid, const struct loopback_port *ports,
		       size_t n, struct error *err);
/* Removes that table; none is success. */
int loopback_spare_remove(const char *uuid, struct error *err);

#endif

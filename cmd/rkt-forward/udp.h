/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_FORWARD_UDP_H
#define CMD_RKT_FORWARD_UDP_H

/*
 * Datagrams.  Each client has a socket that is connected to the pod's port, so
 * that what comes back is known to be for it.  It goes when neither has sent
 * for UDP_IDLE_MS, or when it is the longest silent one of MAX and another
 * client comes.  What cannot be sent at once is lost, as datagrams are.
 */

#include <stddef.h>
#include <stdint.h>

#include "cmd/rkt-forward/target.h"

#define UDP_IDLE_MS 120000 /* nf_conntrack_udp_timeout_stream */

struct udp;

/* TARGETS are borrowed, those that are TCP passed over. */
struct udp *udp_new(int epfd, const struct target *targets, size_t n,
		    size_t max);
size_t udp_n_clients(const struct udp *u);
/* How many of MS milliseconds may be slept; what was due is done. */
int udp_timeout(struct udp *u, int ms);

#endif

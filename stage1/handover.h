/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_HANDOVER_H
#define STAGE1_HANDOVER_H

/*
 * Listening sockets of two generations of an app that run at once (DESIGN
 * "Live update", tier handover).
 *
 * The new generation's sockets join the groups of the old one's as it binds
 * them (SO_REUSEPORT, set from outside by stage1/listeners.c).  A program on
 * each group (stage1/steer.h) is there before the new one listens, and says
 * who gets a connection: the old one, but for those with our mark; then a
 * share for the new one; then the new one alone.  Going forward and going
 * back is one setsockopt a group.
 *
 * Duplicates of all these sockets are kept, so who of them has which number in
 * the program changes only as we say (stage1/reuse_group.h).
 *
 * Where the old socket is not shareable (the host's network, where nothing is
 * shared outside of updates) it is made so for that time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct bind_call;
struct error;
struct generation;
struct handover;

/*
 * A program of the app's own that chooses among its sockets
 * (SO_ATTACH_REUSEPORT_CBPF and _EBPF) has no place beside ours, and cannot be
 * read to be put back: true, with WHY, if the old one had one when
 * handover_new() put ours in its place.  What the new one attaches is replaced
 * within TEND_MS.
 */
bool handover_has_replaced(const struct handover *h, struct error *why);

/*
 * Makes what OLD listens on, and listeners_hold() has just found, ready to be
 * shared with its successor.  -EOPNOTSUPP when it cannot be handed over: ERR
 * says why, and nothing has changed.  Nothing is held in either case.
 */
int handover_new(struct generation *old, struct handover **ret,
		 struct error *err);

/* Whether what OLD listens on, and listeners_hold() has just found, can be
 * handed over: 0, or -EOPNOTSUPP with the reason. */
int handover_check(const struct generation *old, struct error *err);

/*
 * Closes all duplicates; SURVIVOR gets all connections, NULL if it has died,
 * too.  What waits in the other one's sockets migrates
 * (net.ipv4.tcp_migrate_req).
 */
void handover_free(struct handover *h, const struct generation *survivor);
/* The same, but SURVIVOR has died a moment ago: TAKE(DATA, FD) gets what it
 * listened on, each FD its own now, so that nobody is refused. */
void handover_leave(struct handover *h, const struct generation *survivor,
		    void (*take)(void *data, int fd), void *data);

/* NEXT is the new generation; before it is released from its barrier. */
void handover_begin(struct handover *h, const struct generation *next);

/*
 * G binds CALL, a TCP socket with a port.  True if it is the new generation at
 * an address that concerns the old one, or one more of that: then *RET_ERROR is
 * the answer, 0 = let it go on in the kernel.  Takes call->fd if it keeps it.
 */
bool handover_bind(struct handover *h, const struct generation *g,
		   struct bind_call *call, int *ret_error);

/*
 * Looks what listens by now.  1 if the new generation does wherever the old
 * one did; -EADDRNOTAVAIL if it tried an address that cannot be shared with
 * the old one's.
 */
int handover_look(struct handover *h, struct error *err);

/*
 * Sockets that their processes closed, or ended with, get nothing any more,
 * and who waits in them is let go to others; handover_look() does that, too.
 */
int handover_tend(struct handover *h, struct error *err);

/* The new one is well: it may be given what waited in the old one's. */
void handover_verified(struct handover *h);

/* How many sockets of the new one listen. */
size_t handover_listening(const struct handover *h);

/* SHARE of STEER_ALL of new connections to the new generation; *ret_us is how
 * long that took. */
int handover_steer(struct handover *h, unsigned int share, uint64_t *ret_us,
		   struct error *err);

/* Of connections that reach the new generation. */
const struct steer_sign *handover_sign(const struct handover *h);

/* Where both listen, up to MAX; returns how many. */
size_t handover_addresses(const struct handover *h,
			  struct sockaddr_storage *addresses, size_t max);

/* The same as ports, each once. */
size_t handover_ports(const struct handover *h, uint16_t *ports, size_t max);

/* How many wait in G's sockets to be accepted. */
size_t handover_waiting(const struct handover *h, const struct generation *g);

/* G still has clients of those that came in at our ports: in its processes,
 * or waiting to be accepted. */
bool handover_has_clients(const struct handover *h, const struct generation *g);

#endif

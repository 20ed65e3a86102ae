/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_LISTENERS_H
#define STAGE1_LISTENERS_H

/*
 * Listening sockets across generations (DESIGN "Live update").
 *
 * Every bind(2) of an app is answered here (seccomp_unotify(2)).  From the
 * first generation on a TCP socket gets SO_REUSEPORT from outside before its
 * bind, so that a later generation's can join its group; except where the
 * address is in use already, because EADDRINUSE must stay true.  UDP and
 * port 0 are left alone.
 *
 * While an app restarts, stage1 holds duplicates of its listening sockets:
 * connections queue instead of being refused.  At the new generation's bind
 * its socket joins the held one's group and, once it listens, the held one
 * is closed and its queue migrates (net.ipv4.tcp_migrate_req, Linux 5.14).
 * Where joining is not possible (unix sockets, the host's network, a socket
 * without SO_REUSEPORT) the held socket itself is put in the place of the
 * new one (SECCOMP_IOCTL_NOTIF_ADDFD, Linux 5.9).
 *
 * A held socket must never be a black hole: held_drop() closes all that
 * is held (stage1/held.h) when the update is over, however it ended.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct event_source;
struct generation;

/* --- deciding (pure) -------------------------------------------------------
 */

enum bind_action {
	BIND_CONTINUE,	 /* none of our business */
	BIND_REUSEPORT,	 /* set SO_REUSEPORT, then let it go on */
	BIND_JOIN,	 /* the same, and it takes over from a held socket */
	BIND_BESIDE,	 /* the same, beside held sockets of other forms */
	BIND_SUBSTITUTE, /* it gets the held socket itself */
	BIND_IN_USE,	 /* EADDRINUSE */
};

struct bind_facts {
	bool is_tcp;	     /* IPv4 or IPv6 */
	bool has_port;	     /* not 0 */
	bool host_net;	     /* the pod shares the host's network */
	bool is_held;	     /* a held socket has this very address */
	bool held_reuseport; /* and SO_REUSEPORT */
	bool has_reuseport;  /* the app asked for it itself */
	bool in_use;	     /* bind without SO_REUSEPORT would fail */
	bool made_reuseport; /* by us, on a socket of that address */
	/* It meets clients of held sockets nobody took over yet, or of other
	 * sockets of its generation there. */
	bool overlaps_held, overlaps_own;
};

enum bind_action bind_decide(const struct bind_facts *facts);

/* --- doing -----------------------------------------------------------------
 */

/* A generation's seccomp listener is readable: source->data is it. */
void listeners_on_notify(struct event_source *source, uint32_t events);

/* FD, which is its now, is held for G: what a stage1 that was killed left, or G
 * itself in an update. */
void listeners_adopt(struct generation *g, int fd);

/* G, held at its barrier, has its root: of what was adopted, unix sockets whose
 * files are not there are let go. */
void listeners_find_adopted(struct generation *g);

/* Duplicates what G listens on into its app's list; the count or -errno. */
int listeners_hold(struct generation *g, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_HOST_PORTS_H
#define STAGE1_HOST_PORTS_H

/*
 * The ports of the host that are forwarded to a pod.  The plugin portmap makes
 * rules, which neither know of each other nor of programs that listen: so
 * stage1 has each port bound from before the network is set up until it is
 * undone, and the kernel refuses it to all others.
 *
 * The address ::1 cannot be translated.  There stage1 listens, and starts
 * libexec/rkt/rkt-forward when a client comes, which carries the bytes and
 * ends when there are none for a while.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "stage1/event.h"

struct error;
struct host_sockets;
struct json_node;
struct network_port;
struct state_writer;

struct host_port {
	int fd;
	bool forwards; /* a listener on ::1 */
	bool udp;
	uint16_t pod_port, host_port;
	struct event_source source; /* of one that forwards */
};

struct host_ports {
	struct host_port *v;
	size_t n;
	char *program; /* rkt-forward; NULL: ::1 is not forwarded */
	char *address; /* of the pod, once it has one */
	int pidfd;     /* of a running rkt-forward, or -EBADF */
	struct event_loop *loop;
	struct event_source process;
	struct event_timer pause;
};

#define HOST_PORTS_INIT                                                        \
	{                                                                      \
		.pidfd = -EBADF                                                \
	}

/* From the environment; before what clears it (machine.h). */
void host_ports_take(struct host_ports *h);
void host_ports_release(struct host_ports *h);

struct host_address {
	struct sockaddr_storage addr;
	socklen_t len;
	bool forwards;
};

/*
 * Where PORT is taken, in that order: pure.  One without an address is so on
 * all addresses of both kinds.  How many; 0: no such protocol or address.
 */
#define HOST_ADDRESSES_MAX 3
size_t host_addresses_make(const struct network_port *port,
			   struct host_address ret[HOST_ADDRESSES_MAX]);

/*
 * Takes all PORTS or none.  -EADDRINUSE, with a message that names it, if one
 * belongs to another pod or a program; what a killed pod has left of rules for
 * them is undone.  Those the service manager has opened for this pod (GIVEN)
 * are its own.
 */
int host_ports_claim(struct host_ports *h, const char *uuid,
		     const struct network_port *ports, size_t n,
		     const struct host_sockets *given, struct error *err);

/* The pod is at ADDRESS (NULL: nowhere): clients of ::1 are served. */
void host_ports_forward(struct host_ports *h, struct event_loop *loop,
			const char *address);
/* Of a pod that has an address of IPv6: plugins leave ::1 alone
 * (masquerade.h); undone with the network. */
int host_ports_spare(const struct host_ports *h, const char *uuid,
		     struct error *err);
/* Clients of ::1 are not served any more; the ports stay taken. */
void host_ports_stop(struct host_ports *h);

/* For another supervisor: stage1/state.h. */
void host_ports_save(const struct host_ports *h, struct state_writer *w,
		     const char *key);
int host_ports_restore(const struct json_node *node, struct host_ports *h,
		       struct event_loop *loop);

#endif

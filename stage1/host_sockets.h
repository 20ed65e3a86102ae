/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_HOST_SOCKETS_H
#define STAGE1_HOST_SOCKETS_H

/*
 * Sockets that whoever started rkt gave to it (sd_listen_fds(3)), as systemd
 * does for a unit with a .socket: they become the socketActivated ports of the
 * pod's apps, in whatever network namespace those are.  A socket is a port's if
 * it has the port's name (FileDescriptorName=), or else the port's number.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_node;
struct state_writer;
struct host_store;

struct host_socket {
	char *name; /* "" = has none */
	bool udp;
	uint16_t port; /* where it is bound; 0 = nowhere in particular */
	int fd;	       /* -EBADF: an app has it */
};

struct host_sockets {
	struct host_socket *v;
	size_t n;
};

/* Takes what is for this process out of the environment and makes it close on
 * exec.  What STORE has given away comes back to it; what is neither TCP nor
 * UDP is left alone. */
void host_sockets_take(struct host_sockets *ret, struct host_store *store);
void host_sockets_release(struct host_sockets *h);

/* One more, which is H's now. */
void host_sockets_add(struct host_sockets *h, int fd, const char *name);

/* The one for this port, which is the caller's now; -ENOENT. */
int host_sockets_get(struct host_sockets *h, const char *name, bool udp,
		     uint16_t port);

/* Is one bound to this port, given to an app or not?  Pure. */
bool host_sockets_has(const struct host_sockets *h, bool udp, uint16_t port);

/* For another supervisor (stage1/state.h): those no app has. */
void host_sockets_save(const struct host_sockets *h, struct state_writer *w,
		       const char *key);
int host_sockets_restore(const struct json_node *list,
			 struct host_sockets *ret);

#endif

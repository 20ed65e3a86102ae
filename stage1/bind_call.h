/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_BIND_CALL_H
#define STAGE1_BIND_CALL_H

/* A bind(2) call of an app as its seccomp notification shows it. */

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct seccomp_notif;

struct bind_call {
	uint64_t id; /* of the notification */
	int number;  /* of the socket in the app */
	int fd;	     /* our duplicate of it */
	bool cloexec;
	int domain, type, protocol;
	bool v6only; /* of IPv6 */
	struct sockaddr_storage addr;
	socklen_t addrlen;
	uint16_t port; /* host order; 0 when there is none */
};

#define BIND_CALL_INIT                                                         \
	{                                                                      \
		.fd = -EBADF                                                   \
	}

/*
 * Reads the call behind NOTIF from LISTENER.  The notification names a
 * thread in our numbers, and its memory may change under us: what is read
 * here may decide how the kernel is helped, never what is allowed.  -errno
 * when the call cannot be understood: let it go on.
 */
int bind_call_read(int listener, const struct seccomp_notif *notif,
		   struct bind_call *ret);
void bind_call_release(struct bind_call *call);

#endif

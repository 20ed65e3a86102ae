/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LISTEN_H
#define BASE_LISTEN_H

/* Sockets that listen: opened, or taken from the service manager.  All are
 * non-blocking and close-on-exec. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct error;

#define LISTEN_GIVEN_MAX 16

/* What the service manager has opened (sd_listen_fds(3)), into RET; how many,
 * 0 if it is none. */
int listen_given(int ret[LISTEN_GIVEN_MAX], struct error *err);
/* The descriptor; -errno. */
int listen_at(const struct sockaddr *addr, socklen_t len, bool only_v6);
/* At the absolute PATH, in place of a socket nobody listens at; -EADDRINUSE
 * if somebody does.  The file has MODE. */
int listen_unix(const char *path, unsigned int mode, struct error *err);

#endif

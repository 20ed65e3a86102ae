/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_LISTEN_FORM_H
#define STAGE1_LISTEN_FORM_H

/*
 * What the address of a TCP listening socket stands for.  A server may bind
 * the same port in several forms: 0.0.0.0, [::] for IPv6 alone (IPV6_V6ONLY)
 * or for both, one address.  Two forms may meet the same clients, but the
 * kernel queues connections for each socket, and moves them only between
 * sockets of one form (inet_reuseport_add_sock()).  Pure.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum listen_scope { LISTEN_NONE, LISTEN_ONE, LISTEN_ANY };

/* Which clients reach it. */
struct listen_form {
	enum listen_scope v4, v6;
	uint16_t port;	       /* host order */
	struct in_addr addr4;  /* LISTEN_ONE */
	struct in6_addr addr6; /* LISTEN_ONE */
	uint32_t scope_id;     /* of addr6 */
};

/* V6ONLY is of IPv6 sockets.  What is neither IPv4 nor IPv6 reaches nobody. */
struct listen_form listen_form_make(const struct sockaddr_storage *addr,
				    bool v6only);

/* Some client would reach either. */
bool listen_form_overlaps(const struct listen_form *a,
			  const struct listen_form *b);

/* Every client of FORM reaches one of the N others. */
bool listen_form_covered(const struct listen_form *form,
			 const struct listen_form *others, size_t n);

#define LISTEN_FORM_TEXT 64
/* "0.0.0.0:80", "[::]:80 for IPv6 alone"; returns BUF. */
const char *listen_form_text(const struct listen_form *form,
			     char buf[LISTEN_FORM_TEXT]);

#endif

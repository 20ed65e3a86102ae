/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_METADATA_SOCKETS_H
#define CMD_RKT_METADATA_SOCKETS_H

#include <stdint.h>

struct error;

/* Both listen. */
struct sockets {
	int pods;	  /* TCP, every address of the host */
	int registration; /* METADATA_SOCKET, for root alone */
};

/*
 * Takes what the service manager has opened (sd_listen_fds(3)), by family,
 * and opens the others.  -EADDRINUSE a service runs already.  They last as
 * long as the process.
 */
int sockets_open(struct sockets *ret, uint16_t port, struct error *err);

/* The port of the first, in host byte order. */
unsigned int sockets_port(const struct sockets *sockets);

#endif

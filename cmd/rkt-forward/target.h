/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_FORWARD_TARGET_H
#define CMD_RKT_FORWARD_TARGET_H

/* A port of the pod, and the socket of the host whose clients are for it. */

#include <netinet/in.h>
#include <stdbool.h>

struct target {
	int listener;
	bool is_udp;
	struct sockaddr_storage addr;
	socklen_t len;
};

#endif

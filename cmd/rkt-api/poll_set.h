/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_API_POLL_SET_H
#define CMD_RKT_API_POLL_SET_H

/* What one poll(2) of the loop waits for; each module adds what it has. */

#include <poll.h>
#include <stddef.h>

struct poll_set {
	struct pollfd *v;
	size_t n, room;
};

/* Where it is in the set. */
size_t poll_set_add(struct poll_set *set, int fd, short events);

#endif

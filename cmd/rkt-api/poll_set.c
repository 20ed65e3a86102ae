/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-api/poll_set.h"

#include "base/alloc.h"

size_t poll_set_add(struct poll_set *set, int fd, short events)
{
	if (set->n == set->room) {
		set->room = set->room * 2 + 16;
		set->v = xreallocarray(set->v, set->room, sizeof(*set->v));
	}
	set->v[set->n] = (struct pollfd){.fd = fd, .events = events};
	return set->n++;
}

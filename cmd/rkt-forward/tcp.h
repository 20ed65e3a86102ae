/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_FORWARD_TCP_H
#define CMD_RKT_FORWARD_TCP_H

/*
 * TCP connections, each a pair of sockets.  Bytes go from one to the other by
 * splice(2), through a pipe that a direction has only while bytes are in it.
 * An end (half-close) is passed on once all before it is; an error of either
 * side, a refusal too, resets the other.  Who does not read is waited for.
 */

#include <stddef.h>
#include <stdint.h>

#include "cmd/rkt-forward/target.h"

struct tcp;

/* At most MAX connections at a time; more wait to be accepted.  TARGETS are
 * borrowed, those that are UDP passed over. */
struct tcp *tcp_new(int epfd, const struct target *targets, size_t n,
		    size_t max);
size_t tcp_n_connections(const struct tcp *t);
/* How many of MS milliseconds may be slept; what was due is done. */
int tcp_timeout(struct tcp *t, int ms);

#endif

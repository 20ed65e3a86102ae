/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_REQUESTS_H
#define STAGE1_REQUESTS_H

/*
 * What a generation leaves undone when it ends: the TCP connections of its
 * clients that end with it.  One whose last byte came from the client has a
 * request open; if it ends so, that request is lost.  Whoever else had a
 * connection was idle.
 *
 * A duplicate of each connection with an open request is kept until it is
 * answered or the process has gone, because what was answered in the end can
 * only be told from the socket.  Looked at every few milliseconds: a request
 * that comes and goes unanswered in between is not seen.
 */

#include <stddef.h>
#include <stdint.h>

struct generation;
struct requests;
struct update_counts;

/* G, which is to be stopped, and connections that came in at one of N ports
 * (host order).  To be ended before G is freed. */
struct requests *requests_watch(struct generation *g, const uint16_t *ports,
				size_t n);

/* Adds what ended with G to COUNTS (drained, lost), and frees R. */
void requests_end(struct requests *r, struct update_counts *counts);

/* The same at once, for G that is killed right now. */
void requests_count(struct generation *g, const uint16_t *ports, size_t n,
		    struct update_counts *counts);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_FORWARD_WATCH_H
#define CMD_RKT_FORWARD_WATCH_H

/*
 * Who waits for which descriptor: epoll, level-triggered.  One event is taken
 * at a time, so what a handler has forgotten is never called.
 */

#include <stdbool.h>
#include <stdint.h>

struct watch {
	int fd; /* borrowed; watched for nothing when it is closed */
	uint32_t events;
	void (*fn)(struct watch *w, uint32_t events);
	void *data;
};

/* EVENTS 0: not even for its end.  0 or -errno. */
int watch_set(int epfd, struct watch *w, uint32_t events);
/* Serves one event, or none for MS milliseconds (-1: for ever). */
int watch_run(int epfd, int ms);

uint64_t now_ms(void);

#endif

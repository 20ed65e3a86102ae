/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_EVENT_H
#define STAGE1_EVENT_H

/*
 * The supervisor's event loop: descriptors (epoll, level-triggered) and
 * one-shot timers.  Sources and timers are owned by the caller and embedded
 * in what they serve; a handler may remove any source or timer, its own
 * too.  One event is taken from the kernel at a time, so a removed source is
 * never called.
 */

#include <stdbool.h>
#include <stdint.h>

struct error;

struct event_source {
	int fd; /* borrowed; remove the source before closing it */
	void (*fn)(struct event_source *source, uint32_t events);
	void *data;
};

struct event_timer {
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0 = not armed */
	void (*fn)(struct event_timer *timer);
	void *data;
	struct event_timer *next;
};

struct event_loop {
	int epfd;
	bool stop;		    /* a handler sets it to leave the loop */
	struct event_timer *timers; /* by deadline */
};

int event_loop_init(struct event_loop *loop, struct error *err);
void event_loop_release(struct event_loop *loop);

/* EVENTS is an epoll mask.  -EPERM: FD is a file epoll cannot watch. */
int event_add(struct event_loop *loop, struct event_source *source,
	      uint32_t events);
int event_modify(struct event_loop *loop, struct event_source *source,
		 uint32_t events);
void event_remove(struct event_loop *loop, struct event_source *source);

/* (Re)arms TIMER in MS milliseconds from now. */
void event_timer_set(struct event_loop *loop, struct event_timer *timer,
		     uint64_t ms);
void event_timer_cancel(struct event_loop *loop, struct event_timer *timer);
/* Arms one that has its deadline, but is in no loop yet. */
void event_timer_resume(struct event_loop *loop, struct event_timer *timer);

/* Serves events until loop->stop; returns 0 or -errno of epoll itself. */
int event_loop_run(struct event_loop *loop);

uint64_t monotonic_ns(void);

#endif

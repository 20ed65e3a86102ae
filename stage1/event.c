/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/event.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/error.h"

uint64_t monotonic_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

int event_loop_init(struct event_loop *loop, struct error *err)
{
	*loop = (struct event_loop){.epfd = epoll_create1(EPOLL_CLOEXEC)};
	if (loop->epfd < 0)
		return error_sys(err, errno, "create the event loop");
	return 0;
}

void event_loop_release(struct event_loop *loop)
{
	fd_close(&loop->epfd);
}

static int control_source(struct event_loop *loop, int op,
			  struct event_source *source, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = source};

	if (epoll_ctl(loop->epfd, op, source->fd, &ev) < 0)
		return -errno;
	return 0;
}

int event_add(struct event_loop *loop, struct event_source *source,
	      uint32_t events)
{
	return control_source(loop, EPOLL_CTL_ADD, source, events);
}

int event_modify(struct event_loop *loop, struct event_source *source,
		 uint32_t events)
{
	return control_source(loop, EPOLL_CTL_MOD, source, events);
}

void event_remove(struct event_loop *loop, struct event_source *source)
{
	if (source->fd >= 0)
		(void)control_source(loop, EPOLL_CTL_DEL, source, 0);
}

void event_timer_cancel(struct event_loop *loop, struct event_timer *timer)
{
	for (struct event_timer **p = &loop->timers; *p; p = &(*p)->next) {
		if (*p != timer)
			continue;
		*p = timer->next;
		break;
	}
	timer->deadline_ns = 0;
	timer->next = NULL;
}

static void insert(struct event_loop *loop, struct event_timer *timer,
		   uint64_t deadline_ns)
{
	struct event_timer **p = &loop->timers;

	timer->deadline_ns = deadline_ns;
	while (*p && (*p)->deadline_ns <= deadline_ns)
		p = &(*p)->next;
	timer->next = *p;
	*p = timer;
}

void event_timer_set(struct event_loop *loop, struct event_timer *timer,
		     uint64_t ms)
{
	event_timer_cancel(loop, timer);
	insert(loop, timer, monotonic_ns() + ms * 1000000);
}

void event_timer_resume(struct event_loop *loop, struct event_timer *timer)
{
	if (timer->deadline_ns)
		insert(loop, timer, timer->deadline_ns);
}

static int next_timeout_ms(const struct event_loop *loop)
{
	uint64_t now, left;

	if (!loop->timers)
		return -1;
	now = monotonic_ns();
	if (loop->timers->deadline_ns <= now)
		return 0;
	left = (loop->timers->deadline_ns - now + 999999) / 1000000;
	return left > 1000000 ? 1000000 : (int)left;
}

static void run_due_timers(struct event_loop *loop)
{
	uint64_t now;

	if (!loop->timers)
		return;
	now = monotonic_ns();
	while (!loop->stop && loop->timers &&
	       loop->timers->deadline_ns <= now) {
		struct event_timer *timer = loop->timers;

		event_timer_cancel(loop, timer);
		timer->fn(timer);
	}
}

int event_loop_run(struct event_loop *loop)
{
	while (!loop->stop) {
		struct epoll_event ev;
		int n = epoll_wait(loop->epfd, &ev, 1, next_timeout_ms(loop));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 1) {
			struct event_source *source = ev.data.ptr;

			source->fn(source, ev.events);
		}
		run_due_timers(loop);
	}
	return 0;
}

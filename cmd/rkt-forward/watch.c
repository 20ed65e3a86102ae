/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-forward/watch.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

int watch_set(int epfd, struct watch *w, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = w};
	int op = !events     ? EPOLL_CTL_DEL
		 : w->events ? EPOLL_CTL_MOD
			     : EPOLL_CTL_ADD;

	if (w->events == events)
		return 0;
	w->events = events;
	return epoll_ctl(epfd, op, w->fd, &e) < 0 ? -errno : 0;
}

int watch_run(int epfd, int ms)
{
	struct epoll_event e;
	int n = epoll_wait(epfd, &e, 1, ms);

	if (n == 1) {
		struct watch *w = e.data.ptr;

		w->fn(w, e.events);
	}
	return n < 0 && errno != EINTR ? -errno : 0;
}

uint64_t now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/enter_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"

/* 0 at the end. */
static ssize_t some(struct enter_relay *r)
{
	char buf[16384];
	ssize_t n = read(r->source.fd, buf, sizeof(buf));

	if (n > 0)
		(void)write_full(r->to, buf, (size_t)n);
	return n;
}

static void on_output(struct event_source *source, uint32_t events)
{
	struct enter_relay *r = source->data;

	(void)events;
	if (some(r) == 0)
		event_remove(r->loop, source);
}

int enter_relay_open(struct enter_relay *r, struct event_loop *loop, int to,
		     struct error *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys(err, errno, "create a pipe");
	*r = (struct enter_relay){
		.source = {.fd = fds[0], .fn = on_output, .data = r},
		.loop = loop,
		.to = to,
		.theirs = fds[1],
	};
	if (set_nonblock(fds[0]) < 0 ||
	    event_add(loop, &r->source, EPOLLIN) < 0)
		return error_set(err, EINVAL, "watch what the command prints");
	return 0;
}

void enter_relay_close(struct enter_relay *r)
{
	int left = 0;

	fd_close(&r->theirs);
	if (r->source.fd < 0)
		return;
	(void)ioctl(r->source.fd, FIONREAD, &left);
	while (left > 0) {
		ssize_t n = some(r);

		left = n > 0 ? left - (int)n : 0;
	}
	fd_close(&r->source.fd);
}

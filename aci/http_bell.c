/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/http_bell.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

void http_bell_ring(int fd)
{
	const char more = HTTP_BELL_MORE;

	/* A full pipe rings already. */
	if (fd >= 0)
		(void)!write(fd, &more, 1);
}

void http_bell_end(int fd)
{
	const char whole = HTTP_BELL_WHOLE;
	struct pollfd p = {.fd = fd, .events = POLLOUT};

	while (fd >= 0 && write(fd, &whole, 1) < 0 &&
	       (errno == EAGAIN || errno == EINTR))
		(void)poll(&p, 1, -1);
}

int http_bell_wait(int fd)
{
	char rings[4096];
	ssize_t n;

	do {
		n = read(fd, rings, sizeof(rings));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return -EPIPE;
	return rings[n - 1] == HTTP_BELL_WHOLE ? 0 : 1;
}

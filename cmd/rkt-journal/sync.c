/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-journal/sync.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/io.h"

#define SOCKET "/run/systemd/journal/io.systemd.journal"
/* With the NUL that ends a message. */
#define REQUEST "{\"method\":\"io.systemd.Journal.Synchronize\"}"
#define ANSWER_MAX 4096
/* A disk may be slow; one that stands is not waited for. */
#define PATIENCE_S 10

static int dial(void)
{
	const struct sockaddr_un address = {.sun_family = AF_UNIX,
					    .sun_path = SOCKET};
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
		       sizeof(patience)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
		       sizeof(patience)) < 0 ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -EBADF;
	return TAKE_FD(fd);
}

bool journal_sync(void)
{
	cleanup_fd int fd = dial();
	char answer[ANSWER_MAX] = "";
	size_t len = 0;

	if (fd < 0 || send(fd, REQUEST, sizeof(REQUEST), MSG_NOSIGNAL) !=
			      (ssize_t)sizeof(REQUEST))
		return false;
	while (len == 0 || answer[len - 1] != '\0') {
		ssize_t n = recv(fd, answer + len, sizeof(answer) - len, 0);

		if (n <= 0)
			return false;
		len += (size_t)n;
	}
	return !strstr(answer, "\"error\"");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Servers and clients. */
#include "tests/inside/inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_on(long port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6,
				   .sin6_port = htons((uint16_t)port),
				   .sin6_addr = IN6ADDR_ANY_INIT};
	struct sockaddr_in any4 = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)port)};
	int one = 1, r;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		r = bind(fd, (struct sockaddr *)&any, sizeof(any));
	} else {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		r = bind(fd, (struct sockaddr *)&any4, sizeof(any4));
	}
	if (r || listen(fd, 1024)) {
		report_error("listen", errno);
		exit(98);
	}
	printf("listen=%ld\n", port);
	return fd;
}

/* listen PORT TEXT: gives every connection TEXT, for ever. */
static void cmd_listen(char **args)
{
	int fd = listen_on(number(args[0]));

	for (;;) {
		int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (c < 0)
			continue;
		dprintf(c, "%s\n", args[1]);
		close(c);
	}
}

/* http PORT TEXT: one connection at a time, HTTP/1.0 answers, for ever. */
static void cmd_http(char **args)
{
	int fd = listen_on(number(args[0]));
	char buf[4096];

	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (c < 0)
			continue;
		if (read(c, buf, sizeof(buf)) > 0)
			dprintf(c,
				"HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n"
				"Connection: close\r\n\r\n%s\n",
				strlen(args[1]) + 1, args[1]);
		shutdown(c, SHUT_WR);
		close(c);
	}
}

/* Prints the first line the peer at TO sends.  Closes FD. */
static void connect_to(int fd, const void *to, socklen_t len)
{
	struct timeval limit = {.tv_sec = 3};
	char buf[1024];

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, to, len)) {
		report_error("connect", errno);
	} else {
		puts("connect=ok");
		ssize_t n = read(fd, buf, sizeof(buf) - 1);
		if (n > 0)
			printf("received=%.*s", (int)n, buf);
	}
	close(fd);
}

/* connect ADDRESS PORT */
static void cmd_connect(char **args)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)number(args[1]))};

	inet_pton(AF_INET, args[0], &to.sin_addr);
	connect_to(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), &to,
		   sizeof(to));
}

/* connect-unix PATH */
static void cmd_connect_unix(char **args)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	strncpy(to.sun_path, args[0], sizeof(to.sun_path) - 1);
	connect_to(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), &to,
		   sizeof(to));
}

/* connect-abstract NAME: an abstract unix socket of the host? */
static void cmd_connect_abstract(char **args)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = strlen(args[0]);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(to.sun_path + 1, args[0], len);
	report_call("connect-abstract",
		    connect(fd, (struct sockaddr *)&to,
			    (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
					1 + len)));
	close(fd);
}

const struct command socket_commands[] = {
	{"connect", 2, cmd_connect},
	{"connect-abstract", 1, cmd_connect_abstract},
	{"connect-unix", 1, cmd_connect_unix},
	{"http", 2, cmd_http},
	{"listen", 2, cmd_listen},
	{0},
};

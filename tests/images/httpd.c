/* SPDX-License-Identifier: Apache-2.0 */
/*
 * httpd PORT WORKERS: a web server for update tests that answers VERSION.
 * Each worker is a process with an epoll loop of its own over one listening
 * socket.  Connections are kept as HTTP/1.1 says.  SIGTERM: no new ones, kept
 * ones are closed once nothing is asked on them.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION "none"
#endif
#define CONNECTIONS_MAX 4096 /* highest descriptor */
#define REQUEST_MAX 4096

struct connection {
	bool open;
	size_t len;
	char request[REQUEST_MAX];
};

static volatile sig_atomic_t ended;

static void end(int sig)
{
	(void)sig;
	ended = 1;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int listen_on(const char *port)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int one = 1;

	if (fd < 0)
		die("socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("bind");
	if (listen(fd, 4096) < 0)
		die("listen");
	return fd;
}

static void drop(struct connection *all, int fd)
{
	all[fd].open = false;
	close(fd);
}

/* Answers every whole request there is.  False: the connection is over. */
static bool answer(struct connection *c, int fd)
{
	char reply[256], *stop;

	c->request[c->len] = '\0';
	while ((stop = strstr(c->request, "\r\n\r\n"))) {
		bool keep = !ended && strstr(c->request, " HTTP/1.1\r\n");
		int n = snprintf(reply, sizeof(reply),
				 "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n"
				 "Connection: %s\r\n\r\n%s\n",
				 sizeof(VERSION), keep ? "keep-alive" : "close",
				 VERSION);

		if (send(fd, reply, (size_t)n, MSG_NOSIGNAL) != n || !keep)
			return false;
		c->len -= (size_t)(stop + 4 - c->request);
		memmove(c->request, stop + 4, c->len + 1);
	}
	return c->len < REQUEST_MAX - 1;
}

static void serve_one(struct connection *all, int fd)
{
	struct connection *c = &all[fd];
	ssize_t n = recv(fd, c->request + c->len, REQUEST_MAX - 1 - c->len, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		c->len += (size_t)n;
	if (n <= 0 || !answer(c, fd))
		drop(all, fd);
}

static void watch(int ep, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) < 0)
		die("epoll_ctl");
}

static void accept_all(struct connection *all, int ep, int listener)
{
	int one = 1, fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		if (fd >= CONNECTIONS_MAX) {
			close(fd);
			continue;
		}
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
				 sizeof(one));
		all[fd].open = true;
		all[fd].len = 0;
		watch(ep, fd);
	}
}

/* What the kernel has accepted for us is ours to answer, and what was sent
 * on a kept connection, too. */
static void drain(struct connection *all, int ep, int listener)
{
	struct epoll_event event;

	accept_all(all, ep, listener);
	/* Others have it open, so closing does not end the watch. */
	(void)epoll_ctl(ep, EPOLL_CTL_DEL, listener, NULL);
	close(listener);
	while (epoll_wait(ep, &event, 1, 20) > 0)
		serve_one(all, event.data.fd);
	for (int fd = 0; fd < CONNECTIONS_MAX; fd++)
		if (all[fd].open)
			drop(all, fd);
	exit(0);
}

static void worker(int listener, const sigset_t *sigterm)
{
	struct connection *all = calloc(CONNECTIONS_MAX, sizeof(*all));
	int ep = epoll_create1(0);

	if (!all || ep < 0)
		die("worker");
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)sigprocmask(SIG_UNBLOCK, sigterm, NULL);
	watch(ep, listener);
	while (!ended) {
		struct epoll_event events[64];
		int n = epoll_wait(ep, events, 64, 1000);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				accept_all(all, ep, listener);
			else
				serve_one(all, events[i].data.fd);
		}
	}
	drain(all, ep, listener);
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_handler = end};
	pid_t workers[64];
	sigset_t sigterm;
	int n = argc == 3 ? atoi(argv[2]) : 0;
	int listener;

	if (n < 1 || n > 64) {
		fprintf(stderr, "usage: httpd PORT WORKERS\n");
		return 2;
	}
	sigaction(SIGTERM, &sa, NULL);
	sigemptyset(&sigterm);
	sigaddset(&sigterm, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &sigterm, NULL);
	listener = listen_on(argv[1]);
	for (int i = 0; i < n; i++) {
		workers[i] = fork();
		if (workers[i] < 0)
			die("fork");
		if (workers[i] == 0)
			worker(listener, &sigterm);
	}
	close(listener);
	while (sigwaitinfo(&sigterm, NULL) < 0)
		;
	for (int i = 0; i < n; i++)
		kill(workers[i], SIGTERM);
	while (wait(NULL) > 0)
		;
	return 0;
}

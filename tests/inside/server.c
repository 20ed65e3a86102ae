/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP server for updates: every way an app may come to a listening
 * socket.  SIGQUIT and SIGTERM end it after the answer it is at. */
#include "tests/inside/inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define LISTENERS_MAX 16

static struct pollfd listeners[LISTENERS_MAX];
static nfds_t n_listeners;
static volatile sig_atomic_t ended, told;

static void end(int sig)
{
	(void)sig;
	ended = 1;
}

static void tell(int sig)
{
	told = sig;
}

static void die(const char *key)
{
	report_error(key, errno);
	exit(98);
}

static int set_one(int fd, int level, int option)
{
	int one = 1;

	return setsockopt(fd, level, option, &one, sizeof(one));
}

static void add(int fd)
{
	if (n_listeners < LISTENERS_MAX)
		listeners[n_listeners++] =
			(struct pollfd){.fd = fd, .events = POLLIN};
}

static int bind_inet(int fd, int domain, const char *port)
{
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6,
				  .sin6_port = htons((uint16_t)number(port))};
	struct sockaddr_in a4 = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)number(port))};

	return domain == AF_INET ? bind(fd, (struct sockaddr *)&a4, sizeof(a4))
				 : bind(fd, (struct sockaddr *)&a6, sizeof(a6));
}

static int new_inet(int domain)
{
	int fd = socket(domain, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || set_one(fd, SOL_SOCKET, SO_REUSEADDR) < 0)
		die("socket");
	return fd;
}

static void listen_inet(int fd, int domain, const char *port)
{
	if (bind_inet(fd, domain, port) < 0)
		die("bind");
	if (listen(fd, 1024) < 0)
		die("listen");
	add(fd);
}

static void serve_tcp4(const char *port)
{
	listen_inet(new_inet(AF_INET), AF_INET, port);
}

/* at4:ADDRESS:PORT */
static void serve_at4(const char *arg)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};
	const char *colon = strchr(arg, ':');
	int fd = new_inet(AF_INET);
	char host[32] = "";

	memcpy(host, arg, strcspn(arg, ":") % sizeof(host));
	addr.sin_port = htons((uint16_t)number(colon ? colon + 1 : "0"));
	if (inet_pton(AF_INET, host, &addr.sin_addr) != 1 ||
	    bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die("bind");
	if (listen(fd, 1024) < 0)
		die("listen");
	add(fd);
}

static void serve_tcp6(const char *port)
{
	int fd = new_inet(AF_INET6);

	set_one(fd, IPPROTO_IPV6, IPV6_V6ONLY);
	listen_inet(fd, AF_INET6, port);
}

static void serve_dual(const char *port)
{
	listen_inet(new_inet(AF_INET6), AF_INET6, port);
}

/* Binds once to see whether it may, closes, binds again. */
static void serve_probe(const char *port)
{
	int fd = new_inet(AF_INET);

	if (bind_inet(fd, AF_INET, port) < 0)
		die("probe");
	close(fd);
	serve_tcp4(port);
}

/* The same address twice: the second must fail. */
static void serve_twice(const char *port)
{
	int fd = new_inet(AF_INET);

	serve_tcp4(port);
	report_call("second-bind", bind_inet(fd, AF_INET, port));
	close(fd);
}

/* A process a worker, each with its own socket on one port. */
static void serve_workers(const char *arg)
{
	const char *colon = strchr(arg, ':');
	long n = colon ? number(colon + 1) : 2;
	char port[16] = "";
	int fd;

	memcpy(port, arg, strcspn(arg, ":") % sizeof(port));
	while (--n > 0 && fork() > 0)
		;
	fd = new_inet(AF_INET);
	if (set_one(fd, SOL_SOCKET, SO_REUSEPORT) < 0)
		die("reuseport");
	listen_inet(fd, AF_INET, port);
}

/* program:PORT:N: workers that say by a program which of them is asked: the
 * first that listens. */
static void serve_program(const char *arg)
{
	struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	const struct sock_fprog program = {.len = 1, .filter = code};

	serve_workers(arg);
	if (setsockopt(listeners[n_listeners - 1].fd, SOL_SOCKET,
		       SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) < 0)
		die("program");
}

static void serve_ephemeral(const char *arg)
{
	int fd = new_inet(AF_INET);

	(void)arg;
	listen_inet(fd, AF_INET, "0");
}

static void serve_udp(const char *port)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int value = -1;
	socklen_t len = sizeof(value);

	if (bind_inet(fd, AF_INET, port) < 0)
		die("udp");
	(void)getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, &len);
	printf("udp-reuseport=%d\n", value);
}

static void listen_unix(const char *name, size_t skip, bool cleans)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(un.sun_path + skip, sizeof(un.sun_path) - skip, "%s",
		       name);
	if (cleans)
		(void)unlink(name);
	if (bind(fd, (struct sockaddr *)&un,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + skip +
			     strlen(name))) < 0)
		die("bind");
	if (listen(fd, 64) < 0)
		die("listen");
	add(fd);
}

static void serve_unix(const char *path)
{
	listen_unix(path, 0, true);
}

static void serve_abstract(const char *name)
{
	listen_unix(name, 1, false);
}

/* late:MS: what comes after it does so then. */
static void serve_late(const char *ms)
{
	usleep((useconds_t)number(ms) * 1000);
}

/* dies:MS: fails then, after the answer it is at. */
static void serve_dies(const char *ms)
{
	const long n = number(ms);
	const struct itimerval after = {
		.it_value = {.tv_sec = n / 1000, .tv_usec = n % 1000 * 1000},
	};

	signal(SIGALRM, tell);
	setitimer(ITIMER_REAL, &after, NULL);
}

/* The process that was started ends, a child of it goes on. */
static void serve_forks(const char *arg)
{
	(void)arg;
	if (fork() > 0)
		_exit(0);
}

/* A child that writes to stdout as fast as it can. */
static void serve_floods(const char *arg)
{
	static char line[4096];

	(void)arg;
	if (fork() > 0)
		return;
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	while (write(1, line, sizeof(line)) > 0)
		;
	_exit(0);
}

static void answer(int c);

static int uring_inet(const char *port, bool shares)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)number(port))};
	int fd = new_inet(AF_INET);

	if (shares && set_one(fd, SOL_SOCKET, SO_REUSEPORT) < 0)
		die("reuseport");
	/* The kernel puts away the ring of a process that ended in its own
	 * time. */
	for (int i = 0; uring_listen(fd, &addr, sizeof(addr)) < 0; i++) {
		if (i == 20)
			die("uring");
		usleep(100000);
	}
	return fd;
}

/* Bound by io_uring. */
static void serve_uring(const char *port)
{
	add(uring_inet(port, false));
}

static void serve_uring_shared(const char *port)
{
	add(uring_inet(port, true));
}

/* And in no table of descriptors. */
static void serve_uring_hidden(const char *port)
{
	int fd, c;

	if (fork() > 0)
		return;
	fd = uring_inet(port, false);
	if (fcntl(fd, F_SETFL, 0) < 0 || uring_hide(fd) < 0)
		die("hide");
	while ((c = uring_accept_hidden()) >= 0)
		answer(c);
	die("accept");
}

static void answer(int c)
{
	const char *text = getenv("VERSION");
	const char *status = getenv("STATUS");
	char buf[4096];

	if (!status)
		status = "200 OK";
	if (access("/tmp/sick", F_OK) == 0)
		status = "500 Sick";
	if (!text)
		text = "none";
	if (read(c, buf, sizeof(buf)) > 0)
		dprintf(c,
			"HTTP/1.0 %s\r\nContent-Length: %zu\r\n"
			"Connection: close\r\n\r\n%s\n",
			status, strlen(text) + 1, text);
	shutdown(c, SHUT_WR);
	/* Else what the peer still says would make it a reset. */
	while (read(c, buf, sizeof(buf)) > 0)
		;
	close(c);
}

static void open_all(char **args)
{
	static const struct {
		const char *kind;
		void (*open)(const char *arg);
	} kinds[] = {
		{"at4:", serve_at4},
		{"tcp4:", serve_tcp4},
		{"tcp6:", serve_tcp6},
		{"dual:", serve_dual},
		{"probe:", serve_probe},
		{"twice:", serve_twice},
		{"workers:", serve_workers},
		{"ephemeral", serve_ephemeral},
		{"udp:", serve_udp},
		{"unix:", serve_unix},
		{"abstract:", serve_abstract},
		{"late:", serve_late},
		{"dies:", serve_dies},
		{"forks", serve_forks},
		{"floods", serve_floods},
		{"uring:", serve_uring},
		{"uring-shared:", serve_uring_shared},
		{"program:", serve_program},
		{"uring-hidden:", serve_uring_hidden},
	};

	for (; *args; args++)
		for (size_t i = 0; i < N_ELEMENTS(kinds); i++)
			if (!strncmp(*args, kinds[i].kind,
				     strlen(kinds[i].kind)))
				kinds[i].open(*args + strlen(kinds[i].kind));
}

/* SIGHUP: closes what listens.  SIGUSR1: and opens it again.  SIGALRM: it
 * fails. */
static void do_as_told(char **args)
{
	if (told == SIGALRM)
		exit(7);
	while (n_listeners > 0)
		close(listeners[--n_listeners].fd);
	if (told == SIGUSR1)
		open_all(args);
	told = 0;
	printf("listeners=%d\n", (int)n_listeners);
}

/* serve KIND:ARG...: answers HTTP on all of them with $VERSION, and with
 * $STATUS, or 500 while there is /tmp/sick. */
static void cmd_serve(char **args)
{
	/* poll is interrupted all the same, an answer is not. */
	struct sigaction sa = {.sa_handler = end, .sa_flags = SA_RESTART};

	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGQUIT, &sa, NULL);
	sa.sa_handler = tell;
	sigaction(SIGHUP, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	open_all(args);
	printf("serving=%s\n", getenv("VERSION") ? getenv("VERSION") : "");
	while (!ended) {
		if (told)
			do_as_told(args);
		if (poll(listeners, n_listeners, 200) <= 0)
			continue;
		for (nfds_t i = 0; i < n_listeners && !ended; i++) {
			int c = listeners[i].revents & POLLIN
					? accept(listeners[i].fd, NULL, NULL)
					: -1;

			if (c >= 0)
				answer(c);
		}
	}
	puts("drained=1");
	exit(0);
}

/* get PORT: exit code 5 unless a server at 127.0.0.1 answers 200. */
static void cmd_get(char **args)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)number(args[0]))};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char buf[256] = "";

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("connect");
	dprintf(fd, "GET / HTTP/1.0\r\n\r\n");
	if (read(fd, buf, sizeof(buf) - 1) <= 0)
		die("read");
	printf("get=%.12s\n", buf);
	exit(strncmp(buf + 8, " 200", 4) == 0 ? 0 : 5);
}

const struct command server_commands[] = {
	{"get", 1, cmd_get},
	{"serve", 1, cmd_serve},
	{0},
};

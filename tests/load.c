/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load [--rate=N] [--workers=N] [--seconds=N] [--ping] ADDRESS PORT PATH
 *
 * ADDRESS is IPv4, IPv6 or, with a "/" or "@" in front, a unix socket (PORT
 * is ignored then).  --ping says PING as to redis instead of asking HTTP.
 *
 * GETs PATH N times a second, each on a connection of its own, until the
 * time is over or SIGINT or SIGTERM comes.  Then prints what happened, one
 * KEY=VALUE a line: requests, answered (a whole 200 answer), refused
 * (ECONNREFUSED), reset (the connection broke before the answer was whole),
 * timeout, other, longest_ms (an answer took), gap_ms (longest time without an
 * answer), and body.LINE for each first line of a body.  Exit 0 whatever the
 * counts, 2 for wrong use.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_S 5
#define BODIES_MAX 16
#define WORKERS_MAX 64

enum outcome { ANSWERED, REFUSED, RESET, TIMEOUT, OTHER, N_OUTCOMES };

static const char *const outcome_names[N_OUTCOMES] = {
	"answered", "refused", "reset", "timeout", "other",
};

static struct {
	struct sockaddr_storage to;
	socklen_t to_len;
	bool ping;
	char request[512];
	unsigned long rate, workers, seconds;
	atomic_bool stop;

	pthread_mutex_t lock; /* for all that follows */
	unsigned long counts[N_OUTCOMES];
	int64_t longest, gap, last; /* ns */
	struct {
		char line[64];
		unsigned long n;
	} bodies[BODIES_MAX];
} load = {.rate = 500, .workers = 8, .lock = PTHREAD_MUTEX_INITIALIZER};

static int64_t now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static enum outcome outcome_of(int e)
{
	switch (e) {
	case ECONNREFUSED:
		return REFUSED;
	case ECONNRESET:
	case EPIPE:
		return RESET;
	case EAGAIN:
	case EINPROGRESS:
	case ETIMEDOUT:
		return TIMEOUT;
	default:
		return OTHER;
	}
}

/* The answer into BUF; a 200 with as many bytes as it said. */
static enum outcome exchange(int fd, char *buf, size_t size)
{
	const char *body, *length;
	size_t len = 0;
	ssize_t n;

	if (connect(fd, (struct sockaddr *)&load.to, load.to_len) < 0 ||
	    send(fd, load.request, strlen(load.request), MSG_NOSIGNAL) < 0)
		return outcome_of(errno);
	while ((n = recv(fd, buf + len, size - 1 - len, 0)) > 0) {
		len += (size_t)n;
		if (load.ping && buf[len - 1] == '\n')
			break;
	}
	buf[len] = '\0';
	if (n < 0)
		return outcome_of(errno);
	if (load.ping)
		return len ? ANSWERED : RESET;
	body = strstr(buf, "\r\n\r\n");
	if (!body)
		return RESET;
	length = strcasestr(buf, "\r\nContent-Length:");
	if (length && length < body &&
	    strtoul(length + 17, NULL, 10) > len - (size_t)(body + 4 - buf))
		return RESET;
	return strncmp(buf, "HTTP/1.", 7) || strncmp(buf + 8, " 200", 4)
		       ? OTHER
		       : ANSWERED;
}

static void count_body(const char *answer)
{
	const char *head = strstr(answer, "\r\n\r\n");
	const char *body = head ? head + 4 : answer;
	size_t len = strcspn(body, "\r\n");

	for (size_t i = 0; i < BODIES_MAX; i++) {
		if (len >= sizeof(load.bodies[i].line))
			len = sizeof(load.bodies[i].line) - 1;
		if (!load.bodies[i].n)
			memcpy(load.bodies[i].line, body, len);
		if (strlen(load.bodies[i].line) == len &&
		    !memcmp(load.bodies[i].line, body, len)) {
			load.bodies[i].n++;
			return;
		}
	}
}

static void note(enum outcome what, const char *answer, int64_t start)
{
	int64_t end = now();

	(void)pthread_mutex_lock(&load.lock);
	load.counts[what]++;
	if (what == ANSWERED) {
		if (end - start > load.longest)
			load.longest = end - start;
		if (load.last && end - load.last > load.gap)
			load.gap = end - load.last;
		if (end > load.last)
			load.last = end;
		count_body(answer);
	}
	(void)pthread_mutex_unlock(&load.lock);
}

static void request_once(void)
{
	const struct timeval limit = {.tv_sec = TIMEOUT_S};
	int fd = socket(load.to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int64_t start = now();
	char answer[4096] = "";
	enum outcome what;

	if (fd < 0) {
		note(OTHER, answer, start);
		return;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	what = exchange(fd, answer, sizeof(answer));
	note(what, answer, start);
	(void)close(fd);
}

/* Keeps its own pace: what one slow answer holds up is not made up for. */
static void *worker(void *arg)
{
	int64_t period = (int64_t)(1000000000ULL * load.workers / load.rate);
	int64_t next =
		now() + period * (int64_t)(intptr_t)arg / (int64_t)load.workers;

	for (;;) {
		struct timespec ts = {next / 1000000000, next % 1000000000};

		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts,
				      NULL);
		if (atomic_load(&load.stop))
			break;
		request_once();
		next += period;
		if (next < now())
			next = now();
	}
	return NULL;
}

static void report(void)
{
	unsigned long sum = 0;

	for (int i = 0; i < N_OUTCOMES; i++)
		sum += load.counts[i];
	printf("requests=%lu\n", sum);
	for (int i = 0; i < N_OUTCOMES; i++)
		printf("%s=%lu\n", outcome_names[i], load.counts[i]);
	printf("longest_ms=%.1f\ngap_ms=%.1f\n", (double)load.longest / 1e6,
	       (double)load.gap / 1e6);
	for (int i = 0; i < BODIES_MAX && load.bodies[i].n; i++)
		printf("body.%s=%lu\n", load.bodies[i].line, load.bodies[i].n);
}

static int usage(void)
{
	fprintf(stderr, "usage: load [--rate=N] [--workers=N] [--seconds=N] "
			"[--ping] ADDRESS PORT PATH\n");
	return 2;
}

static bool option(const char *arg)
{
	static const struct {
		const char *name;
		unsigned long *value;
		unsigned long max;
	} rows[] = {
		{"--rate=", &load.rate, 100000},
		{"--workers=", &load.workers, WORKERS_MAX},
		{"--seconds=", &load.seconds, 86400},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		size_t len = strlen(rows[i].name);
		char *end;

		if (strncmp(arg, rows[i].name, len) != 0)
			continue;
		*rows[i].value = strtoul(arg + len, &end, 10);
		return *end == '\0' && *rows[i].value > 0 &&
		       *rows[i].value <= rows[i].max;
	}
	return false;
}

static bool address(const char *text, const char *port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&load.to;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&load.to;
	struct sockaddr_un *un = (struct sockaddr_un *)&load.to;
	uint16_t n = htons((uint16_t)strtoul(port, NULL, 10));

	if (*text == '/' || *text == '@') {
		un->sun_family = AF_UNIX;
		(void)snprintf(un->sun_path, sizeof(un->sun_path), "%s", text);
		if (*text == '@')
			un->sun_path[0] = '\0';
		load.to_len =
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				    strlen(text));
		return strlen(text) < sizeof(un->sun_path);
	}
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = n;
		load.to_len = sizeof(*v4);
		return true;
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = n;
	load.to_len = sizeof(*v6);
	return inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
}

int main(int argc, char **argv)
{
	struct timespec limit = {0};
	pthread_t threads[WORKERS_MAX];
	sigset_t signals;
	int i = 1;

	for (; i < argc && !strncmp(argv[i], "--", 2); i++) {
		if (!strcmp(argv[i], "--ping"))
			load.ping = true;
		else if (!option(argv[i]))
			return usage();
	}
	if (argc - i != 3 || !address(argv[i], argv[i + 1]))
		return usage();
	(void)snprintf(load.request, sizeof(load.request),
		       "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: load\r\n"
		       "\r\n",
		       argv[i + 2], argv[i]);
	if (load.ping)
		strcpy(load.request, "PING\r\n");

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
	for (unsigned long w = 0; w < load.workers; w++) {
		if (pthread_create(&threads[w], NULL, worker,
				   (void *)(intptr_t)w) != 0)
			return 1;
	}
	limit.tv_sec = (time_t)load.seconds;
	if (load.seconds)
		(void)sigtimedwait(&signals, NULL, &limit);
	else
		(void)sigwaitinfo(&signals, NULL);
	atomic_store(&load.stop, true);
	for (unsigned long w = 0; w < load.workers; w++)
		(void)pthread_join(threads[w], NULL);
	report();
	return 0;
}

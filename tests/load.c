/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load [OPTION...] ADDRESS PORT PATH
 *
 * ADDRESS is IPv4, IPv6 or, with a "/" or "@" in front, a unix socket (PORT
 * is ignored then).  PATH is what HTTP asks for; other protocols ignore it.
 *
 *	--rate=N           requests a second, of all workers (500)
 *	--workers=N        connections at once (8)
 *	--seconds=N        how long; without it until SIGINT or SIGTERM
 *	--count=N          not less than so many requests, even then
 *	--keepalive=N      N requests on each connection instead of one
 *	--idle=N           N connections more, that ask once and then wait
 *	                   until the server ends them
 *	--protocol=NAME    http, ping or redis, memcached, postgres
 *	--ping             the same as --protocol=ping
 *	--timeline=FILE    what was answered when
 *
 * Prints what happened, one KEY=VALUE a line: requests; connections (that
 * were made); answered (the whole answer, of HTTP a 200); refused
 * (ECONNREFUSED), reset (the connection broke before the answer was whole),
 * timeout, other (not asked for, but an answer: of HTTP no 200, of others an
 * error, also said in passing to who has asked nothing yet); lost (the
 * request was sent, and neither came whole); broken (kept connections that
 * were reset while nothing was asked); drained (those that the server closed
 * then); p50_ms, p99_ms, p999_ms and longest_ms (from connecting to the whole
 * answer, on a kept connection from asking); gap_ms (longest time without an
 * answer, from the first on and up to the last attempt); late_ms (the longest
 * that a worker of ours came too late to ask: what the machine did to us);
 * and body.VERSION for each version that answered: the first word of a page,
 * or what the server says of itself.  Exit 0 whatever the counts, 2 for wrong
 * use.
 *
 * FILE has a line "start MS", milliseconds since 1970 as all of them, then
 * "MS VERSION COUNT" for every 10 ms in which a version answered, with
 * "failed" for all that was not.
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
#define IDLE_LOOK_MS 100
#define BODIES_MAX 16
#define WORKERS_MAX 64
#define BUCKET_NS 10000LL /* of the latencies */
#define BUCKETS 700000	  /* more than TIMEOUT_S */
#define SLOT_NS 10000000LL
#define SLOTS 120000 /* 20 minutes */

enum outcome { ANSWERED, REFUSED, RESET, TIMEOUT, OTHER, N_OUTCOMES };

static const char *const outcome_names[N_OUTCOMES] = {
	"answered", "refused", "reset", "timeout", "other",
};

struct bytes {
	const char *p;
	size_t n;
};
#define BYTES(text)                                                            \
	{                                                                      \
		text, sizeof(text) - 1                                         \
	}

struct protocol {
	const char *name;
	struct bytes hello;   /* first on a connection, instead of REQUEST */
	struct bytes request; /* of http made from the arguments */
	struct bytes bye;
	struct bytes end;    /* an answer is whole that ends so... */
	unsigned int lines;  /* ...and has at least so many lines */
	struct bytes error;  /* an answer that begins so is a refusal */
	struct bytes before; /* stands before the version */
};

/* postgres: StartupMessage 3.0 of user and database postgres, Query,
 * Terminate, ReadyForQuery. */
static const struct protocol protocols[] = {
	{.name = "http", .before = BYTES("\r\n\r\n")},
	{.name = "ping", .request = BYTES("PING\r\n"), .end = BYTES("\r\n")},
	{.name = "redis",
	 .request = BYTES("CONFIG GET proc-title-template\r\n"),
	 .end = BYTES("\r\n"),
	 .lines = 5,
	 .error = BYTES("-"),
	 .before = BYTES("version=")},
	{.name = "memcached",
	 .request = BYTES("stats settings\r\n"),
	 .end = BYTES("END\r\n"),
	 .error = BYTES("ERROR"),
	 .before = BYTES("STAT maxbytes ")},
	{.name = "postgres",
	 .hello = BYTES("\0\0\0\51\0\3\0\0user\0postgres\0"
			"database\0postgres\0\0"),
	 .request = BYTES("Q\0\0\0\30SHOW server_version\0"),
	 .bye = BYTES("X\0\0\0\4"),
	 .end = BYTES("Z\0\0\0\5I"),
	 .error = BYTES("E"),
	 .before = BYTES("server_version\0")},
};

static struct {
	struct sockaddr_storage to;
	socklen_t to_len;
	struct protocol protocol;
	char request[512];
	unsigned long rate, workers, seconds, count, keepalive, idle;
	const char *timeline;
	atomic_ulong begun; /* requests */
	atomic_bool stop;
	int64_t start; /* ns */

	pthread_mutex_t lock; /* for all that follows */
	unsigned long counts[N_OUTCOMES], connections, lost, drained, broken;
	int64_t longest, gap, last, end, late; /* ns */
	struct {
		char line[64];
		unsigned long n;
	} bodies[BODIES_MAX];
	uint32_t buckets[BUCKETS];
	uint32_t (*slots)[BODIES_MAX + 1]; /* the last one: not answered */
} load = {.rate = 500,
	  .workers = 8,
	  .keepalive = 1,
	  .lock = PTHREAD_MUTEX_INITIALIZER};

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

/* --- one answer ------------------------------------------------------------
 */

struct answer {
	char buf[16384];
	size_t len;
	size_t body; /* the version that answered last here */
	bool ended;  /* nothing more comes */
	bool whole;  /* all of it came, whatever it says */
};

static bool is_http(void)
{
	return load.protocol.request.p == load.request;
}

/* As many bytes as it said; without a word of that, all until the end. */
static bool http_whole(const struct answer *a)
{
	const char *body = strstr(a->buf, "\r\n\r\n");
	const char *length;

	if (!body)
		return false;
	length = strcasestr(a->buf, "\r\nContent-Length:");
	if (!length || length > body)
		return a->ended;
	return strtoul(length + 17, NULL, 10) <=
	       a->len - (size_t)(body + 4 - a->buf);
}

static bool whole(const struct answer *a)
{
	const struct protocol *p = &load.protocol;
	unsigned int lines = 0;

	if (is_http())
		return http_whole(a);
	for (size_t i = 0; i < a->len; i++)
		lines += a->buf[i] == '\n';
	return lines >= p->lines && a->len >= p->end.n &&
	       !memcmp(a->buf + a->len - p->end.n, p->end.p, p->end.n);
}

/* "Not now", and no more. */
static bool is_error(const struct answer *a)
{
	const struct bytes *error = &load.protocol.error;

	return error->n && a->len >= error->n &&
	       !memcmp(a->buf, error->p, error->n) &&
	       (a->ended || a->buf[a->len - 1] == '\n');
}

/* A server that closes after its answer is waited for: what goes wrong until
 * then is seen. */
static bool is_over(const struct answer *a)
{
	return a->ended || a->len == sizeof(a->buf) - 1 || is_error(a) ||
	       (whole(a) && (!is_http() || load.keepalive > 1));
}

static enum outcome receive(int fd, struct answer *a)
{
	a->len = 0;
	a->ended = a->whole = false;
	do {
		ssize_t n = recv(fd, a->buf + a->len,
				 sizeof(a->buf) - 1 - a->len, 0);

		if (n < 0)
			return outcome_of(errno);
		a->ended = n == 0;
		a->len += (size_t)n;
		a->buf[a->len] = '\0';
	} while (!is_over(a));
	a->whole = is_error(a) || whole(a);
	if (is_error(a))
		return OTHER;
	if (!a->whole)
		return RESET;
	if (!is_http())
		return ANSWERED;
	return strncmp(a->buf, "HTTP/1.", 7) || strncmp(a->buf + 8, " 200", 4)
		       ? OTHER
		       : ANSWERED;
}

/* --- what happened ---------------------------------------------------------
 */

/* The place of the version that answered; the last one for all too many.  An
 * answer that does not say it comes from the one before. */
static void count_body(struct answer *a)
{
	const struct bytes *before = &load.protocol.before;
	const char *at = memmem(a->buf, a->len, before->p, before->n);
	size_t len = at ? strcspn(at + before->n, "\r\n ") : 0;
	size_t i = at && len ? 0 : a->body;

	if (len >= sizeof(load.bodies[0].line))
		len = sizeof(load.bodies[0].line) - 1;
	for (; at && len && i < BODIES_MAX - 1; i++) {
		if (!load.bodies[i].n)
			memcpy(load.bodies[i].line, at + before->n, len);
		if (strlen(load.bodies[i].line) == len &&
		    !memcmp(load.bodies[i].line, at + before->n, len))
			break;
	}
	load.bodies[i].n++;
	a->body = i;
}

static void count_answer(struct answer *a, int64_t took, int64_t end)
{
	if (took > load.longest)
		load.longest = took;
	if (load.last && end - load.last > load.gap)
		load.gap = end - load.last;
	if (end > load.last)
		load.last = end;
	took /= BUCKET_NS;
	load.buckets[took < BUCKETS ? took : BUCKETS - 1]++;
	count_body(a);
}

static void note_late(int64_t late)
{
	(void)pthread_mutex_lock(&load.lock);
	if (late > load.late)
		load.late = late;
	(void)pthread_mutex_unlock(&load.lock);
}

static void note(enum outcome what, bool sent, struct answer *a, int64_t start)
{
	int64_t end = now();
	int64_t slot = (end - load.start) / SLOT_NS;

	(void)pthread_mutex_lock(&load.lock);
	load.counts[what]++;
	load.end = end;
	if (what == ANSWERED)
		count_answer(a, end - start, end);
	else if (sent && !a->whole)
		load.lost++;
	if (load.slots && slot >= 0 && slot < SLOTS)
		load.slots[slot][what == ANSWERED ? a->body : BODIES_MAX]++;
	(void)pthread_mutex_unlock(&load.lock);
}

static void count(unsigned long *what)
{
	(void)pthread_mutex_lock(&load.lock);
	++*what;
	(void)pthread_mutex_unlock(&load.lock);
}

/* --- connections -----------------------------------------------------------
 */

struct connection {
	int fd;
	unsigned long asked;
	struct answer answer;
};

static enum outcome connection_open(struct connection *c)
{
	const struct timeval limit = {.tv_sec = TIMEOUT_S};
	enum outcome what = ANSWERED;

	c->asked = 0;
	c->fd = socket(load.to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return OTHER;
	(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(c->fd, (struct sockaddr *)&load.to, load.to_len) < 0)
		what = outcome_of(errno);
	else
		count(&load.connections);
	return what;
}

static void connection_close(struct connection *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
}

/* A kept connection the server closed in between, with a word why or without,
 * is replaced; one that it broke is counted apart. */
static void check_idle(struct connection *c)
{
	char byte;
	ssize_t n;

	if (c->fd < 0)
		return;
	n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	count(n >= 0 ? &load.drained : &load.broken);
	connection_close(c);
}

/* The server said that this was the last answer. */
static bool is_last(const struct answer *a)
{
	return a->ended ||
	       (is_http() && (!strncmp(a->buf, "HTTP/1.0", 8) ||
			      strcasestr(a->buf, "\r\nConnection: close\r\n")));
}

static void request_once(struct connection *c)
{
	const struct protocol *p = &load.protocol;
	const struct bytes *say;
	int64_t start = now();
	enum outcome what = ANSWERED;
	bool sent = false;

	if (c->fd < 0)
		what = connection_open(c);
	say = !c->asked && p->hello.n ? &p->hello : &p->request;
	if (what == ANSWERED && send(c->fd, say->p, say->n, MSG_NOSIGNAL) < 0)
		what = outcome_of(errno);
	else
		sent = what == ANSWERED;
	if (sent)
		what = receive(c->fd, &c->answer);
	note(what, sent, &c->answer, start);
	if (what == ANSWERED && ++c->asked < load.keepalive &&
	    !is_last(&c->answer))
		return;
	if (what == ANSWERED && p->bye.n)
		(void)send(c->fd, p->bye.p, p->bye.n, MSG_NOSIGNAL);
	connection_close(c);
}

static bool is_done(void)
{
	return atomic_load(&load.stop) &&
	       atomic_load(&load.begun) >= load.count;
}

/* Keeps its own pace: what one slow answer holds up is not made up for, and
 * the workers do not come to ask all at once because of it. */
static void *worker(void *arg)
{
	int64_t period = (int64_t)(1000000000ULL * load.workers / load.rate);
	int64_t next =
		now() + period * (int64_t)(intptr_t)arg / (int64_t)load.workers;
	struct connection *c = calloc(1, sizeof(*c));
	int64_t late;

	if (!c)
		abort();
	c->fd = -1;
	for (;;) {
		struct timespec ts = {next / 1000000000, next % 1000000000};

		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts,
				      NULL);
		if (is_done())
			break;
		note_late(now() - next);
		atomic_fetch_add(&load.begun, 1);
		check_idle(c);
		request_once(c);
		next += period;
		late = now() - next;
		if (late > 0)
			next += (late + period - 1) / period * period;
	}
	connection_close(c);
	free(c);
	return NULL;
}

/* Asks when it must: a connection that is there only to be ended. */
static void *idler(void *arg)
{
	struct connection *c = calloc(1, sizeof(*c));

	(void)arg;
	if (!c)
		abort();
	c->fd = -1;
	while (!is_done()) {
		struct pollfd p = {.events = POLLIN};

		check_idle(c);
		if (c->fd < 0)
			request_once(c);
		p.fd = c->fd;
		(void)poll(&p, 1, IDLE_LOOK_MS);
	}
	connection_close(c);
	free(c);
	return NULL;
}

/* --- report ----------------------------------------------------------------
 */

/* The latency that a share of the answers did not exceed, ms. */
static double quantile(double share)
{
	uint64_t wanted = (uint64_t)((double)load.counts[ANSWERED] * share);
	uint64_t seen = 0;

	for (size_t i = 0; i < BUCKETS; i++) {
		seen += load.buckets[i];
		if (seen && seen >= wanted)
			return (double)(i + 1) * BUCKET_NS / 1e6;
	}
	return 0;
}

static void report(void)
{
	unsigned long sum = 0;
	int64_t silence = load.last ? load.end - load.last : 0;

	for (int i = 0; i < N_OUTCOMES; i++)
		sum += load.counts[i];
	printf("requests=%lu\nconnections=%lu\n", sum, load.connections);
	for (int i = 0; i < N_OUTCOMES; i++)
		printf("%s=%lu\n", outcome_names[i], load.counts[i]);
	printf("lost=%lu\nbroken=%lu\ndrained=%lu\n", load.lost, load.broken,
	       load.drained);
	if (silence > load.gap)
		load.gap = silence;
	printf("p50_ms=%.2f\np99_ms=%.2f\np999_ms=%.2f\n", quantile(0.5),
	       quantile(0.99), quantile(0.999));
	printf("longest_ms=%.1f\ngap_ms=%.1f\nlate_ms=%.1f\n",
	       (double)load.longest / 1e6, (double)load.gap / 1e6,
	       (double)load.late / 1e6);
	for (int i = 0; i < BODIES_MAX && load.bodies[i].n; i++)
		printf("body.%s=%lu\n", load.bodies[i].line, load.bodies[i].n);
}

static int write_timeline(int64_t start_ms)
{
	FILE *f = fopen(load.timeline, "we");

	if (!f) {
		perror(load.timeline);
		return 1;
	}
	fprintf(f, "start %lld\n", (long long)start_ms);
	for (size_t i = 0; i < SLOTS; i++) {
		for (size_t b = 0; b <= BODIES_MAX; b++) {
			const char *name =
				b < BODIES_MAX ? load.bodies[b].line : "failed";

			if (load.slots[i][b])
				fprintf(f, "%lld %s %u\n",
					(long long)start_ms + (long long)i *
								      SLOT_NS /
								      1000000,
					*name ? name : "-", load.slots[i][b]);
		}
	}
	return fclose(f) ? 1 : 0;
}

/* --- arguments -------------------------------------------------------------
 */

static int usage(void)
{
	fprintf(stderr, "usage: load [--rate=N] [--workers=N] [--seconds=N] "
			"[--count=N] [--keepalive=N] [--idle=N] "
			"[--protocol=NAME] [--ping] [--timeline=FILE] "
			"ADDRESS PORT PATH\n");
	return 2;
}

static bool set_protocol(const char *name)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++) {
		if (!strcmp(protocols[i].name, name)) {
			load.protocol = protocols[i];
			return true;
		}
	}
	return false;
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
		{"--count=", &load.count, 100000000},
		{"--keepalive=", &load.keepalive, 100000000},
		{"--idle=", &load.idle, WORKERS_MAX},
	};

	if (!strcmp(arg, "--ping"))
		return set_protocol("ping");
	if (!strncmp(arg, "--protocol=", 11))
		return set_protocol(arg + 11);
	if (!strncmp(arg, "--timeline=", 11))
		load.timeline = arg + 11;
	if (load.timeline == arg + 11)
		return *load.timeline != '\0';
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

/* Before any connection is made. */
static void make_request(const char *host, const char *path)
{
	if (load.protocol.request.n)
		return;
	(void)snprintf(load.request, sizeof(load.request),
		       "GET %s HTTP/1.%d\r\nHost: %s\r\nUser-Agent: load\r\n"
		       "\r\n",
		       path, load.keepalive > 1, host);
	load.protocol.request =
		(struct bytes){load.request, strlen(load.request)};
}

static void wait_for_end(const sigset_t *signals)
{
	struct timespec limit = {.tv_sec = (time_t)load.seconds};

	if (load.seconds)
		(void)sigtimedwait(signals, NULL, &limit);
	else
		(void)sigwaitinfo(signals, NULL);
	atomic_store(&load.stop, true);
}

int main(int argc, char **argv)
{
	struct timespec begun;
	pthread_t threads[2 * WORKERS_MAX];
	sigset_t signals;
	int i = 1;

	(void)set_protocol("http");
	for (; i < argc && !strncmp(argv[i], "--", 2); i++)
		if (!option(argv[i]))
			return usage();
	/* Only one that is kept can be idle. */
	if (argc - i != 3 || !address(argv[i], argv[i + 1]) ||
	    (load.idle && load.keepalive < 2))
		return usage();
	make_request(argv[i], argv[i + 2]);
	if (load.timeline) {
		load.slots = calloc(SLOTS, sizeof(*load.slots));
		if (!load.slots)
			return 1;
	}

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
	(void)clock_gettime(CLOCK_REALTIME, &begun);
	load.start = now();
	for (unsigned long w = 0; w < load.workers + load.idle; w++) {
		if (pthread_create(&threads[w], NULL,
				   w < load.workers ? worker : idler,
				   (void *)(intptr_t)w) != 0)
			return 1;
	}
	wait_for_end(&signals);
	for (unsigned long w = 0; w < load.workers; w++)
		(void)pthread_join(threads[w], NULL);
	for (unsigned long w = 0; w < load.idle; w++)
		(void)pthread_join(threads[load.workers + w], NULL);
	report();
	return load.timeline ? write_timeline(begun.tv_sec * 1000LL +
					      begun.tv_nsec / 1000000)
			     : 0;
}

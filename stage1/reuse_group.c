/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/reuse_group.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "stage1/held.h"

/* Not in the headers of older systems: linux/sock_diag.h has it. */
#define MEMINFO_DROPS 8
#define MEMINFO_VARS 9
/* A question is tried so often, and an answer waited for so long. */
#define ASK_TRIES 3
#define ASK_LOOKS 50
#define ASK_PAUSE_NS 200000

void reuse_group_add(struct reuse_group *g, int fd, bool is_next, bool listens)
{
	struct reuse_member m = {.fd = fd, .is_next = is_next};
	struct stat st;

	if (fstat(fd, &st) == 0)
		m.inode = st.st_ino;
	g->members = xreallocarray(g->members, g->n + 1, sizeof(*g->members));
	g->members[g->n++] = m;
	if (listens)
		g->n_listening = g->n_used = g->n;
}

size_t reuse_group_count(const struct reuse_group *g, bool is_next)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n; i++)
		n += g->members[i].is_next == is_next;
	return n;
}

size_t reuse_group_listening(const struct reuse_group *g, bool is_next)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_listening; i++)
		n += g->members[i].is_next == is_next && !g->members[i].is_dead;
	return n;
}

/* --- the program -----------------------------------------------------------
 */

#define NOBODY SIZE_MAX

/* Those that get something, without number WITHOUT, and without LAST if there
 * are others. */
static struct steer_set numbers(const struct reuse_group *g, bool is_next,
				size_t without, size_t last)
{
	struct steer_set set = {.n = 0};

	for (size_t i = 0; i < g->n_used && set.n < STEER_MAX; i++)
		if (g->members[i].is_next == is_next && i != without &&
		    !g->members[i].is_dead)
			set.numbers[set.n++] = (uint16_t)i;
	if (set.n > 1 && set.numbers[set.n - 1] == last)
		set.n--;
	return set;
}

static struct steer program(const struct reuse_group *g, size_t without,
			    size_t last)
{
	struct steer steer = {
		.old = numbers(g, false, without, last),
		.next = numbers(g, true, without, last),
		.sign = g->sign,
		.share = g->share,
	};

	/* Nobody has the old ones any more, and the new one is not known to be
	 * well: then clients wait in what we keep. */
	if (!steer.old.n && (!steer.next.n || !g->is_verified))
		for (size_t i = 0; i < g->n_used && !steer.old.n; i++)
			if (!g->members[i].is_next)
				steer.old.numbers[steer.old.n++] = (uint16_t)i;
	return steer;
}

static int put_program(const struct reuse_group *g, const struct steer *steer,
		       struct error *err)
{
	return steer->old.n || steer->next.n
		       ? steer_apply(g->members[0].fd, steer, err)
		       : 0;
}

int reuse_group_apply(const struct reuse_group *g, struct error *err)
{
	const struct steer steer = program(g, NOBODY, NOBODY);

	return put_program(g, &steer, err);
}

/* --- who has which number ----------------------------------------------------
 */

/* Drops what has MARK; false if the app has a filter of its own there. */
static bool drop_marked(int fd, uint32_t mark)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 (uint32_t)SKF_AD_OFF + SKF_AD_MARK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mark, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	const struct sock_fprog program = {
		.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return held_filter(fd, &program);
}

static uint32_t count_drops(int fd)
{
	uint32_t info[MEMINFO_VARS] = {0};
	socklen_t len = sizeof(info);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) < 0 ||
	    len < sizeof(info))
		return 0;
	return info[MEMINFO_DROPS];
}

/* Whoever listens everywhere is asked on this machine. */
static struct sockaddr_storage address_to_ask(const struct reuse_group *g)
{
	struct sockaddr_storage addr = g->addr;
	struct sockaddr_in *v4 = (void *)&addr;
	struct sockaddr_in6 *v6 = (void *)&addr;

	if (g->domain == AF_INET && v4->sin_addr.s_addr == INADDR_ANY)
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (g->domain == AF_INET6 &&
		 IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
		v6->sin6_addr = in6addr_loopback;
	return addr;
}

/* A SYN with MARK. */
static int call(const struct reuse_group *g, uint32_t mark)
{
	const struct sockaddr_storage addr = address_to_ask(g);
	cleanup_fd int fd = g->open(g->data, g->domain);

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0)
		return -EPERM;
	if (connect(fd, (const struct sockaddr *)&addr,
		    g->domain == AF_INET ? sizeof(struct sockaddr_in)
					 : sizeof(struct sockaddr_in6)) == 0 ||
	    errno != EINPROGRESS)
		return -EIO;
	return TAKE_FD(fd);
}

/*
 * Which socket from FROM on has NUMBER: a SYN that the program sends there is
 * dropped by the socket's filter, and the socket counts it.  -EAGAIN if
 * another one counted something, too.
 */
static int ask_once(const struct reuse_group *g, size_t from, size_t number,
		    uint32_t mark)
{
	uint32_t before[2 * STEER_MAX];
	struct steer steer = program(g, NOBODY, NOBODY);
	const struct timespec pause = {.tv_nsec = ASK_PAUSE_NS};
	cleanup_fd int fd = -EBADF;
	int found = -EAGAIN;

	steer.ask_mark = mark;
	steer.ask = (uint16_t)number;
	if (put_program(g, &steer, NULL) < 0)
		return -EIO;
	for (size_t i = from; i < g->n_listening; i++)
		before[i] = count_drops(g->members[i].fd);
	fd = call(g, mark);
	if (fd < 0)
		return fd;
	for (int look = 0; look < ASK_LOOKS && found < 0; look++) {
		for (size_t i = from; i < g->n_listening; i++) {
			if (count_drops(g->members[i].fd) == before[i])
				continue;
			if (found >= 0)
				return -EAGAIN;
			found = (int)i;
		}
		if (found < 0)
			(void)nanosleep(&pause, NULL);
	}
	return found;
}

static int ask(const struct reuse_group *g, size_t from, size_t number,
	       uint32_t mark)
{
	int r = -EAGAIN;

	for (int i = 0; i < ASK_TRIES && r == -EAGAIN; i++)
		r = ask_once(g, from, number, mark);
	return r;
}

static void swap(struct reuse_group *g, size_t a, size_t b)
{
	struct reuse_member m = g->members[a];

	g->members[a] = g->members[b];
	g->members[b] = m;
}

/* Puts those from FROM on in the order of their numbers. */
static bool put_in_order(struct reuse_group *g, size_t from, uint32_t mark)
{
	for (size_t i = from; i + 1 < g->n_listening; i++) {
		int at = ask(g, i, i, mark);

		if (at < 0)
			return false;
		swap(g, i, (size_t)at);
	}
	return true;
}

/* True if the places of those from FROM on are their numbers now. */
static bool learn_from(struct reuse_group *g, size_t from)
{
	uint32_t mark = steer_other_mark(&g->sign);
	bool known = true;
	size_t n = from;

	if (g->n_listening - from < 2)
		return true;
	/* Who may not set marks may have no such filters either. */
	if (!g->sign.mark)
		return false;
	while (known && n < g->n_listening) {
		known = drop_marked(g->members[n].fd, mark);
		n += known;
	}
	known = known && put_in_order(g, from, mark);
	while (n-- > from)
		(void)held_unfilter(g->members[n].fd);
	return known;
}

int reuse_group_learn(struct reuse_group *g, struct error *err)
{
	g->is_known = learn_from(g, 0);
	return reuse_group_apply(g, err);
}

/* --- those that come ---------------------------------------------------------
 */

static bool are_of_both(const struct reuse_group *g, size_t from)
{
	for (size_t i = from; i < g->n_listening; i++)
		if (g->members[i].is_next != g->members[from].is_next)
			return true;
	return false;
}

int reuse_group_look(struct reuse_group *g, struct error *err)
{
	size_t from = g->n_listening;
	bool known;

	for (size_t i = from; i < g->n; i++)
		if (held_is_listening(g->members[i].fd))
			swap(g, i, g->n_listening++);
	if (g->n_listening == from)
		return 0;
	known = learn_from(g, from);
	if (!known && are_of_both(g, from))
		return error_set(err, EAGAIN,
				 "both generations came to listen at one time, "
				 "and their sockets cannot be told apart");
	g->is_known = g->is_known && known;
	g->n_used = g->n_listening;
	return reuse_group_apply(g, err);
}

static const struct generation *owner(const struct reuse_group *g,
				      const struct reuse_member *m)
{
	return m->is_next ? g->next : g->old;
}

static bool has_owner(const struct reuse_group *g, struct reuse_member *m)
{
	const struct generation *of = owner(g, m);

	return !of || sockets_is_at(&m->at, m->inode) ||
	       sockets_find(of, m->fd, &m->at, NULL) != 0;
}

bool reuse_group_is_open(struct reuse_group *g, bool is_next)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->members[i].is_next == is_next &&
		    has_owner(g, &g->members[i]))
			return true;
	return false;
}

void reuse_group_forget_closed(struct reuse_group *g)
{
	size_t n = g->n_listening;

	for (size_t i = n; i < g->n; i++)
		if (!held_is_listening(g->members[i].fd) &&
		    !has_owner(g, &g->members[i]))
			(void)close(g->members[i].fd);
		else
			g->members[n++] = g->members[i];
	g->n = n;
}

/* --- those that go -----------------------------------------------------------
 */

static void close_member(const struct reuse_group *g,
			 const struct reuse_member *m)
{
	if (g->is_stored)
		held_end_listening(m->fd);
	(void)close(m->fd);
}

/* Of the kernel's numbers, too: the last one gets that of the one that goes.
 * In between neither is asked, if there is somebody else to be. */
static void take_out(struct reuse_group *g, size_t number)
{
	struct steer between = program(g, number, g->n_listening - 1);
	struct error err = ERROR_INIT;

	if (put_program(g, &between, &err) < 0)
		log_failure(&err, "update");
	close_member(g, &g->members[number]);
	swap(g, number, --g->n_listening);
	swap(g, g->n_listening, --g->n);
	g->n_used = g->n_listening;
	if (g->n && reuse_group_apply(g, &err) < 0)
		log_failure(&err, "update");
}

/*
 * What waits in it migrates to any other one of the group: while the new one is
 * not known to be well, that must not be its.
 */
static bool may_go(const struct reuse_group *g, const struct reuse_member *m)
{
	size_t n_old = reuse_group_listening(g, false);
	size_t n_next = reuse_group_listening(g, true);

	if (!g->is_known && reuse_group_count(g, true))
		return false;
	return m->is_next || g->is_verified ? n_old + n_next > 0
					    : n_old > 0 && n_next == 0;
}

int reuse_group_tend(struct reuse_group *g, struct error *err)
{
	bool any = false;

	for (size_t i = 0; i < g->n_used; i++) {
		struct reuse_member *m = &g->members[i];

		if (m->is_dead || has_owner(g, m))
			continue;
		m->is_dead = any = true;
		log_debug("a socket of the %s one at port %u was closed",
			  m->is_next ? "new" : "old",
			  ntohs(((struct sockaddr_in *)&g->addr)->sin_port));
	}
	for (size_t i = g->n_used; i-- > 0;)
		if (g->members[i].is_dead && may_go(g, &g->members[i]))
			take_out(g, i);
	/* And one that the app attached meanwhile is replaced. */
	return any || g->n_used > 1 ? reuse_group_apply(g, err) : 0;
}

static void close_unlistening(struct reuse_group *g, bool is_next)
{
	size_t n = g->n_listening;

	for (size_t i = n; i < g->n; i++)
		if (g->members[i].is_next == is_next)
			(void)close(g->members[i].fd);
		else
			g->members[n++] = g->members[i];
	g->n = n;
}

/* Who has which number is not known: the first of those that stay keeps its
 * own as long as there is one behind it. */
static void ask_first_only(const struct reuse_group *g, bool is_next)
{
	struct steer steer = program(g, NOBODY, NOBODY);

	steer.share = is_next ? 0 : STEER_ALL;
	if (is_next)
		steer.next.n = 0;
	else if (steer.next.n)
		steer.next.n = 1;
	(void)put_program(g, &steer, NULL);
}

void reuse_group_leave(struct reuse_group *g, bool is_next)
{
	/* The kernel chooses itself when the program points at nobody. */
	bool must_be_quiet = !is_next && reuse_group_count(g, true) &&
			     reuse_group_count(g, false) > 1;

	g->share = is_next ? 0 : STEER_ALL;
	close_unlistening(g, is_next);
	for (size_t i = 0; i < g->n_listening; i++) {
		struct reuse_member *m = &g->members[i];

		if (m->is_next != is_next)
			continue;
		m->is_dead = true;
		if (must_be_quiet)
			(void)held_shut(m->fd);
	}
	if (!g->is_known)
		ask_first_only(g, is_next);
	for (size_t i = g->n_listening; i-- > 0;) {
		if (g->members[i].is_next != is_next)
			continue;
		if (g->is_known) {
			take_out(g, i);
			continue;
		}
		close_member(g, &g->members[i]);
		swap(g, i, --g->n_listening);
		swap(g, g->n_listening, --g->n);
		g->n_used = g->n_listening;
	}
}

void reuse_group_release(struct reuse_group *g)
{
	for (size_t i = 0; i < g->n; i++)
		fd_close(&g->members[i].fd);
	free(g->members);
	g->members = NULL;
	g->n = g->n_listening = g->n_used = 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "spec/app.h"
#include "stage1/activation.h"
#include "stage1/event.h"
#include "stage1/fd_store.h"
#include "stage1/notify_message.h"

static struct notify_message parse(const char *text)
{
	struct notify_message m = {0};

	cr_assert_eq(notify_message_parse(text, strlen(text), &m), 0, "%s",
		     text);
	return m;
}

Test(notify, what_servers_say)
{
	struct notify_message m;

	m = parse("READY=1\nMAINPID=17\nSTATUS=Ready\n");
	cr_expect(m.ready && m.main_pid == 17 && m.has_status);
	cr_expect_str_eq(m.status, "Ready");
	m = parse("RELOADING=1\nMONOTONIC_USEC=42");
	cr_expect(m.reloading && !m.ready && m.monotonic_usec == 42);
	m = parse("STOPPING=1\nERRNO=2\nEXIT_STATUS=7");
	cr_expect(m.stopping && m.has_errno && m.error == 2);
	cr_expect(m.has_exit_status && m.exit_status == 7);
	m = parse("WATCHDOG=1");
	cr_expect_eq(m.watchdog, NOTIFY_WATCHDOG_PING);
	m = parse("WATCHDOG=trigger\nWATCHDOG_USEC=5\nEXTEND_TIMEOUT_USEC=6");
	cr_expect_eq(m.watchdog, NOTIFY_WATCHDOG_TRIGGER);
	cr_expect(m.watchdog_usec == 5 && m.extend_usec == 6);
	m = parse("FDSTORE=1\nFDNAME=my fd");
	cr_expect(m.fd_store && m.fd_poll);
	cr_expect_str_eq(m.fd_name, "my fd");
	m = parse("FDSTOREREMOVE=1\nFDNAME=x\nFDPOLL=0");
	cr_expect(m.fd_store_remove && !m.fd_store && !m.fd_poll);
	cr_expect(parse("BARRIER=1").barrier);
}

static bool says_nothing(const struct notify_message *m)
{
	return !m->ready && !m->stopping && !m->reloading && !m->barrier &&
	       !m->fd_store && !m->fd_store_remove && m->fd_poll &&
	       m->watchdog == 0 && !m->has_status && !m->has_errno &&
	       !m->has_exit_status && m->main_pid == 0 &&
	       m->watchdog_usec == 0 && m->extend_usec == 0 &&
	       m->monotonic_usec == 0 && !m->status[0] && !m->fd_name[0];
}

Test(notify, what_is_ignored)
{
	static const char *const rows[] = {
		"READY=0",
		"READY=2",
		"READY=0\nREADY=1", /* the first counts */
		"ready=1",
		"X_UNKNOWN=1",
		"READY",
		"=1",
		"MAINPID=-1",
		"MAINPID=99999999999",
		"MAINPID=1x",
		"WATCHDOG=yes",
		"WATCHDOG_USEC=-1",
		"FDNAME=a:b",
		"FDNAME=",
		"STATUS=\xc0\xaf",     /* not the shortest form */
		"STATUS=\xed\xa0\x80", /* a surrogate */
		"STATUS=a\xff",
		"ERRNO=-1",
		"EXIT_STATUS=256",
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct notify_message m = parse(rows[i]);

		cr_expect(says_nothing(&m), "%s", rows[i]);
	}
}

/* "STATUS=aaaa", without an end. */
static void fill(char *text, size_t size)
{
	static const char head[] = {'S', 'T', 'A', 'T', 'U', 'S', '='};

	memset(text, 'a', size);
	memcpy(text, head, sizeof(head));
}

Test(notify, bounds)
{
	char text[NOTIFY_MESSAGE_MAX + 1];
	struct notify_message m;

	fill(text, sizeof(text));
	cr_expect_eq(notify_message_parse("", 0, &m), -EBADMSG);
	cr_expect_eq(notify_message_parse("READY=1\0X", 9, &m), -EBADMSG);
	cr_expect_eq(notify_message_parse("READY=1", 8, &m), 0);
	cr_expect(m.ready);
	cr_expect_eq(notify_message_parse(text, sizeof(text), &m), -EBADMSG);
	cr_expect_eq(notify_message_parse(text, sizeof(text) - 1, &m), 0);
	cr_expect_eq(strlen(m.status), NOTIFY_STATUS_MAX - 1);
	m = parse("STATUS=a\033[31m\x7f");
	cr_expect_str_eq(m.status, "a?[31m?");
	/* A character is not cut in two. */
	fill(text, sizeof(text));
	memcpy(text + 7 + NOTIFY_STATUS_MAX - 2, "\xc3\xa9", 3);
	m = parse(text);
	cr_expect_eq(strlen(m.status), NOTIFY_STATUS_MAX - 2);
}

Test(notify, names_of_descriptors)
{
	char name[FD_NAME_MAX + 2];

	memset(name, 'n', sizeof(name));
	name[FD_NAME_MAX + 1] = '\0';
	cr_expect_not(fd_name_is_valid(name));
	name[FD_NAME_MAX] = '\0';
	cr_expect(fd_name_is_valid(name));
	cr_expect(fd_name_is_valid("a b/c=d"));
	cr_expect_not(fd_name_is_valid(""));
	cr_expect_not(fd_name_is_valid("a:b"));
	cr_expect_not(fd_name_is_valid("a\nb"));
	cr_expect_not(fd_name_is_valid("\xc3\xa9"));
}

/* --- fd store ---------------------------------------------------------------
 */

Test(fd_store, add_and_remove)
{
	struct event_loop loop;
	struct fd_store *store;
	int memfd = memfd_create("state", MFD_CLOEXEC);
	int pair[2];
	const char *name;
	struct stat st;

	cr_assert_eq(event_loop_init(&loop, NULL), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair),
		     0);
	store = fd_store_new(&loop);
	fd_store_set_max(store, 3);
	cr_expect_eq(fd_store_add(store, fcntl(memfd, F_DUPFD_CLOEXEC, 3),
				  "state", true, NULL),
		     0);
	/* The same file once more is nothing new. */
	cr_expect_eq(fd_store_add(store, fcntl(memfd, F_DUPFD_CLOEXEC, 3),
				  "again", true, NULL),
		     0);
	cr_expect_eq(fd_store_count(store), 1);
	cr_assert_eq(fstat(pair[0], &st), 0);
	cr_expect_not(fd_store_has_inode(store, st.st_ino));
	cr_expect_eq(fd_store_add(store, pair[0], "peer", false, NULL), 0);
	cr_expect(fd_store_has_inode(store, st.st_ino));
	cr_expect_eq(
		fd_store_add(store, memfd_create("b", 0), "state", true, NULL),
		0);
	cr_expect_eq(
		fd_store_add(store, memfd_create("c", 0), "more", true, NULL),
		-ENOSPC);
	(void)fd_store_get(store, 1, &name);
	cr_expect_str_eq(name, "peer");
	cr_expect_eq(fd_store_remove(store, "state"), 2);
	cr_expect_eq(fd_store_remove(store, "state"), 0);
	cr_expect_eq(fd_store_count(store), 1);
	fd_store_free(store);
	cr_expect_lt(fcntl(pair[0], F_GETFD), 0, "it was closed");
	(void)close(pair[1]);
	(void)close(memfd);
	event_loop_release(&loop);
}

static void stop(struct event_timer *timer)
{
	((struct event_loop *)timer->data)->stop = true;
}

Test(fd_store, one_whose_peer_is_gone_goes_unless_it_is_not_polled)
{
	struct event_loop loop;
	struct event_timer timer = {.fn = stop, .data = &loop};
	struct fd_store *store;
	int a[2], b[2];
	const char *name;

	cr_assert_eq(event_loop_init(&loop, NULL), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b), 0);
	store = fd_store_new(&loop);
	cr_expect_eq(fd_store_add(store, a[0], "polled", true, NULL), 0);
	cr_expect_eq(fd_store_add(store, b[0], "kept", false, NULL), 0);
	(void)close(a[1]);
	(void)close(b[1]);
	event_timer_set(&loop, &timer, 20);
	cr_assert_eq(event_loop_run(&loop), 0);
	cr_expect_eq(fd_store_count(store), 1);
	(void)fd_store_get(store, 0, &name);
	cr_expect_str_eq(name, "kept");
	fd_store_free(store);
	event_loop_release(&loop);
}

Test(fd_store, how_many)
{
	size_t n;

	cr_expect(fd_store_parse_max(NULL, &n) == 0 && n == FD_STORE_DEFAULT);
	cr_expect(fd_store_parse_max("0", &n) == 0 && n == 0);
	cr_expect(fd_store_parse_max("256", &n) == 0 && n == FD_STORE_LIMIT);
	cr_expect(fd_store_parse_max("257", &n) == -EINVAL &&
		  n == FD_STORE_DEFAULT);
	cr_expect_eq(fd_store_parse_max("many", &n), -EINVAL);
}

/* --- socketActivated ports --------------------------------------------------
 */

static int plan(const char *const *texts, size_t n, struct activation *ret,
		struct error *err)
{
	struct port ports[4];
	struct app app = {.ports = ports, .n_ports = n};
	int r;

	for (size_t i = 0; i < n; i++)
		cr_assert_eq(port_parse(texts[i], &ports[i], NULL), 0, "%s",
			     texts[i]);
	r = activation_plan(&app, ret, err);
	for (size_t i = 0; i < n; i++)
		port_release(&ports[i]);
	return r;
}

Test(activation, plan)
{
	static const char *const ports[] = {
		"plain,protocol=tcp,port=1",
		"web,protocol=tcp,port=80,count=2,socketActivated=true",
		"dns,protocol=udp,port=53,socketActivated=true",
	};
	struct activation a = ACTIVATION_INIT;

	cr_assert_eq(plan(ports, 3, &a, NULL), 0);
	cr_assert_eq(a.n, 3);
	cr_expect_str_eq(a.v[0].name, "web");
	cr_expect(a.v[0].port == 80 && !a.v[0].udp && a.v[0].fd < 0);
	cr_expect_str_eq(a.v[1].name, "web");
	cr_expect_eq(a.v[1].port, 81);
	cr_expect(a.v[2].udp && a.v[2].port == 53);
	activation_release(&a);
}

Test(activation, what_cannot_be)
{
	static const char *const sctp[] = {
		"p,protocol=sctp,port=80,socketActivated=true"};
	static const char *const most[] = {
		"p,protocol=tcp,port=80,count=256,socketActivated=true"};
	static const char *const many[] = {
		"p,protocol=tcp,port=80,count=256,socketActivated=true",
		"q,protocol=udp,port=80,socketActivated=true"};
	static const char *const plain[] = {"p,protocol=sctp,port=80"};
	struct activation a = ACTIVATION_INIT;
	struct error err = ERROR_INIT;

	cr_expect_eq(plan(sctp, 1, &a, &err), -EINVAL);
	cr_expect(strstr(err.msg, "sctp"), "%s", err.msg);
	cr_expect_eq(plan(many, 2, &a, &err), -EINVAL);
	cr_expect_eq(plan(most, 1, &a, &err), 0);
	cr_expect_eq(a.n, ACTIVATION_MAX);
	activation_release(&a);
	cr_expect_eq(plan(plain, 1, &a, &err), 0);
	cr_expect_eq(a.n, 0);
}

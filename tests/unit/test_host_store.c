/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "stage1/host_store.h"

#define UUID "a4b6e4a3-3c4e-4d0c-9b0e-0d3c3a5f0d51"

/* The service manager: its socket and, after each read, what it heard. */
struct manager {
	int fd;
	char name[32];
	char heard[512];
};

static void manager_open(struct manager *m)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	(void)snprintf(m->name, sizeof(m->name), "@rkt-unit-%d", (int)getpid());
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", m->name);
	addr.sun_path[0] = '\0';
	cr_assert_eq(bind(m->fd, (struct sockaddr *)&addr,
			  (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				      strlen(m->name))),
		     0);
}

static const char *manager_hear(struct manager *m)
{
	ssize_t n = recv(m->fd, m->heard, sizeof(m->heard) - 1, 0);

	m->heard[n > 0 ? n : 0] = '\0';
	return m->heard;
}

static int a_listener(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert(fd >= 0 && listen(fd, 1) == 0);
	return fd;
}

Test(host_store, only_if_the_unit_says_so)
{
	static const struct {
		const char *value;
		bool open;
	} rows[] = {{NULL, false}, {"0", false}, {"x", false}, {"16", true}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct host_store s;

		if (rows[i].value)
			(void)setenv("FDSTORE", rows[i].value, 1);
		host_store_open(&s, "/run/systemd/notify", UUID);
		cr_expect_eq(host_store_is_open(&s), rows[i].open, "%s",
			     rows[i].value);
		cr_expect_null(getenv("FDSTORE"));
		host_store_release(&s);
	}
}

Test(host_store, whose_it_is)
{
	static const char *const others[] = {
		"rkt.00000000-3c4e-4d0c-9b0e-0d3c3a5f0d51.netns", "rkt.",
		"rkt.x"};
	struct manager m;
	struct host_store s;
	int fd = a_listener();

	manager_open(&m);
	(void)setenv("FDSTORE", "16", 1);
	host_store_open(&s, m.name, UUID);
	cr_expect_not(host_store_take_back(&s, fd, "http"));
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		cr_expect(host_store_take_back(&s, a_listener(), others[i]));
		cr_expect(strstr(manager_hear(&m), others[i]), "%s: %s",
			  others[i], m.heard);
		cr_expect(strstr(m.heard, "FDSTOREREMOVE=1"));
	}
	cr_expect_eq(s.n, 0);
	/* A socket is no namespace. */
	cr_expect(host_store_take_back(&s, fd, "rkt." UUID ".netns"));
	cr_expect_eq(host_store_take_netns(&s), -EBADF);
	host_store_settle(&s);
	cr_expect_str_eq(manager_hear(&m),
			 "FDSTOREREMOVE=1\nFDNAME=rkt." UUID ".netns");
	host_store_release(&s);
	(void)close(m.fd);
}

Test(host_store, sockets_of_an_app)
{
	struct manager m;
	struct host_store s;
	cleanup_fd int one = a_listener();
	int back;

	manager_open(&m);
	(void)setenv("FDSTORE", "16", 1);
	host_store_open(&s, m.name, UUID);
	cr_assert_eq(host_store_set_netns(&s, getpid()), 0);
	host_store_begin(&s, HOST_STORE_LISTENERS, "web");
	host_store_keep(&s, "web", NULL, 7, one);
	host_store_end(&s);
	cr_expect_str_eq(manager_hear(&m),
			 "FDSTORE=1\nFDNAME=rkt." UUID ".listen.web.7");
	/* The same once more says nothing; of another app neither. */
	host_store_begin(&s, HOST_STORE_LISTENERS, "web");
	host_store_keep(&s, "web", NULL, 7, one);
	host_store_end(&s);
	host_store_begin(&s, HOST_STORE_LISTENERS, "we");
	host_store_end(&s);
	cr_expect_str_eq(manager_hear(&m), "");
	host_store_begin(&s, HOST_STORE_LISTENERS, "web");
	host_store_end(&s);
	cr_expect_str_eq(manager_hear(&m),
			 "FDSTOREREMOVE=1\nFDNAME=rkt." UUID ".listen.web.7");
	/* What comes back is taken once, if it is in the pod's network. */
	cr_expect(host_store_take_back(&s, a_listener(),
				       "rkt." UUID ".port.web.http.9"));
	cr_expect_eq(host_store_take_listener(&s, "web"), -EBADF);
	cr_expect_eq(host_store_take_port(&s, "web", "htt"), -EBADF);
	s.netns_ino++;
	cr_expect_eq(host_store_take_port(&s, "web", "http"), -EBADF);
	s.netns_ino--;
	back = host_store_take_port(&s, "web", "http");
	cr_expect(back >= 0);
	cr_expect_eq(host_store_take_port(&s, "web", "http"), -EBADF);
	(void)close(back);
	host_store_clear(&s);
	host_store_release(&s);
	(void)close(m.fd);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spec/stage1_abi.h"
#include "stage1/control_record.h"
#include "stage1/event.h"
#include "stage1/held.h"
#include "stage1/listeners.h"

/* --- bind_decide -----------------------------------------------------------
 */

Test(update, bind_decide)
{
	static const struct {
		struct bind_facts facts;
		enum bind_action action;
	} rows[] = {
		/* Nothing of ours: UDP, unix, port 0, the host's network. */
		{{0}, BIND_CONTINUE},
		{{.has_port = true}, BIND_CONTINUE},
		{{.is_tcp = true}, BIND_CONTINUE},
		{{.is_tcp = true, .has_port = true, .host_net = true},
		 BIND_CONTINUE},
		/* A free port becomes shareable. */
		{{.is_tcp = true, .has_port = true}, BIND_REUSEPORT},
		{{.is_tcp = true, .has_port = true, .has_reuseport = true},
		 BIND_REUSEPORT},
		/* A port in use: EADDRINUSE stays true. */
		{{.is_tcp = true, .has_port = true, .in_use = true},
		 BIND_CONTINUE},
		{{.is_tcp = true,
		  .has_port = true,
		  .in_use = true,
		  .made_reuseport = true},
		 BIND_CONTINUE},
		{{.is_tcp = true,
		  .has_port = true,
		  .in_use = true,
		  .has_reuseport = true,
		  .made_reuseport = true},
		 BIND_IN_USE},
		/* Both asked for it themselves. */
		{{.is_tcp = true,
		  .has_port = true,
		  .in_use = true,
		  .has_reuseport = true},
		 BIND_CONTINUE},
		/* Beside held ones of other forms, but not beside its own. */
		{{.is_tcp = true, .has_port = true, .overlaps_held = true},
		 BIND_BESIDE},
		{{.is_tcp = true,
		  .has_port = true,
		  .host_net = true,
		  .overlaps_held = true},
		 BIND_BESIDE},
		{{.is_tcp = true,
		  .has_port = true,
		  .overlaps_held = true,
		  .overlaps_own = true,
		  .in_use = true},
		 BIND_CONTINUE},
		{{.is_tcp = true,
		  .has_port = true,
		  .overlaps_held = true,
		  .overlaps_own = true,
		  .has_reuseport = true},
		 BIND_BESIDE},
		{{.is_tcp = true,
		  .has_port = true,
		  .overlaps_held = true,
		  .made_reuseport = true,
		  .in_use = true},
		 BIND_CONTINUE},
		{{.is_tcp = true,
		  .has_port = true,
		  .is_held = true,
		  .held_reuseport = true,
		  .overlaps_held = true,
		  .overlaps_own = true},
		 BIND_CONTINUE},
		/* Held ones. */
		{{.is_tcp = true,
		  .has_port = true,
		  .is_held = true,
		  .held_reuseport = true},
		 BIND_JOIN},
		{{.is_tcp = true, .has_port = true, .is_held = true},
		 BIND_SUBSTITUTE},
		{{.is_tcp = true,
		  .has_port = true,
		  .is_held = true,
		  .held_reuseport = true,
		  .host_net = true},
		 BIND_SUBSTITUTE},
		{{.is_held = true}, BIND_SUBSTITUTE},
		{{.is_held = true, .held_reuseport = true}, BIND_SUBSTITUTE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(bind_decide(&rows[i].facts), rows[i].action,
			     "row %zu", i);
}

/* No set of facts may make a foreign port shareable. */
Test(update, bind_never_shares_a_port_in_use)
{
	for (unsigned int bits = 0; bits < 256; bits++) {
		const struct bind_facts f = {
			.is_tcp = bits & 1,
			.has_port = bits & 2,
			.host_net = bits & 4,
			.is_held = bits & 8,
			.held_reuseport = bits & 16,
			.has_reuseport = bits & 32,
			.in_use = bits & 64,
			.made_reuseport = bits & 128,
		};
		enum bind_action action = bind_decide(&f);

		if (action == BIND_REUSEPORT)
			cr_expect(!f.in_use && !f.host_net && f.is_tcp);
		if (action == BIND_JOIN)
			cr_expect(f.is_held && f.held_reuseport && f.is_tcp &&
				  !f.host_net);
		if (action == BIND_SUBSTITUTE)
			cr_expect(f.is_held);
	}
}

/* --- control records -------------------------------------------------------
 */

static struct control_request good(enum control_op op)
{
	struct control_request r = {
		.version = STAGE1_ABI_VERSION,
		.op = op,
		.generation = 2,
		.app = "web",
	};

	return r;
}

Test(update, control_record_check)
{
	struct control_request r, out;

	for (unsigned int op = 0; op < CONTROL_OP_MAX + 2; op++)
		for (size_t fds = 0; fds < 3; fds++) {
			bool known =
				op >= CONTROL_STATUS && op < CONTROL_OP_MAX;
			bool wants =
				op == CONTROL_UPDATE || op == CONTROL_APP_ADD;
			bool ok = known && fds == wants;

			r = good(op);
			cr_expect_eq(
				control_record_check(&r, sizeof(r), fds, &out),
				ok ? 0 : -EPROTO, "op %u, %zu fds", op, fds);
		}
	for (size_t len = 0; len < sizeof(r); len++)
		cr_expect_eq(control_record_check(&r, len, 0, &out), -EPROTO);
	r = good(CONTROL_STATUS);
	r.version++;
	cr_expect_eq(control_record_check(&r, sizeof(r), 0, &out), -EPROTO);
	r = good(CONTROL_STATUS);
	memset(r.app, 'a', sizeof(r.app));
	cr_expect_eq(control_record_check(&r, sizeof(r), 0, &out), -EPROTO);
	r = good(CONTROL_STATUS);
	memset(r.who, 'a', sizeof(r.who));
	cr_expect_eq(control_record_check(&r, sizeof(r), 0, &out), -EPROTO);
	r = good(CONTROL_STATUS);
	memset(r.probe, 'a', sizeof(r.probe));
	cr_expect_eq(control_record_check(&r, sizeof(r), 0, &out), -EPROTO);
	r = good(CONTROL_UPDATE);
	r.canary_share = 10001;
	cr_expect_eq(control_record_check(&r, sizeof(r), 1, &out), -EPROTO);
	r = good(CONTROL_UPDATE);
	r.keep = 1;
	cr_expect_eq(control_record_check(&r, sizeof(r), 1, &out), -EPROTO);
	r.flags = CONTROL_KEEP;
	cr_expect_eq(control_record_check(&r, sizeof(r), 1, &out), 0);
	r.keep = UPDATE_KEEP_MAX + 1;
	cr_expect_eq(control_record_check(&r, sizeof(r), 1, &out), -EPROTO);
	r = good(CONTROL_UPDATE);
	r.generation = 0;
	cr_expect_eq(control_record_check(&r, sizeof(r), 1, &out), -EPROTO);
	r = good(CONTROL_UPDATE);
	strcpy(r.app, "../web");
	cr_expect_eq(control_record_check(&r, sizeof(r), 1, &out), -EPROTO);
	r.app[0] = '\0';
	cr_expect_eq(control_record_check(&r, sizeof(r), 1, &out), -EPROTO);
	for (unsigned int op = CONTROL_APP_ADD; op <= CONTROL_APP_REMOVE;
	     op++) {
		r = good(op);
		strcpy(r.app, "../web");
		cr_expect_eq(control_record_check(&r, sizeof(r),
						  op == CONTROL_APP_ADD, &out),
			     -EPROTO, "op %u", op);
	}
	r = good(CONTROL_APP_ADD);
	r.generation = 0;
	cr_expect_eq(control_record_check(&r, sizeof(r), 1, &out), -EPROTO);
}

/* Whatever version asks: nothing of these records may move. */
Test(update, runtime_record_check)
{
	const struct runtime_request good_one = {
		.magic = RUNTIME_MAGIC,
		.op = RUNTIME_REPLACE,
	};
	struct runtime_request r = good_one, out;

	cr_expect_eq(sizeof(struct runtime_request), 16);
	cr_expect_eq(sizeof(struct runtime_reply), 1168);
	cr_expect_eq(RUNTIME_MAGIC, 0x31746b72);
	cr_expect_eq(runtime_record_check(&r, sizeof(r), 1, &out), 0);
	cr_expect_eq(out.op, RUNTIME_REPLACE);
	cr_expect_eq(runtime_record_check(&r, sizeof(r), 0, &out), -EPROTO);
	cr_expect_eq(runtime_record_check(&r, sizeof(r), 2, &out), -EPROTO);
	for (size_t len = 0; len < sizeof(r); len++)
		cr_expect_eq(runtime_record_check(&r, len, 1, &out), -EPROTO);
	for (uint32_t op = 0; op < 5; op++) {
		r.op = op;
		cr_expect_eq(runtime_record_check(&r, sizeof(r), 1, &out),
			     op == RUNTIME_CHECK || op == RUNTIME_REPLACE
				     ? 0
				     : -EPROTO);
	}
	r = good_one;
	r.magic++;
	cr_expect_eq(runtime_record_check(&r, sizeof(r), 1, &out), -EPROTO);
	r = good_one;
	r.reserved[1] = 1;
	cr_expect_eq(runtime_record_check(&r, sizeof(r), 1, &out), -EPROTO);
}

/* --- timers ----------------------------------------------------------------
 */

static char fired[16];
static struct event_loop loop;
static struct event_timer timers[4];

static void on_timer(struct event_timer *timer)
{
	size_t i = (size_t)(timer - timers);
	size_t n = strlen(fired);

	fired[n] = (char)('a' + i);
	if (i == 1)
		event_timer_cancel(&loop, &timers[2]);
	if (i == 0 && n < 3)
		event_timer_set(&loop, timer, 1);
	if (i == 3)
		loop.stop = true;
}

Test(update, timers)
{
	cr_assert_eq(event_loop_init(&loop, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		timers[i].fn = on_timer;
	event_timer_set(&loop, &timers[3], 60);
	event_timer_set(&loop, &timers[2], 40);
	event_timer_set(&loop, &timers[1], 20);
	event_timer_set(&loop, &timers[1], 30); /* moved, not doubled */
	event_timer_set(&loop, &timers[0], 0);
	cr_assert_eq(event_loop_run(&loop), 0);
	cr_expect_str_eq(fired, "aaaabd");
	cr_expect_null(loop.timers);
	cr_expect_eq(timers[2].deadline_ns, 0);
	event_timer_cancel(&loop, &timers[0]); /* not armed: nothing happens */
	event_loop_release(&loop);
}

/* --- held sockets ----------------------------------------------------------
 */

/* A filter on UDP takes no privilege. */
Test(update, held_leaves_the_apps_filter)
{
	struct sock_filter all = BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
	const struct sock_fprog program = {.len = 1, .filter = &all};
	struct held_listener h = {.next_fd = -EBADF, .dirfd = -EBADF};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), hops;
	socklen_t len = 0;

	cr_assert(held_filter(fd, &program));
	h.fd = dup(fd);
	held_keep_out(&h);
	held_release(&h);
	cr_expect_eq(getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &len), 0);
	cr_expect_eq(len, 1);
	cr_assert(held_option(fd, SOL_IP, IP_MINTTL, &hops));
	cr_expect_eq(hops, 0);
	close(fd);
}

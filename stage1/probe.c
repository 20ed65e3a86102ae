/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/process.h"
#include "base/strbuf.h"
#include "base/syscalls.h"
#include "stage1/cgroup.h"
#include "stage1/device_policy.h"
#include "stage1/generation.h"
#include "stage1/held.h"
#include "stage1/pod.h"
#include "stage1/probe_mark.h"
#include "stage1/sockets.h"

#define DEFAULT_TIMEOUT_MS 5000

struct probe_run {
	struct pod *pod;
	struct generation *g;
	struct probe probe;
	struct steer_sign sign;
	uint64_t timeout_ms;
	void (*done)(void *data, const struct error *err);
	void *data;
	struct event_timer timer; /* its end, or its result */
	struct error err;	  /* the result, when the timer brings it */

	struct sockaddr_storage addresses[PROBE_ADDRESSES_MAX];
	size_t n_addresses, at;
	struct event_source socket;
	bool connected;
	struct strbuf answer;

	struct app_process process;
	struct event_source process_source;
	struct cgroup_leaf leaf;
};

/* --- the end ---------------------------------------------------------------
 */

static void close_socket(struct probe_run *run)
{
	event_remove(&run->pod->loop, &run->socket);
	fd_close(&run->socket.fd);
	run->connected = false;
}

static void end_process(struct probe_run *run)
{
	struct error err = ERROR_INIT;
	int status;

	if (run->process_source.fd >= 0)
		event_remove(&run->pod->loop, &run->process_source);
	if (run->process.pidfd >= 0) {
		(void)sys_pidfd_send_signal(run->process.pidfd, SIGKILL);
		(void)process_wait(run->process.pidfd, &status);
	}
	app_process_close(&run->process);
	if (!run->leaf.name)
		return;
	(void)cgroup_leaf_kill(&run->leaf, NULL);
	if (cgroup_leaf_remove(run->pod->cgroup, &run->leaf, &err) < 0)
		log_failure(&err, "probe");
}

void probe_cancel(struct probe_run *run)
{
	event_timer_cancel(&run->pod->loop, &run->timer);
	close_socket(run);
	end_process(run);
	probe_release(&run->probe);
	strbuf_release(&run->answer);
	free(run);
}

static void finish(struct probe_run *run, const struct error *err)
{
	void (*done)(void *, const struct error *) = run->done;
	struct error copy = err ? *err : (struct error)ERROR_INIT;
	void *data = run->data;
	bool failed = err != NULL;

	probe_cancel(run);
	done(data, failed ? &copy : NULL);
}

static void on_result(struct event_timer *timer)
{
	struct probe_run *run = timer->data;

	finish(run, &run->err);
}

/* It fails, but whoever began it is not done with that yet. */
static void fail_soon(struct probe_run *run, const struct error *err)
{
	run->err = *err;
	run->timer.fn = on_result;
	event_timer_set(&run->pod->loop, &run->timer, 0);
}

static void on_timeout(struct event_timer *timer)
{
	struct probe_run *run = timer->data;
	struct error err = ERROR_INIT;

	(void)error_set(&err, ETIMEDOUT, "it did not answer within %llu ms",
			(unsigned long long)run->timeout_ms);
	finish(run, &err);
}

/* --- where to --------------------------------------------------------------
 */

static uint16_t port_of(const struct sockaddr_storage *addr)
{
	return addr->ss_family == AF_INET
		       ? ntohs(((const struct sockaddr_in *)addr)->sin_port)
		       : ntohs(((const struct sockaddr_in6 *)addr)->sin6_port);
}

/* The first TCP port the app says it has. */
static uint16_t declared_port(const struct generation *g)
{
	const struct app *app = &g->runtime_app.app;

	for (size_t i = 0; i < app->n_ports; i++)
		if (!app->ports[i].protocol ||
		    strcmp(app->ports[i].protocol, "tcp") == 0)
			return app->ports[i].port;
	return 0;
}

/* A duplicate: closed here. */
static bool add_address(void *data, int number)
{
	cleanup_fd int fd = number;
	struct probe_run *run = data;
	struct sockaddr_storage addr = {0};
	socklen_t len = sizeof(addr);
	int protocol;

	if (!held_is_listening(fd) ||
	    !held_option(fd, SOL_SOCKET, SO_PROTOCOL, &protocol) ||
	    protocol != IPPROTO_TCP ||
	    getsockname(fd, (struct sockaddr *)&addr, &len) < 0 ||
	    (addr.ss_family != AF_INET && addr.ss_family != AF_INET6))
		return false;
	for (size_t i = 0; i < run->n_addresses; i++)
		if (memcmp(&run->addresses[i], &addr, sizeof(addr)) == 0)
			return false;
	run->addresses[run->n_addresses++] = addr;
	return run->n_addresses == PROBE_ADDRESSES_MAX;
}

/* Keeps those of PORT; false if there is none. */
static bool keep_port(struct probe_run *run, uint16_t port)
{
	size_t n = 0;

	for (size_t i = 0; i < run->n_addresses; i++)
		n += port_of(&run->addresses[i]) == port;
	if (n == 0)
		return false;
	n = 0;
	for (size_t i = 0; i < run->n_addresses; i++)
		if (port_of(&run->addresses[i]) == port)
			run->addresses[n++] = run->addresses[i];
	run->n_addresses = n;
	return true;
}

static int choose_addresses(struct probe_run *run, struct error *err)
{
	uint16_t port = run->probe.port;

	if (port && !keep_port(run, port))
		return error_set(err, ECONNREFUSED,
				 "it does not listen on port %u", port);
	if (run->n_addresses == 0)
		return error_set(err, ECONNREFUSED, "it listens on no port");
	if (run->probe.kind != PROBE_HTTP)
		return 0;
	if (!port)
		(void)keep_port(run, declared_port(run->g));
	run->n_addresses = 1;
	return 0;
}

/* Of all interfaces: one that is surely there. */
static struct sockaddr_storage reachable(const struct sockaddr_storage *addr)
{
	struct sockaddr_storage to = *addr;
	struct sockaddr_in *v4 = (void *)&to;
	struct sockaddr_in6 *v6 = (void *)&to;

	if (to.ss_family == AF_INET && v4->sin_addr.s_addr == INADDR_ANY)
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (to.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
		v6->sin6_addr = in6addr_loopback;
	return to;
}

/* A pod without IPv6 where a socket for both listens. */
static struct sockaddr_storage without_ipv6(const struct sockaddr_storage *addr)
{
	struct sockaddr_storage to = {.ss_family = AF_INET};
	struct sockaddr_in *v4 = (void *)&to;

	v4->sin_port = ((const struct sockaddr_in6 *)addr)->sin6_port;
	v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return to;
}

/* --- sockets ---------------------------------------------------------------
 */

static int open_socket(struct probe_run *run, int domain, struct error *err)
{
	cleanup_fd int fd = -EBADF;
	int saved, r;

	r = pod_net_enter(run->pod);
	if (r < 0)
		return error_sys(err, -r, "enter the pod's network");
	fd = socket(domain, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	saved = errno;
	pod_net_leave(run->pod);
	if (fd < 0)
		return error_sys(err, saved, "create the probe's socket");
	r = steer_sign_socket(fd, &run->sign);
	if (r < 0)
		return error_sys(err, -r, "mark the probe's socket");
	return TAKE_FD(fd);
}

static int connect_to(struct probe_run *run, const struct sockaddr_storage *to,
		      struct error *err)
{
	cleanup_fd int fd = open_socket(run, to->ss_family, err);

	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)to,
		    to->ss_family == AF_INET
			    ? sizeof(struct sockaddr_in)
			    : sizeof(struct sockaddr_in6)) < 0 &&
	    errno != EINPROGRESS)
		return error_sys(err, errno, "connect to port %u", port_of(to));
	return TAKE_FD(fd);
}

static void on_socket(struct event_source *source, uint32_t events);

static int connect_next(struct probe_run *run, struct error *err)
{
	const struct sockaddr_storage *addr = &run->addresses[run->at];
	struct sockaddr_storage to = reachable(addr);
	int fd = connect_to(run, &to, err);
	int r;

	if ((fd == -EADDRNOTAVAIL || fd == -ENETUNREACH ||
	     fd == -EAFNOSUPPORT) &&
	    memcmp(&to, addr, sizeof(to)) != 0) {
		to = without_ipv6(&to);
		fd = connect_to(run, &to, err);
	}
	if (fd < 0)
		return fd;
	run->socket.fd = fd;
	run->socket.fn = on_socket;
	run->socket.data = run;
	r = event_add(&run->pod->loop, &run->socket, EPOLLOUT);
	if (r < 0) {
		fd_close(&run->socket.fd);
		return error_sys(err, -r, "watch the probe's socket");
	}
	return 0;
}

/* This one accepts. */
static void next_address(struct probe_run *run)
{
	struct error err = ERROR_INIT;

	close_socket(run);
	if (++run->at == run->n_addresses)
		finish(run, NULL);
	else if (connect_next(run, &err) < 0)
		finish(run, &err);
}

/* Short enough for an empty socket buffer: sent whole or not at all. */
static int send_request(struct probe_run *run, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	strbuf_addf(&text,
		    "GET %s HTTP/1.1\r\nHost: localhost\r\n"
		    "User-Agent: rkt-probe\r\nAccept: */*\r\n"
		    "Connection: close\r\n\r\n",
		    run->probe.path);
	if (send(run->socket.fd, text.buf, text.len, MSG_NOSIGNAL) !=
	    (ssize_t)text.len)
		return error_sys(err, errno, "send the probe's request");
	run->connected = true;
	return event_modify(&run->pod->loop, &run->socket, EPOLLIN);
}

/* 1 when the app is well, 0 while more is to come. */
static int read_answer(struct probe_run *run, struct error *err)
{
	char buf[2048];
	ssize_t n = recv(run->socket.fd, buf, sizeof(buf), 0);
	int status;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return error_sys(err, errno, "read the answer to GET %s",
				 run->probe.path);
	strbuf_add(&run->answer, buf, (size_t)n);
	status = probe_answer_parse(run->answer.buf, run->answer.len);
	if (status < 0)
		return error_set(err, EBADMSG,
				 "the answer to GET %s is no HTTP",
				 run->probe.path);
	if (status == 0)
		return n ? 0
			 : error_set(err, ECONNRESET,
				     "the connection ended before the answer "
				     "to GET %s was there",
				     run->probe.path);
	if (status < 200 || status > 399)
		/* 503: it says itself that this will pass. */
		return error_set(err, status == 503 ? EAGAIN : EPROTO,
				 "it answers GET %s with %d", run->probe.path,
				 status);
	return 1;
}

static void on_socket(struct event_source *source, uint32_t events)
{
	struct probe_run *run = source->data;
	struct error err = ERROR_INIT;
	int r, code = 0;
	socklen_t len = sizeof(code);

	(void)events;
	if (run->connected) {
		r = read_answer(run, &err);
		if (r != 0)
			finish(run, r < 0 ? &err : NULL);
		return;
	}
	if (getsockopt(source->fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
		code = errno;
	if (code) {
		(void)error_sys(&err, code, "connect to port %u",
				port_of(&run->addresses[run->at]));
		finish(run, &err);
	} else if (run->probe.kind == PROBE_TCP) {
		next_address(run);
	} else if (send_request(run, &err) < 0) {
		finish(run, &err);
	}
}

static int begin_socket(struct probe_run *run,
			const struct probe_request *request, struct error *err)
{
	int r = 0;

	if (request->addresses) {
		run->n_addresses = request->n_addresses < PROBE_ADDRESSES_MAX
					   ? request->n_addresses
					   : PROBE_ADDRESSES_MAX;
		memcpy(run->addresses, request->addresses,
		       run->n_addresses * sizeof(run->addresses[0]));
	} else {
		r = sockets_each(run->g, add_address, run, err);
		if (r < 0)
			return r;
	}
	r = choose_addresses(run, err);
	return r < 0 ? r : connect_next(run, err);
}

/* --- programs --------------------------------------------------------------
 */

static void on_exit_of_process(struct event_source *source, uint32_t events)
{
	struct probe_run *run = source->data;
	struct error err = ERROR_INIT;
	int status = 0, code;
	char text[64];

	(void)events;
	(void)process_wait(run->process.pidfd, &status);
	event_remove(&run->pod->loop, source);
	source->fd = -EBADF;
	if (app_process_exec_failed(&run->process, &code))
		(void)error_sys(&err, code, "execute %s", run->probe.exec.v[0]);
	else if (status != 0)
		(void)error_set(
			&err, ECHILD, "%s: %s", run->probe.exec.v[0],
			process_status_text(status, text, sizeof(text)));
	fd_close(&run->process.pidfd);
	finish(run, err.code ? &err : NULL);
}

static int begin_process(struct probe_run *run, struct error *err)
{
	cleanup_free char *name =
		xasprintf("%s.%u.probe", run->g->app->name, run->g->number);
	cleanup_strv struct strv ignored = STRV_INIT;
	int r;

	r = cgroup_leaf_make(run->pod->cgroup, name, &run->g->plan.limits,
			     &run->leaf, &ignored, err);
	/* What a group of its own does not inherit. */
	if (r == 0 && !run->pod->options.plan.insecure_paths)
		r = device_policy_apply(run->pod->cgroup, &run->leaf,
					device_policy_closed,
					device_policy_closed_n, &ignored, err);
	if (r == 0 && run->sign.mark)
		r = probe_mark_sockets(&run->leaf, run->sign.mark, err);
	if (r == 0)
		r = generation_exec(run->g, &run->probe.exec, &run->leaf,
				    &run->process, err);
	if (r < 0)
		return r;
	run->process_source = (struct event_source){
		.fd = run->process.pidfd,
		.fn = on_exit_of_process,
		.data = run,
	};
	r = event_add(&run->pod->loop, &run->process_source, EPOLLIN);
	if (r < 0)
		run->process_source.fd = -EBADF;
	return r < 0 ? error_sys(err, -r, "watch the probe") : 0;
}

/* --- one run ---------------------------------------------------------------
 */

int probe_start(const struct probe_request *request, struct probe_run **ret,
		struct error *err)
{
	struct error why = ERROR_INIT;
	struct probe_run *run;
	int r;

	if (request->probe->kind == PROBE_NONE)
		return error_set(err, EINVAL, "there is no probe");
	run = xcalloc(1, sizeof(*run));
	*run = (struct probe_run){
		.pod = request->g->app->pod,
		.g = request->g,
		.sign = request->sign,
		.timeout_ms = request->timeout_ms ? request->timeout_ms
						  : DEFAULT_TIMEOUT_MS,
		.done = request->done,
		.data = request->data,
		.socket = {.fd = -EBADF},
		.answer = STRBUF_INIT,
		.process = APP_PROCESS_INIT,
		.process_source = {.fd = -EBADF},
		.leaf = CGROUP_LEAF_INIT,
	};
	probe_copy(&run->probe, request->probe);
	run->timer.fn = on_timeout;
	run->timer.data = run;
	event_timer_set(&run->pod->loop, &run->timer, run->timeout_ms);
	r = run->probe.kind == PROBE_EXEC ? begin_process(run, &why)
					  : begin_socket(run, request, &why);
	if (r < 0)
		fail_soon(run, &why);
	*ret = run;
	return 0;
}

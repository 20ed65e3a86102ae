/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rkt-forward: carries what comes to ports of the host's ::1 to a pod, because
 * the kernel does not translate that address.
 *
 *	rkt-forward PARENT ADDRESS {tcp|udp}:PORT...
 *
 * Started by stage1, process PARENT, when the first client comes, with a
 * socket for each PORT of the pod from descriptor 3 on.  Ends with stage1, or
 * when there was nobody for a while: stage1 waits for the next one then.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "aci/sandbox.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/process.h"
#include "cmd/rkt-forward/target.h"
#include "cmd/rkt-forward/tcp.h"
#include "cmd/rkt-forward/udp.h"
#include "cmd/rkt-forward/watch.h"
#include "spec/stage1_abi.h"

#define FIRST_FD 3
#define MiB (1ULL << 20)
/* With four pipes' ends each in the worst case, all of SANDBOX_FORWARD_FDS. */
#define CONNECTIONS_MAX 1024
#define UDP_CLIENTS_MAX 512
#define IDLE_MS 30000
#define USAGE "rkt-forward is started by rkt: PARENT ADDRESS {tcp|udp}:PORT..."

/* --- arguments -------------------------------------------------------------
 */

static int take_address(const char *s, struct target *ret)
{
	struct sockaddr_in *v4 = (void *)&ret->addr;
	struct sockaddr_in6 *v6 = (void *)&ret->addr;

	if (inet_pton(AF_INET, s, &v4->sin_addr) == 1) {
		ret->addr.ss_family = AF_INET;
		ret->len = sizeof(*v4);
		return 0;
	}
	if (inet_pton(AF_INET6, s, &v6->sin6_addr) == 1) {
		ret->addr.ss_family = AF_INET6;
		ret->len = sizeof(*v6);
		return 0;
	}
	return -EINVAL;
}

static int take_port(const char *s, struct target *ret, uint16_t *ret_port)
{
	struct sockaddr_in *v4 = (void *)&ret->addr;
	struct sockaddr_in6 *v6 = (void *)&ret->addr;
	uint64_t port;

	ret->is_udp = strncmp(s, "udp:", 4) == 0;
	if ((!ret->is_udp && strncmp(s, "tcp:", 4) != 0) ||
	    parse_uint(s + 4, UINT16_MAX, &port) < 0 || !port)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	if (ret->addr.ss_family == AF_INET)
		v4->sin_port = htons(*ret_port);
	else
		v6->sin6_port = htons(*ret_port);
	return 0;
}

static int take_target(const char *address, const char *port, int fd,
		       struct target *ret, uint16_t *ret_port)
{
	int r = take_address(address, ret);

	ret->listener = fd;
	return r < 0 ? r : take_port(port, ret, ret_port);
}

/* --- serving ---------------------------------------------------------------
 */

static int lock_in(const int *fds, size_t n_fds, const uint16_t *ports,
		   size_t n_ports, uint64_t parent, struct error *err)
{
	int r = sandbox_enter_forward(
		&(const struct sandbox){
			.keep_fds = fds,
			.n_keep_fds = n_fds,
			.max_memory = 256 * MiB,
			.ports = ports,
			.n_ports = n_ports,
		},
		err);

	/* It may have gone before its end could be ours. */
	return r == 0 && (uint64_t)getppid() != parent
		       ? error_set(err, ESRCH, "who started it is gone")
		       : r;
}

static int serve(int epfd, const struct target *targets, size_t n)
{
	struct tcp *tcp = tcp_new(epfd, targets, n, CONNECTIONS_MAX);
	struct udp *udp = udp_new(epfd, targets, n, UDP_CLIENTS_MAX);
	uint64_t busy_ms = now_ms();
	int r = 0;

	while (r == 0) {
		bool idle = !tcp_n_connections(tcp) && !udp_n_clients(udp);
		uint64_t now = now_ms();

		if (!idle)
			busy_ms = now;
		if (now - busy_ms >= IDLE_MS)
			break;
		r = watch_run(epfd,
			      tcp_timeout(tcp, udp_timeout(udp, IDLE_MS)));
	}
	return r;
}

static int run(size_t n, char *const argv[], struct error *err)
{
	cleanup_free struct target *targets = xcalloc(n, sizeof(*targets));
	cleanup_free uint16_t *ports = xcalloc(n, sizeof(*ports));
	cleanup_free int *fds = xcalloc(n + 1, sizeof(*fds));
	uint64_t parent;
	int r = parse_uint(argv[1], INT32_MAX, &parent);

	for (size_t i = 0; i < n && r == 0; i++) {
		fds[i] = FIRST_FD + (int)i;
		r = take_target(argv[2], argv[3 + i], fds[i], &targets[i],
				&ports[i]);
	}
	if (r < 0)
		return error_set(err, EINVAL, USAGE);
	fds[n] = epoll_create1(EPOLL_CLOEXEC);
	if (fds[n] < 0)
		return error_sys(err, errno, "wait for clients");
	r = lock_in(fds, n + 1, ports, n, parent, err);
	if (r == 0)
		r = serve(fds[n], targets, n);
	return r;
}

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	int r;

	process_open_standard_fds();
	log_init("rkt-forward", true);
	(void)signal(SIGPIPE, SIG_IGN);
	r = argc < 4 ? error_set(&err, EINVAL, USAGE)
		     : run((size_t)argc - 3, argv, &err);
	if (r < 0)
		log_failure(&err, NULL);
	/* What a library does at exit may be forbidden by now. */
	_exit(r < 0 ? RKT_EXIT_FAILURE : 0);
}

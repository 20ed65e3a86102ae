/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rkt-metadata: the metadata service of `rkt metadata-service`.  Opens its two
 * sockets, or takes them from the service manager, gives up what it has of
 * privileges and serves.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/poll.h>
#include <time.h>
#include <unistd.h>

#include "aci/sandbox.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/process.h"
#include "cmd/rkt-metadata/answers.h"
#include "cmd/rkt-metadata/sockets.h"
#include "spec/metadata.h"

#define MiB (1ULL << 20)
#define FORM_MAX (64UL << 10)
#define REGISTRARS_MAX 64
#define PODS_CLIENTS_MAX 384
#define ADDRESS_CLIENTS_MAX 64

struct service {
	struct sockets sockets;
	struct http_server *pods, *registrars;
	int signals;
};

static int start_servers(struct service *s, struct error *err)
{
	int r = http_server_start(
		&(const struct http_server_plan){
			.fd = s->sockets.pods,
			.clients_max = PODS_CLIENTS_MAX,
			.clients_of_address_max = ADDRESS_CLIENTS_MAX,
			.body_max = FORM_MAX,
			.name = answers_name,
			.answer = answer_pod,
		},
		&s->pods, err);

	return r < 0 ? r
		     : http_server_start(
			       &(const struct http_server_plan){
				       .fd = s->sockets.registration,
				       .clients_max = REGISTRARS_MAX,
				       .body_max = MANIFEST_MAX,
				       .answer = answer_registration,
			       },
			       &s->registrars, err);
}

static int take_signals(struct service *s, struct error *err)
{
	s->signals = process_take_end_signals(err);
	return s->signals < 0 ? s->signals : 0;
}

static int lock_in(const struct service *s, struct error *err)
{
	const int keep[] = {s->sockets.pods, s->sockets.registration,
			    http_server_fd(s->pods),
			    http_server_fd(s->registrars), s->signals};

	tzset(); /* reads a file, which the date of an answer would later */
	return sandbox_enter_serve(
		&(const struct sandbox){
			.keep_fds = keep,
			.n_keep_fds = sizeof(keep) / sizeof(*keep),
			.max_memory = 1024 * MiB,
			.max_file_size = UINT64_MAX, /* the log's */
		},
		err);
}

static int serve(const struct service *s, struct error *err)
{
	struct pollfd fds[] = {
		{.fd = s->signals, .events = POLLIN},
		{.fd = http_server_fd(s->pods), .events = POLLIN},
		{.fd = http_server_fd(s->registrars), .events = POLLIN}};

	while (!fds[0].revents) {
		int ms = http_server_timeout(
			s->registrars, http_server_timeout(s->pods, INT32_MAX));

		if (poll(fds, 3, ms == INT32_MAX ? -1 : ms) < 0 &&
		    errno != EINTR)
			return error_sys(err, errno, "wait for clients");
		http_server_run(s->registrars);
		http_server_run(s->pods);
	}
	return 0;
}

static int run(struct service *s, uint16_t port, struct error *err)
{
	int r = sockets_open(&s->sockets, port, err);

	if (r == 0)
		r = answers_prepare(sockets_port(&s->sockets), err);
	if (r == 0)
		r = take_signals(s, err);
	if (r == 0)
		r = start_servers(s, err);
	if (r == 0)
		r = lock_in(s, err);
	return r < 0 ? r : serve(s, err);
}

int main(int argc, char **argv)
{
	struct service s = {.signals = -EBADF};
	struct error err = ERROR_INIT;
	uint64_t port = 0;
	int r;

	process_open_standard_fds();
	log_init("metadata-service", true);
	if (argc != 2 || parse_uint(argv[1], UINT16_MAX, &port) < 0 || !port) {
		log_error("usage: rkt-metadata PORT; it is for rkt "
			  "metadata-service");
		return RKT_EXIT_FAILURE;
	}
	r = run(&s, (uint16_t)port, &err);
	if (r < 0)
		log_failure(&err, NULL);
	/* What a library does at exit may be forbidden by now. */
	_exit(r < 0 ? RKT_EXIT_FAILURE : 0);
}

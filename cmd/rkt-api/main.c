/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rkt-api: the service of `rkt api-service`.  Opens its sockets, or takes them
 * from the service manager, gives up what it has of privileges but reading
 * the data directory, and serves.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/poll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "aci/http_server.h"
#include "aci/sandbox.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/listen.h"
#include "base/log.h"
#include "base/option.h"
#include "base/path.h"
#include "base/process.h"
#include "cmd/rkt-api/addresses.h"
#include "cmd/rkt-api/events.h"
#include "cmd/rkt-api/grpc.h"
#include "cmd/rkt-api/log_streams.h"
#include "cmd/rkt-api/methods.h"
#include "cmd/rkt-api/metrics.h"
#include "cmd/rkt-api/service.h"
#include "spec/stage1_abi.h"

#define MiB (1ULL << 20)
#define METRICS_CLIENTS_MAX 32
#define METRICS_BODY_MAX 1024

struct opts {
	const char *dir, *system_config, *local_config, *user_config;
	const char *insecure, *listen, *metrics_listen;
	bool trust_keys_from_https;
};

#define TEXT_ROW(option, member)                                               \
	{                                                                      \
		.name = (option), .kind = OPTION_STRING,                       \
		.offset = offsetof(struct opts, member)                        \
	}

/* What cmd/rkt/api_service.c says. */
static const struct option_row rows[] = {
	TEXT_ROW("dir", dir),
	TEXT_ROW("system-config", system_config),
	TEXT_ROW("local-config", local_config),
	TEXT_ROW("user-config", user_config),
	TEXT_ROW("insecure-options", insecure),
	TEXT_ROW("listen", listen),
	TEXT_ROW("metrics-listen", metrics_listen),
	{.name = "trust-keys-from-https",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, trust_keys_from_https)},
	{.name = NULL},
};

struct run {
	struct opts opts;
	struct service service;
	gid_t group; /* of the data directory */
	int listeners[LISTEN_GIVEN_MAX];
	int n_listeners;
	struct http_server *metrics[ADDRESS_FDS_MAX];
	int n_metrics;
	int signals;
	struct grpc *grpc;
};

/* --- opening ---------------------------------------------------------------
 */

static int open_dir(struct run *run, struct error *err)
{
	struct service *s = &run->service;
	struct stat st;
	int r;

	if (geteuid() == 0) {
		r = mkdir_p_at(AT_FDCWD, s->dir, 0750);
		if (r < 0)
			return error_sys(err, -r, "make data directory %s",
					 s->dir);
	}
	r = pods_open(&s->pods, s->dir, err);
	if (r < 0)
		return r;
	if (s->pods.data_fd < 0 || fstat(s->pods.data_fd, &st) < 0)
		return error_set(err, ENOENT,
				 "there is no data directory %s: rkt makes it "
				 "with the first image",
				 s->dir);
	run->group = st.st_gid;
	return 0;
}

static int open_listeners(struct run *run, struct error *err)
{
	int r = listen_given(run->listeners, err);

	if (r == 0)
		r = addresses_listen(run->opts.listen, "listen", run->group,
				     run->listeners, err);
	run->n_listeners = r;
	return r < 0 ? r : 0;
}

static int open_metrics(struct run *run, struct error *err)
{
	int fds[ADDRESS_FDS_MAX];
	int n = 0, r = 0;

	if (*run->opts.metrics_listen)
		n = addresses_listen(run->opts.metrics_listen, "metrics-listen",
				     run->group, fds, err);
	if (n < 0)
		return n;
	for (int i = 0; i < n && r == 0; i++)
		r = http_server_start(
			&(const struct http_server_plan){
				.fd = fds[i],
				.clients_max = METRICS_CLIENTS_MAX,
				.body_max = METRICS_BODY_MAX,
				.data = &run->service,
				.quiet = true,
				.answer = metrics_answer,
			},
			&run->metrics[run->n_metrics++], err);
	return r;
}

static int take_signals(struct run *run, struct error *err)
{
	run->signals = process_take_end_signals(err);
	return run->signals < 0 ? run->signals : 0;
}

/* --- privileges ------------------------------------------------------------
 */

#define KEPT_MAX (LISTEN_GIVEN_MAX + 2 * ADDRESS_FDS_MAX + 5)

static int lock_in(const struct run *run, struct error *err)
{
	cleanup_fd int proc = open("/proc", O_PATH | O_CLOEXEC);
	cleanup_fd int cgroups = open("/sys/fs/cgroup", O_PATH | O_CLOEXEC);
	const int shown[] = {run->service.pods.data_fd, proc, cgroups};
	int kept[KEPT_MAX] = {run->signals, shown[0], proc, cgroups};
	size_t n = 4;

	for (int i = 0; i < run->n_listeners; i++)
		kept[n++] = run->listeners[i];
	for (int i = 0; i < run->n_metrics; i++) {
		kept[n++] = http_server_fd(run->metrics[i]);
		kept[n++] = http_server_listener(run->metrics[i]);
	}
	tzset(); /* reads a file */
	return sandbox_enter_show(
		&(const struct sandbox){
			.keep_fds = kept,
			.n_keep_fds = n,
			.max_memory = 1024 * MiB,
			.max_file_size = UINT64_MAX, /* the log's */
			.group = &run->group,
			.shown = shown,
			.n_shown = cgroups < 0 ? 2 : 3,
		},
		err);
}

static int check_access(const struct run *run, struct error *err)
{
	if (access(run->service.dir, R_OK | X_OK) < 0)
		return error_sys(err, errno,
				 "read %s as a member of group %u (everybody "
				 "needs x on the directories above)",
				 run->service.dir, run->group);
	return 0;
}

/* --- serving ---------------------------------------------------------------
 */

static int timeout_of(const struct run *run)
{
	const int parts[] = {grpc_timeout(run->grpc),
			     events_timeout(run->service.events),
			     log_streams_timeout(run->service.logs)};
	int ms = INT_MAX;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (parts[i] < ms)
			ms = parts[i];
	for (int i = 0; i < run->n_metrics; i++)
		ms = http_server_timeout(run->metrics[i], ms);
	return ms == INT_MAX ? -1 : ms;
}

static int serve(struct run *run, struct error *err)
{
	struct service *s = &run->service;
	struct poll_set set = {0};

	for (;;) {
		bool pods_changed;

		grpc_flush(run->grpc);
		set.n = 0;
		(void)poll_set_add(&set, run->signals, POLLIN);
		events_add_fds(s->events, &set);
		log_streams_add_fds(s->logs, &set);
		for (int i = 0; i < run->n_metrics; i++)
			(void)poll_set_add(
				&set, http_server_fd(run->metrics[i]), POLLIN);
		grpc_add_fds(run->grpc, &set);
		if (poll(set.v, set.n, timeout_of(run)) < 0) {
			if (errno != EINTR)
				return error_sys(err, errno,
						 "wait for clients");
			continue;
		}
		if (set.v[0].revents)
			return 0;
		pods_changed = events_run(s->events, &set);
		grpc_run(run->grpc, &set);
		log_streams_run(s->logs, &set, pods_changed);
		for (int i = 0; i < run->n_metrics; i++)
			http_server_run(run->metrics[i]);
	}
}

static int start(struct run *run, struct error *err)
{
	struct service *s = &run->service;
	int r = open_dir(run, err);

	if (r == 0)
		r = open_listeners(run, err);
	if (r == 0)
		r = take_signals(run, err);
	if (r == 0)
		r = open_metrics(run, err);
	if (r == 0)
		r = lock_in(run, err);
	if (r == 0)
		r = check_access(run, err);
	if (r == 0)
		r = events_new(s, &s->events, err);
	if (r < 0)
		return r;
	s->logs = log_streams_new();
	run->grpc =
		grpc_new(run->listeners, (size_t)run->n_listeners, methods, s);
	return serve(run, err);
}

static int parse(char *const *argv, struct opts *opts, struct error *err)
{
	const struct option_set set = {.rows = rows, .target = opts};

	while (*argv) {
		int r = option_apply(&set, 1, argv, err);

		if (r < 0)
			return r;
		argv += r;
	}
	if (!opts->dir || !opts->listen)
		return error_set(err, EINVAL, "rkt-api is for rkt api-service");
	return 0;
}

int main(int argc, char **argv)
{
	static struct run run = {
		.opts = {.metrics_listen = "", .insecure = "none"},
		.signals = -EBADF,
	};
	struct error err = ERROR_INIT;
	int r;

	(void)argc;
	process_open_standard_fds();
	log_init("api-service", true);
	r = parse(argv + 1, &run.opts, &err);
	run.service = (struct service){
		.dir = run.opts.dir,
		.system_config = run.opts.system_config,
		.local_config = run.opts.local_config,
		.user_config = run.opts.user_config,
		.insecure = run.opts.insecure,
		.trust_keys_from_https = run.opts.trust_keys_from_https,
		.pods = PODS_INIT,
	};
	if (r == 0)
		r = start(&run, &err);
	if (r < 0)
		log_failure(&err, NULL);
	/* What a library does at exit may be forbidden by now. */
	_exit(r < 0 ? RKT_EXIT_FAILURE : 0);
}

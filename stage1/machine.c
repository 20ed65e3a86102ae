/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/machine.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/process.h"
#include "base/syscalls.h"
#include "spec/stage1_abi.h"
#include "stage1/rootless.h"
#include "stage1/state.h"

/* There from the start of a machine that systemd has booted, and what every
 * machine of machined has its file in. */
#define BUS "/run/dbus/system_bus_socket"
#define MACHINES "/run/systemd/machines"

#define END_WAIT_MS 3000

/* --- rkt-machine -----------------------------------------------------------
 */

/* Of this very process systemd.exec(5) says so, also if a shell became it. */
static bool is_process_of_unit(void)
{
	const char *value = getenv("SYSTEMD_EXEC_PID");
	uint64_t pid;

	return value && parse_uint(value, INT32_MAX, &pid) == 0 &&
	       (pid_t)pid == getpid();
}

void machine_take(struct machine *m)
{
	const char *libexec = getenv(STAGE1_ENV_LIBEXEC_DIR);

	/* Machines are root's. */
	if (libexec && is_process_of_unit() && !is_rootless())
		m->program = xasprintf("%s/rkt-machine", libexec);
	(void)unsetenv(STAGE1_ENV_LIBEXEC_DIR);
}

/* How it ended; it is over. */
static int reap(struct machine *m)
{
	int status = 0;

	(void)process_wait(m->pidfd, &status);
	fd_close(&m->pidfd);
	return process_exit_code(status);
}

static void start(struct machine *m, char *const argv[])
{
	/* It says itself what is wrong. */
	static const struct fd_map map[] = {{STDERR_FILENO, STDERR_FILENO}};
	char *const none[] = {NULL};
	struct error err = ERROR_INIT;

	m->pidfd =
		process_spawn(m->program, -1, argv, none, map, 1, NULL, &err);
	if (m->pidfd < 0)
		log_failure(&err, NULL);
}

/* --- registering -----------------------------------------------------------
 */

static void on_registered(struct event_source *source, uint32_t events)
{
	struct machine *m = source->data;

	(void)events;
	event_remove(m->loop, source);
	m->is_known = reap(m) == 0;
}

static void watch(struct machine *m, struct event_loop *loop)
{
	m->loop = loop;
	m->process = (struct event_source){
		.fd = m->pidfd, .fn = on_registered, .data = m};
	(void)event_add(loop, &m->process, EPOLLIN);
}

bool machine_is_wanted(const struct machine *m)
{
	return m->program && access(BUS, F_OK) == 0 &&
	       access(MACHINES, F_OK) == 0 && access(m->program, X_OK) == 0;
}

void machine_register(struct machine *m, struct event_loop *loop,
		      const char *uuid, pid_t init)
{
	char name[] = "rkt-machine", word[] = "register", leader[16];
	cleanup_free char *id = xstrdup(uuid);
	char *const argv[] = {name, word, id, leader, NULL};

	if (!machine_is_wanted(m))
		return;
	(void)snprintf(leader, sizeof(leader), "%d", (int)init);
	start(m, argv);
	if (m->pidfd < 0)
		return;
	m->is_known = true;
	watch(m, loop);
}

/* --- the end ---------------------------------------------------------------
 */

static void kill_process(struct machine *m)
{
	if (m->pidfd < 0)
		return;
	(void)sys_pidfd_send_signal(m->pidfd, SIGKILL);
	(void)reap(m);
}

void machine_unregister_begin(struct machine *m, const char *uuid)
{
	char name[] = "rkt-machine", word[] = "unregister";
	cleanup_free char *id = xstrdup(uuid);
	char *const argv[] = {name, word, id, NULL};

	/* What it has asked for by then comes before what is asked now. */
	kill_process(m);
	if (m->is_known)
		start(m, argv);
	m->is_known = false;
}

void machine_unregister_end(struct machine *m)
{
	struct pollfd p = {.fd = m->pidfd, .events = POLLIN};

	if (m->pidfd >= 0 && poll(&p, 1, END_WAIT_MS) == 0)
		log_warning("systemd-machined does not answer: the pod stays "
			    "one of its machines until its unit ends");
	kill_process(m);
}

void machine_release(struct machine *m)
{
	kill_process(m);
	free(m->program);
	m->program = NULL;
}

/* --- for another supervisor ------------------------------------------------
 */

static const struct state_row rows[] = {
	STATE_NULLABLE_ROW(struct machine, program),
	STATE_ROW(struct machine, is_known),
	STATE_FD_ROW(struct machine, pidfd),
};

void machine_save(const struct machine *m, struct state_writer *w,
		  const char *key)
{
	STATE_WRITE_OBJECT(w, key, rows, m);
}

int machine_restore(const struct json_node *node, struct machine *m,
		    struct event_loop *loop)
{
	int r = STATE_READ(node, rows, m);

	if (r == 0 && m->pidfd >= 0)
		watch(m, loop);
	return r;
}

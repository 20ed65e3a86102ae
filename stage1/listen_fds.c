/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "stage1/activation.h"
#include "stage1/fd_store.h"
#include "stage1/generation.h"
#include "stage1/held.h"
#include "stage1/notify.h"
#include "stage1/pod.h"

struct given {
	int fds[ACTIVATION_MAX + FD_STORE_LIMIT];
	size_t n;
	struct strbuf names;
};

static void add(struct given *given, int fd, const char *name)
{
	strbuf_addf(&given->names, "%s%s", given->n ? ":" : "", name);
	given->fds[given->n++] = fd;
}

static void collect(const struct pod_app *app, struct given *given)
{
	size_t n = app->store ? fd_store_count(app->store) : 0;

	for (size_t i = 0; i < app->activation.n; i++)
		if (app->activation.v[i].wanted)
			add(given, app->activation.v[i].fd,
			    app->activation.v[i].name);
	for (size_t i = 0; i < n; i++) {
		const char *name;
		int fd = fd_store_get(app->store, i, &name);

		add(given, fd, name);
	}
}

/* A listening socket that was held for its bind comes to it this way. */
static void let_go_of_stored(struct pod_app *app)
{
	for (size_t i = app->n_held; app->store && i-- > 0;)
		if (fd_store_has_inode(app->store, app->held[i].inode))
			held_forget(app, i);
}

/* Of a stage1 that was killed: found by the name of the port. */
static void adopt_ports(struct pod_app *pod_app, const struct app *app)
{
	struct pod *pod = pod_app->pod;

	for (size_t i = 0; i < app->n_ports; i++) {
		const char *name = app->ports[i].name;
		int fd;

		while (app->ports[i].socket_activated && name &&
		       (fd = host_store_take_port(&pod->host_store,
						  pod_app->name, name)) >= 0)
			host_sockets_add(&pod->host_sockets, fd, name);
	}
}

/* Those of the host its socket units keep. */
static void store_ports(const struct pod_app *app)
{
	struct host_store *store = &app->pod->host_store;

	if (!host_store_is_open(store))
		return;
	host_store_begin(store, HOST_STORE_PORTS, app->name);
	for (size_t i = 0; i < app->activation.n; i++) {
		const struct activated_socket *s = &app->activation.v[i];

		host_store_keep(store, app->name, s->name, s->inode, s->fd);
	}
	host_store_end(store);
}

int generation_give(struct generation *g, struct error *err)
{
	struct pod_app *app = g->app;
	cleanup_strv struct strv env = STRV_INIT;
	struct given given = {.n = 0};
	uint64_t watchdog = notify_watchdog_usec(g);
	uid_t uid;
	gid_t gid;
	int r;

	adopt_ports(app, &g->runtime_app.app);
	r = activation_open(&app->activation, &app->pod->host_sockets,
			    app->pod->init.pidfd, app->pod->own_netns,
			    &g->runtime_app.app, err);
	if (r < 0)
		return r;
	store_ports(app);
	strbuf_init(&given.names);
	let_go_of_stored(app);
	app_process_owner(&g->main, &uid, &gid);
	activation_give(&app->activation, uid, gid);
	collect(app, &given);
	if (given.n) {
		strv_pushf(&env, "LISTEN_FDS=%zu", given.n);
		strv_pushf(&env, "LISTEN_PID=%d", (int)g->main.pod_pid);
		strv_pushf(&env, "LISTEN_FDNAMES=%s", given.names.buf);
	}
	if (watchdog) {
		strv_pushf(&env, "WATCHDOG_USEC=%" PRIu64, watchdog);
		strv_pushf(&env, "WATCHDOG_PID=%d", (int)g->main.pod_pid);
	}
	if (env.n)
		r = app_process_give(&g->main, given.fds, given.n, &env, err);
	strbuf_release(&given.names);
	return r;
}

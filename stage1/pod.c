/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/pod.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "spec/acname.h"
#include "spec/stage1_abi.h"
#include "spec/uuid.h"
#include "stage1/fd_store.h"
#include "stage1/notify_host.h"
#include "stage1/rootless.h"

static int parse_fd(const char *text, int *ret)
{
	uint64_t fd;

	if (parse_uint(text, 1 << 20, &fd) < 0 || set_cloexec((int)fd, 1) < 0)
		return -EBADF;
	*ret = (int)fd;
	return 0;
}

static int take_lock_fd(struct pod *pod, struct error *err)
{
	const char *text = getenv(STAGE1_ENV_LOCK_FD);

	if (!text || parse_fd(text, &pod->lockfd) < 0)
		return error_set(err, EINVAL,
				 STAGE1_ENV_LOCK_FD
				 " is not an open descriptor");
	text = getenv(STAGE1_ENV_SELF_FD);
	if (text && parse_fd(text, &pod->selffd) < 0)
		return error_set(err, EINVAL,
				 STAGE1_ENV_SELF_FD
				 " is not an open descriptor");
	return 0;
}

/* "APP:FD,APP:FD"; an app with a copy of its own (--no-overlay) has none. */
static int take_tree_fds(struct pod *pod, struct error *err)
{
	cleanup_strv struct strv items = STRV_INIT;
	const char *text = getenv(STAGE1_ENV_TREE_FDS);

	if (text && *text)
		strv_split(&items, text, ',');
	for (size_t i = 0; i < items.n; i++) {
		char *colon = strrchr(items.v[i], ':');
		struct pod_app *app;

		if (colon)
			*colon = '\0';
		app = colon ? pod_find_app(pod, items.v[i]) : NULL;
		if (!app || parse_fd(colon + 1, &app->tree_fd) < 0)
			return error_set(err, EINVAL,
					 "bad item %s in " STAGE1_ENV_TREE_FDS,
					 items.v[i]);
	}
	return 0;
}

/* The number at the end of the link appsinfo/APP. */
static int read_committed(struct pod *pod, struct pod_app *app,
			  struct error *err)
{
	cleanup_free char *link = xasprintf(POD_APPSINFO_DIR "/%s", app->name);
	char target[512];
	uint64_t number;
	ssize_t n;

	n = readlinkat(pod->dirfd, link, target, sizeof(target) - 1);
	if (n < 0)
		return error_sys(err, errno, "read %s", link);
	target[n] = '\0';
	if (!strrchr(target, '/') ||
	    parse_uint(strrchr(target, '/') + 1, 1000000000, &number) < 0)
		return error_set(err, EINVAL,
				 "%s does not lead to a generation", link);
	app->committed = (unsigned int)number;
	return 0;
}

static int load_manifest(struct pod *pod, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r;

	r = read_file_at(pod->dirfd, POD_MANIFEST_FILE, MANIFEST_MAX, &text,
			 err);
	if (r < 0)
		return r;
	r = pod_manifest_parse(text.buf, text.len, &pod->manifest, err);
	if (r < 0)
		return error_prefix(err, r, "manifest of the pod");
	r = pod_manifest_check_runnable(&pod->manifest, err);
	return r < 0 ? error_wrap(err, r, "pod manifest") : 0;
}

int pod_add_app(struct pod *pod, const char *name, struct pod_app **ret,
		struct error *err)
{
	struct pod_app *app = xcalloc(1, sizeof(*app));
	int r;

	*app = (struct pod_app){
		.pod = pod,
		.name = xstrdup(name),
		.log = {.fd = -EBADF},
		.tree_fd = -EBADF,
		.wish = {.conn = -EBADF},
	};
	pod->apps = xreallocarray(pod->apps, pod->n_apps + 1,
				  sizeof(struct pod_app *));
	pod->apps[pod->n_apps++] = app;
	r = read_committed(pod, app, err);
	if (r < 0)
		pod_remove_app(pod, app);
	else
		*ret = app;
	return r;
}

static void free_app(struct pod_app *app)
{
	fd_close(&app->wish.conn);
	fd_close(&app->tree_fd);
	output_log_close(&app->log);
	activation_release(&app->activation);
	fd_store_free(app->store);
	free(app->name);
	free(app);
}

void pod_remove_app(struct pod *pod, struct pod_app *app)
{
	size_t n = 0;

	for (size_t i = 0; i < pod->n_apps; i++)
		if (pod->apps[i] != app)
			pod->apps[n++] = pod->apps[i];
	pod->n_apps = n;
	free_app(app);
}

/* Not started with the pod. */
static bool is_idle(const struct pod_app *app)
{
	cleanup_free char *mark = xasprintf(POD_IDLE_DIR "/%s", app->name);

	return app->pod->options.is_mutable &&
	       faccessat(app->pod->dirfd, mark, F_OK, 0) == 0;
}

static int load_apps(struct pod *pod, struct error *err)
{
	for (size_t i = 0; i < pod->manifest.n_apps; i++) {
		struct pod_app *app;
		int r = pod_add_app(pod, pod->manifest.apps[i].name, &app, err);

		if (r < 0)
			return r;
		app->done = is_idle(app);
	}
	return take_tree_fds(pod, err);
}

int pod_save_manifest(const struct pod *pod, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	pod_manifest_write(&pod->manifest, JSON_COMPACT_STYLE, &text);
	return atomic_file_write(pod->dirfd, POD_MANIFEST_FILE, 0640, text.buf,
				 text.len, err);
}

void pod_empty(struct pod *pod)
{
	*pod = (struct pod){
		.dirfd = -EBADF,
		.lockfd = -EBADF,
		.selffd = -EBADF,
		.own_pidns = -EBADF,
		.own_netns = -EBADF,
		.adopted_netns = -EBADF,
		.seccomp_cache = -EBADF,
		.users = USERS_INIT,
		.init = POD_INIT_INIT,
		.machine = MACHINE_INIT,
		.host_ports = HOST_PORTS_INIT,
		.signals = {.fd = -EBADF},
		.loop = {.epfd = -EBADF},
		.output = {.logs_dirfd = -EBADF, .terminal = -EBADF},
	};
	strbuf_init(&pod->output.pending);
}

int pod_take_options(struct pod *pod, int argc, char *const argv[],
		     struct error *err)
{
	struct uuid uuid;
	int r = run_options_parse(argc, argv, &pod->options, err);

	if (r == 0)
		r = uuid_parse(pod->options.uuid, &uuid, err);
	if (r < 0)
		return r;
	pod->hostname = pod->options.hostname
				? xstrdup(pod->options.hostname)
				: xasprintf("rkt-%s", pod->options.uuid);
	return 0;
}

int pod_take(struct pod *pod, int argc, char *const argv[], struct error *err)
{
	int r;

	pod_empty(pod);
	for (int i = 0; i < argc; i++)
		strv_push(&pod->run_args, argv[i]);
	r = pod_take_options(pod, argc, argv, err);
	if (r < 0)
		return r;
	pod->dirfd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pod->dirfd < 0)
		return error_sys(err, errno, "open the pod directory");
	pod->host_notify = notify_host_take();
	pod->host_watchdog_us = notify_host_take_watchdog();
	host_store_open(&pod->host_store, pod->host_notify, pod->options.uuid);
	host_sockets_take(&pod->host_sockets, &pod->host_store);
	host_ports_take(&pod->host_ports);
	machine_take(&pod->machine);
	return take_lock_fd(pod, err);
}

static int open_own_namespaces(struct pod *pod, struct error *err)
{
	bool rootless = is_rootless();
	bool host_net = net_list_kind(&pod->options.nets) == NET_KIND_HOST;

	/* The host's would not let us in again: one that does, as empty as the
	 * pod's. */
	if (rootless && !host_net && unshare(CLONE_NEWNET) < 0)
		return error_sys(err, errno, "create a network namespace");
	if (!rootless)
		pod->own_pidns =
			open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (!host_net)
		pod->own_netns =
			open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if ((!rootless && pod->own_pidns < 0) ||
	    (!host_net && pod->own_netns < 0))
		return error_sys(err, errno, "open the host's namespaces");
	return 0;
}

int pod_net_enter(const struct pod *pod)
{
	if (pod->own_netns < 0)
		return 0;
	return setns(pod->init.pidfd, CLONE_NEWNET) < 0 ? -errno : 0;
}

void pod_net_leave(const struct pod *pod)
{
	if (pod->own_netns >= 0 && setns(pod->own_netns, CLONE_NEWNET) < 0)
		abort(); /* nothing we do next would be where it belongs */
}

int pod_load(struct pod *pod, struct error *err)
{
	int r;

	r = open_own_namespaces(pod, err);
	if (r < 0)
		return r;
	r = load_manifest(pod, err);
	return r < 0 ? r : load_apps(pod, err);
}

void pod_release(struct pod *pod)
{
	host_sockets_release(&pod->host_sockets);
	host_store_release(&pod->host_store);
	host_ports_release(&pod->host_ports);
	machine_release(&pod->machine);
	fd_close(&pod->adopted_netns);
	for (size_t i = 0; i < pod->n_apps; i++)
		free_app(pod->apps[i]);
	free(pod->apps);
	pod_manifest_release(&pod->manifest);
	run_options_release(&pod->options);
	strv_release(&pod->ignored);
	strv_release(&pod->run_args);
	free(pod->hostname);
	free(pod->host_notify);
	free(pod->files.hosts);
	free(pod->files.resolv_conf);
	users_close(&pod->users);
	fd_close(&pod->seccomp_cache);
	fd_close(&pod->own_pidns);
	fd_close(&pod->own_netns);
	free(pod->bound);
	fd_close(&pod->selffd);
	fd_close(&pod->dirfd);
}

struct pod_app *pod_find_app(struct pod *pod, const char *name)
{
	for (size_t i = 0; i < pod->n_apps; i++)
		if (strcmp(pod->apps[i]->name, name) == 0)
			return pod->apps[i];
	return NULL;
}

void pod_note_ignored(struct pod *pod, const char *who, const struct strv *rows)
{
	for (size_t i = 0; i < rows->n; i++) {
		cleanup_free char *row = xasprintf("%s: %s", who, rows->v[i]);

		/* An app that is started again has the same ones. */
		if (!strv_has(&pod->ignored, row))
			strv_push(&pod->ignored, row);
	}
}

void pod_forget_ignored(struct pod *pod, const char *who)
{
	cleanup_free char *start = xasprintf("%s: ", who);
	size_t n = 0;

	for (size_t i = 0; i < pod->ignored.n; i++) {
		char *row = pod->ignored.v[i];

		if (strncmp(row, start, strlen(start)) == 0)
			free(row);
		else
			pod->ignored.v[n++] = row;
	}
	pod->ignored.n = n;
	if (pod->ignored.v)
		pod->ignored.v[n] = NULL;
}

void pod_note_bound(struct pod *pod, const struct generation *g, int domain,
		    uint16_t port, bool made)
{
	for (size_t i = 0; i < pod->n_bound; i++) {
		struct bound_port *b = &pod->bound[i];

		if (b->by != g || b->port != port || b->domain != domain)
			continue;
		b->made_reuseport |= made;
		return;
	}
	pod->bound = xreallocarray(pod->bound, pod->n_bound + 1,
				   sizeof(*pod->bound));
	pod->bound[pod->n_bound++] = (struct bound_port){
		.by = g,
		.domain = domain,
		.port = port,
		.made_reuseport = made,
	};
}

bool pod_has_bound(const struct pod *pod, const struct generation *g,
		   uint16_t port)
{
	for (size_t i = 0; i < pod->n_bound; i++)
		if (pod->bound[i].by == g && pod->bound[i].port == port)
			return true;
	return false;
}

bool pod_made_reuseport(const struct pod *pod, const struct generation *g,
			uint16_t port)
{
	/* An IPv6 socket may have the IPv4 port, too. */
	for (size_t i = 0; i < pod->n_bound; i++)
		if (pod->bound[i].by != g && pod->bound[i].port == port &&
		    pod->bound[i].made_reuseport)
			return true;
	return false;
}

void pod_forget_bound(struct pod *pod, const struct generation *g)
{
	size_t n = 0;

	for (size_t i = 0; i < pod->n_bound; i++)
		if (pod->bound[i].by != g)
			pod->bound[n++] = pod->bound[i];
	pod->n_bound = n;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/syscalls.h"
#include "spec/stage1_abi.h"
#include "stage1/app_load.h"
#include "stage1/caps.h"
#include "stage1/console.h"
#include "stage1/device_policy.h"
#include "stage1/generation.h"
#include "stage1/generation_impl.h"
#include "stage1/rootless.h"
#include "stage1/seccomp.h"

static int make_service(struct generation *g, struct error *err)
{
	const struct name_values *lists[] = {
		&g->runtime_app.annotations,
		&g->app->pod->manifest.annotations,
		&g->image.annotations,
	};

	return service_make(lists, sizeof(lists) / sizeof(lists[0]),
			    &g->service, err);
}

int generation_load(struct generation *g, struct error *err)
{
	cleanup_free char *dir = xasprintf(POD_GENERATIONS_DIR "/%s/%u",
					   g->app->name, g->number);
	int r;

	g->dirfd = sys_openat2(g->app->pod->dirfd, dir,
			       O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
			       RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	if (g->dirfd < 0)
		return error_sys(err, -g->dirfd, "open %s", dir);
	r = app_load(g->dirfd, &g->image, &g->runtime_app, err);
	if (r < 0)
		return error_prefix(err, r, "load %s", dir);
	if (users_are_private(&g->app->pod->users)) {
		r = user_range_check_app(&g->runtime_app.app, err);
		if (r < 0)
			return r;
	}
	r = make_service(g, err);
	return r < 0 ? r
		     : app_plan_make(&g->app->pod->manifest, &g->runtime_app,
				     &g->app->pod->options.plan, &g->plan, err);
}

static int make_leaf(struct generation *g, struct strv *ignored,
		     struct error *err)
{
	cleanup_free char *name = xasprintf("%s.%u", g->app->name, g->number);

	return cgroup_leaf_make(g->app->pod->cgroup, name, &g->plan.limits,
				&g->leaf, ignored, err);
}

static int apply_device_rules(struct generation *g, struct strv *ignored,
			      struct error *err)
{
	cleanup_free struct device_rule *rules = NULL;
	size_t n = device_policy_closed_n;

	rules = xcalloc(n + g->rootfs.volumes.n_rules, sizeof(*rules));
	memcpy(rules, device_policy_closed, n * sizeof(*rules));
	if (g->rootfs.volumes.n_rules)
		memcpy(rules + n, g->rootfs.volumes.rules,
		       g->rootfs.volumes.n_rules * sizeof(*rules));
	return device_policy_apply(g->app->pod->cgroup, &g->leaf, rules,
				   n + g->rootfs.volumes.n_rules, ignored, err);
}

int generation_close_devices(struct generation *g, pid_t pid, struct error *err)
{
	cleanup_strv struct strv ignored = STRV_INIT;
	struct pod *pod = g->app->pod;
	bool was_in;
	int r;

	/* Without root there are no nodes but those of /dev, and no others can
	 * be made. */
	if (pod->options.plan.insecure_paths || g->has_closed_devices ||
	    is_rootless())
		return 0;
	was_in = g->leaf.v1_tasks[CGROUP_DEVICES] >= 0;
	r = apply_device_rules(g, &ignored, err);
	if (r == 0 && pid && !was_in)
		r = cgroup_leaf_add(&g->leaf, CGROUP_DEVICES, pid, err);
	if (r < 0)
		return r;
	g->has_closed_devices = true;
	pod_note_ignored(pod, g->app->name, &ignored);
	return 0;
}

int generation_make_filter(struct generation *g, bool notify,
			   struct sock_fprog *ret, struct strv *notes,
			   struct error *err)
{
	cleanup_seccomp_plan struct seccomp_plan plan = SECCOMP_PLAN_INIT;
	struct seccomp_request request = g->plan.seccomp;
	int r;

	request.notify_bind = notify;
	r = seccomp_plan_make(&request, &plan, err);
	if (r == 0)
		r = seccomp_program_get(g->app->pod->seccomp_cache, &plan, ret,
					err);
	if (r < 0)
		return r;
	g->may_uring = plan.allows_uring;
	for (size_t i = 0; notes && i < plan.notes.n; i++)
		strv_pushf(notes, "seccomp: %s", plan.notes.v[i]);
	return 0;
}

/* Lowering the score needs CAP_SYS_RESOURCE, which root may lack: tried on
 * ourselves, and taken back. */
static void check_oom_score(const struct app_plan *plan, struct strv *ignored)
{
	cleanup_fd int fd =
		open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	char before[16] = "", wanted[16];

	if (fd < 0 || pread_full(fd, before, sizeof(before) - 1, 0) <= 0)
		return;
	(void)snprintf(wanted, sizeof(wanted), "%d", plan->oom_score_adj);
	if (pwrite(fd, wanted, strlen(wanted), 0) < 0)
		strv_pushf(ignored, "os/linux/oom-score-adj: %s",
			   strerror(errno));
	else if (pwrite(fd, before, strlen(before), 0) < 0)
		log_debug("stage1 keeps the oom score of its app");
}

/* Our own bounding set is the most an app can have. */
static void note_missing_caps(struct generation *g)
{
	uint64_t missing =
		g->plan.caps == CAPS_ALL ? 0 : caps_missing(g->plan.caps);
	cleanup_free char *names = NULL;

	if (missing == 0)
		return;
	names = caps_to_names(missing);
	strv_pushf(&g->plan.ignored, "%s: the host does not have %s",
		   "os/linux/capabilities-retain-set", names);
}

int generation_make(struct generation *g, struct error *err)
{
	struct pod *pod = g->app->pod;
	int r;

	r = generation_load(g, err);
	if (r < 0)
		return r;
	if (g->plan.has_oom_score_adj)
		check_oom_score(&g->plan, &g->plan.ignored);
	/* Root of a user namespace has all of them. */
	if (!users_are_private(&pod->users))
		note_missing_caps(g);
	g->rootfs.plan = &g->plan;
	g->rootfs.files = &pod->files;
	g->rootfs.users = &pod->users;
	r = generation_open_tty(g, err);
	if (r < 0)
		return r;
	g->rootfs.tty =
		pod->console ? console_slave(pod->console) : g->tty_slave;
	r = rootfs_open(&g->rootfs, g->dirfd, g->tree_fd, err);
	if (r == 0)
		r = generation_notify_open(g, g->rootfs.dev.dir, err);
	if (r == 0)
		r = make_leaf(g, &g->plan.ignored, err);
	/* A process that is in a v1 group is moved at a price: only the BPF
	 * program can wait until there is one. */
	if (r == 0 && g->leaf.dirfd < 0)
		r = generation_close_devices(g, 0, err);
	if (r == 0)
		r = generation_make_filter(g, true, &g->filter,
					   &g->plan.ignored, err);
	return r;
}

struct generation *generation_alloc(struct pod_app *app, unsigned int number,
				    int tree_fd,
				    const struct generation_ops *ops)
{
	struct generation *g = xcalloc(1, sizeof(*g));

	*g = (struct generation){
		.app = app,
		.number = number,
		.ops = ops,
		.dirfd = -EBADF,
		.tree_fd = tree_fd,
		.rootfs = ROOTFS_INIT,
		.leaf = CGROUP_LEAF_INIT,
		.main = APP_PROCESS_INIT,
		.main_source = {.fd = -EBADF},
		.exec_source = {.fd = -EBADF},
		.listener_source = {.fd = -EBADF},
		.adopted = -EBADF,
		.adopted_source = {.fd = -EBADF},
		.handler = APP_PROCESS_INIT,
		.handler_source = {.fd = -EBADF},
		.mntns = -EBADF,
		.tty_slave = -EBADF,
		.stdin_fd = -EBADF,
		.input_fd = -EBADF,
		.output_fds = {-EBADF, -EBADF},
		.out = {.source = {.fd = -EBADF}},
		.err = {.source = {.fd = -EBADF}},
		.tty = {.source = {.fd = -EBADF}},
		.next = app->pod->generations,
	};
	app->pod->generations = g;
	return g;
}

int generation_new(struct pod_app *app, unsigned int number, int tree_fd,
		   const struct generation_ops *ops, struct generation **ret,
		   struct error *err)
{
	struct generation *g = generation_alloc(app, number, tree_fd, ops);
	int r = generation_make(g, err);
	if (r < 0) {
		r = error_prefix(err, r, "app %s", app->name);
		generation_free(g);
		return r;
	}
	pod_note_ignored(app->pod, app->name, &g->plan.ignored);
	*ret = g;
	return 0;
}

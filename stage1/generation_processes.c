/* SPDX-License-Identifier: Apache-2.0 */

/* Which processes are a generation's. */

#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/process_tree.h"
#include "base/strbuf.h"
#include "base/syscalls.h"
#include "stage1/generation.h"

#define LIST_MAX (1024UL * 1024)
/* Who forks while it is killed is met in the next round. */
#define KILL_ROUNDS 32

/* Without a control group. */
static void walk(const struct generation *g, struct process_tree *ret)
{
	if (g->main.pidfd >= 0)
		process_tree_add(ret, g->main.pid);
	if (g->adopted >= 0)
		process_tree_add(ret, g->adopted_pid);
	process_tree_walk(ret);
	process_tree_add_orphans(ret, g->app->pod->init.pid, g->mount_ns);
}

/* Between two looks a number cannot have gone to somebody else unseen. */
static size_t kill_round(const struct generation *g)
{
	cleanup_process_tree struct process_tree before = PROCESS_TREE_INIT;
	cleanup_process_tree struct process_tree after = PROCESS_TREE_INIT;
	cleanup_free int *pidfds = NULL;
	size_t n = 0;

	walk(g, &before);
	pidfds = xreallocarray(NULL, before.n + 1, sizeof(*pidfds));
	for (size_t i = 0; i < before.n; i++)
		pidfds[i] = pidfd_open(before.pids[i], 0);
	walk(g, &after);
	for (size_t i = 0; i < before.n; i++) {
		if (pidfds[i] < 0)
			continue;
		if (process_tree_has(&after, before.pids[i]) &&
		    sys_pidfd_send_signal(pidfds[i], SIGKILL) == 0)
			n++;
		(void)close(pidfds[i]);
	}
	return n;
}

int generation_processes(const struct generation *g, struct process_tree *ret,
			 struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r;

	if (g->leaf.dirfd < 0) {
		walk(g, ret);
		return 0;
	}
	r = read_file_at(g->leaf.dirfd, "cgroup.procs", LIST_MAX, &text, err);
	if (r < 0)
		return error_wrap(err, r, "find the processes of app %s",
				  g->app->name);
	if (text.len > 0)
		process_tree_add_list(ret, text.buf, "\n");
	return 0;
}

void generation_kill(const struct generation *g)
{
	struct error err = ERROR_INIT;

	if (g->leaf.dirfd >= 0) {
		(void)cgroup_leaf_kill(&g->leaf, &err);
		return;
	}
	for (int i = 0; i < KILL_ROUNDS && kill_round(g) > 0; i++)
		;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* Which processes are a generation's. */

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "base/syscalls.h"
#include "stage1/generation.h"
#include "stage1/generation_impl.h"

#define LIST_MAX (1024UL * 1024)
/* Of a tree that is looked at without a control group. */
#define PROCESSES_MAX 65536
/* Who forks while it is killed is met in the next round. */
#define KILL_ROUNDS 32

bool processes_has(const struct processes *p, pid_t pid)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->pids[i] == pid)
			return true;
	return false;
}

void processes_release(struct processes *p)
{
	free(p->pids);
	*p = (struct processes)PROCESSES_INIT;
}

static void add(struct processes *p, pid_t pid)
{
	if (pid <= 0)
		return;
	p->pids = xreallocarray(p->pids, p->n + 1, sizeof(*p->pids));
	p->pids[p->n++] = pid;
}

/* Numbers between SEPARATORS, as the kernel writes them. */
static void add_list(struct processes *p, char *text, const char *separators)
{
	char *next = text, *word;
	uint64_t pid;

	while ((word = strsep(&next, separators)))
		if (parse_uint(word, INT32_MAX, &pid) == 0)
			add(p, (pid_t)pid);
}

/* --- without a control group -----------------------------------------------
 */

uint64_t generation_mount_ns(pid_t pid)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

/* A thread has the children that it has begun (CONFIG_PROC_CHILDREN). */
static void add_children(struct processes *p, pid_t pid)
{
	cleanup_dir DIR *dir = NULL;
	struct dirent *de;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && (de = readdir(dir))) {
		cleanup_strbuf struct strbuf text = STRBUF_INIT;
		cleanup_free char *name = NULL;

		if (de->d_name[0] == '.')
			continue;
		name = xasprintf("%s/children", de->d_name);
		if (read_file_at(dirfd(dir), name, LIST_MAX, &text, NULL) == 0)
			add_list(p, text.buf, " \n");
	}
}

static void add_orphans(struct processes *p, const struct generation *g)
{
	cleanup_processes struct processes orphans = PROCESSES_INIT;

	add_children(&orphans, g->app->pod->init.pid);
	for (size_t i = 0; i < orphans.n; i++)
		if (generation_mount_ns(orphans.pids[i]) == g->mount_ns)
			add(p, orphans.pids[i]);
}

/* One whose parent ends meanwhile may come twice. */
static void walk(const struct generation *g, struct processes *ret)
{
	size_t i = 0;

	if (g->main.pidfd >= 0)
		add(ret, g->main.pid);
	if (g->adopted >= 0)
		add(ret, g->adopted_pid);
	for (; i < ret->n && ret->n < PROCESSES_MAX; i++)
		add_children(ret, ret->pids[i]);
	if (g->mount_ns)
		add_orphans(ret, g);
	for (; i < ret->n && ret->n < PROCESSES_MAX; i++)
		add_children(ret, ret->pids[i]);
}

/* Between two looks a number cannot have gone to somebody else unseen. */
static size_t kill_round(const struct generation *g)
{
	cleanup_processes struct processes before = PROCESSES_INIT;
	cleanup_processes struct processes after = PROCESSES_INIT;
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
		if (processes_has(&after, before.pids[i]) &&
		    sys_pidfd_send_signal(pidfds[i], SIGKILL) == 0)
			n++;
		(void)close(pidfds[i]);
	}
	return n;
}

/* --- of either kind --------------------------------------------------------
 */

int generation_processes(const struct generation *g, struct processes *ret,
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
	add_list(ret, text.buf, "\n");
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/process_tree.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/strbuf.h"

#define LIST_MAX (1024UL * 1024)
#define PROCESSES_MAX 65536

void process_tree_add(struct process_tree *t, pid_t pid)
{
	if (pid <= 0)
		return;
	t->pids = xreallocarray(t->pids, t->n + 1, sizeof(*t->pids));
	t->pids[t->n++] = pid;
}

void process_tree_add_list(struct process_tree *t, char *text,
			   const char *separators)
{
	char *next = text, *word;
	uint64_t pid;

	while ((word = strsep(&next, separators)))
		if (parse_uint(word, INT32_MAX, &pid) == 0)
			process_tree_add(t, (pid_t)pid);
}

/* A thread has the children that it has begun. */
static void add_children(struct process_tree *t, pid_t pid)
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
		if (read_file_at(dirfd(dir), name, LIST_MAX, &text, NULL) ==
			    0 &&
		    text.len > 0)
			process_tree_add_list(t, text.buf, " \n");
	}
}

void process_tree_walk(struct process_tree *t)
{
	for (; t->n_walked < t->n && t->n < PROCESSES_MAX; t->n_walked++)
		add_children(t, t->pids[t->n_walked]);
}

uint64_t process_mount_ns(pid_t pid)
{
	char path[64];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

void process_tree_add_orphans(struct process_tree *t, pid_t init,
			      uint64_t mount_ns)
{
	cleanup_process_tree struct process_tree all = PROCESS_TREE_INIT;

	add_children(&all, init);
	for (size_t i = 0; mount_ns && i < all.n; i++)
		if (process_mount_ns(all.pids[i]) == mount_ns)
			process_tree_add(t, all.pids[i]);
	process_tree_walk(t);
}

bool process_tree_has(const struct process_tree *t, pid_t pid)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->pids[i] == pid)
			return true;
	return false;
}

void process_tree_release(struct process_tree *t)
{
	free(t->pids);
	*t = (struct process_tree)PROCESS_TREE_INIT;
}

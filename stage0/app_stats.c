/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/app_stats.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/printable.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/process_tree.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/stage1_abi.h"
#include "spec/user_range.h"
#include "stage0/pod.h"
#include "stage0/pod_info.h"
#include "stage0/pod_stage1.h"

#define TEXT_MAX (1024UL * 1024)
#define PID_TEXT_MAX 16
/* A v1 group without a limit says the largest number of pages there is. */
#define NO_LIMIT (1ULL << 62)

/* What the groups said; what they did not comes from the processes. */
struct counted {
	bool cpu, memory, io, tasks, processes;
};

/* --- texts -----------------------------------------------------------------
 */

bool stats_find(const char *text, const char *key, uint64_t *ret)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) != 0)
			continue;
		if (line[len] != ' ' && line[len] != '\t')
			continue;
		line += len + strspn(line + len, " \t");
		if (*line < '0' || *line > '9')
			return false;
		*ret = strtoull(line, NULL, 10);
		return true;
	}
	return false;
}

uint64_t stats_sum(const char *text, const char *key)
{
	size_t len = strlen(key);
	uint64_t sum = 0;

	for (const char *at = strstr(text, key); at; at = strstr(at + len, key))
		if (at > text && at[-1] == ' ' && at[len] == '=')
			sum += strtoull(at + len + 1, NULL, 10);
	return sum;
}

int stats_parse_ticks(const char *text, uint64_t *ret)
{
	/* The name, in parentheses, may have any in it. */
	const char *at = strrchr(text, ')');
	char *end;

	/* The state is the third field, utime the 14th. */
	for (int field = 2; at && field < 14; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	if (!at)
		return -EINVAL;
	*ret = strtoull(at, &end, 10);
	if (end == at || *end != ' ')
		return -EINVAL;
	*ret += strtoull(end, NULL, 10);
	return 0;
}

static void take_name(const char *text, char *ret, size_t size)
{
	const char *name = text + strspn(text, " \t");

	(void)snprintf(ret, size, "%.*s", (int)strcspn(name, "\n"), name);
	make_printable(ret);
}

int stats_parse_status(const char *text, struct app_process_stats *ret)
{
	const char *nspid = strstr(text, "\nNSpid:");
	const char *uids = strstr(text, "\nUid:");
	const char *last;
	unsigned int euid;

	if (strncmp(text, "Name:", 5) != 0 || !nspid || !uids ||
	    sscanf(uids, "\nUid: %*u %u", &euid) != 1 ||
	    !stats_find(text, "Threads:", &ret->threads))
		return -EINVAL;
	take_name(text + 5, ret->name, sizeof(ret->name));
	ret->uid = euid;
	ret->rss = 0;
	if (stats_find(text, "VmRSS:", &ret->rss))
		ret->rss *= 1024;
	/* From the host's namespace to the innermost. */
	last = nspid + 1 + strcspn(nspid + 1, "\n");
	while (last > nspid && last[-1] != '\t' && last[-1] != ' ')
		last--;
	ret->pod_pid = (pid_t)strtol(last, NULL, 10);
	return 0;
}

/* --- processes -------------------------------------------------------------
 */

static int read_proc(int dir, const char *name, struct strbuf *text)
{
	strbuf_reset(text);
	return read_file_at(dir, name, TEXT_MAX, text, NULL);
}

/* Many end while we look: those are left out. */
static int read_process(pid_t pid, struct app_process_stats *ret)
{
	cleanup_free char *path = xasprintf("/proc/%d", (int)pid);
	cleanup_fd int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	uint64_t ticks = 0;

	*ret = (struct app_process_stats){.pid = pid};
	if (dir < 0 || read_proc(dir, "status", &text) < 0 ||
	    stats_parse_status(text.buf, ret) < 0 ||
	    read_proc(dir, "stat", &text) < 0 ||
	    stats_parse_ticks(text.buf, &ticks) < 0)
		return -ESRCH;
	ret->cpu_usec = ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	ret->has_io = read_proc(dir, "io", &text) == 0;
	if (ret->has_io) {
		(void)stats_find(text.buf, "read_bytes:", &ret->read_bytes);
		(void)stats_find(text.buf, "write_bytes:", &ret->written_bytes);
	}
	return 0;
}

static void add_processes(const struct process_tree *tree,
			  struct app_stats *stats)
{
	for (size_t i = 0; i < tree->n; i++) {
		struct app_process_stats p;

		if (read_process(tree->pids[i], &p) < 0)
			continue;
		stats->processes =
			xreallocarray(stats->processes, stats->n_processes + 1,
				      sizeof(*stats->processes));
		stats->processes[stats->n_processes++] = p;
	}
}

static void add_group(int leaf, struct app_stats *stats)
{
	cleanup_process_tree struct process_tree tree = PROCESS_TREE_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	if (read_file_at(leaf, "cgroup.procs", TEXT_MAX, &text, NULL) < 0)
		return;
	if (text.len > 0)
		process_tree_add_list(&tree, text.buf, "\n");
	add_processes(&tree, stats);
}

static ino_t pid_namespace(pid_t pid)
{
	cleanup_free char *path = xasprintf("/proc/%d/ns/pid", (int)pid);
	struct stat st;

	return stat(path, &st) < 0 ? 0 : st.st_ino;
}

/* The generation in GENERATIONS/NAME: its number may be somebody else's by now.
 */
static void add_main(int generations, const char *name, pid_t init,
		     struct process_tree *tree)
{
	cleanup_free char *path = xasprintf("%s/" GENERATION_PID_FILE, name);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	uint64_t pid;

	if (read_file_at(generations, path, PID_TEXT_MAX, &text, NULL) < 0)
		return;
	text.buf[strcspn(text.buf, "\n")] = '\0';
	if (parse_uint(text.buf, INT32_MAX, &pid) < 0 ||
	    pid_namespace((pid_t)pid) != pid_namespace(init))
		return;
	process_tree_add(tree, (pid_t)pid);
	process_tree_walk(tree);
	process_tree_add_orphans(tree, init, process_mount_ns((pid_t)pid));
}

static int by_pid(const void *a, const void *b)
{
	const struct app_process_stats *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

/* --- control groups --------------------------------------------------------
 */

static bool read_number(int leaf, const char *name, uint64_t *ret)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	if (read_file_at(leaf, name, TEXT_MAX, &text, NULL) < 0)
		return false;
	text.buf[strcspn(text.buf, "\n")] = '\0';
	return parse_uint(text.buf, UINT64_MAX, ret) == 0;
}

static bool read_key(int leaf, const char *name, const char *key, uint64_t *ret)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	return read_file_at(leaf, name, TEXT_MAX, &text, NULL) == 0 &&
	       stats_find(text.buf, key, ret);
}

static void add_memory(int leaf, struct app_stats *stats, struct counted *done)
{
	static const struct {
		const char *usage, *limit, *cache;
	} files[] = {
		{"memory.current", "memory.max", "inactive_file"},
		{"memory.usage_in_bytes", "memory.limit_in_bytes",
		 "total_inactive_file"},
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		uint64_t usage, cache = 0, limit = 0;

		if (!read_number(leaf, files[i].usage, &usage))
			continue;
		(void)read_key(leaf, "memory.stat", files[i].cache, &cache);
		stats->memory += cache < usage ? usage - cache : 0;
		if (read_number(leaf, files[i].limit, &limit) &&
		    limit < NO_LIMIT)
			stats->memory_limit += limit;
		done->memory = true;
	}
}

static void add_leaf(int leaf, struct app_stats *stats, struct counted *done)
{
	cleanup_strbuf struct strbuf io = STRBUF_INIT;
	uint64_t n;

	if (read_key(leaf, "cpu.stat", "usage_usec", &n)) {
		stats->cpu_usec += n;
		done->cpu = true;
	}
	if (read_number(leaf, "pids.current", &n)) {
		stats->tasks += n;
		done->tasks = true;
	}
	if (read_file_at(leaf, "io.stat", TEXT_MAX, &io, NULL) == 0) {
		stats->read_bytes += stats_sum(io.buf, "rbytes");
		stats->written_bytes += stats_sum(io.buf, "wbytes");
		done->io = true;
	}
	add_memory(leaf, stats, done);
	if (!done->processes)
		add_group(leaf, stats);
}

/* "APP.1", "APP.2-enter-77": names of apps have no dots. */
static bool is_leaf_of(const char *name, const char *app)
{
	size_t len = strlen(app);

	return strncmp(name, app, len) == 0 && name[len] == '.' &&
	       name[len + 1] >= '0' && name[len + 1] <= '9';
}

/* The leaves in one hierarchy; each process is in one of every hierarchy. */
static void add_hierarchy(const char *path, const char *app,
			  struct app_stats *stats, struct counted *done)
{
	cleanup_dir DIR *dir = opendir(path);
	const struct dirent *de;
	bool found = false;

	while (dir && (de = readdir(dir))) {
		cleanup_fd int leaf = -EBADF;

		if (!is_leaf_of(de->d_name, app))
			continue;
		leaf = openat(dirfd(dir), de->d_name,
			      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (leaf < 0)
			continue;
		add_leaf(leaf, stats, done);
		found = true;
	}
	done->processes |= found;
}

/* Of a pod without groups: what the main processes of the app have begun. */
static void add_tree(const struct pod *pod, const char *app,
		     struct app_stats *stats, struct counted *done)
{
	cleanup_process_tree struct process_tree tree = PROCESS_TREE_INIT;
	cleanup_strv struct strv names = STRV_INIT;
	cleanup_free char *dir = xasprintf(POD_GENERATIONS_DIR "/%s", app);
	cleanup_fd int fd =
		openat(pod->fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int64_t init = 0;

	if (fd < 0 || dir_names(fd, &names) < 0 ||
	    pod_pid(pod, &init, NULL) < 0)
		return;
	for (size_t i = 0; i < names.n; i++)
		add_main(fd, names.v[i], (pid_t)init, &tree);
	add_processes(&tree, stats);
	done->processes = true;
}

static void complete(struct app_stats *stats, const struct counted *done)
{
	stats->has_io = true;
	for (size_t i = 0; i < stats->n_processes; i++) {
		const struct app_process_stats *p = &stats->processes[i];

		stats->has_io &= done->io || p->has_io;
		stats->cpu_usec += done->cpu ? 0 : p->cpu_usec;
		stats->memory += done->memory ? 0 : p->rss;
		stats->tasks += done->tasks ? 0 : p->threads;
		stats->read_bytes += done->io ? 0 : p->read_bytes;
		stats->written_bytes += done->io ? 0 : p->written_bytes;
	}
}

static void number_users(int poddir_fd, struct app_stats *stats)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct user_range range;

	if (read_file_at(poddir_fd, POD_PRIVATE_USERS_FILE, USER_RANGE_TEXT_MAX,
			 &text, NULL) < 0 ||
	    user_range_parse(text.buf, &range, NULL) < 0)
		return;
	for (size_t i = 0; i < stats->n_processes; i++)
		stats->processes[i].uid -= range.first;
}

int app_stats_check(const struct pod *pod, struct error *err)
{
	if (faccessat(pod->fd, POD_CGROUP_FILE, F_OK, 0) == 0)
		return 0;
	return pod_stage1_want_native(pod->fd, err);
}

int app_stats_read(const struct pod *pod, const char *app,
		   struct app_stats *ret, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct counted done = {0};
	char *next, *line;
	int r = read_file_at(pod->fd, POD_CGROUP_FILE, TEXT_MAX, &text, err);

	if (r < 0)
		return r;
	next = text.buf;
	while (text.len > 0 && (line = strsep(&next, "\n")))
		if (*line)
			add_hierarchy(line, app, ret, &done);
	if (!done.processes)
		add_tree(pod, app, ret, &done);
	number_users(pod->fd, ret);
	complete(ret, &done);
	if (ret->n_processes > 0)
		qsort(ret->processes, ret->n_processes, sizeof(*ret->processes),
		      by_pid);
	return 0;
}

void app_stats_release(struct app_stats *stats)
{
	free(stats->processes);
	*stats = (struct app_stats)APP_STATS_INIT;
}

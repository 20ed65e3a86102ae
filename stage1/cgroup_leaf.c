/* SPDX-License-Identifier: Apache-2.0 */

/* What is done with a leaf that is there: no other group is looked at. */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "stage1/cgroup.h"
#include "stage1/cgroup_remove.h"

/* A file that only this v1 controller has. */
static const char *const v1_marker[CGROUP_CONTROLLERS] = {
	[CGROUP_MEMORY] = "memory.limit_in_bytes",
	[CGROUP_CPU] = "cpu.shares",
	[CGROUP_PIDS] = "pids.max",
	[CGROUP_DEVICES] = "devices.list",
	[CGROUP_FREEZER] = "freezer.state",
};

static int leaf_take_v1(struct cgroup_leaf *leaf, int dirfd)
{
	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		if (leaf->v1_dir[i] >= 0 ||
		    faccessat(dirfd, v1_marker[i], F_OK, 0) < 0)
			continue;
		leaf->v1_tasks[i] =
			openat(dirfd, "tasks", O_WRONLY | O_CLOEXEC);
		if (leaf->v1_tasks[i] < 0)
			return -errno;
		leaf->v1_dir[i] = dirfd;
		return 1;
	}
	return 0;
}

static int leaf_take_dir(struct cgroup_leaf *leaf, const char *path)
{
	cleanup_fd int fd =
		open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	int r;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	switch (cgroup_fs_version(fd)) {
	case 1:
		r = leaf_take_v1(leaf, fd);
		if (r > 0)
			(void)TAKE_FD(fd);
		return r;
	case 2:
		leaf->dirfd = TAKE_FD(fd);
		return 1;
	default:
		return 0;
	}
}

int cgroup_leaf_open(const struct strv *dirs, const char *name,
		     struct cgroup_leaf *leaf, struct error *err)
{
	int found = 0;

	leaf->name = xstrdup(name);
	for (size_t i = 0; i < dirs->n; i++) {
		cleanup_free char *path = xasprintf("%s/%s", dirs->v[i], name);
		int r = cgroup_path_check(dirs->v[i]);

		if (r == 0)
			r = leaf_take_dir(leaf, path);
		if (r < 0) {
			cgroup_leaf_release(leaf);
			return error_sys(err, -r, "open control group %s",
					 path);
		}
		found += r;
	}
	if (found)
		return 0;
	cgroup_leaf_release(leaf);
	return error_set(err, ENOENT, "no control group %s", name);
}

/* PID as text: "0" is the calling process. */
static int v1_enter(const struct cgroup_leaf *leaf, int which, const char *pid,
		    struct error *err)
{
	int r = 0;

	if (leaf->v1_tasks[which] >= 0)
		r = write_full(leaf->v1_tasks[which], pid, strlen(pid));
	return r < 0 ? error_sys(err, -r, "enter the %s control group %s",
				 cgroup_controller_name(
					 (enum cgroup_controller)which),
				 leaf->name)
		     : 0;
}

int cgroup_leaf_add(const struct cgroup_leaf *leaf,
		    enum cgroup_controller which, pid_t pid, struct error *err)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	return v1_enter(leaf, (int)which, text, err);
}

int cgroup_leaf_join(const struct cgroup_leaf *leaf, struct error *err)
{
	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		int r = v1_enter(leaf, i, "0", err);

		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_leaf_enter(const struct cgroup_leaf *leaf, struct error *err)
{
	int r = 0;

	if (leaf->dirfd >= 0)
		r = cgroup_write_at(leaf->dirfd, "cgroup.procs", "0");
	if (r < 0)
		return error_sys(err, -r, "enter the control group %s",
				 leaf->name);
	return cgroup_leaf_join(leaf, err);
}

/* Any directory that lists the leaf's processes, or -ENOTSUP. */
static int any_dir(const struct cgroup_leaf *leaf)
{
	if (leaf->dirfd >= 0)
		return leaf->dirfd;
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		if (leaf->v1_dir[i] >= 0)
			return leaf->v1_dir[i];
	return -ENOTSUP;
}

int cgroup_leaf_kill(const struct cgroup_leaf *leaf, struct error *err)
{
	int dir = any_dir(leaf);
	int r;

	if (dir < 0)
		return error_set(err, ENOTSUP, "%s has no control group",
				 leaf->name);
	r = cgroup_kill_at(dir);
	return r < 0 ? error_sys(err, -r, "kill the control group %s",
				 leaf->name)
		     : 0;
}

/* "KEY N" in cgroup.events: 0 or 1. */
static int events_get(int dirfd, const char *key)
{
	cleanup_fd int fd =
		openat(dirfd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	char text[256];
	ssize_t n = fd < 0 ? -errno : read_full(fd, text, sizeof(text) - 1);
	size_t len = strlen(key);

	if (n < 0)
		return (int)n;
	text[n] = '\0';
	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			return line[len + 1] == '1';
	}
	return -ENOTSUP;
}

static int freezer_state(int dirfd)
{
	cleanup_fd int fd =
		openat(dirfd, "freezer.state", O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t n = fd < 0 ? -errno : read_full(fd, text, sizeof(text));

	if (n < 0)
		return (int)n;
	return n >= 6 && memcmp(text, "FROZEN", 6) == 0;
}

int cgroup_leaf_freeze(const struct cgroup_leaf *leaf, bool frozen,
		       int timeout_ms, struct error *err)
{
	int v1 = leaf->v1_dir[CGROUP_FREEZER];
	int r, is = -ENOTSUP;

	if (leaf->dirfd >= 0)
		r = cgroup_write_at(leaf->dirfd, "cgroup.freeze",
				    frozen ? "1" : "0");
	else if (v1 >= 0)
		r = cgroup_write_at(v1, "freezer.state",
				    frozen ? "FROZEN" : "THAWED");
	else
		r = -ENOTSUP;
	for (int waited = 0; r == 0 && waited <= timeout_ms; waited++) {
		is = leaf->dirfd >= 0 ? events_get(leaf->dirfd, "frozen")
				      : freezer_state(v1);
		if (is < 0 || is == frozen)
			break;
		(void)poll(NULL, 0, 1);
	}
	if (r == 0 && is != frozen)
		r = is < 0 ? is : -ETIMEDOUT;
	return r < 0 ? error_sys(err, -r, "%s the control group %s",
				 frozen ? "freeze" : "thaw", leaf->name)
		     : 0;
}

void cgroup_leaf_release(struct cgroup_leaf *leaf)
{
	fd_close(&leaf->dirfd);
	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		fd_close(&leaf->v1_dir[i]);
		fd_close(&leaf->v1_tasks[i]);
	}
	free(leaf->name);
	free(leaf->why);
	*leaf = (struct cgroup_leaf)CGROUP_LEAF_INIT;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/cgroup_remove.h"

#include <ctype.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"

#define PIDS_TEXT_MAX (8UL * 1024 * 1024)
#define DEPTH_MAX 16
#define KILL_ROUNDS 50
#define REMOVE_TIMEOUT_MS 1000

int cgroup_fs_version(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return 0;
	if (st.f_type == CGROUP2_SUPER_MAGIC)
		return 2;
	return st.f_type == CGROUP_SUPER_MAGIC ? 1 : 0;
}

int cgroup_path_check(const char *path)
{
	static const char parent[] = "/" CGROUP_PARENT "/";
	cleanup_free char *clean = path_clean(path);
	const char *uuid = path_base(path);
	size_t before = (size_t)(uuid - path);

	if (path[0] != '/' || strcmp(clean, path) != 0 || strlen(uuid) != 36 ||
	    before < strlen(parent) ||
	    strncmp(uuid - strlen(parent), parent, strlen(parent)) != 0)
		return -EINVAL;
	for (const char *p = uuid; *p; p++)
		if (!isxdigit((unsigned char)*p) && *p != '-')
			return -EINVAL;
	return 0;
}

static int pids_read(int dirfd, struct strbuf *sb)
{
	return read_file_at(dirfd, "cgroup.procs", PIDS_TEXT_MAX, sb, NULL);
}

/* Signals what the group lists; returns how many that were. */
static int kill_listed(int dirfd)
{
	cleanup_strbuf struct strbuf pids = STRBUF_INIT;
	char *save = NULL;
	int n = 0, r = pids_read(dirfd, &pids);

	if (r < 0)
		return r == -ENODEV ? 0 : r;
	for (char *s = strtok_r(pids.buf, "\n", &save); s;
	     s = strtok_r(NULL, "\n", &save)) {
		uint64_t pid;

		/* 0 is a process of a pid namespace we do not see. */
		if (parse_uint(s, INT32_MAX, &pid) < 0 || pid == 0)
			continue;
		(void)kill((pid_t)pid, SIGKILL);
		n++;
	}
	return n;
}

typedef int (*group_fn)(int dirfd);

/* Calls FN for the group and all below it; sums up what it returns. */
static int for_each_group(int dirfd, int depth, group_fn fn)
{
	cleanup_fd int copy =
		openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	int sum = fn(dirfd);
	struct dirent *e;

	if (!dir || sum < 0 || depth >= DEPTH_MAX)
		return sum;
	(void)TAKE_FD(copy);
	while ((e = readdir(dir))) {
		cleanup_fd int fd = -EBADF;
		int r;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		fd = openat(dirfd, e->d_name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = fd < 0 ? 0 : for_each_group(fd, depth + 1, fn);
		if (r < 0)
			return r;
		sum += r;
	}
	return sum;
}

int cgroup_write_at(int dirfd, const char *file, const char *value)
{
	cleanup_fd int fd = openat(dirfd, file, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : write_full(fd, value, strlen(value));
}

int cgroup_kill_at(int dirfd)
{
	int r = cgroup_write_at(dirfd, "cgroup.kill", "1");

	if (r != -ENOENT)
		return r;
	/* Frozen, the processes cannot fork away from the loop. */
	(void)cgroup_write_at(dirfd, "cgroup.freeze", "1");
	(void)cgroup_write_at(dirfd, "freezer.state", "FROZEN");
	for (int i = 0; i < KILL_ROUNDS; i++) {
		r = for_each_group(dirfd, 0, kill_listed);
		/* v1 delivers the signal only to thawed processes. */
		(void)cgroup_write_at(dirfd, "freezer.state", "THAWED");
		if (r <= 0)
			break;
		(void)poll(NULL, 0, 1);
	}
	(void)cgroup_write_at(dirfd, "cgroup.freeze", "0");
	return r < 0 ? r : 0;
}

static int rmdir_children(int dirfd, int depth);

/* One attempt, children first. */
static int rmdir_once(int dirfd, const char *name, int depth)
{
	cleanup_fd int fd = -EBADF;

	if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY && errno != ENOTEMPTY)
		return -errno;
	fd = openat(dirfd, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (depth < DEPTH_MAX)
		(void)rmdir_children(fd, depth + 1);
	if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return -errno;
}

static int rmdir_children(int dirfd, int depth)
{
	cleanup_fd int copy =
		openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	int r = 0;

	if (!dir)
		return -errno;
	(void)TAKE_FD(copy);
	while ((e = readdir(dir))) {
		int step = 0;

		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			step = rmdir_once(dirfd, e->d_name, depth);
		if (step < 0)
			r = step;
	}
	return r;
}

static int rmdir_wait(int dirfd, const char *name, int timeout_ms)
{
	int r, waited = 0;

	for (int pause = 1;; pause = pause < 16 ? pause * 2 : pause) {
		r = rmdir_once(dirfd, name, 0);
		if (r != -EBUSY || waited >= timeout_ms)
			return r;
		(void)poll(NULL, 0, pause);
		waited += pause;
	}
}

int cgroup_rmdir(const char *dir, const char *name, int timeout_ms)
{
	cleanup_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!cgroup_fs_version(fd))
		return 0;
	return rmdir_wait(fd, name, timeout_ms);
}

/* A pod's directory that still holds processes loses them first. */
static int pod_dir_remove(const char *path)
{
	cleanup_free char *parent =
		xstrndup(path, (size_t)(path_base(path) - path) - 1);
	cleanup_fd int fd =
		open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0 && errno != ENOENT)
		return -errno;
	if (fd >= 0) {
		if (!cgroup_fs_version(fd))
			return -EINVAL;
		/* Mostly all is gone already, and a kill is not free. */
		r = cgroup_rmdir(parent, path_base(path), 0);
		if (r == -EBUSY) {
			r = cgroup_kill_at(fd);
			if (r == 0)
				r = cgroup_rmdir(parent, path_base(path),
						 REMOVE_TIMEOUT_MS);
		}
		if (r < 0)
			return r;
	}
	fd_close(&fd);
	fd = open(parent, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* Fails while other pods are below it. */
	if (fd >= 0 && cgroup_fs_version(fd))
		(void)rmdir(parent);
	return 0;
}

int cgroup_remove_dirs(const struct strv *dirs, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < dirs->n; i++) {
		int step;

		if (!*dirs->v[i])
			continue;
		step = cgroup_path_check(dirs->v[i]);
		if (step == 0)
			step = pod_dir_remove(dirs->v[i]);
		if (step < 0 && r == 0)
			r = error_sys(err, -step, "remove control group %s",
				      dirs->v[i]);
	}
	return r;
}

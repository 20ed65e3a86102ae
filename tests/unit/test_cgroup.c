/* SPDX-License-Identifier: Apache-2.0 */
/* Against the running kernel: needs root and a writable cgroup tree. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "base/syscalls.h"
#include "stage1/cgroup.h"
#include "stage1/device_policy.h"

static const char *make_uuid(char buf[37])
{
	(void)snprintf(buf, 37, "c9000000-0000-4000-8000-%012d", getpid());
	return buf;
}

/* NULL with the test skipped when this machine cannot run it. */
static struct cgroup *open_or_skip(void)
{
	struct cgroup *cg = NULL;
	struct cgroup_leaf probe = CGROUP_LEAF_INIT;
	cleanup_strv struct strv ignored = STRV_INIT;
	char uuid[37];

	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert_eq(cgroup_open(make_uuid(uuid), &cg, NULL), 0);
	cr_assert_eq(
		cgroup_leaf_make(cg, "probe", NULL, &probe, &ignored, NULL), 0);
	if (probe.dirfd < 0) {
		(void)cgroup_leaf_remove(cg, &probe, NULL);
		(void)cgroup_remove(cg, NULL);
		cgroup_free(cg);
		cr_skip_test("needs a writable cgroup2 mount");
	}
	cr_assert_eq(cgroup_leaf_remove(cg, &probe, NULL), 0);
	return cg;
}

/* Starts a process in the leaf; it joins the v1 groups, then calls FN. */
static pid_t start_in(const struct cgroup_leaf *leaf, int (*fn)(void))
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = (uint64_t)leaf->dirfd,
	};
	pid_t pid = sys_clone3(&args);

	if (pid == 0) {
		if (cgroup_leaf_join(leaf, NULL) < 0)
			_exit(99);
		_exit(fn());
	}
	cr_assert_gt(pid, 0);
	return pid;
}

static bool has_processes(const struct cgroup_leaf *leaf)
{
	cleanup_strbuf struct strbuf pids = STRBUF_INIT;
	int dir = leaf->dirfd;

	for (int i = 0; dir < 0 && i < CGROUP_CONTROLLERS; i++)
		dir = leaf->v1_dir[i];
	cr_assert_eq(read_file_at(dir, "cgroup.procs", 4096, &pids, NULL), 0);
	return pids.len > 0;
}

static int wait_status(pid_t pid)
{
	int status = -1;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static int sleep_long(void)
{
	pid_t child = fork();

	(void)child;
	(void)sleep(100);
	return 0;
}

static int touch_64_mib(void)
{
	size_t size = 64UL << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < size; i += 4096)
		((volatile char *)p)[i] = 1;
	return 0;
}

static int fork_20(void)
{
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return errno == EAGAIN ? 7 : 8;
		if (pid == 0) {
			(void)sleep(1);
			_exit(0);
		}
	}
	return 0;
}

static void expect_gone(const struct cgroup *cg)
{
	cleanup_strv struct strv dirs = STRV_INIT;

	cgroup_dirs(cg, &dirs);
	for (size_t i = 0; i < dirs.n; i++)
		cr_expect_neq(access(dirs.v[i], F_OK), 0, "%s is left",
			      dirs.v[i]);
}

Test(cgroup, leaf_tracks_freezes_and_kills)
{
	cleanup_cgroup struct cgroup *cg = open_or_skip();
	struct cgroup_leaf leaf = CGROUP_LEAF_INIT, again = CGROUP_LEAF_INIT;
	cleanup_strv struct strv ignored = STRV_INIT;
	struct error err = ERROR_INIT;
	pid_t pid;

	cr_assert_eq(cgroup_leaf_make(cg, "app.1", NULL, &leaf, &ignored, &err),
		     0, "%s", err.msg);
	cr_expect_eq(
		cgroup_leaf_make(cg, "app.1", NULL, &again, &ignored, &err),
		-EEXIST);
	cr_expect_eq(ignored.n, 0);
	cr_expect_eq(has_processes(&leaf), 0);
	pid = start_in(&leaf, sleep_long);
	cr_expect_eq(has_processes(&leaf), 1);
	cr_expect_eq(cgroup_leaf_freeze(&leaf, true, 1000, &err), 0, "%s",
		     err.msg);
	cr_expect_eq(cgroup_leaf_freeze(&leaf, false, 1000, &err), 0);
	cr_expect_eq(cgroup_leaf_kill(&leaf, &err), 0, "%s", err.msg);
	cr_expect(WIFSIGNALED(wait_status(pid)));
	cr_expect_eq(cgroup_leaf_remove(cg, &leaf, &err), 0, "%s", err.msg);
	cr_expect_eq(cgroup_remove(cg, &err), 0, "%s", err.msg);
	expect_gone(cg);
}

Test(cgroup, memory_limit_kills)
{
	cleanup_cgroup struct cgroup *cg = open_or_skip();
	const struct cgroup_limits limits = {.memory_max = 16UL << 20};
	struct cgroup_leaf leaf = CGROUP_LEAF_INIT;
	cleanup_strv struct strv ignored = STRV_INIT;
	struct error err = ERROR_INIT;
	int status;

	cr_assert_eq(
		cgroup_leaf_make(cg, "app.1", &limits, &leaf, &ignored, &err),
		0, "%s", err.msg);
	if (ignored.n == 0) {
		status = wait_status(start_in(&leaf, touch_64_mib));
		cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
			  "status %x", (unsigned int)status);
	}
	cr_expect_eq(cgroup_leaf_remove(cg, &leaf, &err), 0, "%s", err.msg);
	cr_expect_eq(cgroup_remove(cg, &err), 0, "%s", err.msg);
	expect_gone(cg);
	if (ignored.n)
		cr_skip_test("%s", ignored.v[0]);
}

Test(cgroup, limit_of_the_pod_holds_for_leaves)
{
	cleanup_cgroup struct cgroup *cg = open_or_skip();
	const struct cgroup_limits limits = {.memory_max = 16UL << 20};
	struct cgroup_leaf leaf = CGROUP_LEAF_INIT;
	cleanup_strv struct strv ignored = STRV_INIT;
	struct error err = ERROR_INIT;
	int status;

	cr_assert_eq(cgroup_limit_pod(cg, &limits, &ignored, &err), 0);
	cr_assert_eq(cgroup_leaf_make(cg, "app.1", NULL, &leaf, &ignored, &err),
		     0, "%s", err.msg);
	if (ignored.n == 0) {
		status = wait_status(start_in(&leaf, touch_64_mib));
		cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
			  "status %x", (unsigned int)status);
	}
	cr_expect_eq(cgroup_leaf_remove(cg, &leaf, &err), 0, "%s", err.msg);
	cr_expect_eq(cgroup_remove(cg, &err), 0, "%s", err.msg);
	expect_gone(cg);
	if (ignored.n)
		cr_skip_test("%s", ignored.v[0]);
}

Test(cgroup, pids_and_cpu_limits)
{
	cleanup_cgroup struct cgroup *cg = open_or_skip();
	const struct cgroup_limits limits = {
		.pids_max = 5, .cpu_millis = 200, .cpu_shares = 512};
	struct cgroup_leaf leaf = CGROUP_LEAF_INIT, seen = CGROUP_LEAF_INIT;
	cleanup_strv struct strv ignored = STRV_INIT;
	cleanup_strv struct strv dirs = STRV_INIT;
	struct error err = ERROR_INIT;
	pid_t pid;
	int status;

	cr_assert_eq(
		cgroup_leaf_make(cg, "app.1", &limits, &leaf, &ignored, &err),
		0, "%s", err.msg);
	if (ignored.n == 0) {
		status = wait_status(start_in(&leaf, fork_20));
		cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 7,
			  "status %x", (unsigned int)status);
		/* Joining from the directories alone, as `enter` does. */
		cgroup_dirs(cg, &dirs);
		cr_assert_eq(cgroup_leaf_open(&dirs, "app.1", &seen, &err), 0,
			     "%s", err.msg);
		(void)cgroup_leaf_kill(&seen, NULL);
		(void)usleep(50000);
		pid = fork();
		if (pid == 0)
			_exit(cgroup_leaf_enter(&seen, NULL) < 0 ? 98
								 : fork_20());
		status = wait_status(pid);
		cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 7,
			  "entered: status %x", (unsigned int)status);
		(void)cgroup_leaf_kill(&seen, NULL);
		cgroup_leaf_release(&seen);
	}
	cr_expect_eq(cgroup_leaf_open(&dirs, "no.1", &seen, &err), -ENOENT);
	cgroup_leaf_release(&leaf);
	cr_expect_eq(cgroup_remove(cg, &err), 0, "%s", err.msg);
	expect_gone(cg);
	if (ignored.n)
		cr_skip_test("%s", ignored.v[0]);
}

/* A host with v1 alone: no cgroup.kill, the freezer controller. */
Test(cgroup, v1_leaf_freezes_and_kills)
{
	cleanup_cgroup struct cgroup *cg = open_or_skip();
	struct cgroup_leaf leaf = CGROUP_LEAF_INIT;
	cleanup_strv struct strv ignored = STRV_INIT;
	struct error err = ERROR_INIT;
	int unified, r;
	pid_t pid;

	cr_assert_eq(cgroup_leaf_make(cg, "app.1", NULL, &leaf, &ignored, &err),
		     0);
	unified = TAKE_FD(leaf.dirfd);
	r = cgroup_leaf_v1(cg, &leaf, CGROUP_FREEZER, &err);
	if (r >= 0) {
		pid = fork();
		if (pid == 0)
			_exit(cgroup_leaf_join(&leaf, NULL) < 0 ? 99
								: sleep_long());
		while (has_processes(&leaf) == 0)
			(void)usleep(1000);
		cr_expect_eq(cgroup_leaf_freeze(&leaf, true, 1000, &err), 0,
			     "%s", err.msg);
		cr_expect_eq(cgroup_leaf_freeze(&leaf, false, 1000, &err), 0);
		cr_expect_eq(cgroup_leaf_kill(&leaf, &err), 0, "%s", err.msg);
		cr_expect(WIFSIGNALED(wait_status(pid)));
	}
	leaf.dirfd = unified;
	cr_expect_eq(cgroup_leaf_remove(cg, &leaf, &err), 0, "%s", err.msg);
	cr_expect_eq(cgroup_remove(cg, &err), 0, "%s", err.msg);
	expect_gone(cg);
	if (r < 0)
		cr_skip_test("no v1 freezer");
}

/* What `stage1 gc` meets after a kill -9: live processes, several leaves. */
Test(cgroup, removed_from_the_file_alone)
{
	static const char *const odd[] = {
		"relative/rkt/c9000000-0000-4000-8000-000000000000",
		"/",
		"/etc",
		"/sys/fs/cgroup/unified/rkt",
		"/sys/fs/cgroup/unified/rkt/../"
		"c9000000-0000-4000-8000-000000000000",
		"/sys/fs/cgroup/unified/other/"
		"c9000000-0000-4000-8000-000000000000",
		"/sys/fs/cgroup/unified/rkt/"
		"c9000000-0000-4000-8000-00000000000x",
	};
	cleanup_cgroup struct cgroup *cg = open_or_skip();
	const struct cgroup_limits limits = {.memory_max = 64UL << 20};
	cleanup_strv struct strv ignored = STRV_INIT;
	cleanup_strv struct strv dirs = STRV_INIT;
	struct error err = ERROR_INIT;
	pid_t pids[2];

	for (int i = 0; i < 2; i++) {
		struct cgroup_leaf leaf = CGROUP_LEAF_INIT;

		cr_assert_eq(cgroup_leaf_make(cg, i ? "b.1" : "a.1", &limits,
					      &leaf, &ignored, &err),
			     0);
		pids[i] = start_in(&leaf, sleep_long);
		cgroup_leaf_release(&leaf);
	}
	cgroup_dirs(cg, &dirs);
	cr_expect_eq(cgroup_remove_dirs(&dirs, &err), 0, "%s", err.msg);
	for (int i = 0; i < 2; i++)
		cr_expect(WIFSIGNALED(wait_status(pids[i])));
	cr_expect_eq(cgroup_remove_dirs(&dirs, &err), 0, "%s", err.msg);
	expect_gone(cg);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		struct strv one = STRV_INIT;

		strv_push(&one, odd[i]);
		cr_expect_eq(cgroup_remove_dirs(&one, NULL), -EINVAL, "%s",
			     odd[i]);
		strv_release(&one);
	}
}

Test(cgroup, nothing_left_after_200)
{
	cleanup_cgroup struct cgroup *cg = open_or_skip();
	cleanup_strv struct strv ignored = STRV_INIT;

	for (int i = 0; i < 200; i++) {
		struct cgroup_leaf leaf = CGROUP_LEAF_INIT;
		struct error err = ERROR_INIT;

		cr_assert_eq(cgroup_leaf_make(cg, "app.1", NULL, &leaf,
					      &ignored, &err),
			     0, "%s", err.msg);
		(void)wait_status(start_in(&leaf, getppid));
		cr_assert_eq(cgroup_leaf_remove(cg, &leaf, &err), 0, "%s",
			     err.msg);
		cr_assert_eq(cgroup_remove(cg, &err), 0, "%s", err.msg);
	}
	expect_gone(cg);
}

/* Replaces the unified mount in a mount namespace of its own. */
static void hide_unified(const char *dir, bool read_only)
{
	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	if (!read_only) {
		cr_assert_eq(mount("none", dir, "tmpfs", 0, NULL), 0);
		return;
	}
	cr_assert_eq(mount(dir, dir, NULL, MS_BIND, NULL), 0);
	cr_assert_eq(
		mount(NULL, dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL),
		0);
}

Test(cgroup, degrades_without_a_writable_tree)
{
	cleanup_cgroup struct cgroup *cg = open_or_skip();
	cleanup_strv struct strv dirs = STRV_INIT;
	char *dir;

	cgroup_dirs(cg, &dirs);
	dir = strstr(dirs.v[0], "/rkt/");
	*dir = '\0';
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			struct cgroup_leaf leaf = CGROUP_LEAF_INIT;
			struct strv ignored = STRV_INIT;
			struct cgroup *mine = NULL;
			char uuid[37];

			hide_unified(dirs.v[0], i == 0);
			if (cgroup_open(make_uuid(uuid), &mine, NULL) < 0 ||
			    cgroup_leaf_make(mine, "app.1", NULL, &leaf,
					     &ignored, NULL) < 0)
				_exit(1);
			if (leaf.dirfd >= 0)
				_exit(2);
			if (!strstr(leaf.why, i == 0 ? "mounted read-only"
						     : "not a cgroup"))
				_exit(5);
			if (cgroup_leaf_kill(&leaf, NULL) != -ENOTSUP ||
			    cgroup_leaf_freeze(&leaf, true, 1, NULL) !=
				    -ENOTSUP)
				_exit(3);
			_exit(cgroup_leaf_join(&leaf, NULL) == 0 &&
					      cgroup_leaf_remove(mine, &leaf,
								 NULL) == 0 &&
					      cgroup_remove(mine, NULL) == 0
				      ? 0
				      : 4);
		}
		cr_expect_eq(wait_status(pid), 0, "case %d", i);
	}
	cr_expect_eq(cgroup_remove(cg, NULL), 0);
}

/* Where systemd would have put a unit with Delegate=yes, UNIT below TOP. */
static int enter_unit(const char *unit)
{
	cleanup_free char *procs = xasprintf("%s/cgroup.procs", unit);
	cleanup_fd int fd = -EBADF;

	if (mkdir(unit, 0755) < 0 ||
	    setxattr(unit, "trusted.delegate", "1", 1, 0) < 0)
		return -errno;
	fd = open(procs, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, "0", 1) == 1 ? 0 : -errno;
}

static int in_delegated_unit(const char *unit)
{
	const struct cgroup_limits limits = {.memory_max = 16UL << 20};
	cleanup_free char *supervisor = xasprintf("%s/supervisor", unit);
	struct cgroup_leaf leaf = CGROUP_LEAF_INIT;
	cleanup_strv struct strv ignored = STRV_INIT;
	cleanup_strv struct strv dirs = STRV_INIT;
	cleanup_cgroup struct cgroup *cg = NULL;
	cleanup_strbuf struct strbuf controllers = STRBUF_INIT;
	int fd, status;
	bool v2;
	char uuid[37];

	if (enter_unit(unit) < 0)
		return 1;
	if (cgroup_open(make_uuid(uuid), &cg, NULL) < 0)
		return 2;
	cgroup_dirs(cg, &dirs);
	if (strncmp(dirs.v[0], unit, strlen(unit)) != 0)
		return 3;
	if (cgroup_leaf_make(cg, "app.1", &limits, &leaf, &ignored, NULL) < 0 ||
	    leaf.dirfd < 0)
		return 4;
	/* Only a v2 controller asks for an empty unit. */
	fd = open(unit, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (read_file_at(fd, "cgroup.controllers", 4096, &controllers, NULL) <
	    0)
		return 5;
	(void)close(fd);
	v2 = strstr(controllers.buf, "memory") != NULL;
	if ((access(supervisor, F_OK) == 0) != v2)
		return 6;
	if (ignored.n == 0) {
		pid_t pid = start_in(&leaf, touch_64_mib);

		if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
			return 7;
	}
	if (cgroup_leaf_remove(cg, &leaf, NULL) < 0 ||
	    cgroup_remove(cg, NULL) < 0)
		return 8;
	return 0;
}

Test(cgroup, delegated_unit_is_the_base)
{
	cleanup_cgroup struct cgroup *cg = open_or_skip();
	cleanup_strv struct strv dirs = STRV_INIT;
	cleanup_free char *unit = NULL;
	cleanup_free char *supervisor = NULL;
	pid_t pid;
	int status;

	cr_assert_eq(cgroup_remove(cg, NULL), 0);
	cgroup_dirs(cg, &dirs);
	*strstr(dirs.v[0], "/rkt/") = '\0';
	unit = xasprintf("%s/rkt-test-%d.service", dirs.v[0], getpid());
	supervisor = xasprintf("%s/supervisor", unit);
	pid = fork();
	if (pid == 0)
		_exit(in_delegated_unit(unit));
	status = wait_status(pid);
	cr_expect_eq(status, 0, "status %x", (unsigned int)status);
	(void)rmdir(supervisor);
	cr_expect_eq(rmdir(unit), 0, "%s", unit);
}

/* --- devices ---------------------------------------------------------------
 */

static int try_devices(void)
{
	char path[] = "/tmp/rkt-test-devXXXXXX";
	int r = 0;

	if (open("/dev/null", O_RDWR) < 0)
		return 1;
	if (open("/dev/zero", O_RDONLY) < 0)
		return 2;
	if (open("/dev/full", O_RDONLY) >= 0 || errno != EPERM)
		return 3;
	if (!mkdtemp(path) || chdir(path) < 0)
		return 4;
	if (mknod("null", S_IFCHR | 0666, makedev(1, 3)) < 0)
		r = 5;
	else if (mknod("mem", S_IFCHR | 0600, makedev(1, 1)) == 0)
		r = 6;
	else if (mknod("disk", S_IFBLK | 0600, makedev(8, 0)) == 0)
		r = 7;
	else if (mknod("zero", S_IFCHR | 0600, makedev(1, 5)) == 0)
		r = 8; /* below only "c 1:5 r" */
	(void)unlink("null");
	(void)unlink("mem");
	(void)unlink("disk");
	(void)unlink("zero");
	(void)rmdir(path);
	return r;
}

static const struct device_rule two_rules[] = {
	{'c', 1, 3, DEVICE_RWM},
	{'c', 1, 5, DEVICE_READ},
};

Test(cgroup, device_policy_is_closed)
{
	cleanup_cgroup struct cgroup *cg = open_or_skip();
	struct cgroup_leaf leaf = CGROUP_LEAF_INIT;
	cleanup_strv struct strv ignored = STRV_INIT;
	struct error err = ERROR_INIT;
	int status;

	cr_assert_eq(cgroup_leaf_make(cg, "app.1", NULL, &leaf, &ignored, &err),
		     0);
	cr_assert_eq(
		device_policy_apply(cg, &leaf, two_rules, 2, &ignored, &err), 0,
		"%s", err.msg);
	cr_expect_eq(ignored.n, 0, "%s", ignored.n ? ignored.v[0] : "");
	cr_expect_lt(leaf.v1_dir[CGROUP_DEVICES], 0);
	status = wait_status(start_in(&leaf, try_devices));
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x",
		  (unsigned int)status);
	cr_expect_eq(cgroup_leaf_remove(cg, &leaf, &err), 0, "%s", err.msg);
	cr_expect_eq(cgroup_remove(cg, &err), 0);
	expect_gone(cg);
}

Test(cgroup, device_policy_of_v1)
{
	cleanup_cgroup struct cgroup *cg = open_or_skip();
	struct cgroup_leaf leaf = CGROUP_LEAF_INIT;
	cleanup_strv struct strv ignored = STRV_INIT;
	struct error err = ERROR_INIT;
	int status = 0, unified;
	bool v1;

	cr_assert_eq(cgroup_leaf_make(cg, "app.1", NULL, &leaf, &ignored, &err),
		     0);
	/* As on a host whose kernel has no BPF for groups. */
	unified = TAKE_FD(leaf.dirfd);
	cr_assert_eq(
		device_policy_apply(cg, &leaf, two_rules, 2, &ignored, &err), 0,
		"%s", err.msg);
	leaf.dirfd = unified;
	v1 = ignored.n == 0;
	if (v1)
		status = wait_status(start_in(&leaf, try_devices));
	else
		cr_expect_eq(ignored.n, 1);
	cr_expect_eq(v1, leaf.v1_dir[CGROUP_DEVICES] >= 0);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x",
		  (unsigned int)status);
	cr_expect_eq(cgroup_leaf_remove(cg, &leaf, &err), 0, "%s", err.msg);
	cr_expect_eq(cgroup_remove(cg, &err), 0);
	expect_gone(cg);
	if (!v1)
		cr_skip_test("%s", ignored.v[0]);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/file_root.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/process.h"
#include "base/strbuf.h"
#include "base/syscalls.h"
#include "spec/stage1_abi.h"
#include "stage0/app_tree.h"
#include "stage0/generation.h"
#include "stage0/pod.h"
#include "stage0/pod_info.h"
#include "stage0/pod_stage1.h"
#include "stage0/private_users.h"

#define PID_TEXT_MAX 32
#define LINKS_MAX 40 /* as the kernel */

void file_root_close(struct file_root *root)
{
	fd_close(&root->root);
	fd_close(&root->pidfd);
	fd_close(&root->userns);
}

static int open_slash(struct error *err)
{
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? error_sys(err, errno, "open /") : fd;
}

int file_root_open_host(struct file_root *ret, struct error *err)
{
	ret->root = open_slash(err);
	return ret->root < 0 ? ret->root : 0;
}

/* --- the process of an app -------------------------------------------------
 */

static bool pid_namespace(pid_t pid, struct stat *ret)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	return stat(path, ret) == 0;
}

/* A number that was written down may be somebody else's by now: the host's
 * own processes, and other pods', are in other pid namespaces. */
static bool is_of_pod(pid_t pid, pid_t init)
{
	struct stat self, own, pod;

	return pid_namespace(getpid(), &self) && pid_namespace(pid, &own) &&
	       pid_namespace(init, &pod) && own.st_ino == pod.st_ino &&
	       own.st_ino != self.st_ino;
}

static int read_app_pid(const struct pod *pod, const char *app, pid_t *ret,
			struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_free char *path = NULL;
	unsigned int n = 0;
	uint64_t pid;
	int r = generation_current(pod->fd, app, &n, err);

	if (r < 0)
		return r;
	path = xasprintf(POD_GENERATIONS_DIR "/%s/%u/" GENERATION_PID_FILE, app,
			 n);
	if (read_file_at(pod->fd, path, PID_TEXT_MAX, &text, NULL) < 0 ||
	    parse_uint(text.buf, INT32_MAX, &pid) < 0)
		return -ESRCH;
	*ret = (pid_t)pid;
	return 0;
}

static int open_process(const struct pod *pod, const char *app,
			struct file_root *ret, struct error *err)
{
	char path[64];
	pid_t pid = 0;
	int64_t init = 0;
	int r = pod_stage1_want_native(pod->fd, err);

	if (r < 0)
		return r;
	r = pod_pid(pod, &init, NULL);
	if (r == 0)
		r = read_app_pid(pod, app, &pid, NULL);
	if (r == 0)
		ret->pidfd = pidfd_open(pid, 0);
	if (r < 0 || ret->pidfd < 0 || !is_of_pod(pid, (pid_t)init))
		return error_set(err, ESRCH, "app %s does not run now", app);
	if (ret->users.count > 0) {
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/user",
			       (int)init);
		ret->userns = open(path, O_RDONLY | O_CLOEXEC);
		if (ret->userns < 0)
			return error_sys(err, errno,
					 "open the pod's user namespace");
	}
	/* All of it was of this pod if it, and the process, are there yet. */
	if (pod_state(pod) != POD_STATE_RUNNING ||
	    sys_pidfd_send_signal(ret->pidfd, 0) < 0)
		return error_set(err, ESRCH, "app %s has just ended", app);
	return 0;
}

static int open_left(const struct pod *pod, const char *app,
		     const struct treestore *trees, struct file_root *ret,
		     struct error *err)
{
	unsigned int n = 0;
	int r = generation_current(pod->fd, app, &n, err);

	/* Owners are not shifted there. */
	ret->users = (struct user_range){0};
	return r < 0 ? r
		     : app_tree_open(pod->fd, app, n, trees, &ret->root, err);
}

int file_root_open_app(const struct pod *pod, const char *app,
		       const struct treestore *trees, struct file_root *ret,
		       struct error *err)
{
	int r = private_users_range(pod, &ret->users, err);

	if (r < 0)
		return r;
	ret->is_app = true;
	return pod_state(pod) == POD_STATE_RUNNING
		       ? open_process(pod, app, ret, err)
		       : open_left(pod, app, trees, ret, err);
}

/* --- finding ---------------------------------------------------------------
 */

struct search {
	const struct file_root *root;
	const char *path;
	bool follow;
	bool is_target;
};

struct found {
	int r;
	int fd; /* of a source */
	struct file_target target;
	struct error err;
};

static int find_source(const struct search *s, int root, int *ret,
		       struct error *err)
{
	*ret = open_in_root(root, s->path,
			    O_PATH | (s->follow ? 0 : O_NOFOLLOW));
	return *ret < 0 ? error_sys(err, -*ret, "open %s", s->path) : 0;
}

static int take_directory(int dirfd, const char *path, struct file_target *ret,
			  struct error *err)
{
	ret->mount = open_tree(dirfd, "",
			       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
				       AT_RECURSIVE | AT_EMPTY_PATH);
	return ret->mount < 0 ? error_sys(err, errno, "take %s", path) : 0;
}

/* What the link NAME in the directory DIR of path LEN bytes of *PATH leads to,
 * in place of *PATH. */
static int follow(int dirfd, const char *name, size_t len, char **path,
		  struct error *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);
	char *next;

	if (n < 0)
		return error_sys(err, errno, "read link %s", *path);
	target[n] = '\0';
	next = target[0] == '/' ? xstrdup(target)
				: xasprintf("%.*s/%s", (int)len, *path, target);
	free(*path);
	*path = next;
	return 0;
}

/* *PATH is no directory: takes the one it is in, or would be, and returns 0;
 * 1 if *PATH was a link, and is now what that leads to. */
static int take_parent(int root, char **path, struct file_target *ret,
		       struct error *err)
{
	const char *slash = strrchr(*path, '/');
	cleanup_free char *parent = xstrndup(*path, (size_t)(slash - *path));
	const char *name = slash + 1;
	cleanup_fd int dirfd = open_in_root(root, *parent ? parent : "/",
					    O_PATH | O_DIRECTORY);
	struct stat st;

	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(err, ENOTDIR, "%s: there is no such directory",
				 *path);
	if (dirfd < 0)
		return error_sys(err, -dirfd, "open %s", parent);
	if (strlen(name) > NAME_MAX)
		return error_sys(err, ENAMETOOLONG, "open %s", *path);
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		ret->exists = true;
	else if (errno != ENOENT)
		return error_sys(err, errno, "open %s", *path);
	if (ret->exists && S_ISLNK(st.st_mode)) {
		int r = follow(dirfd, name, strlen(parent), path, err);

		ret->exists = false;
		return r < 0 ? r : 1;
	}
	(void)snprintf(ret->name, sizeof(ret->name), "%s", name);
	return take_directory(dirfd, parent, ret, err);
}

static int find_target(const char *asked, int root, struct file_target *ret,
		       struct error *err)
{
	cleanup_free char *path = xstrdup(asked);

	for (int i = 0; i < LINKS_MAX; i++) {
		cleanup_fd int dirfd =
			open_in_root(root, path, O_PATH | O_DIRECTORY);
		int r;

		if (dirfd >= 0)
			return take_directory(dirfd, path, ret, err);
		if (dirfd != -ENOENT && dirfd != -ENOTDIR)
			return error_sys(err, -dirfd, "open %s", path);
		r = take_parent(root, &path, ret, err);
		if (r <= 0)
			return r;
	}
	return error_sys(err, ELOOP, "open %s", asked);
}

static int search_in(const struct search *s, int root, struct found *ret)
{
	return s->is_target
		       ? find_target(s->path, root, &ret->target, &ret->err)
		       : find_source(s, root, &ret->fd, &ret->err);
}

/* In a process of its own: joins the app's mount namespace, whose root is then
 * its root. */
static void search_in_app(const void *arg, int to_parent)
{
	const struct search *s = arg;
	struct found f = {.target = FILE_TARGET_INIT, .err = ERROR_INIT};
	cleanup_fd int root = -EBADF;

	if (setns(s->root->pidfd, CLONE_NEWNS) < 0)
		f.r = error_sys(&f.err, errno, "enter the app's mounts");
	else
		f.r = root = open_slash(&f.err);
	if (f.r >= 0)
		f.r = search_in(s, root, &f);
	(void)write_full(to_parent, &f, sizeof(f));
}

static int run_process(const struct search *s, struct found *ret,
		       struct error *err)
{
	cleanup_fd int said = -EBADF;
	/* With one table of descriptors: what it opens is here. */
	cleanup_fd int pidfd = process_start(
		CLONE_FILES | CLONE_VFORK, search_in_app, s, &said, NULL, err);
	int status;

	if (pidfd < 0)
		return pidfd;
	(void)process_wait(pidfd, &status);
	if (read_full(said, ret, sizeof(*ret)) != (ssize_t)sizeof(*ret))
		return error_set(err, ECHILD,
				 "the process that looked for %s "
				 "died",
				 s->path);
	return 0;
}

static int search(const struct search *s, struct found *ret, struct error *err)
{
	int r = 0;

	if (s->root->root >= 0)
		ret->r = search_in(s, s->root->root, ret);
	else
		r = run_process(s, ret, err);
	if (r < 0)
		return r;
	if (ret->r < 0 && err)
		*err = ret->err;
	return ret->r;
}

int file_root_find(const struct file_root *root, const char *path, bool follow,
		   int *ret_fd, struct error *err)
{
	const struct search s = {.root = root, .path = path, .follow = follow};
	struct found f = {.target = FILE_TARGET_INIT, .err = ERROR_INIT};
	int r = search(&s, &f, err);

	if (r < 0)
		return r;
	*ret_fd = f.fd;
	return 0;
}

int file_root_find_target(const struct file_root *root, const char *path,
			  struct file_target *ret, struct error *err)
{
	const struct search s = {.root = root, .path = path, .is_target = true};
	struct found f = {.target = FILE_TARGET_INIT, .err = ERROR_INIT};
	int r = search(&s, &f, err);

	if (r < 0)
		return r;
	*ret = f.target;
	return 0;
}

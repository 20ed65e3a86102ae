/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aci/treestore.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "spec/json_read.h"
#include "spec/json_write.h"
#include "spec/pod_manifest.h"
#include "spec/stage1_abi.h"
#include "stage0/entrypoint.h"
#include "stage0/generation.h"
#include "stage0/pod.h"
#include "stage0/pod_gc.h"
#include "stage0/pod_stage1.h"
#include "stage0/secrets.h"

#define READY 'R'
#define FAILED 'E'

/* --- arguments -------------------------------------------------------------
 */

void pod_run_args_make(const struct pod_run_options *o, struct strv *ret)
{
	const struct {
		const char *name;
		const char *value;
	} values[] = {
		{"--net", o->net ? o->net : "default"},
		{"--hostname", o->hostname},
		{"--ipc", o->ipc},
		{"--dns-conf-mode", o->dns_mode},
		{"--log", o->log},
		{"--local-config", o->local_config},
		{"--system-config", o->system_config},
	};
	const struct {
		const char *name;
		bool is_set;
	} flags[] = {
		{"--mutable", o->is_mutable},
		{"--mds-register", o->mds_register},
		{"--interactive", o->interactive},
		{"--disable-capabilities-restriction",
		 o->insecure_capabilities},
		{"--disable-paths", o->insecure_paths},
		{"--disable-seccomp", o->insecure_seccomp},
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
		if (values[i].value && *values[i].value)
			strv_pushf(ret, "%s=%s", values[i].name,
				   values[i].value);
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		if (flags[i].is_set)
			strv_push(ret, flags[i].name);
}

static bool is_of_one_start(const char *arg)
{
	return strcmp(arg, "--debug") == 0 ||
	       strncmp(arg, "--ready-fd=", 11) == 0;
}

int pod_run_args_load(int poddir_fd, struct strv *ret, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_strv struct strv args = STRV_INIT;
	int r = read_file_at(poddir_fd, POD_RUNTIME_CONFIG_FILE, MANIFEST_MAX,
			     &text, err);

	if (r == 0)
		r = json_strv_parse(text.buf, text.len, &args, err);
	/* The last one is the UUID. */
	for (size_t i = 0; r == 0 && i + 1 < args.n; i++)
		if (!is_of_one_start(args.v[i]))
			strv_push(ret, args.v[i]);
	return r;
}

/* --- trees -----------------------------------------------------------------
 */

void pod_trees_release(struct pod_trees *trees)
{
	for (size_t i = 0; i < trees->apps.n; i++)
		fd_close(&trees->fds[i]);
	free(trees->fds);
	trees->fds = NULL;
	strv_release(&trees->apps);
}

void pod_trees_add(struct pod_trees *trees, const char *app, int fd)
{
	trees->fds = xreallocarray(trees->fds, trees->apps.n + 1,
				   sizeof(*trees->fds));
	trees->fds[trees->apps.n] = fd;
	strv_push(&trees->apps, app);
}

static int add_tree(int poddir_fd, const char *app, const struct treestore *ts,
		    struct pod_trees *ret, struct error *err)
{
	struct image_id id;
	int fd = -EBADF;
	unsigned int n = 0;
	int r = generation_current(poddir_fd, app, &n, err);

	if (r == 0 && generation_is_copy(poddir_fd, app, n))
		return 0;
	if (r == 0)
		r = generation_image_id(poddir_fd, app, n, &id, err);
	if (r == 0)
		r = treestore_open(ts, &id, &fd, err);
	if (r < 0)
		return error_prefix(err, r, "app %s", app);
	pod_trees_add(ret, app, fd);
	return 0;
}

int pod_trees_open(int poddir_fd, const struct pod_manifest *pm,
		   const struct treestore *ts, struct pod_trees *ret,
		   struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < pm->n_apps && r == 0; i++)
		r = add_tree(poddir_fd, pm->apps[i].name, ts, ret, err);
	return r;
}

static int export_trees(const struct pod_trees *trees, struct strv *env)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < trees->apps.n; i++) {
		if (set_cloexec(trees->fds[i], 0) < 0)
			return -errno;
		strbuf_addf(&text, "%s%s:%d", i ? "," : "", trees->apps.v[i],
			    trees->fds[i]);
	}
	strv_env_set(env, STAGE1_ENV_TREE_FDS, text.buf);
	return 0;
}

/* --- starting --------------------------------------------------------------
 */

static int export_fd(int fd, const char *name, struct strv *env)
{
	char number[16];

	if (set_cloexec(fd, 0) < 0)
		return -errno;
	(void)snprintf(number, sizeof(number), "%d", fd);
	strv_env_set(env, name, number);
	return 0;
}

/* What sd_listen_fds(3) gives to rkt is stage1's, which has another number
 * if it is detached. */
static void pass_listen_pid(struct strv *env)
{
	const char *value = strv_env_get(env, "LISTEN_PID");
	char number[16];
	uint64_t pid;

	if (!value || parse_uint(value, INT32_MAX, &pid) < 0 ||
	    (pid_t)pid != getppid())
		return;
	(void)snprintf(number, sizeof(number), "%d", (int)getpid());
	strv_env_set(env, "LISTEN_PID", number);
}

/* For `rkt start`: native keeps them itself, with its version. */
static int save_run_args(const struct pod *pod, const struct pod_start *start,
			 struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_strv struct strv args = STRV_INIT;

	strv_append(&args, start->args);
	strv_push(&args, pod->uuid);
	json_strv_write(&args, &text);
	return write_file_at(pod->fd, POD_RUNTIME_CONFIG_FILE, 0640, text.buf,
			     text.len, err);
}

static int export_fds(const struct pod *pod, const struct pod_start *start,
		      const struct entrypoint *ep, struct strv *env)
{
	int r = export_fd(pod->fd, STAGE1_ENV_LOCK_FD, env);

	if (r == 0)
		r = export_fd(ep->fd, STAGE1_ENV_SELF_FD, env);
	if (r == 0 && ep->root_fd >= 0)
		r = export_fd(ep->root_fd, STAGE1_ENV_ROOT_FD, env);
	return r < 0 ? r : export_trees(start->trees, env);
}

/* Replaces the process; READY_FD is -EBADF when nobody waits. */
static int become_stage1(struct pod *pod, const struct pod_start *start,
			 int ready_fd, struct error *err)
{
	cleanup_entrypoint struct entrypoint ep = ENTRYPOINT_INIT;
	cleanup_strv struct strv env = STRV_INIT;
	int r = entrypoint_open(pod, start->stage1, STAGE1_RUN,
				start->libexec_dir, &ep, err);

	if (r == 0 && !pod_stage1_is_native(start->stage1))
		r = save_run_args(pod, start, err);
	if (r < 0)
		return r;
	if (start->debug)
		strv_push(&ep.argv, "--debug");
	strv_append(&ep.argv,
		    start->known_args ? start->known_args : start->args);
	if (ready_fd >= 0)
		strv_pushf(&ep.argv, "--ready-fd=%d", ready_fd);
	strv_push(&ep.argv, pod->uuid);
	for (char **e = environ; *e; e++)
		strv_push(&env, *e);
	if (start->detach)
		pass_listen_pid(&env);
	strv_env_set(&env, STAGE1_ENV_LIBEXEC_DIR, start->libexec_dir);
	r = pod_secrets_pass(pod, &env, err);
	if (r < 0)
		return r;
	r = export_fds(pod, start, &ep, &env);
	if (r < 0)
		return error_sys(err, -r, "hand descriptors to stage1");
	return entrypoint_exec(pod, &ep, env.v, err);
}

static int detach_from_terminal(struct error *err)
{
	cleanup_fd int null = -EBADF;

	if (setsid() < 0)
		return error_sys(err, errno, "become session leader");
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		return error_sys(err, errno, "open /dev/null as stdin");
	return 0;
}

__attribute__((__noreturn__)) static void
detached_child(struct pod *pod, const struct pod_start *start, int ready_fd)
{
	struct error err = ERROR_INIT;
	const char failed = FAILED;
	int r = detach_from_terminal(&err);

	if (r == 0 && set_cloexec(ready_fd, 0) < 0)
		r = error_sys(&err, errno, "hand descriptors to stage1");
	if (r == 0)
		(void)become_stage1(pod, start, ready_fd, &err);
	(void)write_full(ready_fd, &failed, 1);
	(void)write_full(ready_fd, &err, sizeof(err));
	_exit(RKT_EXIT_FAILURE);
}

/* Waits for stage1's word: 0 when the pod is up. */
static int wait_ready(int fd, pid_t pid, const char *uuid, struct error *err)
{
	struct error child = ERROR_INIT;
	int status;
	char c = 0;

	if (read_full(fd, &c, 1) == 1 && c == READY)
		return 0;
	if (c == FAILED &&
	    read_full(fd, &child, sizeof(child)) == (ssize_t)sizeof(child)) {
		if (err)
			*err = child;
		return -child.code;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return error_set(err, ECHILD, "pod %s did not start", uuid);
}

static int start_detached(struct pod *pod, const struct pod_start *start,
			  struct error *err)
{
	cleanup_fd int wait_fd = -EBADF;
	cleanup_fd int ready_fd = -EBADF;
	int pipefd[2];
	pid_t pid;

	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return error_sys(err, errno, "create pipe");
	wait_fd = pipefd[0];
	ready_fd = pipefd[1];
	pid = fork();
	if (pid < 0)
		return error_sys(err, errno, "start a process");
	if (pid == 0) {
		fd_close(&wait_fd);
		detached_child(pod, start, ready_fd);
	}
	fd_close(&ready_fd);
	return wait_ready(wait_fd, pid, pod->uuid, err);
}

int pod_start(struct pod *pod, const struct pod_start *start, struct error *err)
{
	if (start->detach)
		return start_detached(pod, start, err);
	return become_stage1(pod, start, -EBADF, err);
}

/* True if the service manager kept the pod's network when stage1 was killed,
 * and gives it to this process: sd_listen_fds(3). */
static bool has_network_kept(const struct pod *pod)
{
	cleanup_free char *wanted = xasprintf(HOST_STORE_NETNS, pod->uuid);
	const char *names = getenv("LISTEN_FDNAMES");
	const char *value = getenv("LISTEN_PID");
	cleanup_strv struct strv given = STRV_INIT;
	uint64_t pid;

	if (!names || !value || parse_uint(value, INT32_MAX, &pid) < 0 ||
	    (pid_t)pid != getpid())
		return false;
	strv_split(&given, names, ':');
	return strv_has(&given, wanted);
}

int pod_reset(struct pod *pod, const char *libexec_dir, struct error *err)
{
	static const char *const left[] = {
		POD_PID_FILE,	    POD_PPID_FILE,
		POD_PGID_FILE,	    POD_CONTROL_SOCKET,
		POD_READY_LINK,	    POD_CGROUP_FILE,
		POD_ISOLATORS_FILE, POD_RUNTIME_VERSION_FILE,
	};
	/* With its files. */
	int r = pod_clean(pod, has_network_kept(pod), libexec_dir, err);

	for (size_t i = 0; i < sizeof(left) / sizeof(*left) && r == 0; i++)
		if (unlinkat(pod->fd, left[i], 0) < 0 && errno != ENOENT)
			r = error_sys(err, errno, "remove %s", left[i]);
	if (r == 0)
		r = remove_tree_at(pod->fd, POD_STATUS_DIR, err);
	if (r == 0 && mkdirat(pod->fd, POD_STATUS_DIR, 0750) < 0)
		r = error_sys(err, errno, "make " POD_STATUS_DIR);
	return r;
}

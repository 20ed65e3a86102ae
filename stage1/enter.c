/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/enter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/process.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "base/syscalls.h"
#include "spec/history.h"
#include "spec/json_read.h"
#include "spec/pod_manifest.h"
#include "spec/stage1_abi.h"
#include "stage1/app_process.h"
#include "stage1/caps.h"
#include "stage1/cgroup.h"
#include "stage1/console.h"
#include "stage1/device_policy.h"
#include "stage1/enter_freeze.h"
#include "stage1/enter_relay.h"
#include "stage1/event.h"
#include "stage1/gc.h"
#include "stage1/limits.h"
#include "stage1/metadata.h"
#include "stage1/options.h"
#include "stage1/plan.h"
#include "stage1/pod_init.h"
#include "stage1/rootless.h"
#include "stage1/seccomp.h"
#include "stage1/users.h"

struct enter {
	pid_t init_pid;
	const char *app;
	struct strv command;
	/* As what: root at "/", or with --as-app as the app is, but for what
	 * is not NULL here. */
	bool as_app, debug;
	const char *user, *group, *working_dir;
	struct strv env; /* NAME=VALUE, above the app's */
	const char *tty; /* "always", "never"; NULL: if stdin is one */
	bool no_stdin;
	int dirfd;	/* of the pod */
	int generation; /* dirfd of appsinfo/APP */
	unsigned int number;
	struct strv run_args; /* of the run entrypoint, for its options */
	struct run_options options;
	struct pod_manifest manifest;
	struct runtime_app runtime_app;
	struct app_plan plan;
	struct cgroup_leaf leaf;
	struct cgroup *cgroup; /* NULL: leaf is the app's own */
	struct sock_fprog filter;
	struct users users;
	int init_pidfd;
	int own_pidns;
	struct rlimit limits[RLIM_NLIMITS];
	int app_pidfd;
	int mntns;
	int root; /* O_PATH of the app's root */
	struct event_loop loop;
	struct event_source exited, signals;
	struct console console;
	bool has_console;
	bool escaped;		      /* ^]^]^] was typed */
	struct enter_relay relays[2]; /* of standard output and error */
	int stdio[3];		      /* the command's; borrowed */
	struct app_process process;
};

static int parse_arg(struct enter *e, const char *arg)
{
	const struct {
		const char *name;
		const char **value;
	} values[] = {
		{"--appname=", &e->app}, {"--user=", &e->user},
		{"--group=", &e->group}, {"--working-dir=", &e->working_dir},
		{"--tty=", &e->tty},
	};
	uint64_t pid;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		size_t len = strlen(values[i].name);

		if (strncmp(arg, values[i].name, len) == 0) {
			*values[i].value = arg + len;
			return 0;
		}
	}
	if (strncmp(arg, "--pid=", 6) == 0 &&
	    parse_uint(arg + 6, INT32_MAX, &pid) == 0)
		e->init_pid = (pid_t)pid;
	else if (strncmp(arg, "--set-env=", 10) == 0 && strchr(arg + 11, '='))
		strv_push(&e->env, arg + 10);
	else if (strcmp(arg, "--as-app") == 0)
		e->as_app = true;
	else if (strcmp(arg, "--no-stdin") == 0)
		e->no_stdin = true;
	else if (strcmp(arg, "--debug") == 0)
		e->debug = true;
	else
		return -EINVAL;
	return 0;
}

static int parse_args(struct enter *e, int argc, char *const argv[],
		      struct error *err)
{
	int i;

	for (i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (parse_arg(e, argv[i]) < 0)
			return error_set(err, EINVAL, "unknown argument %s",
					 argv[i]);
	for (i++; i < argc; i++)
		strv_push(&e->command, argv[i]);
	if (e->init_pid <= 0 || !e->app || e->command.n == 0)
		return error_set(err, EINVAL,
				 "--pid, --appname or the command is missing");
	return 0;
}

static int load_text(int dirfd, const char *name, struct strbuf *text,
		     struct error *err)
{
	return read_file_at(dirfd, name, MANIFEST_MAX, text, err);
}

/* The options the pod runs with: what was switched off there is off here. */
static int load_options(struct enter *e, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = load_text(e->dirfd, POD_RUNTIME_CONFIG_FILE, &text, err);

	if (r == 0)
		r = json_strv_parse(text.buf, text.len, &e->run_args, err);
	if (r == 0)
		r = run_options_parse((int)e->run_args.n, e->run_args.v,
				      &e->options, err);
	if (r == 0)
		e->options.plan.metadata_url = metadata_url(e->dirfd);
	return r;
}

/* True if process PID is in the pod's pid namespace: its number could have
 * gone to somebody else since it was written down. */
static bool is_in_pod(const struct enter *e, pid_t pid)
{
	struct stat pod, other;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)e->init_pid);
	if (stat(path, &pod) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	return stat(path, &other) == 0 && pod.st_ino == other.st_ino;
}

/* The process of the generation in DIR; 0 if it has none in the pod. */
static pid_t running_pid(const struct enter *e, int dir)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	uint64_t pid;

	if (load_text(dir, GENERATION_PID_FILE, &text, NULL) < 0 ||
	    parse_uint(text.buf, INT32_MAX, &pid) < 0 ||
	    !is_in_pod(e, (pid_t)pid))
		return 0;
	return (pid_t)pid;
}

/* Of an update that is under way: the number it goes to, or 0. */
static unsigned int next_number(const struct enter *e)
{
	cleanup_strbuf struct strbuf journal = STRBUF_INIT;
	struct history_entry entry;
	unsigned int number = 0;
	char *next;

	if (load_text(e->dirfd, POD_JOURNAL_FILE, &journal, NULL) < 0)
		return 0;
	for (next = journal.buf; history_next(&next, &entry);
	     history_entry_release(&entry))
		if (strcmp(entry.app, e->app) == 0)
			number = entry.to;
	return number;
}

static int open_generation(const struct enter *e, unsigned int number)
{
	cleanup_free char *dir =
		xasprintf(POD_GENERATIONS_DIR "/%s/%u", e->app, number);

	return openat(e->dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* While an app is restarted by an update its committed generation has gone:
 * the other one serves. */
static void choose_serving(struct enter *e)
{
	unsigned int number =
		running_pid(e, e->generation) ? 0 : next_number(e);
	cleanup_fd int dir = number ? open_generation(e, number) : -EBADF;

	if (dir < 0 || !running_pid(e, dir))
		return;
	fd_close(&e->generation);
	e->generation = TAKE_FD(dir);
	e->number = number;
}

static int load_app(struct enter *e, struct error *err)
{
	cleanup_free char *link = xasprintf(POD_APPSINFO_DIR "/%s", e->app);
	cleanup_strbuf struct strbuf pod = STRBUF_INIT;
	cleanup_strbuf struct strbuf app = STRBUF_INIT;
	char target[512];
	uint64_t number;
	ssize_t n;
	int r;

	n = readlinkat(e->dirfd, link, target, sizeof(target) - 1);
	if (n < 0)
		return error_set(err, ENOENT, "the pod has no app %s", e->app);
	target[n] = '\0';
	if (!strrchr(target, '/') ||
	    parse_uint(strrchr(target, '/') + 1, UINT32_MAX, &number) < 0)
		return error_set(err, EINVAL, "%s leads nowhere", link);
	e->number = (unsigned int)number;
	e->generation =
		openat(e->dirfd, link, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->generation < 0)
		return error_sys(err, errno, "open %s", link);
	choose_serving(e);
	r = load_text(e->dirfd, POD_MANIFEST_FILE, &pod, err);
	if (r == 0)
		r = pod_manifest_parse(pod.buf, pod.len, &e->manifest, err);
	if (r == 0)
		r = load_text(e->generation, GENERATION_APP_FILE, &app, err);
	if (r == 0)
		r = runtime_app_parse(app.buf, app.len, &e->runtime_app, err);
	return r;
}

static bool wants_tty(const struct enter *e)
{
	return e->tty ? strcmp(e->tty, "always") == 0 : isatty(STDIN_FILENO);
}

static void replace(char **at, const char *value)
{
	if (!value)
		return;
	free(*at);
	*at = xstrdup(value);
}

/* What the command differs in from the app's main process. */
static void change_plan(const struct enter *e, struct app_plan *plan)
{
	const char *term = getenv("TERM");

	replace(&plan->working_directory, e->as_app ? e->working_dir : "/");
	replace(&plan->user, e->user);
	/* Another user's own group, and none of those the app has more. */
	replace(&plan->group, e->group ? e->group : e->user);
	if (e->user)
		plan->n_gids = 0;
	/* It does not speak for the app, and a program that tells when it is
	 * ready would. */
	strv_env_unset(&plan->env, "NOTIFY_SOCKET");
	if (!e->as_app || wants_tty(e))
		strv_env_set(&plan->env, "TERM",
			     term && *term ? term : "vt100");
	for (size_t i = 0; i < e->env.n; i++) {
		const char *value = strchr(e->env.v[i], '=') + 1;
		cleanup_free char *name = xstrndup(
			e->env.v[i], (size_t)(value - 1 - e->env.v[i]));

		strv_env_set(&plan->env, name, value);
	}
}

static int make_plan(struct enter *e, struct error *err)
{
	cleanup_seccomp_plan struct seccomp_plan seccomp = SECCOMP_PLAN_INIT;
	cleanup_fd int cache = -EBADF;
	struct seccomp_request request;
	int r;

	r = app_plan_make(&e->manifest, &e->runtime_app, &e->options.plan,
			  &e->plan, err);
	if (r < 0)
		return r;
	change_plan(e, &e->plan);
	request = e->plan.seccomp;
	request.notify_bind = false;
	r = seccomp_plan_make(&request, &seccomp, err);
	if (r < 0)
		return r;
	cache = open(SECCOMP_CACHE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return seccomp_program_get(cache, &seccomp, &e->filter, err);
}

static int open_app(struct enter *e, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	uint64_t pid;
	char path[64];
	int r;

	e->init_pidfd = pidfd_open(e->init_pid, 0);
	if (!is_rootless())
		e->own_pidns = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	r = users_open(e->init_pid, &e->options.private_users, &e->users, err);
	if (r < 0)
		return r;
	r = load_text(e->generation, GENERATION_PID_FILE, &text, NULL);
	if (e->init_pidfd < 0 || (!is_rootless() && e->own_pidns < 0) ||
	    r < 0 || parse_uint(text.buf, INT32_MAX, &pid) < 0)
		return error_set(err, ESRCH, "app %s is not running", e->app);
	/* First the pidfd, then the check: now the number cannot change
	 * hands unnoticed. */
	e->app_pidfd = pidfd_open((pid_t)pid, 0);
	if (e->app_pidfd < 0 || !is_in_pod(e, (pid_t)pid))
		return error_set(err, ESRCH, "app %s is not running", e->app);
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	e->mntns = open(path, O_RDONLY | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	e->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (e->mntns < 0 || e->root < 0 ||
	    limits_read((pid_t)pid, e->limits, NULL) < 0 ||
	    sys_pidfd_send_signal(e->app_pidfd, 0) < 0)
		return error_set(err, ESRCH, "app %s is not running", e->app);
	return 0;
}

static int open_leaf(struct enter *e, struct error *err)
{
	cleanup_free char *name = xasprintf("%s.%u", e->app, e->number);
	cleanup_strv struct strv dirs = STRV_INIT;
	int r = cgroup_file_read(e->dirfd, &dirs, err);

	if (r < 0)
		return r;
	r = cgroup_leaf_open(&dirs, name, &e->leaf, err);
	return r == -ENOENT ? 0 : r;
}

/* The end of its first process is that of its terminal, which tells the rest.
 */
static void on_escape(void *data)
{
	struct enter *e = data;

	e->escaped = true;
	if (e->process.pidfd >= 0)
		(void)sys_pidfd_send_signal(e->process.pidfd, SIGKILL);
}

/* A terminal of the pod's own: with the caller's, the app could type into
 * it (TIOCSTI) after the command is over. */
static int open_terminal(struct enter *e, struct error *err)
{
	cleanup_fd int pts = -EBADF;
	struct statfs fs;
	int r;

	if (!wants_tty(e))
		return 0;
	pts = open_in_root(e->root, "/dev/pts", O_RDONLY | O_DIRECTORY);
	if (pts < 0 || fstatfs(pts, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC)
		return error_set(err, ENOTTY,
				 "app %s has no /dev/pts of its own any more",
				 e->app);
	r = console_open(&e->console, pts, &e->loop, on_escape, e, err);
	e->has_console = r == 0;
	return r;
}

static bool is_one_terminal(int a, int b)
{
	struct stat at, other;

	return fstat(a, &at) == 0 && fstat(b, &other) == 0 &&
	       at.st_dev == other.st_dev && at.st_ino == other.st_ino &&
	       isatty(a) && isatty(b);
}

/*
 * Whoever has a terminal open reads what is typed there, also when the command
 * is over: it prints into a pipe, and in the order it does so.
 */
static int open_stdio(struct enter *e, struct error *err)
{
	int r = 0;

	for (int i = 0; i < 3; i++)
		e->stdio[i] = e->has_console ? console_slave(&e->console) : i;
	if (e->has_console)
		return 0;
	if (e->no_stdin)
		e->stdio[0] = -EBADF;
	for (int i = 1; i < 3 && r == 0; i++) {
		struct enter_relay *relay = &e->relays[i - 1];

		if (i == 2 && is_one_terminal(1, 2)) {
			e->stdio[2] = e->stdio[1];
		} else if (isatty(i)) {
			r = enter_relay_open(relay, &e->loop, i, err);
			e->stdio[i] = relay->theirs;
		}
	}
	return r;
}

static void on_exit_event(struct event_source *source, uint32_t events)
{
	struct enter *e = source->data;

	(void)events;
	e->loop.stop = true;
}

static void on_signal(struct event_source *source, uint32_t events)
{
	struct enter *e = source->data;
	struct signalfd_siginfo info;

	(void)events;
	if (read_full(source->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH) {
		if (e->has_console)
			console_resize(&e->console);
		return;
	}
	(void)sys_pidfd_send_signal(e->process.pidfd, (int)info.ssi_signo);
}

static int watch(struct enter *e, struct error *err)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGQUIT);
	(void)sigaddset(&set, SIGWINCH);
	e->signals = (struct event_source){
		.fd = signalfd(-1, &set, SFD_CLOEXEC),
		.fn = on_signal,
		.data = e,
	};
	e->exited = (struct event_source){
		.fd = e->process.pidfd, .fn = on_exit_event, .data = e};
	if (e->signals.fd < 0 ||
	    event_add(&e->loop, &e->signals, EPOLLIN) < 0 ||
	    event_add(&e->loop, &e->exited, EPOLLIN) < 0)
		return error_set(err, EINVAL, "watch the command");
	return 0;
}

/* The apps that may trace others. */
static void find_tracing(const struct enter *e, struct strv *ret)
{
	for (size_t i = 0; i < e->manifest.n_apps; i++) {
		struct app_plan plan = APP_PLAN_INIT;

		if (app_plan_make(&e->manifest, &e->manifest.apps[i],
				  &e->options.plan, &plan, NULL) < 0)
			continue;
		if (plan.caps & CAPS_BIT(CAP_SYS_PTRACE))
			strv_push(ret, e->manifest.apps[i].name);
		app_plan_release(&plan);
	}
}

/*
 * An app that may trace others stands still until the command executes: up
 * to then its process has more than the app (CVE-2016-9962).  A frozen leaf
 * cannot be entered, so the command gets one beside it, with the same limits
 * and device policy.
 */
static int open_own_leaf(struct enter *e, struct error *err)
{
	cleanup_strv struct strv ignored = STRV_INIT;
	cleanup_strv struct strv dirs = STRV_INIT;
	cleanup_free char *name =
		xasprintf("%s.%u-enter-%d", e->app, e->number, (int)getpid());
	int r;

	cgroup_leaf_release(&e->leaf);
	e->leaf = (struct cgroup_leaf)CGROUP_LEAF_INIT;
	r = cgroup_file_read(e->dirfd, &dirs, err);
	if (r == 0)
		r = cgroup_open_pod(e->options.uuid, &dirs, &e->cgroup, err);
	if (r == 0)
		r = cgroup_leaf_make(e->cgroup, name, &e->plan.limits, &e->leaf,
				     &ignored, err);
	if (r == 0 && !e->options.plan.insecure_paths)
		r = device_policy_apply(e->cgroup, &e->leaf,
					device_policy_closed,
					device_policy_closed_n, &ignored, err);
	return r;
}

static int freeze_tracing(struct enter *e, struct enter_freeze *f,
			  struct error *err)
{
	cleanup_strv struct strv apps = STRV_INIT;
	int r;

	find_tracing(e, &apps);
	r = apps.n ? enter_freeze_begin(f, e->dirfd, &apps, err) : 0;
	if (r < 0 || f->n == 0)
		return r;
	r = open_own_leaf(e, err);
	return r < 0 ? r : enter_freeze(f, &e->leaf, err);
}

static int start(struct enter *e, struct error *err)
{
	struct enter_freeze freeze = ENTER_FREEZE_INIT;
	struct pod_init init = {
		.pidfd = e->init_pidfd,
		.has_namespaces = true,
		.said = -EBADF,
		.is_ready = true,
		.shares = pod_init_shares(net_list_kind(&e->options.nets) ==
						  NET_KIND_HOST,
					  e->options.host_ipc),
	};
	struct app_process_request request = {
		.plan = &e->plan,
		.exec = &e->command,
		.env = &e->plan.env,
		.mntns = e->mntns,
		.init = &init,
		.own_pidns = e->own_pidns,
		.users = &e->users,
		.leaf = &e->leaf,
		.filter = &e->filter,
		.as_root = !e->as_app,
		.limits = e->limits,
		.stdio = {e->stdio[0], e->stdio[1], e->stdio[2]},
		.tty = e->has_console,
	};
	int r;

	r = freeze_tracing(e, &freeze, err);
	if (r == 0)
		r = app_process_start(&request, &e->process, err);
	enter_thaw(&freeze);
	for (size_t i = 0; i < 2; i++)
		fd_close(&e->relays[i].theirs);
	return r < 0 ? r : watch(e, err);
}

static int wait_for_command(struct enter *e, struct error *err)
{
	int status = 0, code;

	(void)event_loop_run(&e->loop);
	(void)process_wait(e->process.pidfd, &status);
	if (e->has_console)
		console_close(&e->console);
	for (size_t i = 0; i < 2; i++)
		enter_relay_close(&e->relays[i]);
	if (app_process_exec_failed(&e->process, &code))
		return error_sys(err, code, "execute %s", e->command.v[0]);
	return e->escaped ? 1 : process_exit_code(status);
}

static int prepare(struct enter *e, struct error *err)
{
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_sys(err, errno, "make the process unreadable");
	e->dirfd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (e->dirfd < 0)
		return error_sys(err, errno, "open the pod directory");
	return event_loop_init(&e->loop, err);
}

static void release(struct enter *e)
{
	app_process_close(&e->process);
	for (size_t i = 0; i < 2; i++)
		enter_relay_close(&e->relays[i]);
	event_loop_release(&e->loop);
	seccomp_program_release(&e->filter);
	/* One of its own goes with it, however far it came. */
	if (e->cgroup && e->leaf.name) {
		(void)cgroup_leaf_kill(&e->leaf, NULL);
		(void)cgroup_leaf_remove(e->cgroup, &e->leaf, NULL);
	}
	cgroup_leaf_release(&e->leaf);
	if (e->cgroup)
		cgroup_free(e->cgroup);
	app_plan_release(&e->plan);
	runtime_app_release(&e->runtime_app);
	pod_manifest_release(&e->manifest);
	run_options_release(&e->options);
	strv_release(&e->run_args);
	strv_release(&e->env);
	strv_release(&e->command);
	fd_close(&e->root);
	fd_close(&e->mntns);
	fd_close(&e->app_pidfd);
	users_close(&e->users);
	fd_close(&e->own_pidns);
	fd_close(&e->init_pidfd);
	fd_close(&e->generation);
	fd_close(&e->dirfd);
}

int enter_main(int argc, char *const argv[])
{
	struct enter e = {
		.dirfd = -EBADF,
		.generation = -EBADF,
		.users = USERS_INIT,
		.init_pidfd = -EBADF,
		.own_pidns = -EBADF,
		.app_pidfd = -EBADF,
		.mntns = -EBADF,
		.root = -EBADF,
		.leaf = CGROUP_LEAF_INIT,
		.loop = {.epfd = -EBADF},
		.relays = {ENTER_RELAY_INIT, ENTER_RELAY_INIT},
		.process = APP_PROCESS_INIT,
	};
	int (*const steps[])(struct enter *, struct error *) = {
		prepare,  load_options,	    load_app,	   make_plan,
		open_app, open_leaf,	    open_terminal, open_stdio,
		start,	  wait_for_command,
	};
	struct error err = ERROR_INIT;
	int r;

	r = parse_args(&e, argc, argv, &err);
	log_init(e.as_app ? "exec" : "enter", e.debug);
	for (size_t i = 0; r == 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
		r = steps[i](&e, &err);
	if (r < 0) {
		if (e.has_console)
			console_close(&e.console);
		log_failure(&err, NULL);
		r = RKT_EXIT_FAILURE;
	}
	release(&e);
	return r;
}

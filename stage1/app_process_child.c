/* SPDX-License-Identifier: Apache-2.0 */

/* What a process of an app does from its first instruction to its execve. */

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/process.h"
#include "base/strv.h"
#include "stage1/app_process.h"
#include "stage1/app_process_impl.h"
#include "stage1/caps.h"
#include "stage1/cgroup.h"
#include "stage1/exec_lookup.h"
#include "stage1/ids.h"
#include "stage1/plan.h"
#include "stage1/pod_init.h"
#include "stage1/rootfs.h"
#include "stage1/seccomp.h"
#include "stage1/users.h"

struct child {
	const struct app_process_request *req;
	struct app_barrier *barrier;
	int errpipe;
	uid_t uid;
	gid_t gid;
	char **env; /* with room for what is given at the barrier */
	size_t n_env;
	char path[EXEC_PATH_MAX];
};

static int harden(struct child *c, struct error *err)
{
	(void)c;
	/* Unreadable for the pod from its first instant in it. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_sys(err, errno, "make the process unreadable");
	return 0;
}

static int set_oom_score(struct child *c, struct error *err)
{
	const struct app_plan *plan = c->req->plan;
	char text[16];
	int fd, r;

	if (!plan->has_oom_score_adj)
		return 0;
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "open oom_score_adj");
	(void)snprintf(text, sizeof(text), "%d", plan->oom_score_adj);
	r = write_full(fd, text, strlen(text));
	(void)close(fd);
	/* Lowering needs CAP_SYS_RESOURCE, which the host may lack: stage1
	 * reports it, the app runs. */
	return r == -EACCES || r == -EPERM || r == 0
		       ? 0
		       : error_sys(err, -r, "set oom_score_adj to %s", text);
}

static int join_cgroup(struct child *c, struct error *err)
{
	int r = c->req->killed_leaf ? cgroup_leaf_enter(c->req->leaf, err)
				    : cgroup_leaf_join(c->req->leaf, err);

	if (r < 0)
		return r;
	/* From inside its leaf, so the leaf is the root it sees. */
	if (!users_are_private(c->req->users) && unshare(CLONE_NEWCGROUP) < 0)
		return error_sys(err, errno, "create the cgroup namespace");
	return 0;
}

/* The pod is not there yet, maybe: what was done until here needs nothing of
 * it. */
static int wait_for_pod(struct child *c, struct error *err)
{
	char go;

	if (read_full(c->errpipe, &go, 1) != 1)
		return error_set(err, ECHILD, "stage1 is gone");
	return 0;
}

static bool is_root(const struct stat *other)
{
	struct stat st;

	return stat("/", &st) == 0 && st.st_dev == other->st_dev &&
	       st.st_ino == other->st_ino;
}

/*
 * A copy of pod init's mounts to begin with.  Pod init says that its root is
 * there just before it takes the host's off it; who joins its namespace
 * earlier than that stands in the host's.
 */
static int join_root(struct child *c, struct error *err)
{
	struct stat host;

	if (stat("/", &host) < 0)
		return error_sys(err, errno, "look at /");
	for (unsigned int round = 0;; round++) {
		if (setns(c->req->init->pidfd, CLONE_NEWNS) < 0)
			return error_sys(err, errno, "join the pod's mounts");
		if (!is_root(&host))
			break;
		if (round > BARRIER_TIMEOUT_MS)
			return error_set(err, ETIMEDOUT,
					 "pod init stays in the host's root");
		app_process_wait_a_little(round);
	}
	if (unshare(CLONE_NEWNS) < 0)
		return error_sys(err, errno, "create the mount namespace");
	return 0;
}

static int join_pod(struct child *c, struct error *err)
{
	int own = (CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) &
		  ~c->req->init->shares;

	if (setns(c->req->init->pidfd, own) < 0)
		return error_sys(err, errno, "join the pod's namespaces");
	return c->req->rootfs ? join_root(c, err) : 0;
}

static int enter_root(struct child *c, struct error *err)
{
	int r;

	if (c->req->rootfs) {
		r = users_act(c->req->users, err);
		return r < 0 ? r : rootfs_enter(c->req->rootfs, err);
	}
	if (setns(c->req->mntns, CLONE_NEWNS) < 0)
		return error_sys(err, errno, "join the app's root");
	if (chdir("/") < 0)
		return error_sys(err, errno, "enter the app's root");
	return 0;
}

/* /proc/self/exe is still our own program (CVE-2019-5736). */
static int refuse_magic_link(int root, const char *path, struct error *err)
{
	cleanup_fd int fd = open_in_root(root, path, O_PATH);

	if (fd == -ELOOP)
		return error_set(err, ELOOP, "%s leads through a link of /proc",
				 path);
	return 0;
}

/* What was looked up, as the pod numbers it. */
static int take_ids(struct child *c, uid_t uid, gid_t gid, struct error *err)
{
	const struct app_plan *plan = c->req->plan;
	const struct users *users = c->req->users;

	/* Who owns a file was asked on the host. */
	if ((plan->user[0] == '/' && users_inside(users, uid, &uid) < 0) ||
	    (plan->group[0] == '/' && users_inside(users, gid, &gid) < 0))
		return error_set(err, EINVAL,
				 "the owner of %s has no number in the pod's "
				 "user namespace",
				 plan->user[0] == '/' ? plan->user
						      : plan->group);
	if (users_are_private(users) &&
	    (uid >= users->range.count || gid >= users->range.count))
		return error_set(
			err, EINVAL,
			"user %u or group %u of the image is not below "
			"%u: the pod has no more (--private-users)",
			uid, gid, users->range.count);
	c->uid = uid;
	c->gid = gid;
	return 0;
}

static int find_ids(struct child *c, int root, struct error *err)
{
	const struct app_plan *plan = c->req->plan;
	uid_t uid = 0;
	gid_t gid = 0;
	int r;

	if (c->req->as_root)
		return 0;
	r = ids_find_user(root, plan->user, &uid, err);
	if (r == 0)
		r = ids_find_user_group(root, plan->user, plan->group, &gid,
					err);
	return r < 0 ? r : take_ids(c, uid, gid, err);
}

/* Everything looked up in the root, while nothing of the app runs yet. */
static int look_up(struct child *c, struct error *err)
{
	const struct app_plan *plan = c->req->plan;
	cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int dir = -EBADF;
	int r;

	if (root < 0)
		return error_sys(err, errno, "open the app's root");
	r = find_ids(c, root, err);
	if (r < 0)
		return r;
	/* Not by chdir(): a /proc/self/fd/N of the image would be one of our
	 * descriptors (CVE-2024-21626). */
	dir = open_in_root(root, plan->working_directory, O_PATH | O_DIRECTORY);
	if (dir < 0 || fchdir(dir) < 0)
		return error_sys(err, dir < 0 ? -dir : errno,
				 "enter working directory %s",
				 plan->working_directory);
	r = exec_lookup(root, strv_env_get(c->req->env, "PATH"),
			plan->working_directory, c->req->exec->v[0], c->path,
			err);
	return r < 0 ? r : refuse_magic_link(root, c->path, err);
}

static int stdio_not_given(const struct child *c, struct error *err)
{
	if (errno != EINVAL)
		return error_sys(err, errno, "give away stdio");
	return error_set(err, EINVAL,
			 "there is no user %u or group %u here: without root "
			 "there are those of /etc/subuid and /etc/subgid, by "
			 "newuidmap",
			 c->uid, c->gid);
}

static int set_stdio(struct child *c, struct error *err)
{
	const struct app_process_request *req = c->req;
	/* A terminal of a user namespace is nobody's, unless it is given. */
	bool give =
		req->own_stdio || (req->tty && users_are_private(req->users));
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return error_sys(err, errno, "open /dev/null");
	(void)setsid();
	for (int i = 0; i < 3; i++) {
		int fd = req->stdio[i] >= 0 ? req->stdio[i] : null;

		/* So /dev/stdout can be opened again by its path. */
		if (give && req->stdio[i] >= 0 &&
		    fchown(fd, users_outside(req->users, c->uid),
			   users_outside(req->users, c->gid)) < 0)
			return stdio_not_given(c, err);
		if (dup2(fd, i) < 0)
			return error_sys(err, errno, "set stdio");
	}
	for (int i = 0; i < 3 && req->tty; i++)
		if (isatty(i))
			return ioctl(i, TIOCSCTTY, 0) < 0
				       ? error_sys(err, errno,
						   "set the controlling "
						   "terminal")
				       : 0;
	return 0;
}

/* While we may still raise them. */
static int set_limits(struct child *c, struct error *err)
{
	for (int i = 0; c->req->limits && i < RLIM_NLIMITS; i++) {
		struct rlimit limit = c->req->limits[i], own;
		int r = setrlimit((__rlimit_resource_t)i, &limit);

		if (r < 0 && errno == EPERM &&
		    getrlimit((__rlimit_resource_t)i, &own) == 0) {
			limit.rlim_max = own.rlim_max;
			if (limit.rlim_cur > limit.rlim_max)
				limit.rlim_cur = limit.rlim_max;
			r = setrlimit((__rlimit_resource_t)i, &limit);
		}
		if (r < 0)
			return error_sys(err, errno, "set resource limit %d",
					 i);
	}
	return 0;
}

/*
 * From here on capabilities are those of the pod.  The mounts are copied, for
 * those made until here are the host's: the app's own are the pod's.
 */
static int enter_users(struct child *c, struct error *err)
{
	const struct app_process_request *req = c->req;
	int r;

	if (!users_are_private(req->users))
		return 0;
	r = users_enter(req->users,
			CLONE_NEWCGROUP | (req->rootfs ? CLONE_NEWNS : 0), err);
	return r < 0 ? r : caps_drop_bounding(req->plan->caps, err);
}

static int close_rest(struct child *c, struct error *err)
{
	int r;

	/* Nothing of stage1 may follow into the app (CVE-2024-21626). */
	c->errpipe = fcntl(c->errpipe, F_DUPFD_CLOEXEC, 3);
	if (c->errpipe < 0)
		return error_sys(err, errno, "keep the error socket");
	atomic_store(&c->barrier->errpipe, c->errpipe);
	r = close_all_from(3, &c->errpipe, 1);
	return r < 0 ? error_sys(err, -r, "close descriptors") : 0;
}

static int drop_bounding(struct child *c, struct error *err)
{
	return caps_drop_bounding(c->req->plan->caps, err);
}

static int drop_privileges(struct child *c, struct error *err)
{
	const struct app_plan *plan = c->req->plan;
	bool nnp = plan->no_new_privs || (c->uid != 0 && plan->is_filtered);
	int r;

	r = ids_set_groups(c->gid, plan->gids,
			   c->req->as_root ? 0 : plan->n_gids, err);
	if (r == 0)
		r = caps_keep_on_setuid(err);
	if (r == 0)
		r = ids_set_user(c->uid, err);
	if (r == 0)
		r = caps_set_for_exec(plan->caps, c->uid, err);
	if (r < 0)
		return r;
	/* The setuid made it depend on fs.suid_dumpable. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    (nnp && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0))
		return error_sys(err, errno, "set no_new_privs");
	return 0;
}

/* After the filter there may be no memory to be had. */
static int copy_environment(struct child *c, struct error *err)
{
	const struct strv *env = c->req->env;

	(void)err;
	c->env = xcalloc(env->n + APP_GIVEN_ENV_MAX + 1, sizeof(*c->env));
	if (env->n)
		memcpy(c->env, env->v, env->n * sizeof(*c->env));
	c->n_env = env->n;
	c->barrier->uid = users_outside(c->req->users, c->uid);
	c->barrier->gid = users_outside(c->req->users, c->gid);
	return 0;
}

static int reset_signals(struct child *c, struct error *err)
{
	sigset_t none;

	(void)c;
	for (int sig = 1; sig < 32; sig++)
		(void)signal(sig, SIG_DFL);
	(void)sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return error_sys(err, errno, "unblock signals");
	(void)umask(022);
	/* stage1's own is for its barrier; this is the kernel's default. */
	(void)prctl(PR_SET_TIMERSLACK, 50000, 0, 0, 0);
	return 0;
}

static const struct {
	const char *name;
	int (*apply)(struct child *, struct error *);
} steps[] = {
	{"harden the process", harden},
	{"set the oom score", set_oom_score},
	{"join the cgroup", join_cgroup},
	{"drop the bounding set", drop_bounding},
	{"wait for the pod", wait_for_pod},
	{"join the pod", join_pod},
	{"set up the root", enter_root},
	{"look up the program", look_up},
	{"set up stdio", set_stdio},
	{"set the limits", set_limits},
	{"enter the pod's users", enter_users},
	{"close descriptors", close_rest},
	{"drop privileges", drop_privileges},
	{"reset signals", reset_signals},
	{"copy the environment", copy_environment},
};

static void take_given(struct child *c)
{
	char *entry = c->barrier->given;

	for (size_t i = 0; i < c->barrier->n_given; i++) {
		c->env[c->n_env++] = entry;
		entry += strlen(entry) + 1;
	}
}

__attribute__((__noreturn__)) static void execute(struct child *c)
{
	const struct app_process_request *req = c->req;
	int listener, r;
	char go;

	(void)write_full(c->errpipe, PREPARED, 1);
	/* Without a listener there is no barrier later: wait here. */
	if (!req->listener && read_full(c->errpipe, &go, 1) != 1)
		_exit(127);
	listener = seccomp_install(req->filter, req->listener);
	if (listener < 0) {
		atomic_store(&c->barrier->exec_errno, -listener);
		_exit(127);
	}
	if (req->listener) {
		atomic_store(&c->barrier->listener, listener + 1);
		r = seccomp_barrier();
		if (r < 0) {
			atomic_store(&c->barrier->exec_errno, -r);
			_exit(127);
		}
	}
	take_given(c);
	(void)execve(c->path, req->exec->v, c->env);
	atomic_store(&c->barrier->exec_errno, errno);
	_exit(127);
}

void app_process_child(const struct app_process_request *req,
		       struct app_barrier *barrier, int errpipe)
{
	struct child c = {.req = req, .barrier = barrier, .errpipe = errpipe};
	struct error err = ERROR_INIT;

	atomic_store(&barrier->pod_pid, (int)getpid());
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int r = steps[i].apply(&c, &err);

		if (r == 0)
			continue;
		(void)error_wrap(&err, r, "%s", steps[i].name);
		(void)write_full(c.errpipe, &err, sizeof(err));
		_exit(126);
	}
	execute(&c);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1-fly/run.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
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
#include "spec/stage1_abi.h"
#include "stage1-fly/app.h"
#include "stage1/ids.h"
#include "stage1/mounts.h"
#include "stage1/options.h"
#include "stage1/rootfs.h"
#include "stage1/users.h"
#include "stage1/volumes.h"

/* Of the host, at the same place in the app's root, with all below them. */
static const struct {
	const char *source;
	const char *name;
	mode_t mode;
} shared_dirs[] = {
	{"/dev", "dev", 0755},
	{"/proc", "proc", 0555},
	{"/sys", "sys", 0555},
};

#define N_SHARED (sizeof(shared_dirs) / sizeof(*shared_dirs))

struct fly {
	struct run_options options;
	int lockfd; /* stays open in the app: the pod runs as long as that */
	struct fly_app app;
	struct users users; /* the host's */
	struct rootfs rootfs;
	int shared[N_SHARED]; /* detached clones */
	int tmp;	      /* detached tmpfs */
	uid_t uid;
	gid_t gid;
};

/* --- what is asked for -----------------------------------------------------
 */

static int parse_fd(const char *text, int *ret)
{
	uint64_t fd;

	if (!text || parse_uint(text, 1 << 20, &fd) < 0 ||
	    fcntl((int)fd, F_GETFD) < 0)
		return -EBADF;
	*ret = (int)fd;
	return 0;
}

static int take_lock(struct fly *fly, struct error *err)
{
	if (parse_fd(getenv(STAGE1_ENV_LOCK_FD), &fly->lockfd) < 0 ||
	    set_cloexec(fly->lockfd, 0) < 0)
		return error_set(err, EINVAL,
				 STAGE1_ENV_LOCK_FD
				 " is not an open descriptor");
	return 0;
}

static int load(struct fly *fly, struct error *err)
{
	return fly_app_load(&fly->app, err);
}

/* What fly does not do is said, and the app runs. */
static int warn_ignored(struct fly *fly, struct error *err)
{
	const struct run_options *o = &fly->options;
	const struct pod_manifest *pm = &fly->app.manifest;
	const char *net = o->nets.n ? o->nets.v[0].name : "default";
	const struct {
		const char *what;
		bool is_asked;
	} ignored[] = {
		{"--net", strcmp(net, "default") != 0 &&
				  net_list_kind(&o->nets) != NET_KIND_HOST},
		{"--port", pm->n_ports > 0},
		{"--hostname", o->hostname != NULL},
		{"--dns, --hosts-entry",
		 o->resolv_mode != DNS_DEFAULT || o->hosts_mode != DNS_DEFAULT},
		{"--private-users", o->private_users.count > 0},
		{"--mds-register", o->mds_register},
		{"event handlers of the app",
		 fly->app.plan.pre_start.n || fly->app.plan.post_stop.n},
	};

	(void)err;
	for (size_t i = 0; i < sizeof(ignored) / sizeof(*ignored); i++)
		if (ignored[i].is_asked)
			log_warning("%s ignored: stage1-fly runs the app in "
				    "the host's namespaces",
				    ignored[i].what);
	return 0;
}

/* --- files of the pod ------------------------------------------------------
 */

static int write_number(const char *name, long number, struct error *err)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%ld", number);
	return write_string_at(AT_FDCWD, name, 0644, text, err);
}

static int note_processes(struct fly *fly, struct error *err)
{
	int r = write_number(POD_PGID_FILE, (long)getpgrp(), err);

	(void)fly;
	if (r == 0)
		r = write_number(POD_PID_FILE, (long)getpid(), err);
	return r < 0 ? r
		     : write_string_at(AT_FDCWD, POD_RUNTIME_VERSION_FILE, 0644,
				       RKT_VERSION, err);
}

static int note_isolators(struct fly *fly, struct error *err)
{
	const struct isolators *lists[] = {&fly->app.app.app.isolators,
					   &fly->app.manifest.isolators};
	const char *who[] = {fly->app.plan.name, "pod"};
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < lists[i]->n; k++)
			strbuf_addf(&text,
				    "%s: %s: stage1-fly isolates nothing\n",
				    who[i], lists[i]->v[k].name);
	return text.len ? write_string_at(AT_FDCWD, POD_ISOLATORS_FILE, 0644,
					  text.buf, err)
			: 0;
}

static int note_start(struct fly *fly, struct error *err)
{
	cleanup_free char *started =
		xasprintf(POD_STATUS_DIR "/%s-started", fly->app.plan.name);
	int r = write_string_at(AT_FDCWD, started, 0644, "", err);

	if (r < 0)
		return r;
	if (symlink("ready", POD_READY_LINK) < 0 && errno != EEXIST)
		return error_sys(err, errno, "make " POD_READY_LINK);
	return 0;
}

/* --- the root --------------------------------------------------------------
 */

/* "APP:FD"; -EBADF if the app has a copy of its own. */
static int take_tree(const struct fly *fly, int *ret, struct error *err)
{
	const char *text = getenv(STAGE1_ENV_TREE_FDS);
	size_t len = strlen(fly->app.plan.name);

	*ret = -EBADF;
	if (!text || !*text)
		return 0;
	if (strncmp(text, fly->app.plan.name, len) != 0 || text[len] != ':' ||
	    parse_fd(text + len + 1, ret) < 0)
		return error_set(err, EINVAL,
				 "bad item %s in " STAGE1_ENV_TREE_FDS, text);
	return 0;
}

static int open_shared(struct fly *fly, struct error *err)
{
	for (size_t i = 0; i < N_SHARED; i++) {
		cleanup_fd int fd = open(shared_dirs[i].source,
					 O_PATH | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0)
			return error_sys(err, errno, "open %s",
					 shared_dirs[i].source);
		fly->shared[i] = mount_clone_as(fd, true, 0, 0, err);
		if (fly->shared[i] < 0)
			return error_prefix(err, fly->shared[i], "%s",
					    shared_dirs[i].source);
	}
	return 0;
}

/* While the host's mounts are still there to be cloned. */
static int open_parts(struct fly *fly, struct error *err)
{
	struct rootfs *root = &fly->rootfs;
	int tree;
	int r = take_tree(fly, &tree, err);

	root->plan = &fly->app.plan;
	root->users = &fly->users;
	if (r == 0)
		r = rootfs_open_tree(root, fly->app.generation, tree, err);
	if (r == 0)
		r = open_shared(fly, err);
	if (r == 0)
		r = volumes_open(&fly->app.plan, &fly->users, NULL,
				 &root->volumes, err);
	if (r < 0)
		return r;
	fly->tmp = mount_tmpfs("mode=1777",
			       MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID, err);
	return fly->tmp < 0 ? fly->tmp : 0;
}

static int attach(const struct fly *fly, int mnt, const char *name, mode_t mode,
		  struct error *err)
{
	int r = rootfs_make_dir(&fly->rootfs, name, mode, err);

	return r < 0 ? r : mount_attach(mnt, fly->rootfs.tree, name, err);
}

/* Nothing of it is seen on the host, and it ends with the app. */
static int build_root(struct fly *fly, struct error *err)
{
	const struct rootfs *root = &fly->rootfs;
	int r;

	if (unshare(CLONE_NEWNS) < 0)
		return error_sys(err, errno, "create the mount namespace");
	r = mounts_make_private(err);
	if (r == 0)
		r = mount_attach(root->tree, AT_FDCWD, "", err);
	for (size_t i = 0; i < N_SHARED && r == 0; i++)
		r = attach(fly, fly->shared[i], shared_dirs[i].name,
			   shared_dirs[i].mode, err);
	if (r == 0)
		r = attach(fly, fly->tmp, "tmp", 01777, err);
	if (r == 0)
		r = volumes_attach(&root->volumes, root->plan, root->tree, err);
	if (r == 0 && root->plan->read_only_rootfs)
		r = mount_set_attr(root->tree, MOUNT_ATTR_RDONLY, false, err);
	if (r == 0)
		r = mounts_pivot(root->tree, err);
	return r < 0 ? r : mounts_leave_old(err);
}

/* --- the app ---------------------------------------------------------------
 */

static int close_rest(struct fly *fly, struct error *err)
{
	int r = close_all_from(3, &fly->lockfd, 1);

	return r < 0 ? error_sys(err, -r, "close descriptors") : 0;
}

static int become_app(struct fly *fly, struct error *err)
{
	const struct app_plan *plan = &fly->app.plan;
	cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (root < 0)
		return error_sys(err, errno, "open the app's root");
	r = fly_app_find_ids(&fly->app, root, &fly->uid, &fly->gid, err);
	(void)umask(022);
	if (r == 0)
		r = ids_set_groups(fly->gid, plan->gids, plan->n_gids, err);
	if (r == 0)
		r = ids_set_user(fly->uid, err);
	return r < 0 ? r
		     : fly_execute(root, plan->working_directory, &plan->exec,
				   &plan->env, err);
}

static const struct {
	const char *name;
	int (*apply)(struct fly *, struct error *);
} steps[] = {
	{"take the lock", take_lock},
	{"note the process", note_processes},
	{"load the app", load},
	{"look at the options", warn_ignored},
	{"open the parts of the root", open_parts},
	{"note isolators", note_isolators},
	{"note the start", note_start},
	{"set up the root", build_root},
	{"close descriptors", close_rest},
	{"become the app", become_app},
};

int fly_run_main(int argc, char *const argv[])
{
	struct fly fly = {
		.lockfd = -EBADF,
		.app = FLY_APP_INIT,
		.users = USERS_INIT,
		.rootfs = ROOTFS_INIT,
	};
	struct error err = ERROR_INIT;
	int r = run_options_parse(argc, argv, &fly.options, &err);

	log_init("stage1-fly", fly.options.debug);
	for (size_t i = 0; r == 0 && i < sizeof(steps) / sizeof(*steps); i++) {
		log_debug("%s", steps[i].name);
		r = steps[i].apply(&fly, &err);
		if (r < 0)
			(void)error_wrap(&err, r, "%s", steps[i].name);
	}
	log_failure(&err, NULL);
	rootfs_release(&fly.rootfs);
	fly_app_release(&fly.app);
	run_options_release(&fly.options);
	return RKT_EXIT_FAILURE;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/cgroup.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "stage1/cgroup_remove.h"
#include "stage1/state.h"

#define PROC_TEXT_MAX (8UL * 1024 * 1024)

struct cgroup {
	struct cgroup_layout layout;
	char *uuid;
	bool delegated;
	bool existing; /* the pod's directories are another's: none is made */
	char *unified_base;		   /* absolute, or NULL */
	char *v1_base[CGROUP_CONTROLLERS]; /* absolute, NULL where not v1 */
	int unified_fd;			   /* the pod's group, once made */
	unsigned int pod_v1;  /* bit per v1 controller limited for the pod */
	unsigned int made_v1; /* bit per v1 controller with a directory */
};

/* --- opening ---------------------------------------------------------------
 */

static int read_text(const char *path, struct strbuf *sb, struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : strbuf_read_fd(sb, fd, PROC_TEXT_MAX);

	return r < 0 ? error_sys(err, -r, "read %s", path) : 0;
}

static bool xattr_is_one(const char *path, const char *name)
{
	char value[4];

	return getxattr(path, name, value, sizeof(value)) == 1 &&
	       value[0] == '1';
}

/* systemd marks a group it leaves to the unit (systemd.resource-control(5),
 * Delegate=) in the tree that it itself uses to track units. */
static bool is_delegated(const struct cgroup_hierarchy *h)
{
	cleanup_free char *path = NULL;

	if (!h->version || !*h->own)
		return false;
	path = xasprintf("%s%s", h->dir, h->own);
	return xattr_is_one(path, "trusted.delegate") ||
	       xattr_is_one(path, "user.delegate");
}

/* BASE of hierarchy H; the unit's own group only where it is the unit's. */
static char *base_make(const struct cgroup_hierarchy *h, const char *unit)
{
	bool own = unit && strcmp(h->own, unit) == 0;

	return xasprintf("%s%s", h->dir, own ? h->own : "");
}

static void bases_make(struct cgroup *cg)
{
	const struct cgroup_layout *l = &cg->layout;
	const char *unit = NULL;

	if (is_delegated(&l->unified))
		unit = l->unified.own;
	else if (is_delegated(&l->named))
		unit = l->named.own;
	cg->delegated = unit != NULL;
	if (l->unified.version)
		cg->unified_base = base_make(&l->unified, unit);
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		if (l->controller[i].version == 1)
			cg->v1_base[i] = base_make(&l->controller[i], unit);
}

static bool is_hierarchy(int version, const char *dir, const char *own)
{
	cleanup_free char *group = xasprintf("%s%s", dir, own);
	struct statfs st;

	return statfs(group, &st) == 0 && !(st.f_flags & ST_RDONLY) &&
	       st.f_type == (version == 2 ? CGROUP2_SUPER_MAGIC
					  : CGROUP_SUPER_MAGIC);
}

static int layout_read(struct cgroup_layout *ret, struct error *err)
{
	cleanup_strbuf struct strbuf mounts = STRBUF_INIT;
	cleanup_strbuf struct strbuf self = STRBUF_INIT;
	int r;

	r = read_text("/proc/self/cgroup", &self, err);
	if (r == 0 && cgroup_layout_usual(ret, self.buf, is_hierarchy))
		return 0;
	if (r == 0)
		r = read_text("/proc/self/mountinfo", &mounts, err);
	if (r == 0)
		cgroup_layout_parse(ret, mounts.buf, self.buf);
	return r;
}

int cgroup_open(const char *uuid, struct cgroup **ret, struct error *err)
{
	cleanup_strbuf struct strbuf controllers = STRBUF_INIT;
	cleanup_cgroup struct cgroup *cg = NULL;
	cleanup_free char *path = NULL;
	int r;

	cg = xcalloc(1, sizeof(*cg));
	cg->unified_fd = -EBADF;
	cg->uuid = xstrdup(uuid);
	r = layout_read(&cg->layout, err);
	if (r < 0)
		return r;
	bases_make(cg);
	if (cg->unified_base) {
		path = xasprintf("%s/cgroup.controllers", cg->unified_base);
		if (read_text(path, &controllers, NULL) == 0)
			cgroup_layout_add_v2(&cg->layout, controllers.buf);
	}
	*ret = TAKE_PTR(cg);
	return 0;
}

static void bases_release(struct cgroup *cg)
{
	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		free(cg->v1_base[i]);
		cg->v1_base[i] = NULL;
	}
	free(cg->unified_base);
	cg->unified_base = NULL;
}

/* BASE/rkt/UUID tells the base of the hierarchies it is in. */
static void base_take(struct cgroup *cg, const char *dir)
{
	const struct cgroup_layout *l = &cg->layout;
	cleanup_free char *tail = xasprintf("/" CGROUP_PARENT "/%s", cg->uuid);
	size_t len = strlen(dir), end = strlen(tail);
	cleanup_free char *base = NULL;

	if (len < end || strcmp(dir + len - end, tail) != 0)
		return;
	base = xstrndup(dir, len - end);
	if (l->unified.version && path_is_below(base, l->unified.dir) &&
	    !cg->unified_base)
		cg->unified_base = xstrdup(base);
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		if (l->controller[i].version == 1 && !cg->v1_base[i] &&
		    path_is_below(base, l->controller[i].dir))
			cg->v1_base[i] = xstrdup(base);
}

int cgroup_open_pod(const char *uuid, const struct strv *dirs,
		    struct cgroup **ret, struct error *err)
{
	int r = cgroup_open(uuid, ret, err);

	if (r < 0)
		return r;
	bases_release(*ret);
	(*ret)->existing = true;
	for (size_t i = 0; i < dirs->n; i++)
		base_take(*ret, dirs->v[i]);
	return 0;
}

/* --- for another supervisor ------------------------------------------------
 */

static const struct state_row state_rows[] = {
	STATE_ROW(struct cgroup, delegated),
	STATE_ROW(struct cgroup, pod_v1),
	STATE_ROW(struct cgroup, made_v1),
};

void cgroup_save(const struct cgroup *cg, struct state_writer *w,
		 const char *key)
{
	STATE_WRITE_OBJECT(w, key, state_rows, cg);
}

int cgroup_restore(const struct json_node *node, const char *uuid,
		   const struct strv *dirs, struct cgroup **ret,
		   struct error *err)
{
	int r = cgroup_open_pod(uuid, dirs, ret, err);

	if (r < 0)
		return r;
	(*ret)->existing = false;
	return STATE_READ(node, state_rows, *ret);
}

void cgroup_free(struct cgroup *cg)
{
	cgroup_layout_release(&cg->layout);
	free(cg->uuid);
	bases_release(cg);
	fd_close(&cg->unified_fd);
	free(cg);
}

/* The unified directory and those of the v1 controllers in MASK. */
static void dirs_of(const struct cgroup *cg, unsigned int mask,
		    struct strv *ret)
{
	if (cg->unified_base)
		strv_pushf(ret, "%s/" CGROUP_PARENT "/%s", cg->unified_base,
			   cg->uuid);
	for (unsigned int i = 0; i < CGROUP_CONTROLLERS; i++) {
		cleanup_free char *dir = NULL;

		if (!cg->v1_base[i] || !(mask & (1U << i)))
			continue;
		dir = xasprintf("%s/" CGROUP_PARENT "/%s", cg->v1_base[i],
				cg->uuid);
		if (!strv_has(ret, dir))
			strv_push(ret, dir);
	}
}

void cgroup_dirs(const struct cgroup *cg, struct strv *ret)
{
	dirs_of(cg, ~0U, ret);
}

/* --- making groups ---------------------------------------------------------
 */

/*
 * Makes BASE/rkt/UUID.  Another pod that goes may remove `rkt` between our
 * making it and our making UUID in it, so try again.
 */
static int pod_dir_make(const struct cgroup *cg, const char *base,
			struct error *err)
{
	const char *uuid = cg->uuid;
	cleanup_free char *rel = xasprintf(CGROUP_PARENT "/%s", uuid);
	cleanup_fd int basefd = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = -errno;

	if (basefd < 0)
		return error_sys(err, -r, "open control group %s", base);
	if (!cgroup_fs_version(basefd))
		return error_set(err, ENOTSUP, "%s: not a cgroup file system",
				 base);
	for (int i = 0; i < 20; i++) {
		r = cg->existing ? 0 : mkdir_p_at(basefd, rel, 0755);
		if (r == 0) {
			r = openat(basefd, rel,
				   O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			r = r < 0 ? -errno : r;
		}
		if (r != -ENOENT || cg->existing)
			break;
	}
	if (r < 0)
		return error_sys(err, -r, "make control group %s/%s", base,
				 rel);
	return r;
}

static int v1_pod_dir_make(struct cgroup *cg, enum cgroup_controller which,
			   struct error *err)
{
	int r = pod_dir_make(cg, cg->v1_base[which], err);

	if (r >= 0)
		cg->made_v1 |= 1U << which;
	return r;
}

/* The pod's directory in the unified tree; the descriptor stays with CG. */
static int unified_dir(struct cgroup *cg, struct error *err)
{
	if (cg->unified_fd >= 0)
		return cg->unified_fd;
	if (!cg->unified_base)
		return error_set(err, ENOTSUP, "cgroup2 is not mounted");
	if (cg->layout.unified.read_only)
		return error_set(err, EROFS, "%s is mounted read-only",
				 cg->layout.unified.dir);
	cg->unified_fd = pod_dir_make(cg, cg->unified_base, err);
	return cg->unified_fd;
}

static bool subtree_has(int dirfd, const char *name)
{
	cleanup_fd int fd =
		openat(dirfd, "cgroup.subtree_control", O_RDONLY | O_CLOEXEC);
	char text[512], *save = NULL;
	ssize_t n = fd < 0 ? 0 : read_full(fd, text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = '\0';
	for (char *w = strtok_r(text, " \n", &save); w;
	     w = strtok_r(NULL, " \n", &save))
		if (strcmp(w, name) == 0)
			return true;
	return false;
}

/* Moves every process of the group BASEFD into its child `supervisor`. */
static int move_supervisor(int basefd)
{
	cleanup_strbuf struct strbuf pids = STRBUF_INIT;
	cleanup_fd int to = -EBADF;
	char *save = NULL;
	int r;

	if (mkdirat(basefd, "supervisor", 0755) < 0 && errno != EEXIST)
		return -errno;
	to = openat(basefd, "supervisor/cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (to < 0)
		return -errno;
	r = read_file_at(basefd, "cgroup.procs", PROC_TEXT_MAX, &pids, NULL);
	if (r < 0)
		return r;
	for (char *pid = strtok_r(pids.buf, "\n", &save); pid;
	     pid = strtok_r(NULL, "\n", &save)) {
		r = write_full(to, pid, strlen(pid));
		if (r < 0 && r != -ESRCH)
			return r;
	}
	return 0;
}

/*
 * Lets the children of group DIR use a controller.  A group below the root
 * may not have processes of its own then (cgroup-v2.rst, "No Internal
 * Process Constraint"): a delegated one is emptied first.
 */
static int subtree_enable(const char *dir, const char *name, bool may_empty,
			  struct error *err)
{
	cleanup_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char word[32];
	int r = fd < 0 ? -errno : 0;

	if (r == 0 && subtree_has(fd, name))
		return 0;
	(void)snprintf(word, sizeof(word), "+%s", name);
	if (r == 0)
		r = cgroup_write_at(fd, "cgroup.subtree_control", word);
	for (int i = 0; i < 5 && r == -EBUSY && may_empty; i++) {
		r = move_supervisor(fd);
		if (r == 0)
			r = cgroup_write_at(fd, "cgroup.subtree_control", word);
	}
	if (r == -EBUSY)
		return error_set(err, EBUSY,
				 "enable %s in %s: processes are in it", name,
				 dir);
	return r < 0 ? error_sys(err, -r, "enable %s in %s", name, dir) : 0;
}

/* Enables a v2 controller for the pod's group, and FOR_LEAVES in it, too. */
static int v2_enable(struct cgroup *cg, enum cgroup_controller which,
		     bool for_leaves, struct error *err)
{
	const char *name = cgroup_controller_name(which);
	const char *base = cg->unified_base;
	cleanup_free char *parent = xasprintf("%s/" CGROUP_PARENT, base);
	cleanup_free char *pod = xasprintf("%s/%s", parent, cg->uuid);
	int r;

	r = subtree_enable(base, name, cg->delegated, err);
	if (r == 0)
		r = subtree_enable(parent, name, false, err);
	if (r == 0 && for_leaves)
		r = subtree_enable(pod, name, false, err);
	return r;
}

int cgroup_leaf_v1(struct cgroup *cg, struct cgroup_leaf *leaf,
		   enum cgroup_controller which, struct error *err)
{
	const char *name = cgroup_controller_name(which);
	cleanup_fd int pod = -EBADF;
	cleanup_fd int dir = -EBADF;
	cleanup_fd int tasks = -EBADF;

	if (leaf->v1_dir[which] >= 0)
		return leaf->v1_dir[which];
	if (!cg->v1_base[which])
		return error_set(err, ENOTSUP, "no v1 %s controller", name);
	pod = v1_pod_dir_make(cg, which, err);
	if (pod < 0)
		return pod;
	if (mkdirat(pod, leaf->name, 0755) < 0 && errno != EEXIST)
		return error_sys(err, errno, "make %s control group %s", name,
				 leaf->name);
	dir = openat(pod, leaf->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		tasks = openat(dir, "tasks", O_WRONLY | O_CLOEXEC);
	if (tasks < 0)
		return error_sys(err, errno, "open %s control group %s", name,
				 leaf->name);
	leaf->v1_tasks[which] = TAKE_FD(tasks);
	leaf->v1_dir[which] = TAKE_FD(dir);
	return leaf->v1_dir[which];
}

/* --- applying limits -------------------------------------------------------
 */

/* Directory to write a setting in; LEAF NULL = the pod's.  *OPENED is what
 * the caller has to close. */
static int setting_dir(struct cgroup *cg, struct cgroup_leaf *leaf,
		       enum cgroup_controller which, int *opened,
		       struct error *err)
{
	int version = cg->layout.controller[which].version;
	int r;

	if (!version)
		return error_set(err, ENOTSUP, "the host has no %s controller",
				 cgroup_controller_name(which));
	if (version == 1) {
		if (leaf)
			return cgroup_leaf_v1(cg, leaf, which, err);
		*opened = v1_pod_dir_make(cg, which, err);
		if (*opened >= 0)
			cg->pod_v1 |= 1U << which;
		return *opened;
	}
	r = unified_dir(cg, err);
	if (r < 0)
		return r;
	r = v2_enable(cg, which, leaf != NULL, err);
	if (r < 0)
		return r;
	return leaf ? leaf->dirfd : cg->unified_fd;
}

static int setting_apply(struct cgroup *cg, struct cgroup_leaf *leaf,
			 const struct cgroup_setting *s, struct error *err)
{
	cleanup_fd int opened = -EBADF;
	int dir = setting_dir(cg, leaf, s->which, &opened, err);
	int r;

	if (dir < 0)
		return dir;
	r = cgroup_write_at(dir, s->file, s->value);
	if (r < 0)
		return error_sys(err, -r, "write %s to %s", s->value, s->file);
	return 0;
}

static void limits_apply(struct cgroup *cg, struct cgroup_leaf *leaf,
			 const struct cgroup_limits *limits,
			 struct strv *ignored)
{
	struct cgroup_setting settings[CGROUP_SETTINGS_MAX];
	int version[CGROUP_CONTROLLERS];
	const char *failed = NULL;
	size_t n;

	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		version[i] = cg->layout.controller[i].version;
	n = cgroup_settings_make(limits, version, settings);
	for (size_t i = 0; i < n; i++) {
		struct cgroup_setting *s = &settings[i];
		struct error err = ERROR_INIT;

		if (failed && strcmp(failed, s->isolator) == 0)
			continue; /* one row an isolator */
		if (setting_apply(cg, leaf, s, &err) == 0 || s->best_effort)
			continue;
		failed = s->isolator;
		strv_pushf(ignored, "%s: %s", s->isolator, err.msg);
	}
}

int cgroup_limit_pod(struct cgroup *cg, const struct cgroup_limits *limits,
		     struct strv *ignored, struct error *err)
{
	(void)err;
	limits_apply(cg, NULL, limits, ignored);
	return 0;
}

/* --- leaves ----------------------------------------------------------------
 */

static int unified_leaf_make(struct cgroup *cg, struct cgroup_leaf *leaf,
			     struct error *err)
{
	int pod = unified_dir(cg, err);

	if (pod < 0)
		return pod;
	if (mkdirat(pod, leaf->name, 0755) < 0)
		return error_sys(err, errno, "make control group %s",
				 leaf->name);
	leaf->dirfd =
		openat(pod, leaf->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (leaf->dirfd < 0)
		return error_sys(err, errno, "open control group %s",
				 leaf->name);
	return 0;
}

/* Below a limit of the pod every leaf has to be in that hierarchy. */
static int join_pod_limits(struct cgroup *cg, struct cgroup_leaf *leaf,
			   struct error *err)
{
	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		int r = 0;

		if (cg->pod_v1 & (1U << i))
			r = cgroup_leaf_v1(cg, leaf, (enum cgroup_controller)i,
					   err);
		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_leaf_make(struct cgroup *cg, const char *name,
		     const struct cgroup_limits *limits,
		     struct cgroup_leaf *leaf, struct strv *ignored,
		     struct error *err)
{
	struct error why = ERROR_INIT;
	int r;

	assert(!strchr(name, '/') && name[0] != '.' && *name);
	leaf->name = xstrdup(name);
	r = unified_leaf_make(cg, leaf, &why);
	if (r == -EEXIST) {
		if (err)
			*err = why;
		cgroup_leaf_release(leaf);
		return r;
	}
	if (r < 0) {
		log_debug("no control group to track %s: %s", name, why.msg);
		leaf->why = xstrdup(why.msg);
	}
	r = join_pod_limits(cg, leaf, err);
	if (r < 0) {
		(void)cgroup_leaf_remove(cg, leaf, NULL);
		return r;
	}
	if (limits)
		limits_apply(cg, leaf, limits, ignored);
	return 0;
}

int cgroup_leaf_remove(struct cgroup *cg, struct cgroup_leaf *leaf,
		       struct error *err)
{
	cleanup_free char *name = xstrdup(leaf->name);
	cleanup_strv struct strv dirs = STRV_INIT;
	int r = 0;

	cgroup_leaf_release(leaf);
	dirs_of(cg, cg->made_v1, &dirs);
	for (size_t i = 0; i < dirs.n; i++) {
		int step = cgroup_rmdir(dirs.v[i], name, 100);

		if (step < 0 && r == 0)
			r = error_sys(err, -step, "remove control group %s/%s",
				      dirs.v[i], name);
	}
	return r;
}

int cgroup_remove(struct cgroup *cg, struct error *err)
{
	cleanup_strv struct strv dirs = STRV_INIT;

	fd_close(&cg->unified_fd);
	dirs_of(cg, cg->made_v1, &dirs);
	return cgroup_remove_dirs(&dirs, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/fetch_copy.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/path.h"
#include "cmd/rkt/app_arg.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
#include "spec/pod_manifest.h"
#include "stage0/file_root.h"
#include "stage0/pod.h"
#include "stage0/prepare.h"

struct opts {
	const char *app;
	bool archive;
	bool follow_link;
};

static const struct option_row rows[] = {
	{.name = "app",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, app),
	 .help = "name of the app whose files are meant"},
	{.name = "archive",
	 .letter = 'a',
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, archive),
	 .help = "keep owners, set-user-ID and set-group-ID bits, and "
		 "capabilities; else all belongs to root, without them"},
	{.name = "follow-link",
	 .letter = 'L',
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, follow_link),
	 .help = "copy what SRC leads to if it is a symbolic link"},
	{.name = NULL},
};

/* One side of a copy: a path of an app or of the host, or a tar. */
struct side {
	char *pod;  /* owned; NULL: the host */
	char *path; /* owned, absolute; NULL: a tar */
	struct pod opened;
	struct file_root root;
};

#define SIDE_INIT                                                              \
	{                                                                      \
		.opened = POD_INIT, .root = FILE_ROOT_INIT                     \
	}

static void side_release(struct side *s)
{
	file_root_close(&s->root);
	pod_close(&s->opened);
	free(s->pod);
	free(s->path);
}
#define cleanup_side __attribute__((__cleanup__(side_release)))

/* --- words -----------------------------------------------------------------
 */

/* As docker has it: a path of the host with a ':' begins with "/" or ".". */
static int side_parse(const char *word, struct side *ret, struct error *err)
{
	const char *colon = strchr(word, ':');
	cleanup_free char *cwd = NULL;

	if (strcmp(word, "-") == 0)
		return 0;
	if (!*word)
		return error_set(err, EINVAL, "a path is empty");
	if (colon && *word != '/' && *word != '.') {
		if (colon == word)
			return error_set(err, EINVAL, "%s names no pod", word);
		ret->pod = xstrndup(word, (size_t)(colon - word));
		ret->path = xasprintf("%s%s", colon[1] == '/' ? "" : "/",
				      colon + 1);
		return 0;
	}
	cwd = *word == '/' ? NULL : getcwd(NULL, 0);
	if (*word != '/' && !cwd)
		return error_sys(err, errno, "find the working directory");
	ret->path = cwd ? xasprintf("%s/%s", cwd, word) : xstrdup(word);
	return 0;
}

/* "/." at the end, and all of "/": the content, not the directory itself. */
static bool is_content(const char *path)
{
	size_t len = strlen(path);
	cleanup_free char *clean = path_clean(path);

	return strcmp(clean, "/") == 0 ||
	       (len >= 2 && strcmp(path + len - 2, "/.") == 0);
}

/* --- places ----------------------------------------------------------------
 */

static int check_state(const struct side *s, bool to_write, struct error *err)
{
	enum pod_state state = pod_state(&s->opened);

	if (state == POD_STATE_RUNNING)
		return 0;
	if (to_write)
		return error_set(err, ESRCH,
				 "pod \"%s\" is %s: its apps get new root file "
				 "systems when they start, so files are copied "
				 "to running pods only",
				 s->opened.uuid, pod_state_text(state));
	if ((state == POD_STATE_EXITED || state == POD_STATE_EXITED_GARBAGE) &&
	    lock_try(s->opened.fd, LOCK_SH) == 0)
		return 0;
	return error_set(err, EBUSY,
			 "pod \"%s\" is %s: only running and exited pods have "
			 "files to copy",
			 s->opened.uuid, pod_state_text(state));
}

static int open_app(const struct cmd_call *call, struct side *s, bool to_write,
		    struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_images struct images im = {0};
	const struct opts *o = call->opts;
	const char *app = NULL;
	int r = check_state(s, to_write, err);

	if (r == 0)
		r = pod_manifest_load(s->opened.fd, &pm, err);
	if (r == 0)
		r = app_arg_choose(call, &pm, o->app, &app, err);
	if (r == 0)
		r = images_open(call->rkt, 0, &im, err);
	return r < 0 ? r
		     : file_root_open_app(&s->opened, app, &im.trees, &s->root,
					  err);
}

static int side_open(const struct cmd_call *call, const struct pods *pods,
		     struct side *s, bool to_write, struct error *err)
{
	int r;

	if (!s->path)
		return 0;
	if (!s->pod)
		return file_root_open_host(&s->root, err);
	r = pod_open(pods, s->pod, &s->opened, err);
	return r < 0 ? r : open_app(call, s, to_write, err);
}

/* --- the copy --------------------------------------------------------------
 */

/* What is copied, and what it is called where it goes. */
struct plan {
	int from;	/* owned */
	bool is_dir;	/* FROM */
	bool is_filled; /* not FROM itself, but what is in it */
	struct file_target target;
	char *name; /* owned */
};

static void plan_release(struct plan *p)
{
	fd_close(&p->from);
	fd_close(&p->target.mount);
	free(p->name);
}
#define cleanup_plan __attribute__((__cleanup__(plan_release)))

static int plan_source(const struct opts *o, const struct side *src,
		       struct plan *p, struct error *err)
{
	size_t len = src->path ? strlen(src->path) : 0;
	struct stat st;
	int r;

	if (!src->path)
		return 0;
	p->is_filled = is_content(src->path);
	r = file_root_find(&src->root, src->path,
			   o->follow_link || src->path[len - 1] == '/',
			   &p->from, err);
	if (r < 0)
		return r;
	if (fstat(p->from, &st) < 0)
		return error_sys(err, errno, "examine %s", src->path);
	p->is_dir = S_ISDIR(st.st_mode);
	if (p->is_dir || S_ISREG(st.st_mode) || S_ISLNK(st.st_mode) ||
	    S_ISFIFO(st.st_mode))
		return 0;
	return error_set(err, EINVAL,
			 "%s is a socket or a device node, which are not "
			 "copied",
			 src->path);
}

/* The name in a directory that is there. */
static char *source_name(const struct side *src, const struct plan *p)
{
	cleanup_free char *clean = path_clean(src->path ? src->path : "");

	return xstrdup(p->is_filled || !src->path ? "." : path_base(clean));
}

static int plan_target(const struct side *src, const struct side *dst,
		       struct plan *p, struct error *err)
{
	int r;

	if (!dst->path) {
		p->name = source_name(src, p);
		return 0;
	}
	r = file_root_find_target(&dst->root, dst->path, &p->target, err);
	if (r < 0)
		return r;
	if (!src->path && p->target.name[0])
		return error_set(err, ENOTDIR,
				 "%s is no directory: a tar is unpacked in one",
				 dst->path);
	if (p->is_dir && p->target.exists)
		return error_set(err, ENOTDIR,
				 "%s is no directory: a directory cannot be "
				 "copied to it",
				 dst->path);
	p->name = p->target.name[0] ? xstrdup(p->target.name)
				    : source_name(src, p);
	return 0;
}

static int copy(const struct cmd_call *call, const struct side *src,
		const struct side *dst, struct error *err)
{
	cleanup_plan struct plan p = {.from = -1, .target = FILE_TARGET_INIT};
	const struct opts *o = call->opts;
	struct fetch_copy c = {
		.from_tar = STDIN_FILENO,
		.is_live = src->root.is_app,
		.first_id = src->root.users.first,
		.n_ids = src->root.users.count,
		.to_userns = dst->root.userns,
		.to_tar = STDOUT_FILENO,
		.keep_owner = o->archive,
	};
	int r = plan_source(o, src, &p, err);

	if (r == 0)
		r = plan_target(src, dst, &p, err);
	if (r < 0)
		return r;
	c.from_fd = p.from;
	c.to_mount = p.target.mount;
	c.name = p.name;
	c.from = src->path;
	c.to = dst->path;
	r = fetch_copy(call->rkt->libexec, &c, err);
	if (c.n_left_out > 0)
		log_warning("%" PRIu64
			    " sockets and device nodes were left out",
			    c.n_left_out);
	return r;
}

static int check_sides(const struct side *src, const struct side *dst,
		       struct error *err)
{
	if (!src->pod && !dst->pod)
		return error_set(err, EINVAL,
				 "one of SRC and DST must be POD:PATH");
	if (!dst->path && isatty(STDOUT_FILENO))
		return error_set(err, EINVAL,
				 "standard output is a terminal: a tar is not "
				 "written to it");
	if (!src->path && isatty(STDIN_FILENO))
		return error_set(err, EINVAL,
				 "standard input is a terminal: a tar is not "
				 "read from it");
	return 0;
}

static int run(struct cmd_call *call)
{
	cleanup_pods struct pods pods = PODS_INIT;
	cleanup_side struct side src = SIDE_INIT;
	cleanup_side struct side dst = SIDE_INIT;
	struct error err = ERROR_INIT;
	int r;

	if (call->argc != 2)
		return cmd_usage(call, "must provide SRC and DST");
	r = side_parse(call->argv[0], &src, &err);
	if (r == 0)
		r = side_parse(call->argv[1], &dst, &err);
	if (r == 0)
		r = check_sides(&src, &dst, &err);
	if (r < 0)
		return cmd_usage(call, err.msg);
	r = pods_open(&pods, call->rkt->dir, &err);
	if (r == 0)
		r = side_open(call, &pods, &src, false, &err);
	if (r == 0)
		r = side_open(call, &pods, &dst, true, &err);
	if (r == 0)
		r = copy(call, &src, &dst, &err);
	return r < 0 ? cmd_failure(call, &err, NULL) : 0;
}

const struct command cmd_cp = {
	.name = "cp",
	.summary = "Copy files between a pod and the host",
	.usage = "[--app=APPNAME] [--archive] POD:PATH PATH|- | PATH|- "
		 "POD:PATH",
	.words = CMD_WORDS_PODS "|" OPTION_VALUES_FILES,
	.description =
		"A directory is copied with all that is in it; of \"DIR/.\" "
		"only that. Where the target is a directory that is there, "
		"the copy is made in it; else it gets the target's name, and "
		"the directory above it must be there. Files that are there "
		"are replaced. \"-\" is a tar on standard input or output.\n\n"
		"A running pod's volumes are copied from and to as well, an "
		"exited one has its apps' own files only and takes none. "
		"Symbolic links are copied as such, FIFOs as well; sockets and "
		"device nodes are left out. A path of the host with a colon in "
		"it must begin with \"/\" or \".\".",
	.flags = CMD_ROOT,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};

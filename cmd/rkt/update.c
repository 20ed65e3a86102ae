/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/pod_arg.h"
#include "cmd/rkt/transact.h"
#include "cmd/rkt/transact_show.h"
#include "cmd/rkt/update_many.h"
#include "cmd/rkt/update_pod.h"
#include "cmd/rkt/update_runtime.h"
#include "spec/history.h"
#include "stage0/pod.h"
#include "stage0/update.h"

#define KEEP_UNSAID INT64_MIN

static const struct option_row rows[] = {
	{.name = "image",
	 .values = OPTION_VALUES_FILES,
	 .kind = OPTION_LIST,
	 .offset = offsetof(struct update_opts, images),
	 .help = "the new image: a file, a stored image's name or its id; once "
		 "for all, or once for each --app, in that order"},
	{.name = "signature",
	 .values = OPTION_VALUES_FILES,
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct update_opts, signature),
	 .help = "local signature file of --image"},
	{.name = "to",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct update_opts, to),
	 .help = "this version of the image that runs, from the store"},
	{.name = "latest",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct update_opts, latest),
	 .help = "the highest signed version in the store, if it is higher "
		 "than the one that runs and was not rolled back before: what "
		 "happens without --image and --to"},
	{.name = "plan",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct update_opts, plan),
	 .help = "only show what would be done, and what forbids it"},
	{.name = "keep",
	 .kind = OPTION_INT,
	 .offset = offsetof(struct update_opts, keep),
	 .shown = "what was said last, or 2",
	 .help = "how many earlier generations stay for rkt rollback; the pod "
		 "remembers it, whatever commits"},
	{.name = "all",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct update_opts, all),
	 .help = "every running pod, one after the other"},
	{.name = "label",
	 .kind = OPTION_LIST,
	 .offset = offsetof(struct update_opts, labels),
	 .help = "with --all or an image name, only pods with this user label "
		 "(NAME=VALUE, given to the pod or one of its apps)"},
	{.name = "keep-going",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct update_opts, keep_going),
	 .help = "with several pods, do not stop at the first failure"},
	{.name = "abort",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct update_opts, abort),
	 .help = "end the update that is under way by rolling it back"},
	{.name = "resume",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct update_opts, resume),
	 .help = "follow the update that is under way; one that is on hold "
		 "tries again"},
	{.name = "runtime",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct update_opts, runtime),
	 .help = "not the apps: the pods' supervisor (stage1) becomes this "
		 "rkt's, without the apps noticing; with --all, or any number "
		 "of pods; --plan only says whether it could"},
	{.name = "allow-downgrade",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct update_opts, rules.allow_downgrade),
	 .help = "accept an older version, or one that has no order"},
	{.name = "allow-rename",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct update_opts, rules.allow_rename),
	 .help = "accept an image of another name"},
	{.name = NULL},
};

static const struct option_row *const more_rows[] = {transact_how_rows,
						     transact_rows, NULL};

static void init(void *opts)
{
	struct update_opts *o = opts;

	transact_init(&o->transact);
	o->keep = KEEP_UNSAID;
}

static void note_part(struct transact_call *t, const struct history_entry *e,
		      struct strv *apps)
{
	if (strv_has(apps, e->app) || t->n_parts == POD_APPS_MAX)
		return;
	strv_push(apps, e->app);
	t->parts[t->n_parts++] = (struct transact_part){
		.app = apps->v[apps->n - 1],
		.from = e->from,
		.to = e->to,
		.counts = UPDATE_COUNTS_UNKNOWN,
	};
	t->flags = e->rollback ? CONTROL_ROLLBACK : 0;
}

/* The call of the update that is under way, for what is printed; its strings
 * are those of APPS. */
static struct transact_call call_of(const struct update_opts *o,
				    const struct pod *pod, struct strv *apps)
{
	struct history_entry entry, *e = &entry;
	cleanup_strbuf struct strbuf journal = STRBUF_INIT;
	struct transact_call t = {
		.opts = &o->transact,
		.pod = pod,
		.keep = update_keep(pod->fd),
	};
	char *next;

	(void)read_file_at(pod->fd, POD_JOURNAL_FILE, MANIFEST_MAX, &journal,
			   NULL);
	next = journal.buf;
	for (; history_next(&next, e); history_entry_release(e))
		note_part(&t, e, apps);
	return t;
}

static int abort_update(struct cmd_call *call, struct pod *pod,
			struct error *err)
{
	cleanup_strv struct strv apps = STRV_INIT;
	const struct transact_call t = call_of(call->opts, pod, &apps);

	return transact_abort(&t, err);
}

static int resume_update(struct cmd_call *call, struct pod *pod,
			 struct error *err)
{
	cleanup_strv struct strv apps = STRV_INIT;
	struct transact_call t = call_of(call->opts, pod, &apps);

	return transact_resume(&t, err);
}

static const char *misuse(const struct update_opts *o)
{
	if (o->keep != KEEP_UNSAID &&
	    (o->keep < 0 || o->keep > UPDATE_KEEP_MAX))
		return "--keep is 0 to 1000 generations";
	if (o->images.n > 1 && o->images.n != o->transact.apps.n)
		return "--image is given once, or once for each --app";
	if ((o->images.n != 0) + (o->to != NULL) + o->latest > 1)
		return "only one of --image, --to and --latest says where to "
		       "go";
	if (o->signature && o->images.n != 1)
		return "--signature is the one of a single --image";
	if (o->abort && o->resume)
		return "--abort ends an update, --resume follows one: only one "
		       "of them";
	if (o->runtime && (o->images.n || o->to || o->latest || o->abort ||
			   o->resume || o->keep != KEEP_UNSAID))
		return "--runtime changes no app: it goes with pods, --all, "
		       "--label, --plan and --format only";
	if ((o->abort || o->resume) &&
	    (o->images.n || o->to || o->latest || o->plan || o->all))
		return "--abort and --resume are for the update of one pod and "
		       "begin none";
	return NULL;
}

static int run(struct cmd_call *call)
{
	const struct update_opts *o = call->opts;
	const char *message = misuse(o);

	if (message)
		return cmd_usage(call, message);
	if (o->runtime)
		return update_runtime(call);
	if (o->abort)
		return pod_arg_only(call, NULL, abort_update);
	if (o->resume)
		return pod_arg_only(call, NULL, resume_update);
	return update_many(call);
}

const struct command cmd_update = {
	.name = "update",
	.summary = "Move apps of a running pod to a new image version",
	.usage = "[--image=IMAGE | --to=VERSION | --latest] [flags] "
		 "POD | IMAGE-NAME | --all | --abort POD | --resume POD | "
		 "--runtime [--plan] POD... | --all",
	.words = CMD_WORDS_PODS "|" CMD_WORDS_IMAGES,
	.description =
		"The new image is verified and prepared while the old one "
		"serves, with less priority (nice 5). The pod, its network, "
		"volumes and logs stay. If the new generation does not become "
		"ready, the old one runs again. --abort ends an update that "
		"waits or observes in the "
		"same way.\n\n"
		"Of a pod with several apps those of --app are updated, or, "
		"where the new images are looked for in the store, all: they "
		"all switch, or none does.\n\n"
		"With the name of an image, or --all, the pods that run are "
		"updated one after the other, up to the first that fails.\n\n"
		"With --runtime the supervisor of each pod, which was started "
		"by another version of rkt, goes on as this version's: after "
		"an upgrade of rkt, without a restart. It tries the new one "
		"first, and stays as it is if that cannot go on (exit code "
		"11).\n\n"
		"Exit codes: 0 committed (or nothing to do), 10 rolled back "
		"and healthy, 11 refused before anything changed, 12 rolled "
		"back but the pod is not healthy, 254 rkt failed. Of several "
		"pods, the worst: 12, 254, 10, 11, 0.",
	.flags = CMD_ROOT,
	.options = rows,
	.more_options = more_rows,
	.opts_size = sizeof(struct update_opts),
	.init = init,
	.run = run,
	.failed = show_failed,
};

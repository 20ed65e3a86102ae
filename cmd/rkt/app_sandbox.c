/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strv.h"
#include "cmd/rkt/app.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/launch.h"
#include "cmd/rkt/pod_make.h"
#include "cmd/rkt/stage1_arg.h"
#include "spec/acidentifier.h"
#include "spec/pod_manifest.h"
#include "stage0/overlay_check.h"
#include "stage0/pod.h"
#include "stage0/pod_build.h"
#include "stage0/pod_request.h"
#include "stage0/pod_stage1.h"
#include "stage0/prepare.h"
#include "stage0/run.h"

struct opts {
	struct launch_opts launch;
	struct pod_request req;
	struct name_values annotations;
	struct name_values user_annotations;
	struct name_values user_labels;
	struct stage1_opts stage1;
	const char *uuid_file_save;
	bool no_overlay;
};

static int parse_port(const struct option_row *row, void *target,
		      const char *value, struct error *err)
{
	struct exposed_port port = {0};
	int r = exposed_port_parse_direct(value, &port, err);

	(void)row;
	if (r == 0)
		pod_request_add_port(target, &port);
	return r;
}

/* NAME=VALUE; with a tag NAME is an AC Identifier. */
static int parse_pair(const struct option_row *row, void *target,
		      const char *value, struct error *err)
{
	const char *equals = strchr(value, '=');
	cleanup_free char *name = NULL;
	int r;

	if (!equals || equals == value)
		return error_set(err, EINVAL, "must be given as NAME=VALUE");
	name = xstrndup(value, (size_t)(equals - value));
	r = row->tag ? acidentifier_check(name, err) : 0;
	if (r == 0)
		name_values_set(target, name, equals + 1);
	return r;
}

static const struct option_row rows[] = {
	UUID_SAVE_OPTION_ROW(struct opts, uuid_file_save),
	STAGE1_OPTION_ROWS(struct opts, stage1),
	{.name = "no-overlay",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, no_overlay),
	 .help = "copy root file systems of apps instead of using overlayfs"},
	{.name = "port",
	 .kind = OPTION_CALL,
	 .parse = parse_port,
	 .offset = offsetof(struct opts, req),
	 .help = "forward a host port to a port of the pod: "
		 "NAME:PROTOCOL:PODPORT:HOSTIP:HOSTPORT (repeatable)"},
	{.name = "annotation",
	 .kind = OPTION_CALL,
	 .parse = parse_pair,
	 .tag = 1,
	 .offset = offsetof(struct opts, annotations),
	 .help = "set an annotation NAME=VALUE of the pod (repeatable)"},
	{.name = "user-annotation",
	 .kind = OPTION_CALL,
	 .parse = parse_pair,
	 .offset = offsetof(struct opts, user_annotations),
	 .help = "set a user annotation NAME=VALUE of the pod (repeatable)"},
	{.name = "user-label",
	 .kind = OPTION_CALL,
	 .parse = parse_pair,
	 .offset = offsetof(struct opts, user_labels),
	 .help = "set a user label NAME=VALUE of the pod (repeatable)"},
	{.name = NULL},
};

static const struct option_row *const more_rows[] = {launch_rows, NULL};

/* --- doing -----------------------------------------------------------------
 */

static int make_manifest(struct opts *o, struct pod_manifest *ret,
			 struct error *err)
{
	int r;

	o->req.is_mutable = true;
	r = pod_manifest_make(&o->req, NULL, NULL, ret, NULL, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < o->annotations.n; i++)
		if (strcmp(o->annotations.v[i].name, MUTABLE_ANNOTATION) != 0)
			name_values_set(&ret->annotations,
					o->annotations.v[i].name,
					o->annotations.v[i].value);
	name_values_copy(&ret->user_annotations, &o->user_annotations);
	name_values_copy(&ret->user_labels, &o->user_labels);
	return 0;
}

static int choose_overlay(const struct opts *o, const struct pod *pod,
			  struct error *err)
{
	const char *why = o->no_overlay ? NULL : overlay_problem(pod->fd);

	if (why)
		log_info("disabling overlay support: \"%s\"", why);
	return o->no_overlay || why
		       ? write_new_file_at(pod->fd, POD_NO_OVERLAY_FILE, 0644,
					   "", 0, err)
		       : 0;
}

/* Only one that takes requests can, whatever is configured. */
static int check_stage1(const struct cmd_call *call, struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_pod_stage1 struct pod_stage1 stage1 = POD_STAGE1_INIT;
	cleanup_strbuf struct strbuf name = STRBUF_INIT;
	cleanup_images struct images im = {0};
	int r = images_open(call->rkt, IMAGESTORE_CREATE, &im, err);

	if (r == 0)
		r = stage1_choose(&im, &o->stage1, &stage1, err);
	if (r < 0 || pod_stage1_is_native(&stage1))
		return r;
	pod_stage1_format(&stage1, &name);
	return error_set(err, EOPNOTSUPP,
			 "stage1 %s does not support mutable pods: only "
			 "--stage1-name=" STAGE1_IMAGE_PREFIX "native does",
			 name.buf);
}

static int prepare(const struct opts *o, const struct pod_manifest *pm,
		   const struct launch *launch, struct pods *pods,
		   struct pod *pod, struct error *err)
{
	const struct pod_stage1 native = POD_STAGE1_INIT;
	const struct pod_contents contents = {
		.manifest = pm,
		.stage1 = &native,
	};
	int r = pod_new(pods, pod, err);

	if (r == 0)
		r = launch_save_uuid(o->uuid_file_save, pod, err);
	if (r == 0)
		r = pod_prepare(pod, &contents, err);
	if (r == 0)
		r = choose_overlay(o, pod, err);
	if (r == 0)
		r = launch_save(pod, launch, err);
	if (r == 0)
		r = pod_move(pod, POD_RUN, false, err);
	if (r < 0)
		make_undo(pod);
	return r;
}

static int sandbox(struct cmd_call *call, struct error *err)
{
	struct opts *o = call->opts;
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_launch struct launch launch = {0};
	cleanup_pods struct pods pods = PODS_INIT;
	cleanup_pod struct pod pod = POD_INIT;
	cleanup_pod_trees struct pod_trees trees = POD_TREES_INIT;
	int r = make_manifest(o, &pm, err);

	if (r == 0)
		r = check_stage1(call, err);
	if (r == 0)
		r = launch_make(call, &o->launch, &pm, &launch, err);
	if (r == 0)
		r = pods_open(&pods, call->rkt->dir, err);
	if (r == 0)
		r = prepare(o, &pm, &launch, &pods, &pod, err);
	if (r < 0)
		return r;
	return launch_pod(call, &pod, &launch.args, &trees, launch.detach);
}

static int run(struct cmd_call *call)
{
	struct opts *o = call->opts;
	struct error err = ERROR_INIT;
	int r;

	if (call->argc > 0)
		r = cmd_usage(call, "a sandbox has no images: use rkt app add");
	else
		r = sandbox(call, &err);
	if (r < 0)
		log_failure(&err, NULL);
	pod_request_release(&o->req);
	name_values_release(&o->annotations);
	name_values_release(&o->user_annotations);
	name_values_release(&o->user_labels);
	/* rkt's exit code. */
	return r ? 1 : 0;
}

const struct command cmd_app_sandbox = {
	.name = "sandbox",
	.summary = "Run a pod without apps, to which they are added",
	.usage = "[--detach] [--net=...] [--port=...]",
	.description =
		"The pod runs in the foreground, unless --detach is given, "
		"until `rkt stop` or SIGTERM. `rkt app add` and `rkt app "
		"start` "
		"bring apps. Fails with exit code 1.",
	.flags = CMD_ROOT,
	.options = rows,
	.more_options = more_rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};

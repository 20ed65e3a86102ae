/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/update_runtime.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/format.h"
#include "cmd/rkt/update_many.h"
#include "cmd/rkt/update_pod.h"
#include "spec/json_write.h"
#include "stage0/control.h"
#include "stage0/entrypoint.h"
#include "stage0/pod.h"
#include "stage0/pod_stage1.h"

/* How it went with one pod. */
struct outcome {
	const char *pod;
	int code;
	struct runtime_reply reply;
	struct error err;
};

static int ask(const struct cmd_call *call, const struct pod *pod,
	       struct runtime_reply *ret, struct error *err)
{
	const struct update_opts *o = call->opts;
	cleanup_fd int program = -EBADF;
	cleanup_fd int conn = -EBADF;

	if (pod_state(pod) != POD_STATE_RUNNING)
		return error_set(err, ESRCH, "pod \"%s\" is not running",
				 pod->uuid);
	conn = control_connect(pod->fd, err);
	if (conn < 0)
		return conn;
	program = entrypoint_open_program(call->rkt->libexec,
					  stage1_native.program, err);
	return program < 0 ? program
			   : control_runtime(conn,
					     o->plan ? RUNTIME_CHECK
						     : RUNTIME_REPLACE,
					     program, ret, err);
}

static void replace(const struct cmd_call *call, const struct pods *pods,
		    const char *word, struct outcome *ret)
{
	cleanup_pod struct pod pod = POD_INIT;
	int r = pod_open(pods, word, &pod, &ret->err);

	ret->pod = word;
	if (r == 0)
		r = ask(call, &pod, &ret->reply, &ret->err);
	if (r == 0 && ret->reply.code)
		(void)error_set(&ret->err, ENOEXEC, "it stays stage1 %s: %s",
				ret->reply.old_version, ret->reply.text);
	ret->code = r < 0 ? RKT_EXIT_FAILURE : ret->reply.code;
}

static void print_line(const struct update_opts *o, const struct outcome *how)
{
	const struct runtime_reply *reply = &how->reply;

	if (how->code)
		log_failure(&how->err, how->pod);
	else if (reply->text[0])
		printf("%s: stage1 %s: %s\n", how->pod, reply->new_version,
		       reply->text);
	else if (o->plan)
		printf("%s: stage1 %s could go on as stage1 %s\n", how->pod,
		       reply->old_version, reply->new_version);
	else
		printf("%s: stage1 %s went on as stage1 %s, after %" PRIu64
		       ".%03" PRIu64 " ms\n",
		       how->pod, reply->old_version, reply->new_version,
		       reply->away_us / 1000, reply->away_us % 1000);
	(void)fflush(stdout);
}

static void add_object(struct json_writer *w, const struct outcome *how)
{
	const struct runtime_reply *reply = &how->reply;

	json_open_object(w, NULL);
	json_add_string(w, "pod", how->pod);
	json_add_int(w, "code", how->code);
	json_add_string_if(w, "old_version", reply->old_version);
	json_add_string_if(w, "new_version", reply->new_version);
	if (reply->away_us)
		json_add_uint(w, "away_us", reply->away_us);
	json_add_string_if(w, "text",
			   how->code ? error_innermost(&how->err)
				     : reply->text);
	json_close_object(w);
}

/* All are tried: one that stays as it is harms no other. */
static int replace_each(const struct cmd_call *call, const struct pods *pods,
			const struct strv *words)
{
	const struct update_opts *o = call->opts;
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct json_writer w;
	int worst = 0;

	json_writer_init(&w, &out, format_style(o->transact.format));
	json_open_array(&w, NULL);
	for (size_t i = 0; i < words->n; i++) {
		cleanup_free struct outcome *how = xcalloc(1, sizeof(*how));

		replace(call, pods, words->v[i], how);
		worst = update_worse_code(worst, how->code);
		if (o->transact.format == FORMAT_TABLE)
			print_line(o, how);
		else
			add_object(&w, how);
	}
	json_close_array(&w);
	strbuf_addch(&out, '\n');
	if (o->transact.format != FORMAT_TABLE && print_all(&out) != 0)
		return RKT_EXIT_FAILURE;
	return worst;
}

int update_runtime(struct cmd_call *call)
{
	const struct update_opts *o = call->opts;
	cleanup_pods struct pods pods = PODS_INIT;
	cleanup_strv struct strv words = STRV_INIT;
	struct error err = ERROR_INIT;

	if (o->all ? call->argc != 0 : call->argc == 0)
		return cmd_usage(call, "--runtime needs pods, or --all");
	if (o->labels.n && !o->all)
		return cmd_usage(call, "--label is for --all");
	if (pods_open(&pods, call->rkt->dir, &err) < 0)
		return cmd_failure(call, &err, NULL);
	for (int i = 0; i < call->argc; i++)
		strv_push(&words, call->argv[i]);
	if (o->all && update_select(&pods, o, &words, &err) < 0)
		return cmd_failure(call, &err, NULL);
	return replace_each(call, &pods, &words);
}

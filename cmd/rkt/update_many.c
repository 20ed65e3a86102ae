/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/update_many.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/table.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/pod_arg.h"
#include "cmd/rkt/update_pod.h"
#include "spec/json_write.h"
#include "spec/pod_manifest.h"
#include "stage0/pod.h"
#include "stage0/prepare.h"

int update_worse_code(int a, int b)
{
	/* Best first; what is not here is rkt's failure. */
	static const int codes[] = {0, RKT_EXIT_REFUSED, RKT_EXIT_ROLLED_BACK,
				    RKT_EXIT_FAILURE, RKT_EXIT_DEGRADED};
	const size_t n = sizeof(codes) / sizeof(*codes);
	size_t at_a = 3, at_b = 3;

	for (size_t i = 0; i < n; i++) {
		if (codes[i] == a)
			at_a = i;
		if (codes[i] == b)
			at_b = i;
	}
	return codes[at_a > at_b ? at_a : at_b];
}

/* --- which pods ------------------------------------------------------------
 */

/* LABEL is NAME=VALUE. */
static bool labels_have(const struct name_values *labels, const char *label)
{
	const char *equal = strchr(label, '=');

	for (size_t i = 0; i < labels->n; i++)
		if (strncmp(labels->v[i].name, label,
			    (size_t)(equal - label)) == 0 &&
		    labels->v[i].name[equal - label] == '\0' &&
		    strcmp(labels->v[i].value, equal + 1) == 0)
			return true;
	return false;
}

static bool pod_has_label(const struct pod_manifest *pm, const char *label)
{
	if (labels_have(&pm->user_labels, label))
		return true;
	for (size_t i = 0; i < pm->n_apps; i++)
		if (labels_have(&pm->apps[i].app.user_labels, label))
			return true;
	return false;
}

static bool is_meant(const struct update_opts *o, const struct pod_manifest *pm)
{
	bool has_image = !o->image_name;

	for (size_t i = 0; i < pm->n_apps && !has_image; i++)
		has_image = pm->apps[i].image.name &&
			    strcmp(pm->apps[i].image.name, o->image_name) == 0;
	for (size_t i = 0; i < o->labels.n && has_image; i++)
		has_image = pod_has_label(pm, o->labels.v[i]);
	return has_image;
}

int update_select(const struct pods *pods, const struct update_opts *o,
		  struct strv *ret, struct error *err)
{
	cleanup_strv struct strv uuids = STRV_INIT;
	int r = pods_list(pods, POD_RUN, &uuids, err);

	for (size_t i = 0; i < uuids.n && r == 0; i++) {
		cleanup_pod struct pod pod = POD_INIT;
		cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
		struct error why = ERROR_INIT;

		if (pod_open_in(pods, POD_RUN, uuids.v[i], &pod, &why) < 0 ||
		    pod_state(&pod) != POD_STATE_RUNNING)
			continue;
		if (pod_manifest_load_committed(pod.fd, &pm, &why) < 0)
			log_failure(&why, uuids.v[i]);
		else if (is_meant(o, &pm))
			strv_push(ret, uuids.v[i]);
	}
	return r;
}

/* --- one after the other ---------------------------------------------------
 */

#define NOT_TRIED (-1)

static const char *code_text(int code)
{
	switch (code) {
	case 0:
		return "committed, or nothing to do";
	case RKT_EXIT_ROLLED_BACK:
		return "rolled back";
	case RKT_EXIT_REFUSED:
		return "refused";
	case RKT_EXIT_DEGRADED:
		return "rolled back, not healthy";
	case NOT_TRIED:
		return "not tried";
	default:
		return "failed";
	}
}

static void print_summary(const struct update_opts *o, const struct strv *uuids,
			  const int *codes, int worst)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	cleanup_table struct table table = TABLE_INIT;
	struct json_writer w;

	if (o->transact.format == FORMAT_TABLE) {
		for (size_t i = 0; i < uuids->n; i++) {
			table_row(&table);
			table_add(&table, uuids->v[i]);
			table_add(&table, code_text(codes[i]));
		}
		table_format(&table, &out);
		(void)print_all(&out);
		return;
	}
	json_writer_init(&w, &out, format_style(o->transact.format));
	json_open_object(&w, NULL);
	json_add_int(&w, "code", worst);
	json_open_array(&w, "pods");
	for (size_t i = 0; i < uuids->n; i++) {
		json_open_object(&w, NULL);
		json_add_string(&w, "pod", uuids->v[i]);
		if (codes[i] == NOT_TRIED)
			json_add_null(&w, "code");
		else
			json_add_int(&w, "code", codes[i]);
		json_close_object(&w);
	}
	json_close_array(&w);
	json_close_object(&w);
	strbuf_addch(&out, '\n');
	(void)print_all(&out);
}

static int update_each(struct cmd_call *call, const struct strv *uuids)
{
	const struct update_opts *o = call->opts;
	cleanup_free int *codes = xcalloc(uuids->n + 1, sizeof(*codes));
	int worst = 0;

	for (size_t i = 0; i < uuids->n; i++) {
		if (worst && !o->keep_going) {
			codes[i] = NOT_TRIED;
			continue;
		}
		if (o->transact.format == FORMAT_TABLE)
			printf("pod %s\n", uuids->v[i]);
		codes[i] = pod_arg_word(call, uuids->v[i], update_pod);
		worst = update_worse_code(worst, codes[i]);
	}
	print_summary(o, uuids, codes, worst);
	return worst;
}

/* --- what the words mean ---------------------------------------------------
 */

static bool is_pod(const struct pods *pods, const char *word)
{
	cleanup_pod struct pod pod = POD_INIT;
	struct error err = ERROR_INIT;

	/* An ambiguous word means pods, too. */
	return pod_open(pods, word, &pod, &err) != -ENOENT;
}

static const char *misuse(const struct cmd_call *call)
{
	const struct update_opts *o = call->opts;

	if (o->all ? call->argc != 0 : call->argc != 1)
		return "must provide one pod, or the name of an image, or "
		       "--all";
	for (size_t i = 0; i < o->labels.n; i++)
		if (!strchr(o->labels.v[i], '='))
			return "--label is NAME=VALUE";
	return NULL;
}

int update_many(struct cmd_call *call)
{
	struct update_opts *o = call->opts;
	cleanup_pods struct pods pods = PODS_INIT;
	cleanup_strv struct strv uuids = STRV_INIT;
	struct error err = ERROR_INIT;
	const char *message = misuse(call);

	if (message)
		return cmd_usage(call, message);
	if (pods_open(&pods, call->rkt->dir, &err) < 0)
		return cmd_failure(call, &err, NULL);
	if (!o->all && is_pod(&pods, call->argv[0])) {
		if (o->labels.n)
			return cmd_usage(call, "--label is for --all and image "
					       "names");
		return pod_arg_word(call, call->argv[0], update_pod);
	}
	o->image_name = o->all ? NULL : call->argv[0];
	if (update_select(&pods, o, &uuids, &err) < 0)
		return cmd_failure(call, &err, NULL);
	if (uuids.n == 0 && !o->all) {
		(void)error_set(&err, ENOENT,
				"no pod is, and no running pod runs an image, "
				"\"%s\"",
				o->image_name);
		return cmd_failure(call, &err, NULL);
	}
	return update_each(call, &uuids);
}

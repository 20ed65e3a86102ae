/* SPDX-License-Identifier: Apache-2.0 */
/* ListPods and InspectPod, by what `rkt list` and `rkt status` read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "cmd/rkt-api/grpc.h"
#include "cmd/rkt-api/messages.h"
#include "cmd/rkt-api/methods.h"
#include "cmd/rkt-api/service.h"
#include "spec/api.h"
#include "spec/protobuf.h"
#include "spec/stage1_abi.h"
#include "stage0/generation.h"
#include "stage0/pod_info.h"

#define CGROUP_MAX 65536
#define CGROUP_MOUNTS "/sys/fs/cgroup"

static const struct {
	enum api_pod_state state;
	bool has_run;
} states[] = {
	[POD_STATE_EMBRYO] = {API_POD_EMBRYO, false},
	[POD_STATE_PREPARING] = {API_POD_PREPARING, false},
	[POD_STATE_ABORTED_PREPARE] = {API_POD_ABORTED_PREPARE, false},
	[POD_STATE_PREPARED] = {API_POD_PREPARED, false},
	[POD_STATE_RUNNING] = {API_POD_RUNNING, true},
	[POD_STATE_EXITED] = {API_POD_EXITED, true},
	[POD_STATE_EXITED_DELETING] = {API_POD_DELETING, true},
	[POD_STATE_EXITED_GARBAGE] = {API_POD_GARBAGE, true},
	[POD_STATE_DELETING] = {API_POD_DELETING, true},
	[POD_STATE_GARBAGE] = {API_POD_GARBAGE, true},
};

/* --- facts -----------------------------------------------------------------
 */

/*
 * The file has directories, where groups of several hierarchies are mounted:
 * the last one without its mount point is the path in all of them, or in the
 * one that has the processes.
 */
static char *cgroup_of(const struct pod *pod, const struct pod_info *info)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	const char *path, *slash;

	if (info->state != POD_STATE_RUNNING ||
	    read_file_at(pod->fd, POD_CGROUP_FILE, CGROUP_MAX, &text, NULL) < 0)
		return xstrdup("");
	text.buf[strcspn(text.buf, "\n")] = '\0';
	if (strncmp(text.buf, CGROUP_MOUNTS "/", sizeof(CGROUP_MOUNTS)) != 0)
		return xstrdup(text.buf);
	path = text.buf + sizeof(CGROUP_MOUNTS) - 1;
	slash = strchr(path + 1, '/');
	/* Below the one mount of cgroup v2 there is no hierarchy's name. */
	return xstrdup(slash && access(CGROUP_MOUNTS "/cgroup.procs", F_OK) < 0
			       ? slash
			       : path);
}

struct facts {
	struct api_pod_facts api;
	char *cgroup;
	char (*ids)[SHOWN_ID_SIZE];
};

/* The strings are the others': only the arrays are new. */
static void facts_release(struct facts *f)
{
	free(f->api.apps.v);
	free(f->api.images.v);
	free(f->api.networks.v);
	free(f->cgroup);
	free(f->ids);
}
#define cleanup_facts __attribute__((__cleanup__(facts_release)))

static void facts_make(const struct pod *pod, const struct pod_info *info,
		       struct facts *ret)
{
	size_t n = info->manifest.n_apps;
	struct api_pod_facts *api = &ret->api;

	*ret = (struct facts){
		.cgroup = cgroup_of(pod, info),
		.ids = xcalloc(n + 1, sizeof(*ret->ids)),
	};
	*api = (struct api_pod_facts){
		.id = info->uuid,
		.state = states[info->state].state,
		.annotations = &info->manifest.annotations,
		.cgroup = ret->cgroup,
		.apps = {xcalloc(n + 1, sizeof(char *)), n},
		.images = {xcalloc(n + 1, sizeof(char *)), n},
		.networks = {xcalloc(info->nets.n + 1, sizeof(char *)),
			     info->nets.n},
	};
	for (size_t i = 0; i < n; i++) {
		api->apps.v[i] = info->manifest.apps[i].name;
		show_id(info->manifest.apps[i].image.id, ret->ids[i]);
		api->images.v[i] = ret->ids[i];
	}
	for (size_t i = 0; i < info->nets.n; i++)
		api->networks.v[i] = info->nets.v[i].net_name;
}

/* --- messages --------------------------------------------------------------
 */

static void add_app_image(const struct pod *pod, const struct app_info *app,
			  bool detail, struct strbuf *out)
{
	cleanup_pod_image struct pod_image image = POD_IMAGE_INIT;

	if (!detail || !app->generation ||
	    generation_image_load(pod->fd, app->name, app->generation, &image,
				  NULL) < 0) {
		add_image(
			out, 2,
			&(const struct image_message){.id = app->ra->image.id});
		return;
	}
	add_image(out, 2,
		  &(const struct image_message){
			  .id = app->ra->image.id,
			  .name = image.manifest.name,
			  .labels = &image.manifest.labels,
			  .annotations = &image.manifest.annotations,
			  .manifest = image.text.buf,
			  .manifest_len = image.text.len,
		  });
}

static void add_app(const struct pod *pod, const struct app_info *app,
		    bool detail, struct strbuf *out)
{
	size_t mark = protobuf_open(out, 4);

	protobuf_add_text(out, 1, app->name);
	add_app_image(pod, app, detail, out);
	if (detail && app->has_exit_code) {
		protobuf_add_uint(out, 3, API_APP_EXITED);
		protobuf_add_sint(out, 4, app->exit_code);
	} else if (detail && strcmp(app->state, "running") == 0) {
		protobuf_add_uint(out, 3, API_APP_RUNNING);
	}
	add_pairs(out, 5, &app->ra->annotations);
	protobuf_close(out, mark);
}

static void add_networks(const struct pod_info *info, struct strbuf *out)
{
	for (size_t i = 0; i < info->nets.n; i++) {
		const struct net_info *net = &info->nets.v[i];
		size_t mark = protobuf_open(out, 5);

		protobuf_add_text(out, 1, net->net_name);
		protobuf_add_text(out, strchr(net->ip, ':') ? 3 : 2, net->ip);
		protobuf_close(out, mark);
	}
}

static void add_manifest(const struct pod_info *info, struct strbuf *out)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	pod_manifest_write(&info->manifest, JSON_COMPACT_STYLE, &text);
	protobuf_add_bytes(out, 6, text.buf, text.len);
}

static int64_t marked_at(const struct pod *pod)
{
	struct stat st;

	if ((pod->dir != POD_EXITED_GARBAGE && pod->dir != POD_GARBAGE) ||
	    fstat(pod->fd, &st) < 0)
		return 0;
	return st.st_ctim.tv_sec * INT64_C(1000000000) + st.st_ctim.tv_nsec;
}

static void add_pod(const struct pod *pod, const struct pod_info *info,
		    const struct facts *facts, bool detail, struct strbuf *out)
{
	size_t mark = protobuf_open(out, 1);
	bool has_run = states[info->state].has_run;

	protobuf_add_text(out, 1, info->uuid);
	protobuf_add_sint(out, 2, has_run && info->pid ? info->pid : -1);
	protobuf_add_uint(out, 3, facts->api.state);
	for (size_t i = 0; i < info->manifest.n_apps; i++)
		add_app(pod, &info->apps[i], detail, out);
	if (info->state == POD_STATE_RUNNING)
		add_networks(info, out);
	if (detail && info->manifest.n_apps > 0)
		add_manifest(info, out);
	add_pairs(out, 7, &info->manifest.annotations);
	protobuf_add_text(out, 8, facts->cgroup);
	protobuf_add_int(out, 9, info->created_ns);
	protobuf_add_int(out, 10, info->started_ns);
	protobuf_add_int(out, 11, marked_at(pod));
	protobuf_close(out, mark);
}

/* --- methods ---------------------------------------------------------------
 */

static int list_pod(const struct pods *pods, const char *uuid,
		    const struct api_list_pods *request, struct strbuf *out,
		    struct error *err)
{
	cleanup_pod_info struct pod_info info = POD_INFO_INIT;
	cleanup_facts struct facts facts = {0};
	cleanup_pod struct pod pod = POD_INIT;

	/* Removed meanwhile, or not to be read. */
	if (pod_open(pods, uuid, &pod, NULL) < 0 ||
	    pod_info_load(&pod, &info, NULL) < 0)
		return 0;
	facts_make(&pod, &info, &facts);
	if (api_pod_is_meant(request, &facts.api))
		add_pod(&pod, &info, &facts, request->detail, out);
	return check_answer(out, err);
}

static int list_all(const struct service *s,
		    const struct api_list_pods *request, struct strbuf *out,
		    struct error *err)
{
	cleanup_strv struct strv uuids = STRV_INIT;
	int r = pods_list_shown(&s->pods, &uuids, err);

	for (size_t i = 0; i < uuids.n && r == 0; i++)
		r = list_pod(&s->pods, uuids.v[i], request, out, err);
	return r;
}

void list_pods(void *data, struct grpc_call *call, const char *request,
	       size_t len)
{
	cleanup_api_list_pods struct api_list_pods asked = {0};
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct error err = ERROR_INIT;
	int r = api_list_pods_parse(request, len, &asked, &err);

	if (r == 0)
		r = list_all(data, &asked, &out, &err);
	call_answer(call, r, &out, &err);
}

static int inspect(const struct service *s, const char *id, struct strbuf *out,
		   struct error *err)
{
	cleanup_pod_info struct pod_info info = POD_INFO_INIT;
	cleanup_facts struct facts facts = {0};
	cleanup_pod struct pod pod = POD_INIT;
	int r = pod_open(&s->pods, id, &pod, err);

	if (r == 0)
		r = pod_info_load(&pod, &info, err);
	if (r < 0)
		return r;
	facts_make(&pod, &info, &facts);
	add_pod(&pod, &info, &facts, true, out);
	return check_answer(out, err);
}

void inspect_pod(void *data, struct grpc_call *call, const char *request,
		 size_t len)
{
	call_inspect(data, call, request, len, inspect);
}

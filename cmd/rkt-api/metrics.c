/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-api/metrics.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "aci/http_server.h"
#include "aci/imagestore.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "cmd/rkt-api/service.h"
#include "spec/history.h"
#include "spec/metrics.h"
#include "spec/stage1_abi.h"
#include "stage0/app_stats.h"
#include "stage0/pod_info.h"

#define HISTORY_MAX (16UL << 20)
#define STATES (POD_STATE_GARBAGE + 1)

DEFINE_CLEANUP(struct imagestore *, imagestore_free);
#define cleanup_imagestore cleanup_with(imagestore_free_cleanup)

/* An app of a pod that runs. */
struct sample {
	char uuid[UUID_TEXT_LEN + 1];
	char *pod, *app, *image;
	struct app_stats stats;
	unsigned int generation, restarts;
	int64_t started_ns;
	unsigned int updates, rollbacks;
};

struct samples {
	struct sample *v;
	size_t n;
	unsigned int pods[STATES];
	size_t images;
	uint64_t image_bytes;
	bool has_images;
};

static void samples_release(struct samples *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].pod);
		free(s->v[i].app);
		free(s->v[i].image);
		app_stats_release(&s->v[i].stats);
	}
	free(s->v);
}
#define cleanup_samples __attribute__((__cleanup__(samples_release)))

/* --- gathering -------------------------------------------------------------
 */

static void count_updates(const char *history, struct sample *sample)
{
	cleanup_free char *text = xstrdup(history);
	struct history_entry e = HISTORY_ENTRY_INIT;
	char *next = text;

	while (history_next(&next, &e)) {
		if (e.app && strcmp(e.app, sample->app) == 0) {
			sample->updates += e.state == UPDATE_COMMITTED;
			sample->rollbacks +=
				e.state == UPDATE_ROLLED_BACK ||
				(e.rollback && e.state == UPDATE_COMMITTED);
		}
		history_entry_release(&e);
	}
}

static void add_app(const struct pod *pod, const struct pod_info *info,
		    const struct app_info *app, const char *history,
		    struct samples *samples)
{
	struct sample *s;
	struct strbuf image = STRBUF_INIT;

	samples->v =
		xreallocarray(samples->v, samples->n + 1, sizeof(*samples->v));
	s = &samples->v[samples->n++];
	*s = (struct sample){
		.pod = info->name ? xstrdup(info->name) : NULL,
		.app = xstrdup(app->name),
		.generation = app->generation,
		.restarts = app->restarts,
		.started_ns = app->started_ns,
	};
	memcpy(s->uuid, info->uuid, sizeof(s->uuid));
	app_info_image_name(app, &image);
	s->image = strbuf_detach(&image);
	(void)app_stats_read(pod, app->name, &s->stats, NULL);
	count_updates(history, s);
}

static void add_pod(const struct pods *pods, const char *uuid,
		    struct samples *samples)
{
	cleanup_pod_info struct pod_info info = POD_INFO_INIT;
	cleanup_strbuf struct strbuf history = STRBUF_INIT;
	cleanup_pod struct pod pod = POD_INIT;

	if (pod_open(pods, uuid, &pod, NULL) < 0 ||
	    pod_info_load(&pod, &info, NULL) < 0)
		return;
	samples->pods[info.state]++;
	if (info.state != POD_STATE_RUNNING)
		return;
	(void)read_file_at(pod.fd, POD_HISTORY_FILE, HISTORY_MAX, &history,
			   NULL);
	for (size_t i = 0; i < info.manifest.n_apps; i++)
		add_app(&pod, &info, &info.apps[i], history.buf, samples);
}

static void gather_images(const struct service *s, struct samples *samples)
{
	cleanup_imagestore struct imagestore *store = NULL;
	cleanup_image_rows struct image_rows rows = IMAGE_ROWS_INIT;
	int r = service_open_store(s, &store, NULL);

	if (r == 0)
		r = imagestore_list(store, NULL, &rows, NULL);
	samples->has_images = r == 0 || r == -ENOENT;
	samples->images = rows.n;
	for (size_t i = 0; i < rows.n; i++)
		samples->image_bytes += rows.v[i].size;
}

static void gather(const struct service *s, struct samples *samples)
{
	cleanup_strv struct strv uuids = STRV_INIT;

	(void)pods_list_shown(&s->pods, &uuids, NULL);
	for (size_t i = 0; i < uuids.n; i++)
		add_pod(&s->pods, uuids.v[i], samples);
	gather_images(s, samples);
}

/* --- values of apps --------------------------------------------------------
 */

/* False: there is none. */
static bool cpu(const struct sample *s, double *ret)
{
	*ret = (double)s->stats.cpu_usec / 1e6;
	return true;
}

static bool memory(const struct sample *s, double *ret)
{
	*ret = (double)s->stats.memory;
	return true;
}

static bool memory_limit(const struct sample *s, double *ret)
{
	*ret = (double)s->stats.memory_limit;
	return s->stats.memory_limit > 0;
}

static bool read_bytes(const struct sample *s, double *ret)
{
	*ret = (double)s->stats.read_bytes;
	return s->stats.has_io;
}

static bool written_bytes(const struct sample *s, double *ret)
{
	*ret = (double)s->stats.written_bytes;
	return s->stats.has_io;
}

static bool tasks(const struct sample *s, double *ret)
{
	*ret = (double)s->stats.tasks;
	return true;
}

static bool processes(const struct sample *s, double *ret)
{
	*ret = (double)s->stats.n_processes;
	return true;
}

static bool restarts(const struct sample *s, double *ret)
{
	*ret = s->restarts;
	return true;
}

static bool generation(const struct sample *s, double *ret)
{
	*ret = s->generation;
	return s->generation > 0;
}

static bool start_time(const struct sample *s, double *ret)
{
	*ret = (double)s->started_ns / 1e9;
	return s->started_ns > 0;
}

static bool updates(const struct sample *s, double *ret)
{
	*ret = s->updates;
	return true;
}

static bool rollbacks(const struct sample *s, double *ret)
{
	*ret = s->rollbacks;
	return true;
}

static const struct {
	struct metric metric;
	bool (*value)(const struct sample *s, double *ret);
} app_metrics[] = {
	{{"rkt_app_cpu_seconds_total", "Processor time the app has used.",
	  "counter"},
	 cpu},
	{{"rkt_app_memory_bytes",
	  "Memory of the app, without files that can be forgotten.", "gauge"},
	 memory},
	{{"rkt_app_memory_limit_bytes", "Limit of that, where there is one.",
	  "gauge"},
	 memory_limit},
	{{"rkt_app_io_read_bytes_total",
	  "Bytes read from storage, where the host counts them.", "counter"},
	 read_bytes},
	{{"rkt_app_io_written_bytes_total",
	  "Bytes written to storage, where the host counts them.", "counter"},
	 written_bytes},
	{{"rkt_app_tasks", "Processes and threads of the app.", "gauge"},
	 tasks},
	{{"rkt_app_processes", "Processes of the app.", "gauge"}, processes},
	{{"rkt_app_restarts_total",
	  "Starts by the app's restart policy in this run of its pod.",
	  "counter"},
	 restarts},
	{{"rkt_app_updates_total", "Updates and rollbacks that were done.",
	  "counter"},
	 updates},
	{{"rkt_app_rollbacks_total",
	  "Rollbacks that were asked for, and updates that went back.",
	  "counter"},
	 rollbacks},
	{{"rkt_app_generation", "Generation of the app that serves.", "gauge"},
	 generation},
	{{"rkt_app_start_time_seconds", "When that was started.", "gauge"},
	 start_time},
};

/* --- text ------------------------------------------------------------------
 */

static void write_apps(const struct samples *samples, struct strbuf *out)
{
	for (size_t m = 0; m < sizeof(app_metrics) / sizeof(*app_metrics);
	     m++) {
		const struct metric *metric = &app_metrics[m].metric;
		bool has_begun = false;
		double value;

		for (size_t i = 0; i < samples->n; i++) {
			const struct sample *s = &samples->v[i];
			const struct metric_label labels[] = {
				{"pod", s->uuid},
				{"pod_name", s->pod},
				{"app", s->app},
				{"image", s->image},
			};

			if (!app_metrics[m].value(s, &value))
				continue;
			if (!has_begun)
				metric_begin(out, metric);
			has_begun = true;
			metric_add(out, metric, labels, 4, value);
		}
	}
}

static void write_number(struct strbuf *out, const char *name, const char *help,
			 double value)
{
	const struct metric metric = {name, help, "gauge"};

	metric_begin(out, &metric);
	metric_add(out, &metric, NULL, 0, value);
}

/* The others are not looked at. */
static bool is_listed(enum pod_state state)
{
	return state != POD_STATE_EMBRYO && state != POD_STATE_DELETING &&
	       state != POD_STATE_GARBAGE;
}

static void write_host(const struct samples *samples, struct strbuf *out)
{
	static const struct metric build = {
		"rkt_build_info", "1, with the version of rkt.", "gauge"};
	static const struct metric pods = {"rkt_pods", "Pods by their state.",
					   "gauge"};
	const struct metric_label version = {"version", RKT_VERSION};

	metric_begin(out, &build);
	metric_add(out, &build, &version, 1, 1);
	metric_begin(out, &pods);
	for (int i = 0; i < STATES; i++) {
		const struct metric_label state = {
			"state", pod_state_text((enum pod_state)i)};

		if (is_listed((enum pod_state)i))
			metric_add(out, &pods, &state, 1, samples->pods[i]);
	}
	if (!samples->has_images)
		return;
	write_number(out, "rkt_images", "Images in the store.",
		     (double)samples->images);
	write_number(out, "rkt_image_store_bytes", "Bytes of their tars.",
		     (double)samples->image_bytes);
}

static void refuse(struct http_server_request *request, unsigned int status,
		   const char *why)
{
	request->status = status;
	strbuf_addstr(&request->answer, why);
}

void metrics_answer(struct http_server_request *request)
{
	cleanup_samples struct samples samples = {0};

	if (strcmp(request->path, "/metrics") != 0) {
		refuse(request, MHD_HTTP_NOT_FOUND, "ask for /metrics\n");
		return;
	}
	if (strcmp(request->method, "GET") != 0 &&
	    strcmp(request->method, "HEAD") != 0) {
		request->allow = "GET, HEAD";
		refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED,
		       "metrics are only read\n");
		return;
	}
	gather(request->data, &samples);
	write_host(&samples, &request->answer);
	write_apps(&samples, &request->answer);
	request->status = MHD_HTTP_OK;
	request->type = "text/plain; version=0.0.4; charset=utf-8";
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-api/watched_pods.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "cmd/rkt-api/service.h"
#include "stage0/pod_info.h"

/* A pod's directory is told to be closed an instant before its lock ends, by
 * the kernel's order (__fput). */
#define FIRST_LOOK_MS 5
#define LAST_LOOK_MS 2000

struct watched_app {
	char *name;
	int64_t created_ns, started_ns, finished_ns;
	unsigned int restarts;
	bool is_running;
};

struct watched_pod {
	struct watched_pod *next;
	char uuid[UUID_TEXT_LEN + 1];
	char *name;
	struct pod pod; /* open: opening it would be seen as a change */
	bool is_changed, has_ended, is_aborted;
	int64_t started_ns;
	int64_t look_at; /* ms; 0: not */
	int64_t pause;	 /* ms, until the look after that */
	struct watched_app *apps;
	size_t n_apps;
};

struct watched_pods {
	const struct service *service;
	void (*tell)(void *data, const struct watch_event *event);
	void *data;
	bool is_telling;
	struct watched_pod *pods;
};

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

struct watched_pods *
watched_pods_new(const struct service *s,
		 void (*tell)(void *data, const struct watch_event *event),
		 void *data)
{
	struct watched_pods *p = xcalloc(1, sizeof(*p));

	*p = (struct watched_pods){.service = s, .tell = tell, .data = data};
	return p;
}

void watched_pods_tell(struct watched_pods *p)
{
	p->is_telling = true;
}

/* --- pods ------------------------------------------------------------------
 */

static struct watched_pod *pod_find(const struct watched_pods *p,
				    const char *uuid)
{
	struct watched_pod *pod = p->pods;

	while (pod && strcmp(pod->uuid, uuid) != 0)
		pod = pod->next;
	return pod;
}

static struct watched_pod *pod_add(struct watched_pods *p, const char *uuid)
{
	struct watched_pod *pod = xcalloc(1, sizeof(*pod));

	*pod = (struct watched_pod){.next = p->pods, .pod = POD_INIT};
	(void)snprintf(pod->uuid, sizeof(pod->uuid), "%s", uuid);
	p->pods = pod;
	return pod;
}

static void pod_remove(struct watched_pods *p, struct watched_pod *pod)
{
	struct watched_pod **at = &p->pods;

	while (*at != pod)
		at = &(*at)->next;
	*at = pod->next;
	for (size_t i = 0; i < pod->n_apps; i++)
		free(pod->apps[i].name);
	free(pod->apps);
	free(pod->name);
	pod_close(&pod->pod);
	free(pod);
}

static void app_forget(struct watched_pod *pod, size_t i)
{
	free(pod->apps[i].name);
	pod->apps[i] = pod->apps[--pod->n_apps];
}

static struct watched_app *app_get(struct watched_pod *pod, const char *name)
{
	for (size_t i = 0; i < pod->n_apps; i++)
		if (strcmp(pod->apps[i].name, name) == 0)
			return &pod->apps[i];
	pod->apps =
		xreallocarray(pod->apps, pod->n_apps + 1, sizeof(*pod->apps));
	pod->apps[pod->n_apps] = (struct watched_app){.name = xstrdup(name)};
	return &pod->apps[pod->n_apps++];
}

/* --- telling ---------------------------------------------------------------
 */

static void tell(const struct watched_pods *p, const struct watched_pod *pod,
		 enum api_event_type type, const char *app,
		 const struct name_values *data)
{
	const char *name = pod->name ? pod->name : pod->uuid;

	if (p->is_telling)
		p->tell(p->data, &(const struct watch_event){
					 .facts = {.type = type,
						   .id = pod->uuid,
						   .from = app ? app : name,
						   .time = time(NULL)},
					 .data = data});
}

static void tell_exit(const struct watched_pods *p,
		      const struct watched_pod *pod, const char *app,
		      int exit_code)
{
	cleanup_name_values struct name_values data = NAME_VALUES_INIT;
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", exit_code);
	name_values_add(&data, "exit_code", text);
	tell(p, pod, API_EVENT_APP_EXITED, app, &data);
}

static void tell_app(const struct watched_pods *p, struct watched_pod *pod,
		     const struct app_info *info)
{
	struct watched_app *app = app_get(pod, info->name);

	if (info->started_ns && !app->started_ns)
		tell(p, pod, API_EVENT_APP_STARTED, info->name, NULL);
	/* By its restart policy; or another generation has taken over. */
	if (app->started_ns && info->restarts > app->restarts)
		tell_exit(p, pod, info->name, info->last_exit_code);
	if (app->started_ns && info->started_ns &&
	    (info->restarts > app->restarts ||
	     info->started_ns != app->started_ns))
		tell(p, pod, API_EVENT_APP_STARTED, info->name, NULL);
	if (info->has_exit_code && info->finished_ns != app->finished_ns)
		tell_exit(p, pod, info->name, info->exit_code);
	app->created_ns = info->created_ns;
	app->started_ns = info->started_ns;
	app->finished_ns = info->finished_ns;
	app->is_running = info->started_ns && !info->has_exit_code;
	app->restarts = info->restarts;
}

static void tell_end(const struct watched_pods *p, struct watched_pod *pod)
{
	if (!pod->has_ended)
		tell(p, pod, API_EVENT_POD_EXITED, NULL, NULL);
	pod->has_ended = true;
}

/* `rkt app rm`, perhaps of an app whose end was not seen, and perhaps there is
 * another one of its name by now. */
static void forget_removed(const struct watched_pods *p,
			   struct watched_pod *pod, const struct pod_info *info)
{
	for (size_t i = pod->n_apps; i-- > 0;) {
		const struct watched_app *app = &pod->apps[i];
		size_t n = 0;

		while (n < info->manifest.n_apps &&
		       (strcmp(info->apps[n].name, app->name) != 0 ||
			info->apps[n].created_ns != app->created_ns))
			n++;
		if (n < info->manifest.n_apps)
			continue;
		if (app->is_running)
			tell(p, pod, API_EVENT_APP_EXITED, app->name, NULL);
		app_forget(pod, i);
	}
}

/* --- looking ---------------------------------------------------------------
 */

static void take_name(struct watched_pod *pod)
{
	free(pod->name);
	pod->name = pod_name_get(&pod->pod);
}

static void look_at_run(const struct watched_pods *p, struct watched_pod *pod)
{
	cleanup_pod_info struct pod_info info = POD_INFO_INIT;

	if (pod_info_load(&pod->pod, &info, NULL) < 0)
		return;
	if (info.started_ns && info.started_ns != pod->started_ns) {
		pod->started_ns = info.started_ns;
		pod->has_ended = false;
		tell(p, pod, API_EVENT_POD_STARTED, NULL, NULL);
	}
	forget_removed(p, pod, &info);
	for (size_t i = 0; i < info.manifest.n_apps; i++)
		tell_app(p, pod, &info.apps[i]);
	if (info.state != POD_STATE_RUNNING)
		tell_end(p, pod);
}

static void look_at(const struct watched_pods *p, struct watched_pod *pod)
{
	enum pod_state state;

	if (pod->pod.fd < 0)
		return;
	state = pod_state(&pod->pod);
	if (pod->pod.dir == POD_RUN) {
		look_at_run(p, pod);
	} else if (state == POD_STATE_ABORTED_PREPARE && !pod->is_aborted) {
		pod->is_aborted = true;
		tell(p, pod, API_EVENT_POD_PREPARE_ABORTED, NULL, NULL);
	}
}

/* Looks at the lock, again and again for a while. */
static void look_later(struct watched_pod *pod, int64_t now)
{
	bool is_owned = pod_state(&pod->pod) == POD_STATE_RUNNING ||
			pod_state(&pod->pod) == POD_STATE_PREPARING;

	pod->is_changed |= !is_owned;
	pod->pause *= 3;
	pod->look_at =
		is_owned && pod->pause < LAST_LOOK_MS ? now + pod->pause : 0;
}

void watched_pods_look(struct watched_pods *p)
{
	int64_t now = now_ms();

	for (struct watched_pod *pod = p->pods; pod; pod = pod->next) {
		if (pod->look_at && pod->look_at <= now)
			look_later(pod, now);
		if (!pod->is_changed)
			continue;
		pod->is_changed = false;
		look_at(p, pod);
	}
}

int watched_pods_timeout(const struct watched_pods *p)
{
	int64_t first = INT64_MAX, now = now_ms();

	for (const struct watched_pod *pod = p->pods; pod; pod = pod->next)
		if (pod->look_at && pod->look_at < first)
			first = pod->look_at;
	if (first == INT64_MAX)
		return INT_MAX;
	return first < now ? 0 : (int)(first - now);
}

/* --- changes ---------------------------------------------------------------
 */

void watched_pods_moved(struct watched_pods *p, const char *uuid,
			enum pod_dir dir)
{
	struct watched_pod *pod = pod_find(p, uuid);
	enum pod_dir from;

	if (!pod)
		pod = pod_add(p, uuid);
	else if (pod->pod.dir == dir && pod->pod.fd >= 0)
		return;
	from = pod->pod.fd >= 0 ? pod->pod.dir : dir;
	pod_close(&pod->pod);
	if (pod_open_in(&p->service->pods, dir, uuid, &pod->pod, NULL) < 0)
		pod->pod.dir = dir; /* it has moved on, or is gone */
	else
		take_name(pod);
	if (dir == POD_PREPARED)
		tell(p, pod, API_EVENT_POD_PREPARED, NULL, NULL);
	if (dir > POD_RUN && pod->started_ns)
		tell_end(p, pod);
	if (dir == POD_GARBAGE && from == POD_PREPARE && !pod->is_aborted)
		tell(p, pod, API_EVENT_POD_PREPARE_ABORTED, NULL, NULL);
	pod->is_changed = true;
}

void watched_pods_removed(struct watched_pods *p, const char *uuid)
{
	struct watched_pod *pod = pod_find(p, uuid);

	if (!pod)
		return;
	tell(p, pod, API_EVENT_POD_GARBAGE_COLLECTED, NULL, NULL);
	pod_remove(p, pod);
}

void watched_pods_changed(struct watched_pods *p, const char *uuid)
{
	struct watched_pod *pod = pod_find(p, uuid);

	if (pod)
		pod->is_changed = true;
}

void watched_pods_unlocked(struct watched_pods *p, const char *uuid)
{
	struct watched_pod *pod = pod_find(p, uuid);

	if (!pod || pod->has_ended || pod->pod.fd < 0)
		return;
	pod->pause = FIRST_LOOK_MS;
	pod->look_at = now_ms() + FIRST_LOOK_MS;
}

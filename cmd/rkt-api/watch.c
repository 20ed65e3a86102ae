/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-api/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cmd/rkt-api/service.h"
#include "cmd/rkt-api/watched_images.h"
#include "cmd/rkt-api/watched_pods.h"
#include "spec/stage1_abi.h"
#include "spec/uuid.h"

#define BUF_SIZE 65536

enum what { WAY, PHASE, POD, BLOBS, STORE };

/* A directory that is looked at. */
struct place {
	int wd;
	enum what what;
	enum pod_dir dir;	      /* PHASE */
	char uuid[UUID_TEXT_LEN + 1]; /* POD */
};

struct watch {
	const struct service *service;
	int fd;
	struct place *places;
	size_t n_places;
	struct watched_pods *pods;
	struct watched_images *images;
};

#define NEW_NAMES (IN_CREATE | IN_MOVED_TO)
#define GONE_NAMES (IN_DELETE | IN_MOVED_FROM)

/* --- places ----------------------------------------------------------------
 */

static const struct {
	const char *path;
	enum what what;
	enum pod_dir dir;
	uint32_t mask;
} fixed[] = {
	{".", WAY, 0, NEW_NAMES},
	{"pods", WAY, 0, NEW_NAMES},
	/* The lock on a pod's directory ends as it is closed. */
	{"pods/prepare", PHASE, POD_PREPARE,
	 NEW_NAMES | GONE_NAMES | IN_CLOSE_NOWRITE},
	{"pods/prepared", PHASE, POD_PREPARED, NEW_NAMES | GONE_NAMES},
	{"pods/run", PHASE, POD_RUN, NEW_NAMES | GONE_NAMES | IN_CLOSE_NOWRITE},
	{"pods/exited-garbage", PHASE, POD_EXITED_GARBAGE,
	 NEW_NAMES | GONE_NAMES},
	{"pods/garbage", PHASE, POD_GARBAGE, NEW_NAMES | GONE_NAMES},
	{"cas", STORE, 0, NEW_NAMES | IN_DELETE | IN_CLOSE_WRITE},
	{"cas/blob", BLOBS, 0, NEW_NAMES | GONE_NAMES},
};

/* What changes in a pod that runs. */
static const char *const pod_places[] = {"", "/" POD_STATUS_DIR,
					 "/" POD_APPSINFO_DIR};

static struct place *place_find(const struct watch *w, int wd)
{
	for (size_t i = 0; i < w->n_places; i++)
		if (w->places[i].wd == wd)
			return &w->places[i];
	return NULL;
}

/* True if it is there and was not looked at yet. */
static bool place_add(struct watch *w, const char *path, uint32_t mask,
		      const struct place *like)
{
	cleanup_free char *full = xasprintf("%s/%s", w->service->dir, path);
	struct place place = *like;

	place.wd = inotify_add_watch(w->fd, full,
				     mask | IN_ONLYDIR | IN_DONT_FOLLOW);
	if (place.wd < 0 && errno == ENOSPC)
		log_warning("too many watches: events of %s will be missed "
			    "(fs.inotify.max_user_watches)",
			    full);
	if (place.wd < 0 || place_find(w, place.wd))
		return false;
	w->places =
		xreallocarray(w->places, w->n_places + 1, sizeof(*w->places));
	w->places[w->n_places++] = place;
	return true;
}

static void place_remove(struct watch *w, int wd)
{
	struct place *place = place_find(w, wd);

	if (place)
		*place = w->places[--w->n_places];
}

static void look_at_pod(struct watch *w, const char *uuid)
{
	struct place place = {.what = POD};

	(void)snprintf(place.uuid, sizeof(place.uuid), "%s", uuid);
	for (size_t i = 0; i < sizeof(pod_places) / sizeof(*pod_places); i++) {
		cleanup_free char *path =
			xasprintf("pods/run/%s%s", uuid, pod_places[i]);

		(void)place_add(w, path, IN_CLOSE_WRITE | NEW_NAMES, &place);
	}
	watched_pods_changed(w->pods, uuid);
}

/* --- what there is ---------------------------------------------------------
 */

static void find_pods(struct watch *w, enum pod_dir dir)
{
	cleanup_strv struct strv uuids = STRV_INIT;

	(void)pods_list(&w->service->pods, dir, &uuids, NULL);
	for (size_t i = 0; i < uuids.n; i++) {
		watched_pods_moved(w->pods, uuids.v[i], dir);
		if (dir == POD_RUN)
			look_at_pod(w, uuids.v[i]);
	}
}

/* Directories that are made later are looked at from then on. */
static void look_at_fixed(struct watch *w)
{
	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
		const struct place place = {.what = fixed[i].what,
					    .dir = fixed[i].dir};

		if (!place_add(w, fixed[i].path, fixed[i].mask, &place))
			continue;
		if (fixed[i].what == PHASE)
			find_pods(w, fixed[i].dir);
		else if (fixed[i].what == BLOBS)
			watched_images_find(w->images);
	}
}

static void look_at_all(struct watch *w)
{
	look_at_fixed(w);
	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
		if (fixed[i].what == PHASE)
			find_pods(w, fixed[i].dir);
	watched_images_find(w->images);
}

/* --- changes ---------------------------------------------------------------
 */

static void on_phase(struct watch *w, enum pod_dir dir,
		     const struct inotify_event *event)
{
	struct uuid uuid;

	if (!event->len || uuid_parse(event->name, &uuid, NULL) < 0)
		return;
	if (event->mask & NEW_NAMES) {
		watched_pods_moved(w->pods, event->name, dir);
		if (dir == POD_RUN)
			look_at_pod(w, event->name);
	} else if (event->mask & IN_DELETE) {
		watched_pods_removed(w->pods, event->name);
	} else if (event->mask & IN_CLOSE_NOWRITE) {
		watched_pods_unlocked(w->pods, event->name);
	}
}

static void on_event(struct watch *w, const struct inotify_event *event)
{
	const struct place *place = place_find(w, event->wd);
	struct place copy;

	if (event->mask & IN_Q_OVERFLOW)
		look_at_all(w);
	if (!place)
		return;
	copy = *place; /* places move */
	if (event->mask & IN_IGNORED)
		place_remove(w, event->wd);
	else if (copy.what == WAY)
		look_at_fixed(w);
	else if (copy.what == PHASE)
		on_phase(w, copy.dir, event);
	else if (copy.what == POD && event->mask & IN_ISDIR)
		look_at_pod(w, copy.uuid); /* status/ is made anew */
	else if (copy.what == POD)
		watched_pods_changed(w->pods, copy.uuid);
	else if (copy.what == BLOBS && event->len)
		watched_images_changed(w->images, event->name,
				       event->mask & NEW_NAMES);
	else if (copy.what == STORE)
		look_at_fixed(w);
}

void watch_run(struct watch *w)
{
	char buf[BUF_SIZE]
		__attribute__((__aligned__(__alignof__(struct inotify_event))));
	ssize_t n;

	while ((n = read(w->fd, buf, sizeof(buf))) > 0) {
		const char *at = buf;

		while (at < buf + n) {
			const struct inotify_event *event =
				(const struct inotify_event *)(const void *)at;

			on_event(w, event);
			at += sizeof(*event) + event->len;
		}
	}
	watched_pods_look(w->pods);
	watched_images_run(w->images);
}

int watch_fd(const struct watch *w)
{
	return w->fd;
}

int watch_timeout(const struct watch *w)
{
	int pods = watched_pods_timeout(w->pods);
	int images = watched_images_timeout(w->images);

	return pods < images ? pods : images;
}

int watch_new(const struct service *s,
	      void (*tell)(void *data, const struct watch_event *event),
	      void *data, struct watch **ret, struct error *err)
{
	struct watch *w = xcalloc(1, sizeof(*w));

	*w = (struct watch){
		.service = s,
		.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
		.pods = watched_pods_new(s, tell, data),
		.images = watched_images_new(s, tell, data),
	};
	if (w->fd < 0)
		return error_sys(err, errno,
				 "watch %s (fs.inotify.max_user_instances?)",
				 s->dir);
	look_at_fixed(w);
	watched_pods_look(w->pods);
	watched_pods_tell(w->pods);
	watched_images_tell(w->images);
	*ret = w;
	return 0;
}

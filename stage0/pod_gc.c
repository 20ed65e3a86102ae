/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/pod_gc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/lock.h"
#include "base/path.h"
#include "base/strv.h"
#include "base/test_hooks.h"
#include "spec/image_manifest.h"
#include "spec/stage1_abi.h"
#include "stage0/entrypoint.h"
#include "stage0/pod.h"
#include "stage0/pod_stage1.h"
#include "stage0/private_users.h"

#define SECOND INT64_C(1000000000)
#define SECOND_LOOK_NS (SECOND / 10)

int pod_clean(const struct pod *pod, bool keep_network, const char *libexec_dir,
	      struct error *err)
{
	cleanup_pod_stage1 struct pod_stage1 stage1 = POD_STAGE1_INIT;
	cleanup_entrypoint struct entrypoint ep = ENTRYPOINT_INIT;
	int r = pod_stage1_load(pod->fd, &stage1, err);

	if (r == -EMEDIUMTYPE)
		return 0; /* what there was besides went with a reboot */
	if (r < 0)
		return r;
	/* Nothing to clean, then. */
	if (!stage1.flavour &&
	    !stage1_image_entry(&stage1.image.manifest, STAGE1_GC))
		return 0;
	r = entrypoint_open(pod, &stage1, STAGE1_GC, libexec_dir, &ep, err);
	if (r < 0)
		return error_prefix(err, r, "clean up after pod %s", pod->uuid);
	if (keep_network && pod_stage1_is_native(&stage1))
		strv_push(&ep.argv, GC_KEEP_NETWORK);
	strv_push(&ep.argv, pod->uuid);
	r = entrypoint_call(pod, &ep, err);
	if (r > 0)
		return error_set(err, EIO,
				 "clean up after pod %s: stage1 gc failed "
				 "with exit code %d",
				 pod->uuid, r);
	return r;
}

int pod_delete(struct pod *pod, const char *libexec_dir, struct error *err)
{
	char path[96];
	int r = 0;

	if (pod->dir == POD_RUN)
		r = pod_move(pod, POD_EXITED_GARBAGE, false, err);
	test_stop_at("delete-exited");
	if (r == 0 && pod->dir == POD_EXITED_GARBAGE)
		r = pod_clean(pod, false, libexec_dir, err);
	test_stop_at("delete-cleaned");
	if (r == 0)
		private_users_drop(pod);
	if (r == 0 && pod->dir != POD_GARBAGE)
		r = pod_move(pod, POD_GARBAGE, false, err);
	test_stop_at("delete-garbage");
	if (r == 0)
		r = pod_name_clear(pod, err);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "pods/%s/%s",
		       pod_dir_name(POD_GARBAGE), pod->uuid);
	return remove_tree_at(pod->pods->data_fd, path, err);
}

/* --- all of them -----------------------------------------------------------
 */

struct round {
	const struct pods *pods;
	const struct pods_gc *gc;
	int n_failed;
	struct error *err;
};

/* Handles one pod that is locked and where it was listed. */
typedef int (*visit_fn)(struct round *round, struct pod *pod,
			struct error *err);

static void notice(const struct round *round, const char *what,
		   const char *uuid, const char *how)
{
	cleanup_free char *text = xasprintf("%s \"%s\" %s", what, uuid, how);

	round->gc->notice(text);
}

/* Returns false if the pod is locked by somebody. */
static bool visit_one(struct round *round, enum pod_dir dir, const char *uuid,
		      visit_fn visit)
{
	cleanup_pod struct pod pod = POD_INIT;
	struct error err = ERROR_INIT;

	if (pod_open_in(round->pods, dir, uuid, &pod, &err) < 0)
		return true;
	if (lock_is_held(pod.fd))
		return false;
	/* Busy or moved just now: it is none of ours. */
	if (pod_lock(&pod, &err) < 0)
		return true;
	if (visit(round, &pod, &err) < 0) {
		round->n_failed++;
		round->gc->failed(uuid, &err);
	}
	return true;
}

/*
 * The processes of a pod whose supervisor was killed end a little later, and
 * until then hold its lock: those that are busy get a second look.
 */
static int visit_all(struct round *round, enum pod_dir dir, visit_fn visit)
{
	const struct timespec pause = {.tv_nsec = SECOND_LOOK_NS};
	cleanup_strv struct strv uuids = STRV_INIT;
	cleanup_strv struct strv busy = STRV_INIT;
	int r = pods_list(round->pods, dir, &uuids, round->err);

	for (size_t i = 0; i < uuids.n; i++)
		if (!visit_one(round, dir, uuids.v[i], visit))
			strv_push(&busy, uuids.v[i]);
	if (busy.n > 0)
		(void)nanosleep(&pause, NULL);
	for (size_t i = 0; i < busy.n; i++)
		(void)visit_one(round, dir, busy.v[i], visit);
	return r;
}

/* ctime of a directory changes when it is renamed: since when it is here. */
static int64_t age_ns(const struct pod *pod)
{
	struct timespec now;
	struct stat st;

	if (fstat(pod->fd, &st) < 0)
		return 0;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec - st.st_ctim.tv_sec) * SECOND + now.tv_nsec -
	       st.st_ctim.tv_nsec;
}

static int mark_exited(struct round *round, struct pod *pod, struct error *err)
{
	cleanup_free char *name = pod_name_get(pod);

	/* A named pod waits to be started again. */
	if (name)
		return 0;
	notice(round, "moving pod", pod->uuid, "to garbage");
	return pod_move(pod, POD_EXITED_GARBAGE, false, err);
}

static int drop_failed(struct round *round, struct pod *pod, struct error *err)
{
	notice(round, "moving failed prepare", pod->uuid, "to garbage");
	return pod_move(pod, POD_GARBAGE, false, err);
}

static int drop_expired(struct round *round, struct pod *pod, struct error *err)
{
	cleanup_free char *name = pod_name_get(pod);

	if (name || age_ns(pod) < round->gc->expire_prepared_ns)
		return 0;
	notice(round, "moving expired prepared pod", pod->uuid, "to garbage");
	return pod_move(pod, POD_GARBAGE, false, err);
}

static void format_duration(int64_t ns, char *buf, size_t size)
{
	long long s = ns / SECOND;

	if (s >= 3600)
		(void)snprintf(buf, size, "%lldh%lldm%llds", s / 3600,
			       s / 60 % 60, s % 60);
	else if (s >= 60)
		(void)snprintf(buf, size, "%lldm%llds", s / 60, s % 60);
	else
		(void)snprintf(buf, size, "%llds", s);
}

static int remove_exited(struct round *round, struct pod *pod,
			 struct error *err)
{
	char uuid[UUID_TEXT_LEN + 1];
	char grace[32];
	int r;

	if (age_ns(pod) < round->gc->grace_ns) {
		cleanup_free char *how = NULL;

		format_duration(round->gc->grace_ns, grace, sizeof(grace));
		how = xasprintf("not removed: still within grace period (%s)",
				grace);
		notice(round, "pod", pod->uuid, how);
		return 0;
	}
	memcpy(uuid, pod->uuid, sizeof(uuid));
	round->gc->removed(uuid);
	r = pod_delete(pod, round->gc->libexec_dir, err);
	return r;
}

static int remove_garbage(struct round *round, struct pod *pod,
			  struct error *err)
{
	return pod_delete(pod, round->gc->libexec_dir, err);
}

/* Names whose pod is gone: a kill came between the two. */
static void sweep_names(const struct pods *pods)
{
	cleanup_dir DIR *dir = NULL;
	struct dirent *de;
	int fd;

	if (pods->data_fd < 0)
		return;
	fd = openat(pods->data_fd, "names", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		fd_close(&fd);
		return;
	}
	while ((de = readdir(dir)) != NULL) {
		cleanup_pod struct pod pod = POD_INIT;
		char uuid[UUID_TEXT_LEN + 1];

		if (pod_name_lookup(pods, de->d_name, uuid, NULL) == 0 &&
		    pod_open(pods, uuid, &pod, NULL) == -ENOENT)
			(void)unlinkat(fd, de->d_name, 0);
	}
}

int pods_gc(const struct pods *pods, const struct pods_gc *gc,
	    struct error *err)
{
	static const struct {
		visit_fn visit;
		enum pod_dir dir;
		bool is_mark;
	} steps[] = {
		{mark_exited, POD_RUN, true},
		{drop_failed, POD_PREPARE, true},
		{drop_expired, POD_PREPARED, false},
		{remove_exited, POD_EXITED_GARBAGE, false},
		{drop_failed, POD_EMBRYO, false},
		{remove_garbage, POD_GARBAGE, false},
	};
	struct round round = {.pods = pods, .gc = gc, .err = err};

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		int r;

		if (gc->mark_only && !steps[i].is_mark)
			continue;
		r = visit_all(&round, steps[i].dir, steps[i].visit);
		if (r < 0)
			return r;
	}
	if (!gc->mark_only)
		sweep_names(pods);
	return round.n_failed;
}

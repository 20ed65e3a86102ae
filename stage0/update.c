/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/update.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/history.h"
#include "spec/json_read.h"
#include "spec/stage1_abi.h"
#include "stage0/app_args.h"
#include "stage0/generation.h"
#include "stage0/prepare.h"

#define HISTORY_MAX (16UL * 1024 * 1024)

int update_find_apps(int poddir_fd, const struct strv *names, struct strv *ret,
		     struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	int r = pod_manifest_load(poddir_fd, &pm, err);

	if (r < 0)
		return r;
	if (names->n == 0 && pm.n_apps != 1)
		return error_set(err, EINVAL,
				 "the pod has %zu apps: say which with "
				 "--app=NAME",
				 pm.n_apps);
	if (names->n == 0)
		strv_push(ret, pm.apps[0].name);
	for (size_t i = 0; i < names->n; i++) {
		if (!pod_manifest_find_app(&pm, names->v[i]))
			return error_set(err, ENOENT, "the pod has no app %s",
					 names->v[i]);
		if (!strv_has(ret, names->v[i]))
			strv_push(ret, names->v[i]);
	}
	return 0;
}

bool update_was_started_with(int poddir_fd, const char *option)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_strv struct strv options = STRV_INIT;

	return read_file_at(poddir_fd, POD_RUNTIME_CONFIG_FILE, MANIFEST_MAX,
			    &text, NULL) == 0 &&
	       json_strv_parse(text.buf, text.len, &options, NULL) == 0 &&
	       strv_has(&options, option);
}

static void set_image_name(struct runtime_image *ret,
			   const struct image_manifest *image)
{
	free(ret->name);
	ret->name = xstrdup(image->name);
	name_values_release(&ret->labels);
	name_values_copy(&ret->labels, &image->labels);
}

/* Their symbolic links were followed when the app was made. */
static void keep_sources(struct runtime_app *ra, const struct runtime_app *old)
{
	for (size_t i = 0; i < ra->n_mounts; i++)
		for (size_t k = 0; k < old->n_mounts; k++) {
			struct volume *v = &ra->mounts[i].app_volume;
			const struct volume *o = &old->mounts[k].app_volume;

			if (!v->source || !o->source ||
			    !path_equal(ra->mounts[i].path,
					old->mounts[k].path))
				continue;
			free(v->source);
			v->source = xstrdup(o->source);
		}
}

int update_make_app(int poddir_fd, const struct pod_manifest *pm,
		    const char *app, const struct pod_image *image,
		    struct runtime_app *ret, struct error *err)
{
	cleanup_runtime_app struct runtime_app ra = RUNTIME_APP_INIT;
	cleanup_strv struct strv words = STRV_INIT;
	const struct runtime_app *old_app = pod_manifest_find_app(pm, app);
	int r;

	if (!old_app)
		return error_set(err, ENOENT, "the pod has no app %s", app);
	r = app_args_load(poddir_fd, app, &words, err);
	if (r == -ENOENT) {
		runtime_app_copy(&ra, old_app);
		set_image_name(&ra.image, &image->manifest);
		r = 0;
	} else if (r == 0) {
		r = app_args_apply(&image->manifest, &words, &ra, err);
		free(ra.name);
		ra.name = xstrdup(app);
		if (r == 0)
			keep_sources(&ra, old_app);
	}
	if (r < 0)
		return r;
	free(ra.image.id);
	ra.image.id = xstrdup(image->id.text);
	*ret = ra;
	ra = (struct runtime_app)RUNTIME_APP_INIT;
	return 0;
}

static int no_longer_kept(const char *app, unsigned int n, struct error *err)
{
	return error_set(err, ENOENT,
			 "generation %u of app %s is no longer kept (rkt "
			 "update --keep says how many are)",
			 n, app);
}

int update_find_previous(int poddir_fd, const char *app, unsigned int *ret,
			 struct error *err)
{
	cleanup_strbuf struct strbuf history = STRBUF_INIT;
	unsigned int current, previous = 0;
	struct image_id id;
	int r = generation_current(poddir_fd, app, &current, err);

	if (r < 0)
		return r;
	r = read_file_at(poddir_fd, POD_HISTORY_FILE, HISTORY_MAX, &history,
			 NULL);
	if (r == 0)
		previous = history_previous(history.buf, app, current);
	if (previous == 0)
		return error_set(err, ENOENT,
				 "app %s has no generation before %u to go "
				 "back to",
				 app, current);
	if (generation_image_id(poddir_fd, app, previous, &id, NULL) < 0)
		return no_longer_kept(app, previous, err);
	*ret = previous;
	return 0;
}

int update_find_generation(int poddir_fd, const char *app, unsigned int n,
			   struct error *err)
{
	cleanup_strbuf struct strbuf history = STRBUF_INIT;
	struct image_id id;

	if (generation_image_id(poddir_fd, app, n, &id, NULL) == 0)
		return 0;
	if (read_file_at(poddir_fd, POD_HISTORY_FILE, HISTORY_MAX, &history,
			 NULL) == 0 &&
	    history_has_run(history.buf, app, n))
		return no_longer_kept(app, n, err);
	return error_set(err, ENOENT, "app %s has no generation %u", app, n);
}

static int open_lock(int poddir_fd, struct error *err)
{
	int fd = openat(poddir_fd, POD_LOCK_FILE,
			O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);

	return fd < 0 ? error_sys(err, errno, "open " POD_LOCK_FILE) : fd;
}

int update_lock_wait(int poddir_fd, struct error *err)
{
	cleanup_fd int fd = open_lock(poddir_fd, err);
	int r = fd < 0 ? fd : lock_wait(fd, LOCK_EX);

	if (fd < 0)
		return fd;
	return r < 0 ? error_sys(err, -r, "lock the pod") : TAKE_FD(fd);
}

int update_lock(int poddir_fd, struct error *err)
{
	cleanup_fd int fd = open_lock(poddir_fd, err);
	int r;

	if (fd < 0)
		return fd;
	r = lock_try(fd, LOCK_EX);
	if (r == -EBUSY)
		return error_set(err, EBUSY,
				 "another update or rollback of this pod is "
				 "under way");
	return r < 0 ? error_sys(err, -r, "lock the pod") : TAKE_FD(fd);
}

int update_next_number(int poddir_fd, const char *app, unsigned int *ret,
		       struct error *err)
{
	cleanup_strbuf struct strbuf history = STRBUF_INIT;
	struct history_entry e;
	char *next;
	int r = generation_highest(poddir_fd, app, ret, err);

	if (r < 0)
		return r;
	r = read_file_at(poddir_fd, POD_HISTORY_FILE, HISTORY_MAX, &history,
			 err);
	if (r < 0 && r != -ENOENT)
		return r;
	next = history.buf;
	while (history_next(&next, &e)) {
		if (strcmp(e.app, app) == 0 && e.to > *ret)
			*ret = e.to;
		history_entry_release(&e);
	}
	(*ret)++;
	return 0;
}

char *update_image_label(const struct image_manifest *image)
{
	const char *version = name_values_get(&image->labels, "version");

	return xasprintf("%s%s%s", image->name, version ? ":" : "",
			 version ? version : "");
}

/* NULL if its files cannot be read. */
static char *generation_text(int poddir_fd, const char *app, unsigned int n)
{
	cleanup_pod_image struct pod_image image = POD_IMAGE_INIT;

	if (generation_image_load(poddir_fd, app, n, &image, NULL) < 0)
		return NULL;
	return update_image_label(&image.manifest);
}

bool update_is_held(int poddir_fd, const char *app, const char *image)
{
	cleanup_strbuf struct strbuf history = STRBUF_INIT;
	cleanup_free char *since = NULL;

	return read_file_at(poddir_fd, POD_HISTORY_FILE, HISTORY_MAX, &history,
			    NULL) == 0 &&
	       history_is_held(history.buf, app, image, &since);
}

/* WHAT but for what can be read of the generations. */
static int note(int poddir_fd, struct history_event what, struct error *err)
{
	cleanup_free char *from_image =
		generation_text(poddir_fd, what.app, what.from);
	cleanup_free char *to_image =
		generation_text(poddir_fd, what.app, what.to);
	struct image_id from_id = {.text = ""}, to_id = {.text = ""};
	cleanup_strbuf struct strbuf line = STRBUF_INIT;
	cleanup_fd int fd = -EBADF;
	int r;

	(void)generation_image_id(poddir_fd, what.app, what.from, &from_id,
				  NULL);
	(void)generation_image_id(poddir_fd, what.app, what.to, &to_id, NULL);
	what.state = UPDATE_COMMITTED;
	what.from_image = from_image;
	what.to_image = to_image;
	what.from_id = *from_id.text ? from_id.text : NULL;
	what.to_id = *to_id.text ? to_id.text : NULL;
	history_line_make(&what, &line);
	fd = openat(poddir_fd, POD_HISTORY_FILE,
		    O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
		    0640);
	if (fd < 0)
		return error_sys(err, errno, "open " POD_HISTORY_FILE);
	r = write_full(fd, line.buf, line.len);
	if (r < 0 || fsync(fd) < 0)
		return error_sys(err, r < 0 ? -r : errno,
				 "write " POD_HISTORY_FILE);
	return 0;
}

int update_note_change(int poddir_fd, const char *app, unsigned int from,
		       unsigned int to, struct error *err)
{
	const struct history_event event = {
		.app = app,
		.from = from,
		.to = to,
		.text = "changed by rkt run while the pod was stopped",
	};

	return note(poddir_fd, event, err);
}

int update_go_back(int poddir_fd, const char *app, const char *who,
		   const char *why, struct error *err)
{
	struct history_event event = {
		.app = app,
		.rollback = true,
		.who = who,
		.text = why,
	};
	int r = generation_current(poddir_fd, app, &event.from, err);

	if (r == 0)
		r = update_find_previous(poddir_fd, app, &event.to, err);
	if (r == 0)
		r = generation_commit(poddir_fd, app, event.to, true, err);
	return r < 0 ? r : note(poddir_fd, event, err);
}

int update_remove_stale(int poddir_fd, const char *app, struct error *err)
{
	cleanup_strbuf struct strbuf history = STRBUF_INIT;
	unsigned int current = 0, highest = 0;
	int r = generation_current(poddir_fd, app, &current, err);

	if (r == 0)
		r = generation_highest(poddir_fd, app, &highest, err);
	if (r < 0)
		return r;
	r = read_file_at(poddir_fd, POD_HISTORY_FILE, HISTORY_MAX, &history,
			 err);
	if (r < 0 && r != -ENOENT)
		return r;
	/* Numbers only grow: what nobody took is at the end. */
	for (r = 0; r == 0 && highest != current &&
		    !history_has_run(history.buf, app, highest);
	     highest--)
		r = generation_remove(poddir_fd, app, highest, err);
	return r;
}

#define KEEP_FILE_MAX 32

unsigned int update_keep(int poddir_fd)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	(void)read_file_at(poddir_fd, POD_KEEP_FILE, KEEP_FILE_MAX, &text,
			   NULL);
	return history_keep_parse(text.buf);
}

int update_collect(int poddir_fd, const char *app, struct error *err)
{
	unsigned int keep = update_keep(poddir_fd);
	cleanup_strbuf struct strbuf history = STRBUF_INIT;
	cleanup_free unsigned int *numbers = NULL;
	unsigned int current;
	size_t n = 0;
	int r = generation_current(poddir_fd, app, &current, err);

	if (r == 0)
		r = read_file_at(poddir_fd, POD_HISTORY_FILE, HISTORY_MAX,
				 &history, err);
	if (r == -ENOENT)
		return 0; /* never updated */
	if (r == 0)
		r = generation_list(poddir_fd, app, &numbers, &n, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (!history_keeps(history.buf, app, current, keep, numbers[i]))
			r = generation_remove(poddir_fd, app, numbers[i], err);
	return r;
}

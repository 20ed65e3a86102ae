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
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/acversion.h"
#include "spec/history.h"
#include "spec/image_manifest.h"
#include "spec/stage1_abi.h"
#include "stage0/app_args.h"
#include "stage0/generation.h"
#include "stage0/pod_build.h"
#include "stage0/prepare.h"

#define HISTORY_MAX (16UL * 1024 * 1024)

static int check_version(const struct image_manifest *old_image,
			 const struct image_manifest *new_image,
			 struct error *err)
{
	const char *old_text = name_values_get(&old_image->labels, "version");
	const char *new_text = name_values_get(&new_image->labels, "version");
	cleanup_acversion struct acversion old_version = ACVERSION_INIT;
	cleanup_acversion struct acversion new_version = ACVERSION_INIT;

	if (!old_text || !new_text || strcmp(old_text, new_text) == 0)
		return 0;
	if (acversion_parse(old_text, &old_version, NULL) < 0 ||
	    acversion_parse(new_text, &new_version, NULL) < 0)
		return error_set(err, EPERM,
				 "cannot tell whether version %s is newer than "
				 "%s: they are not both SemVer (use "
				 "--allow-downgrade to go there anyway)",
				 new_text, old_text);
	if (acversion_compare(&new_version, &old_version) < 0)
		return error_set(err, EPERM,
				 "version %s is older than %s, which runs (use "
				 "--allow-downgrade to go there anyway, or "
				 "`rkt rollback`)",
				 new_text, old_text);
	return 0;
}

int update_check_images(const struct image_manifest *old_image,
			const struct image_manifest *new_image,
			const struct update_rules *rules, struct error *err)
{
	if (!rules->allow_rename &&
	    strcmp(old_image->name, new_image->name) != 0)
		return error_set(err, EPERM,
				 "the image is %s, the app runs %s (use "
				 "--allow-rename if it takes its place)",
				 new_image->name, old_image->name);
	if (rules->allow_downgrade)
		return 0;
	return check_version(old_image, new_image, err);
}

int update_find_app(int poddir_fd, const char *name, char **ret,
		    struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	int r = pod_manifest_load(poddir_fd, &pm, err);

	if (r < 0)
		return r;
	if (!name && pm.n_apps != 1)
		return error_set(err, EINVAL,
				 "the pod has %zu apps: say which with "
				 "--app=NAME",
				 pm.n_apps);
	if (name && !pod_manifest_find_app(&pm, name))
		return error_set(err, ENOENT, "the pod has no app %s", name);
	*ret = xstrdup(name ? name : pm.apps[0].name);
	return 0;
}

/* An exposed port of the pod that the old app had must be in the new one. */
static int check_ports(const struct pod_manifest *pm,
		       const struct runtime_app *old_app,
		       const struct runtime_app *new_app, struct error *err)
{
	for (size_t i = 0; i < pm->n_ports; i++) {
		bool had = false, has = false;

		for (size_t j = 0; j < old_app->app.n_ports; j++)
			had |= strcmp(old_app->app.ports[j].name,
				      pm->ports[i].name) == 0;
		for (size_t j = 0; j < new_app->app.n_ports; j++)
			has |= strcmp(new_app->app.ports[j].name,
				      pm->ports[i].name) == 0;
		if (had && !has)
			return error_set(err, ENOENT,
					 "the image has no port %s, which the "
					 "pod forwards",
					 pm->ports[i].name);
	}
	return 0;
}

int update_make_app(int poddir_fd, const char *app,
		    const struct pod_image *image, struct runtime_app *ret,
		    struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_runtime_app struct runtime_app ra = RUNTIME_APP_INIT;
	cleanup_strv struct strv words = STRV_INIT;
	cleanup_strv struct strv warnings = STRV_INIT;
	const struct runtime_app *old_app;
	int r = pod_manifest_load_committed(poddir_fd, &pm, err);

	if (r < 0)
		return r;
	old_app = pod_manifest_find_app(&pm, app);
	if (!old_app)
		return error_set(err, ENOENT, "the pod has no app %s", app);
	r = app_args_load(poddir_fd, app, &words, err);
	if (r == -ENOENT) {
		runtime_app_copy(&ra, old_app);
		r = 0;
	} else if (r == 0) {
		r = app_args_apply(&image->manifest, &words, &ra, err);
		free(ra.name);
		ra.name = xstrdup(app);
	}
	if (r < 0)
		return r;
	free(ra.image.id);
	ra.image.id = xstrdup(image->id.text);
	r = pod_image_check_host(&image->manifest, err);
	if (r == 0)
		r = pod_app_reify(&ra, &pm, false, &warnings, err);
	if (r == 0)
		r = check_ports(&pm, old_app, &ra, err);
	if (r < 0)
		return r;
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

int update_lock(int poddir_fd, struct error *err)
{
	cleanup_fd int fd = -EBADF;
	int r;

	fd = openat(poddir_fd, POD_LOCK_FILE,
		    O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return error_sys(err, errno, "open " POD_LOCK_FILE);
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

int update_note_change(int poddir_fd, const char *app, unsigned int from,
		       unsigned int to, struct error *err)
{
	const struct history_event event = {
		.app = app,
		.from = from,
		.to = to,
		.state = UPDATE_COMMITTED,
		.text = "changed by rkt run while the pod was stopped",
	};
	cleanup_strbuf struct strbuf line = STRBUF_INIT;
	cleanup_fd int fd = -EBADF;
	int r;

	history_line_make(&event, &line);
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

static bool is_kept(const char *history, const char *app, unsigned int current,
		    unsigned int keep, unsigned int n)
{
	/* The chain has no rings: a generation is new but once. */
	for (unsigned int i = 0; current && i <= keep; i++) {
		if (n == current)
			return true;
		current = history_previous(history, app, current);
	}
	return false;
}

int update_collect(int poddir_fd, const char *app, unsigned int keep,
		   struct error *err)
{
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
		if (!is_kept(history.buf, app, current, keep, numbers[i]))
			r = generation_remove(poddir_fd, app, numbers[i], err);
	return r;
}

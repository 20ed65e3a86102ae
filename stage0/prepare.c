/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "base/test_hooks.h"
#include "spec/json_read.h"
#include "spec/json_write.h"
#include "spec/pod_manifest.h"
#include "spec/stage1_abi.h"
#include "stage0/generation.h"
#include "stage0/pod.h"
#include "stage0/pod_files.h"
#include "stage0/pod_stage1.h"
#include "stage0/private_users.h"

static int make_dir(int dirfd, const char *name, struct error *err)
{
	if (mkdirat(dirfd, name, 0750) < 0 && errno != EEXIST)
		return error_sys(err, errno, "make %s", name);
	return 0;
}

/* --- volumes ---------------------------------------------------------------
 */

static int make_volume(int poddir_fd, const struct volume *v, struct error *err)
{
	cleanup_free char *path = xasprintf(POD_VOLUMES_DIR "/%s", v->name);
	mode_t mode;
	uid_t uid;
	gid_t gid;
	int r = volume_check_usable(v, &mode, &uid, &gid, err);

	if (r < 0)
		return r;
	if (mkdirat(poddir_fd, path, 0755) < 0) {
		if (errno == EEXIST)
			return 0;
		return error_sys(err, errno, "make volume %s", v->name);
	}
	/* Even the default ones: the data directory may be set-group-ID. */
	if (fchownat(poddir_fd, path, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, errno, "set owner of volume %s", v->name);
	if (fchmodat(poddir_fd, path, mode, 0) < 0)
		return error_sys(err, errno, "set mode of volume %s", v->name);
	return 0;
}

static int make_empty_volume(int poddir_fd, const struct volume *v,
			     struct error *err)
{
	int r;

	if (v->kind != VOLUME_EMPTY || v->in_memory)
		return 0;
	r = make_dir(poddir_fd, POD_VOLUMES_DIR, err);
	return r < 0 ? r : make_volume(poddir_fd, v, err);
}

int pod_volumes_make(int poddir_fd, const struct pod_manifest *pm,
		     struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < pm->n_volumes && r == 0; i++)
		r = make_empty_volume(poddir_fd, &pm->volumes[i], err);
	for (size_t i = 0; i < pm->n_apps; i++)
		for (size_t k = 0; k < pm->apps[i].n_mounts && r == 0; k++)
			if (pm->apps[i].mounts[k].has_app_volume)
				r = make_empty_volume(
					poddir_fd,
					&pm->apps[i].mounts[k].app_volume, err);
	return r;
}

/* --- files -----------------------------------------------------------------
 */

int pod_manifest_load(int poddir_fd, struct pod_manifest *ret,
		      struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = read_file_at(poddir_fd, POD_MANIFEST_FILE, MANIFEST_MAX, &text,
			     err);

	if (r == 0)
		r = pod_manifest_parse(text.buf, text.len, ret, err);
	return r < 0 ? error_prefix(err, r, "manifest of the pod") : 0;
}

/* In place of what `pod` says; an app without that file keeps it. */
static int load_committed_app(int poddir_fd, struct runtime_app *app,
			      struct error *err)
{
	cleanup_free char *path = xasprintf(
		POD_APPSINFO_DIR "/%s/" GENERATION_APP_FILE, app->name);
	struct runtime_app committed = RUNTIME_APP_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = read_file_at(poddir_fd, path, MANIFEST_MAX, &text, NULL);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return error_sys(err, -r, "read %s", path);
	r = runtime_app_parse(text.buf, text.len, &committed, err);
	if (r < 0)
		return error_prefix(err, r, "%s", path);
	runtime_app_release(app);
	*app = committed;
	return 0;
}

int pod_manifest_load_committed(int poddir_fd, struct pod_manifest *ret,
				struct error *err)
{
	int r = pod_manifest_load(poddir_fd, ret, err);

	for (size_t i = 0; r == 0 && i < ret->n_apps; i++)
		r = load_committed_app(poddir_fd, &ret->apps[i], err);
	return r;
}

static int replace(int dirfd, const char *name, const struct strbuf *text,
		   bool sync, struct error *err)
{
	if (sync)
		return atomic_file_write(dirfd, name, 0640, text->buf,
					 text->len, err);
	return write_file_at(dirfd, name, 0640, text->buf, text->len, err);
}

int pod_manifest_save(int poddir_fd, const struct pod_manifest *pm, bool sync,
		      struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	pod_manifest_write(pm, JSON_COMPACT_STYLE, &text);
	return replace(poddir_fd, POD_MANIFEST_FILE, &text, sync, err);
}

int app_args_save(int poddir_fd, const char *app, const struct strv *words,
		  bool sync, struct error *err)
{
	cleanup_free char *path = xasprintf(POD_ARGS_DIR "/%s", app);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = make_dir(poddir_fd, POD_ARGS_DIR, err);

	json_strv_write(words, &text);
	return r < 0 ? r : replace(poddir_fd, path, &text, sync, err);
}

int app_asked_save(int poddir_fd, const char *app, const char *image,
		   const char *id, struct error *err)
{
	cleanup_free char *path = xasprintf(POD_ASKED_DIR "/%s", app);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_strv struct strv pair = STRV_INIT;
	int r = make_dir(poddir_fd, POD_ASKED_DIR, err);

	strv_push(&pair, image);
	strv_push(&pair, id);
	json_strv_write(&pair, &text);
	return r < 0 ? r : replace(poddir_fd, path, &text, true, err);
}

int app_asked_load(int poddir_fd, const char *app, struct strv *ret,
		   struct error *err)
{
	cleanup_free char *path = xasprintf(POD_ASKED_DIR "/%s", app);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = read_file_at(poddir_fd, path, MANIFEST_MAX, &text, err);

	if (r == 0)
		r = json_strv_parse(text.buf, text.len, ret, err);
	if (r == 0 && ret->n != 2)
		r = error_set(err, EINVAL, "%s is damaged", path);
	return r;
}

static int write_pod_files(int fd, const struct pod_manifest *pm,
			   struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r;

	pod_manifest_write(pm, JSON_COMPACT_STYLE, &text);
	r = pod_file_new(fd, POD_MANIFEST_FILE, 0640, text.buf, text.len, err);
	if (r == 0)
		r = pod_file_new(fd, POD_CREATED_FILE, 0644, "", 0, err);
	return r;
}

static int write_words(int fd, const char *app, const struct strv *words,
		       struct error *err)
{
	cleanup_free char *path = xasprintf(POD_ARGS_DIR "/%s", app);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	json_strv_write(words, &text);
	return pod_file_new(fd, path, 0640, text.buf, text.len, err);
}

static int prepare_app(int fd, const struct pod_contents *c, size_t i,
		       struct error *err)
{
	const struct runtime_app *ra = &c->manifest->apps[i];
	int tree_fd = c->copied_trees ? c->copied_trees[i] : -EBADF;
	int r = 0;

	if (c->words)
		r = write_words(fd, ra->name, &c->words[i], err);
	if (r == 0 && c->name)
		r = app_asked_save(fd, ra->name, c->asked->v[i],
				   c->images[i].id.text, err);
	if (r == 0)
		r = generation_write(fd, 1, ra, &c->images[i], tree_fd, err);
	if (r == 0)
		r = generation_commit(fd, ra->name, 1, false, err);
	if (r < 0)
		return error_prefix(err, r, "app %s", ra->name);
	return 0;
}

int pod_prepare(struct pod *pod, const struct pod_contents *c,
		struct error *err)
{
	static const char *const dirs[] = {
		POD_GENERATIONS_DIR,
		POD_APPSINFO_DIR,
		POD_STATUS_DIR,
		POD_ARGS_DIR,
	};
	int r = write_pod_files(pod->fd, c->manifest, err);

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs) && r == 0; i++)
		r = make_dir(pod->fd, dirs[i], err);
	if (r == 0)
		r = pod_stage1_save(pod->fd, c->stage1, err);
	if (r == 0 && c->private_users)
		r = private_users_assign(pod, err);
	test_stop_at("prepare-files");
	for (size_t i = 0; i < c->manifest->n_apps && r == 0; i++)
		r = prepare_app(pod->fd, c, i, err);
	if (r == 0)
		r = pod_volumes_make(pod->fd, c->manifest, err);
	test_stop_at("prepare-apps");
	if (r == 0 && c->name) {
		r = pod_files_sync(pod->fd, err);
		if (r == 0)
			r = pod_name_set(pod, c->name, err);
		test_stop_at("prepare-name");
	}
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/pod_info.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/printable.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "spec/auto_update.h"
#include "spec/json_write.h"
#include "spec/stage1_abi.h"
#include "stage0/generation.h"
#include "stage0/pod_stage1.h"
#include "stage0/prepare.h"

#define SECOND INT64_C(1000000000)
#define SMALL_FILE_MAX (1024UL * 1024)
#define HISTORY_MAX (16UL * 1024 * 1024)
#define HEALTH_MAX 4096

/* mtime in ns; 0 if there is no such file. */
static int64_t mtime_of(int dirfd, const char *name)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return st.st_mtim.tv_sec * SECOND + st.st_mtim.tv_nsec;
}

static void trim(struct strbuf *text)
{
	while (text->len > 0 && strchr(" \n", text->buf[text->len - 1]))
		strbuf_setlen(text, text->len - 1);
}

static int read_pid(int dirfd, const char *name, int64_t *ret,
		    struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = read_file_at(dirfd, name, 64, &text, err);

	if (r < 0)
		return r;
	trim(&text);
	if (parse_int(text.buf, 1, INT32_MAX, ret) < 0)
		return error_set(err, EINVAL,
				 "read %s: \"%s\" is no process id", name,
				 text.buf);
	return 0;
}

/* That of other stage1s: the only child of the process in `ppid`. */
static int only_child(const struct pod *pod, int64_t *ret, struct error *err)
{
	cleanup_free char *path = NULL;
	int64_t parent = 0;
	int r = read_pid(pod->fd, POD_PPID_FILE, &parent, err);

	if (r < 0)
		return r;
	path = xasprintf("/proc/%lld/task/%lld/children", (long long)parent,
			 (long long)parent);
	if (read_pid(AT_FDCWD, path, ret, NULL) < 0)
		return error_set(err, ENOENT,
				 "process %lld of the pod's stage1 has not "
				 "one child",
				 (long long)parent);
	return 0;
}

int pod_pid(const struct pod *pod, int64_t *ret, struct error *err)
{
	int r = read_pid(pod->fd, POD_PID_FILE, ret, err);

	return r == -ENOENT ? only_child(pod, ret, err) : r;
}

bool pod_is_ready(const struct pod *pod)
{
	char target[16];
	ssize_t n = readlinkat(pod->fd, POD_READY_LINK, target, sizeof(target));

	return n == 5 && memcmp(target, "ready", 5) == 0;
}

/* --- loading ---------------------------------------------------------------
 */

static bool load_code(int fd, const char *path, int *ret)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int64_t code;

	if (read_file_at(fd, path, 64, &text, NULL) < 0)
		return false;
	trim(&text);
	if (parse_int(text.buf, 0, INT32_MAX, &code) < 0)
		return false;
	*ret = (int)code;
	return true;
}

static void load_exit_code(int fd, struct app_info *app)
{
	cleanup_free char *path = xasprintf(POD_STATUS_DIR "/%s", app->name);

	app->has_exit_code = load_code(fd, path, &app->exit_code);
	if (app->has_exit_code)
		app->finished_ns = mtime_of(fd, path);
}

static void load_failed(int fd, struct app_info *app)
{
	cleanup_free char *path = xasprintf(
		POD_APPSINFO_DIR "/%s/" GENERATION_FAILED_FILE, app->name);

	app->has_failed = load_code(fd, path, &app->failed_code);
}

/* "COUNT CODE" */
static void load_restarts(int fd, struct app_info *app)
{
	cleanup_free char *path = xasprintf(
		POD_STATUS_DIR "/%s" STATUS_RESTARTS_SUFFIX, app->name);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	uint64_t count;
	int64_t code;
	char *blank;

	if (read_file_at(fd, path, 64, &text, NULL) < 0)
		return;
	trim(&text);
	blank = strchr(text.buf, ' ');
	if (!blank)
		return;
	*blank = '\0';
	if (parse_uint(text.buf, UINT32_MAX, &count) < 0 ||
	    parse_int(blank + 1, 0, INT32_MAX, &code) < 0)
		return;
	app->was_restarted = true;
	app->restarts = (unsigned int)count;
	app->last_exit_code = (int)code;
}

static void load_health(int fd, struct app_info *app)
{
	cleanup_free char *path =
		xasprintf(POD_STATUS_DIR "/%s" STATUS_HEALTH_SUFFIX, app->name);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	if (read_file_at(fd, path, HEALTH_MAX, &text, NULL) < 0)
		return;
	trim(&text);
	app->health = strbuf_detach(&text);
}

static void take_told(const char *line, const char *key, char **ret)
{
	size_t len = strlen(key);

	if (strncmp(line, key, len) != 0 || *ret)
		return;
	*ret = xstrdup(line + len);
	make_printable(*ret);
}

/* Lines NAME=VALUE; what is not known is for others. */
static void load_told(int fd, struct app_info *app)
{
	cleanup_free char *path =
		xasprintf(POD_STATUS_DIR "/%s" STATUS_NOTIFY_SUFFIX, app->name);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	char *next, *line;
	uint64_t number;

	if (read_file_at(fd, path, SMALL_FILE_MAX, &text, NULL) < 0)
		return;
	app->has_told = true;
	next = text.buf;
	while ((line = strsep(&next, "\n"))) {
		app->ready |= strcmp(line, "READY=1") == 0;
		app->reloading |= strcmp(line, "RELOADING=1") == 0;
		app->stopping |= strcmp(line, "STOPPING=1") == 0;
		if (strncmp(line, "ERRNO=", 6) == 0 &&
		    parse_uint(line + 6, INT32_MAX, &number) == 0)
			app->error = (int64_t)number;
		take_told(line, "BUSERROR=", &app->bus_error);
		take_told(line, "STATUS=", &app->status);
	}
}

static const char *app_state(const struct app_info *app, enum pod_state pod)
{
	if (!app->created_ns)
		return "unknown";
	if (app->has_exit_code)
		return "exited";
	if (!app->started_ns)
		return "created";
	return pod == POD_STATE_RUNNING ? "running" : "exited";
}

/* Of the first generation of this run, or of the one that took over. */
static int64_t started_at(int fd, const char *app)
{
	cleanup_free char *first = xasprintf(POD_STATUS_DIR "/%s-started", app);
	cleanup_free char *pid =
		xasprintf(POD_APPSINFO_DIR "/%s/" GENERATION_PID_FILE, app);
	int64_t at = mtime_of(fd, first);
	int64_t later = mtime_of(fd, pid);

	return at && later > at ? later : at;
}

static void load_app(const struct pod *pod, const struct pod_info *info,
		     const struct runtime_app *ra, struct app_info *app)
{
	cleanup_free char *added = xasprintf(POD_ADDED_DIR "/%s", ra->name);

	app->name = ra->name;
	app->created_ns = mtime_of(pod->fd, added);
	if (!app->created_ns)
		app->created_ns = info->created_ns;
	app->started_ns = started_at(pod->fd, ra->name);
	load_exit_code(pod->fd, app);
	load_failed(pod->fd, app);
	load_restarts(pod->fd, app);
	load_health(pod->fd, app);
	load_told(pod->fd, app);
	app->ra = ra;
	if (generation_current(pod->fd, app->name, &app->generation, NULL) < 0)
		app->generation = 0;
	app->state = app_state(app, info->state);
}

static void load_nets(int fd, struct net_info_list *ret)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	if (read_file_at(fd, POD_NET_INFO_FILE, SMALL_FILE_MAX, &text, NULL) ==
	    0)
		(void)net_info_parse(text.buf, text.len, ret, NULL);
}

static void load_isolators(int fd, struct strv *ret)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	if (read_file_at(fd, POD_ISOLATORS_FILE, SMALL_FILE_MAX, &text, NULL) <
	    0)
		return;
	trim(&text);
	if (text.len > 0)
		strv_split(ret, text.buf, '\n');
}

static char *load_runtime_version(const struct pod *pod)
{
	struct strbuf text = STRBUF_INIT;

	if (pod_state(pod) == POD_STATE_RUNNING &&
	    read_file_at(pod->fd, POD_RUNTIME_VERSION_FILE, RUNTIME_VERSION_MAX,
			 &text, NULL) == 0)
		return strbuf_detach(&text);
	strbuf_release(&text);
	return NULL;
}

static char *load_stage1(const struct pod *pod)
{
	cleanup_pod_stage1 struct pod_stage1 stage1 = POD_STAGE1_INIT;
	struct strbuf text = STRBUF_INIT;

	if (pod_stage1_load(pod->fd, &stage1, NULL) < 0 ||
	    pod_stage1_is_native(&stage1))
		return NULL;
	pod_stage1_format(&stage1, &text);
	return strbuf_detach(&text);
}

/* The last whole line of the journal.  Of a pod that does not run it is what
 * a killed stage1 left, and no update any more. */
static void load_update(const struct pod *pod, struct pod_info *info)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct history_entry e;
	char *next;

	if (info->state != POD_STATE_RUNNING ||
	    read_file_at(pod->fd, POD_JOURNAL_FILE, SMALL_FILE_MAX, &text,
			 NULL) < 0)
		return;
	next = text.buf;
	while (history_next(&next, &e)) {
		history_entry_release(&info->update);
		info->update = e;
	}
}

/* A pod that is being prepared has no manifest yet. */
static int load_manifest(const struct pod *pod, struct pod_info *info,
			 struct error *err)
{
	int r = pod_manifest_load_committed(pod->fd, &info->manifest, err);

	if (r == -ENOENT &&
	    (pod->dir == POD_EMBRYO || pod->dir == POD_PREPARE)) {
		if (err)
			*err = (struct error)ERROR_INIT;
		return 0;
	}
	return r;
}

int pod_info_load(const struct pod *pod, struct pod_info *ret,
		  struct error *err)
{
	cleanup_pod_info struct pod_info info = POD_INFO_INIT;
	int r = load_manifest(pod, &info, err);

	if (r < 0)
		return error_wrap(err, r, "read pod %s", pod->uuid);
	memcpy(info.uuid, pod->uuid, sizeof(info.uuid));
	info.state = pod_state(pod);
	info.name = pod_name_get(pod);
	info.created_ns = mtime_of(pod->fd, POD_CREATED_FILE);
	info.started_ns = mtime_of(pod->fd, POD_PID_FILE);
	if (!info.started_ns)
		info.started_ns = mtime_of(pod->fd, POD_PPID_FILE);
	if (pod_pid(pod, &info.pid, NULL) < 0)
		info.pid = 0;
	info.runtime_version = load_runtime_version(pod);
	info.stage1 = load_stage1(pod);
	load_update(pod, &info);
	load_nets(pod->fd, &info.nets);
	load_isolators(pod->fd, &info.isolators);
	info.apps = xcalloc(info.manifest.n_apps + 1, sizeof(*info.apps));
	for (size_t i = 0; i < info.manifest.n_apps; i++)
		load_app(pod, &info, &info.manifest.apps[i], &info.apps[i]);
	*ret = info;
	info = (struct pod_info)POD_INFO_INIT;
	return 0;
}

static void load_held(const struct auto_update_record *record,
		      const char *history, struct app_info *app)
{
	cleanup_strbuf struct strbuf current = STRBUF_INIT;
	cleanup_strv struct strv images = STRV_INIT;
	cleanup_strv struct strv why = STRV_INIT;
	struct auto_update_facts facts = {.app = app->name, .history = history};

	app_info_image_name(app, &current);
	facts.current = current.buf;
	auto_update_find_held(record, &facts, 1, &images, &why);
	for (size_t i = 0; i < images.n; i++) {
		struct image_id id;
		bool is_id = image_id_parse(images.v[i], &id, NULL) == 0;

		if (is_id ? strcmp(id.text, app->ra->image.id) == 0
			  : !auto_update_is_higher(images.v[i], facts.current))
			continue;
		make_printable(images.v[i]);
		strv_push(&app->held, images.v[i]);
		strv_push(&app->held_why, why.v[i]);
	}
}

void pod_info_load_held(const struct pod *pod, struct pod_info *info)
{
	cleanup_auto_update_record struct auto_update_record record =
		AUTO_UPDATE_RECORD_INIT;
	cleanup_strbuf struct strbuf history = STRBUF_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	(void)read_file_at(pod->fd, POD_HISTORY_FILE, HISTORY_MAX, &history,
			   NULL);
	if (read_file_at(pod->fd, POD_AUTO_UPDATE_FILE, SMALL_FILE_MAX, &text,
			 NULL) == 0)
		(void)auto_update_record_parse(text.buf, text.len, &record,
					       NULL);
	info->held_since = record.held;
	for (size_t i = 0; i < info->manifest.n_apps; i++)
		load_held(&record, history.len ? history.buf : "",
			  &info->apps[i]);
}

void pod_info_release(struct pod_info *info)
{
	for (size_t i = 0; info->apps && i < info->manifest.n_apps; i++) {
		free(info->apps[i].health);
		free(info->apps[i].status);
		free(info->apps[i].bus_error);
		strv_release(&info->apps[i].held);
		strv_release(&info->apps[i].held_why);
	}
	free(info->apps);
	free(info->name);
	free(info->runtime_version);
	free(info->stage1);
	pod_manifest_release(&info->manifest);
	net_info_release(&info->nets);
	strv_release(&info->isolators);
	history_entry_release(&info->update);
	*info = (struct pod_info)POD_INFO_INIT;
}

/* --- texts -----------------------------------------------------------------
 */

void pod_info_networks(const struct pod_info *info, struct strbuf *out)
{
	bool first = true;

	for (size_t i = 0; i < info->nets.n; i++) {
		const struct net_info *net = &info->nets.v[i];

		if (!*net->ip)
			continue;
		strbuf_addf(out, "%s%s:ip4=%s", first ? "" : ", ",
			    net->net_name, net->ip);
		first = false;
	}
}

void app_info_image_name(const struct app_info *app, struct strbuf *out)
{
	const struct runtime_image *image = &app->ra->image;
	const char *version = name_values_get(&image->labels, "version");

	if (!image->name)
		strbuf_addstr(out, "--");
	else if (version)
		strbuf_addf(out, "%s:%s", image->name, version);
	else
		strbuf_addstr(out, image->name);
}

/* --- JSON ------------------------------------------------------------------
 */

static void add_int_if(struct json_writer *w, const char *key, int64_t value)
{
	if (value)
		json_add_int(w, key, value);
}

bool app_info_mount(const struct pod_info *info, const struct app_info *app,
		    const struct mount *m, char **ret_host)
{
	const struct volume *v =
		m->has_app_volume
			? &m->app_volume
			: pod_manifest_find_volume(&info->manifest, m->volume);

	*ret_host = NULL;
	if (v && v->source)
		*ret_host = m->sub_path
				    ? xasprintf("%s/%s", v->source, m->sub_path)
				    : xstrdup(v->source);
	return v && runtime_app_mounts_read_only(app->ra, m, v);
}

static void write_mount(const struct pod_info *info, const struct app_info *app,
			const struct mount *m, struct json_writer *w)
{
	cleanup_free char *host = NULL;
	bool read_only = app_info_mount(info, app, m, &host);

	json_open_object(w, NULL);
	json_add_string_if(w, "name", m->volume);
	json_add_string_if(w, "container_path", m->path);
	json_add_string_if(w, "host_path", host);
	if (read_only)
		json_add_bool(w, "read_only", true);
	json_close_object(w);
}

static void write_held(const struct app_info *app, struct json_writer *w)
{
	if (app->held.n == 0)
		return;
	json_open_array(w, "held");
	for (size_t i = 0; i < app->held.n; i++) {
		json_open_object(w, NULL);
		json_add_string(w, "image", app->held.v[i]);
		json_add_string(w, "reason", app->held_why.v[i]);
		json_close_object(w);
	}
	json_close_array(w);
}

void app_info_write(const struct pod_info *info, const struct app_info *app,
		    struct json_writer *w)
{
	const struct runtime_app *ra = app->ra;

	json_open_object(w, NULL);
	json_add_string(w, "name", app->name);
	json_add_string(w, "state", app->state);
	add_int_if(w, "created_at", app->created_ns);
	add_int_if(w, "started_at", app->started_ns);
	add_int_if(w, "finished_at", app->finished_ns);
	if (app->has_exit_code)
		json_add_int(w, "exit_code", app->exit_code);
	if (app->was_restarted) {
		json_add_int(w, "restarts", app->restarts);
		json_add_int(w, "last_exit_code", app->last_exit_code);
	}
	json_add_string_if(w, "health", app->health);
	json_add_string_if(w, "image_id", ra->image.id);
	json_add_string_if(w, "image_name", ra->image.name);
	json_add_string_if(w, "version",
			   name_values_get(&ra->image.labels, "version"));
	add_int_if(w, "generation", app->generation);
	if (app->has_told)
		json_add_bool(w, "ready", app->ready);
	if (app->reloading)
		json_add_bool(w, "reloading", true);
	if (app->stopping)
		json_add_bool(w, "stopping", true);
	add_int_if(w, "errno", app->error);
	json_add_string_if(w, "buserror", app->bus_error);
	json_add_string_if(w, "status", app->status);
	write_held(app, w);
	if (ra->n_mounts > 0) {
		json_open_array(w, "mounts");
		for (size_t i = 0; i < ra->n_mounts; i++)
			write_mount(info, app, &ra->mounts[i], w);
		json_close_array(w);
	}
	name_values_write_map(&ra->app.user_annotations, "user_annotations", w);
	name_values_write_map(&ra->app.user_labels, "user_labels", w);
	json_close_object(w);
}

static void write_update(const struct history_entry *e, struct json_writer *w)
{
	if (!e->app)
		return;
	json_open_object(w, "update");
	json_add_string(w, "app", e->app);
	json_add_string(w, "state", update_state_text(e->state));
	json_add_uint(w, "from", e->from);
	json_add_uint(w, "to", e->to);
	json_add_string(w, "text", e->text);
	json_close_object(w);
}

void pod_info_write(const struct pod_info *info, const char *key,
		    struct json_writer *w)
{
	const struct pod_manifest *pm = &info->manifest;

	json_open_object(w, key);
	json_add_string(w, "name", info->uuid);
	json_add_string_if(w, "pod_name", info->name);
	json_add_string(w, "state", pod_state_text(info->state));
	json_add_string_if(w, "runtime_version", info->runtime_version);
	json_add_string_if(w, "stage1", info->stage1);
	if (info->nets.n > 0)
		net_info_write(&info->nets, "networks", w);
	if (pm->n_apps > 0) {
		json_open_array(w, "app_names");
		for (size_t i = 0; i < pm->n_apps; i++)
			json_add_string(w, NULL, pm->apps[i].name);
		json_close_array(w);
		json_open_array(w, "apps");
		for (size_t i = 0; i < pm->n_apps; i++)
			app_info_write(info, &info->apps[i], w);
		json_close_array(w);
	}
	add_int_if(w, "created_at", info->created_ns / SECOND);
	add_int_if(w, "started_at", info->started_ns / SECOND);
	add_int_if(w, "auto_update_held_at", info->held_since);
	write_update(&info->update, w);
	if (info->isolators.n > 0)
		json_add_strv(w, "unenforced_isolators", &info->isolators);
	name_values_write_map(&pm->user_annotations, "user_annotations", w);
	name_values_write_map(&pm->user_labels, "user_labels", w);
	json_close_object(w);
}

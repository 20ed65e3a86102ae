/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/app_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "base/test_hooks.h"
#include "spec/pod_manifest.h"
#include "spec/stage1_abi.h"
#include "stage0/generation.h"
#include "stage0/prepare.h"
#include "stage0/update.h"

/* --- coming ----------------------------------------------------------------
 */

static int make_mark(int poddir_fd, const char *dir, const char *app,
		     struct error *err)
{
	cleanup_free char *name = xasprintf("%s/%s", dir, app);

	if (mkdirat(poddir_fd, dir, 0750) < 0 && errno != EEXIST)
		return error_sys(err, errno, "make %s", dir);
	return write_new_file_at(poddir_fd, name, 0644, "", 0, err);
}

static int write_next(int poddir_fd, const struct pod_manifest *pm,
		      struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	pod_manifest_write(pm, JSON_COMPACT_STYLE, &text);
	return write_file_at(poddir_fd, POD_ADD_FILE, 0640, text.buf, text.len,
			     err);
}

int app_files_write(int poddir_fd, const struct app_files *f,
		    unsigned int *ret_n, struct error *err)
{
	const struct runtime_app *ra = pod_manifest_find_app(f->pm, f->app);
	int r = update_next_number(poddir_fd, f->app, ret_n, err);

	if (r == 0)
		r = generation_write(poddir_fd, *ret_n, ra, f->image,
				     f->tree_fd, err);
	test_stop_at("app-generation");
	if (r == 0)
		r = generation_commit(poddir_fd, f->app, *ret_n, false, err);
	if (r == 0)
		r = app_args_save(poddir_fd, f->app, f->words, false, err);
	if (r == 0)
		r = make_mark(poddir_fd, POD_IDLE_DIR, f->app, err);
	if (r == 0)
		r = make_mark(poddir_fd, POD_ADDED_DIR, f->app, err);
	if (r == 0)
		r = pod_volumes_make(poddir_fd, f->pm, err);
	test_stop_at("app-files");
	return r < 0 ? r : write_next(poddir_fd, f->pm, err);
}

/* --- going -----------------------------------------------------------------
 */

/* "APP", "APP-started" and "APP.anything". */
static bool is_of_app(const char *name, const char *app)
{
	size_t len = strlen(app);

	return strncmp(name, app, len) == 0 &&
	       (name[len] == '\0' || name[len] == '.' ||
		strcmp(name + len, "-started") == 0);
}

static int remove_files(int poddir_fd, const char *dir, const char *app,
			struct error *err)
{
	cleanup_fd int fd =
		openat(poddir_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_strv struct strv names = STRV_INIT;
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0;
	r = fd < 0 ? -errno : dir_names(fd, &names);
	for (size_t i = 0; r == 0 && i < names.n; i++)
		if (is_of_app(names.v[i], app) &&
		    unlinkat(fd, names.v[i], 0) < 0)
			r = -errno;
	return r < 0 ? error_sys(err, -r, "remove app %s from %s", app, dir)
		     : 0;
}

int app_files_remove(int poddir_fd, const char *app, struct error *err)
{
	/* What finds the others comes last. */
	static const char *const dirs[] = {
		POD_STATUS_DIR, POD_LOGS_DIR,  POD_ARGS_DIR,	 POD_ASKED_DIR,
		POD_IDLE_DIR,	POD_ADDED_DIR, POD_APPSINFO_DIR,
	};
	cleanup_free char *generations =
		xasprintf(POD_GENERATIONS_DIR "/%s", app);
	int r = 0;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs) && r == 0; i++)
		r = remove_files(poddir_fd, dirs[i], app, err);
	test_stop_at("app-files-removed");
	return r < 0 ? r : remove_tree_at(poddir_fd, generations, err);
}

int app_files_sweep(int poddir_fd, const struct pod_manifest *pm,
		    struct error *err)
{
	cleanup_fd int fd = openat(poddir_fd, POD_GENERATIONS_DIR,
				   O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_strv struct strv names = STRV_INIT;
	int r;

	(void)unlinkat(poddir_fd, POD_ADD_FILE, 0);
	r = fd < 0 ? -errno : dir_names(fd, &names);
	if (r < 0)
		return error_sys(err, -r, "read " POD_GENERATIONS_DIR);
	for (size_t i = 0; i < names.n && r == 0; i++)
		if (!pod_manifest_find_app(pm, names.v[i]))
			r = app_files_remove(poddir_fd, names.v[i], err);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/config_load.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/stage1_abi.h"

static void secret_release(struct strbuf *sb)
{
	if (sb->alloc)
		explicit_bzero(sb->buf, sb->alloc);
	strbuf_release(sb);
}

static bool has_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && strcmp(s + n - m, suffix) == 0;
}

/* A user may be forbidden to read the host's credentials, which are then not
 * meant for her.  CODE is from opening what ST says. */
static bool is_for_others(int code, enum config_subdir subdir,
			  const struct stat *st)
{
	return code == EACCES && subdir == CONFIG_AUTH_D &&
	       st->st_uid != geteuid();
}

/* What is no regular file is no configuration. */
static int load_file(int dirfd, const char *name, enum config_subdir subdir,
		     struct config *config, struct error *err)
{
	__attribute__((__cleanup__(secret_release))) struct strbuf text =
		STRBUF_INIT;
	cleanup_fd int fd = -EBADF;
	struct stat st;
	int r;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(err, errno, "stat");
	if (!S_ISREG(st.st_mode))
		return 0;
	fd = openat(dirfd, name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && is_for_others(errno, subdir, &st)) {
		log_debug("no credentials are taken from %s: %s", name,
			  strerrordesc_np(EACCES));
		return 0;
	}
	if (fd < 0)
		return error_sys(err, errno, "open");
	r = strbuf_read_fd(&text, fd, MANIFEST_MAX);
	if (r < 0)
		return error_sys(err, -r, "read");
	r = config_add_file(config, subdir, text.buf, text.len, err);
	return r < 0 ? r : (st.st_mode & S_IROTH) != 0;
}

static int load_subdir(const char *dir, enum config_subdir subdir,
		       struct config *config, struct error *err)
{
	cleanup_free char *path =
		xasprintf("%s/%s", dir, config_subdir_name(subdir));
	cleanup_strv struct strv names = STRV_INIT;
	cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;
	struct stat st;

	if (r == -ENOENT ||
	    (r < 0 && stat(path, &st) == 0 && is_for_others(-r, subdir, &st)))
		return 0;
	if (r < 0)
		return error_sys(err, -r, "open configuration directory %s",
				 path);
	r = dir_names(fd, &names);
	if (r < 0)
		return error_sys(err, -r, "read %s", path);
	for (size_t i = 0; i < names.n; i++) {
		if (!has_suffix(names.v[i], ".json"))
			continue;
		r = load_file(fd, names.v[i], subdir, config, err);
		if (r < 0)
			return error_prefix(err, r, "configuration file %s/%s",
					    path, names.v[i]);
		if (r > 0 && subdir == CONFIG_AUTH_D)
			log_warning("%s/%s holds credentials and every user "
				    "may read it (try chmod o-r)",
				    path, names.v[i]);
	}
	return 0;
}

static int load_dir(const char *dir, unsigned int subdirs,
		    struct config *config, struct error *err)
{
	cleanup_config struct config one = CONFIG_INIT;
	int r = 0;

	for (int i = 0; r >= 0 && i < CONFIG_SUBDIR_MAX; i++)
		if (subdirs & CONFIG_BIT(i))
			r = load_subdir(dir, (enum config_subdir)i, &one, err);
	if (r >= 0)
		config_override(config, &one);
	return r;
}

int config_load(const struct config_dirs *dirs, unsigned int subdirs,
		struct config *ret, struct error *err)
{
	const char *const in_order[] = {dirs->system_dir, dirs->local_dir,
					dirs->user_dir};
	cleanup_config struct config config = CONFIG_INIT;

	for (size_t i = 0; i < sizeof(in_order) / sizeof(*in_order); i++) {
		int r = in_order[i]
				? load_dir(in_order[i], subdirs, &config, err)
				: 0;

		if (r < 0)
			return r;
	}
	*ret = config;
	config = (struct config)CONFIG_INIT;
	return 0;
}

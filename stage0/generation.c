/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/generation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/imagestore.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "spec/pod_manifest.h"
#include "spec/stage1_abi.h"
#include "stage0/pod_files.h"
#include "stage0/tree_copy.h"

#define GENERATION_MAX 1000000U

int pod_image_load(struct imagestore *store, const struct image_id *id,
		   struct pod_image *ret, struct error *err)
{
	int r = imagestore_read_manifest(store, id, &ret->text, err);

	if (r == 0)
		r = image_manifest_parse(ret->text.buf, ret->text.len,
					 &ret->manifest, err);
	if (r < 0)
		return error_prefix(err, r, "stored manifest of %.*s",
				    IMAGE_ID_FULL_LEN, id->text);
	ret->id = *id;
	return 0;
}

void pod_image_release(struct pod_image *image)
{
	strbuf_release(&image->text);
	image_manifest_release(&image->manifest);
}

static char *generation_path(const char *app, unsigned int n)
{
	return xasprintf(POD_GENERATIONS_DIR "/%s/%u", app, n);
}

static int make_parents(int poddir_fd, const char *app, struct error *err)
{
	cleanup_free char *path = xasprintf(POD_GENERATIONS_DIR "/%s", app);

	if (mkdirat(poddir_fd, path, 0750) == 0 || errno == EEXIST)
		return 0;
	if (errno == ENOENT &&
	    mkdirat(poddir_fd, POD_GENERATIONS_DIR, 0750) == 0 &&
	    mkdirat(poddir_fd, path, 0750) == 0)
		return 0;
	return error_sys(err, errno, "make %s", path);
}

static int copy_tree(int dirfd, int tree_fd, struct error *err)
{
	cleanup_fd int to = -EBADF;

	if (mkdirat(dirfd, GENERATION_ROOTFS_DIR, 0755) < 0)
		return error_sys(err, errno, "make " GENERATION_ROOTFS_DIR);
	to = openat(dirfd, GENERATION_ROOTFS_DIR,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return error_sys(err, errno, "open " GENERATION_ROOTFS_DIR);
	return tree_copy(tree_fd, to, err);
}

static int write_files(int dirfd, const struct runtime_app *ra,
		       const struct pod_image *image, int tree_fd,
		       struct error *err)
{
	cleanup_strbuf struct strbuf app = STRBUF_INIT;
	int r;

	runtime_app_write(ra, JSON_COMPACT_STYLE, &app);
	r = pod_file_new(dirfd, GENERATION_MANIFEST_FILE, 0644, image->text.buf,
			 image->text.len, err);
	if (r == 0)
		r = pod_file_new(dirfd, GENERATION_APP_FILE, 0640, app.buf,
				 app.len, err);
	if (r == 0)
		r = pod_file_new(dirfd, GENERATION_IMAGE_ID_FILE, 0644,
				 image->id.text, strlen(image->id.text), err);
	if (r == 0 && tree_fd >= 0)
		r = copy_tree(dirfd, tree_fd, err);
	return r;
}

int generation_write(int poddir_fd, unsigned int n,
		     const struct runtime_app *ra,
		     const struct pod_image *image, int tree_fd,
		     struct error *err)
{
	cleanup_free char *path = generation_path(ra->name, n);
	cleanup_fd int dirfd = -EBADF;
	int r = make_parents(poddir_fd, ra->name, err);

	if (r < 0)
		return r;
	if (mkdirat(poddir_fd, path, 0750) < 0)
		return error_sys(err, errno, "make %s", path);
	dirfd = openat(poddir_fd, path,
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dirfd < 0)
		return error_sys(err, errno, "open %s", path);
	return write_files(dirfd, ra, image, tree_fd, err);
}

int generation_app_load(int poddir_fd, const char *app, unsigned int n,
			struct runtime_app *ret, struct error *err)
{
	cleanup_free char *dir = generation_path(app, n);
	cleanup_free char *path = xasprintf("%s/" GENERATION_APP_FILE, dir);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = read_file_at(poddir_fd, path, MANIFEST_MAX, &text, err);

	return r < 0 ? r : runtime_app_parse(text.buf, text.len, ret, err);
}

int generation_remove(int poddir_fd, const char *app, unsigned int n,
		      struct error *err)
{
	cleanup_free char *path = generation_path(app, n);
	cleanup_free char *id = xasprintf("%s/" GENERATION_IMAGE_ID_FILE, path);

	/* Nobody may go back to what is half gone. */
	if (unlinkat(poddir_fd, id, 0) < 0 && errno != ENOENT)
		return error_sys(err, errno, "remove %s", id);
	return remove_tree_at(poddir_fd, path, err);
}

int generation_commit(int poddir_fd, const char *app, unsigned int n, bool sync,
		      struct error *err)
{
	cleanup_free char *target =
		xasprintf("../" POD_GENERATIONS_DIR "/%s/%u", app, n);
	cleanup_free char *link = xasprintf(POD_APPSINFO_DIR "/%s", app);
	cleanup_free char *temp = xasprintf(POD_APPSINFO_DIR "/.%s.tmp", app);
	cleanup_fd int dirfd = -EBADF;

	if (symlinkat(target, poddir_fd, link) < 0) {
		if (errno != EEXIST)
			return error_sys(err, errno, "make %s", link);
		(void)unlinkat(poddir_fd, temp, 0);
		if (symlinkat(target, poddir_fd, temp) < 0 ||
		    renameat(poddir_fd, temp, poddir_fd, link) < 0)
			return error_sys(err, errno, "replace %s", link);
	}
	if (!sync)
		return 0;
	dirfd = openat(poddir_fd, POD_APPSINFO_DIR,
		       O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0 || fsync(dirfd) < 0)
		return error_sys(err, errno, "sync " POD_APPSINFO_DIR);
	return 0;
}

static int parse_number(const char *s, unsigned int *ret)
{
	uint64_t n;

	if (parse_uint(s, GENERATION_MAX, &n) < 0 || n == 0)
		return -EINVAL;
	*ret = (unsigned int)n;
	return 0;
}

int generation_current(int poddir_fd, const char *app, unsigned int *ret,
		       struct error *err)
{
	cleanup_free char *link = xasprintf(POD_APPSINFO_DIR "/%s", app);
	char target[512];
	ssize_t n = readlinkat(poddir_fd, link, target, sizeof(target) - 1);

	if (n < 0)
		return error_sys(err, errno, "find generation of app %s", app);
	target[n] = '\0';
	if (parse_number(path_base(target), ret) < 0)
		return error_set(err, EINVAL, "%s leads to %s", link, target);
	return 0;
}

int generation_list(int poddir_fd, const char *app, unsigned int **ret,
		    size_t *ret_n, struct error *err)
{
	cleanup_free char *path = xasprintf(POD_GENERATIONS_DIR "/%s", app);
	cleanup_dir DIR *dir = NULL;
	struct dirent *de;
	unsigned int n;
	int fd;

	*ret = NULL;
	*ret_n = 0;
	fd = openat(poddir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		fd_close(&fd);
		return error_sys(err, errno, "read %s", path);
	}
	while ((de = readdir(dir)) != NULL) {
		if (parse_number(de->d_name, &n) < 0)
			continue;
		*ret = xreallocarray(*ret, *ret_n + 1, sizeof(**ret));
		(*ret)[(*ret_n)++] = n;
	}
	return 0;
}

int generation_highest(int poddir_fd, const char *app, unsigned int *ret,
		       struct error *err)
{
	cleanup_free unsigned int *numbers = NULL;
	size_t n;
	int r = generation_list(poddir_fd, app, &numbers, &n, err);

	*ret = 0;
	for (size_t i = 0; i < n; i++)
		if (numbers[i] > *ret)
			*ret = numbers[i];
	return r;
}

int generation_image_id(int poddir_fd, const char *app, unsigned int n,
			struct image_id *ret, struct error *err)
{
	cleanup_free char *path = xasprintf(
		POD_GENERATIONS_DIR "/%s/%u/" GENERATION_IMAGE_ID_FILE, app, n);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = read_file_at(poddir_fd, path, IMAGE_ID_LEN, &text, err);

	if (r == 0)
		r = image_id_parse(text.buf, ret, err);
	return r;
}

int generation_image_load(int poddir_fd, const char *app, unsigned int n,
			  struct pod_image *ret, struct error *err)
{
	cleanup_free char *path = xasprintf(
		POD_GENERATIONS_DIR "/%s/%u/" GENERATION_MANIFEST_FILE, app, n);
	int r = generation_image_id(poddir_fd, app, n, &ret->id, err);

	if (r == 0)
		r = read_file_at(poddir_fd, path, MANIFEST_MAX, &ret->text,
				 err);
	if (r == 0)
		r = image_manifest_parse(ret->text.buf, ret->text.len,
					 &ret->manifest, err);
	return r;
}

static char *copy_path(const char *app, unsigned int n)
{
	return xasprintf(POD_GENERATIONS_DIR "/%s/%u/" GENERATION_ROOTFS_DIR,
			 app, n);
}

bool generation_is_copy(int poddir_fd, const char *app, unsigned int n)
{
	cleanup_free char *path = copy_path(app, n);

	return faccessat(poddir_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int generation_tree_open(int poddir_fd, const char *app, unsigned int n,
			 int *ret, struct error *err)
{
	cleanup_free char *path = copy_path(app, n);
	int fd = openat(poddir_fd, path,
			O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return error_sys(err, errno, "open %s", path);
	*ret = fd;
	return 0;
}

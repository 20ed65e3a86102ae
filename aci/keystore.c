/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/keystore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/acidentifier.h"

#define KEYS_MAX 256

static void trusted_key_release(struct trusted_key *key)
{
	fd_close(&key->fd);
	free(key->path);
	key->path = NULL;
}

void trusted_keys_release(struct trusted_keys *keys)
{
	for (size_t i = 0; i < keys->n; i++)
		trusted_key_release(&keys->v[i]);
	free(keys->v);
	keys->v = NULL;
	keys->n = 0;
}

bool keystore_is_fingerprint(const char *name)
{
	return strlen(name) == KEY_FINGERPRINT_LEN &&
	       strspn(name, "0123456789abcdef") == KEY_FINGERPRINT_LEN;
}

/* The identifier grammar has no empty component and no "..": checked again
 * here because a file name is made of it. */
static bool is_safe_component(const char *s)
{
	return *s && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

int keystore_dirs_make(struct strv *ret, const char *name, struct error *err)
{
	cleanup_strbuf struct strbuf dir = STRBUF_INIT;
	cleanup_strv struct strv parts = STRV_INIT;
	int r;

	r = acidentifier_check(name, err);
	if (r < 0)
		return r;
	strv_split(&parts, name, '/');
	strv_push(ret, "root.d");
	strbuf_addstr(&dir, "prefix.d");
	for (size_t i = 0; i < parts.n; i++) {
		if (!is_safe_component(parts.v[i])) {
			strv_release(ret);
			return error_set(err, EINVAL,
					 "image name %s has a component that "
					 "can't be a directory",
					 name);
		}
		strbuf_addf(&dir, "/%s", parts.v[i]);
		strv_push(ret, dir.buf);
	}
	return 0;
}

static void keys_remove(struct trusted_keys *keys, const char *fingerprint)
{
	for (size_t i = 0; i < keys->n; i++) {
		if (strcmp(keys->v[i].fingerprint, fingerprint) != 0)
			continue;
		trusted_key_release(&keys->v[i]);
		keys->v[i] = keys->v[--keys->n];
		return;
	}
}

/* Takes FD and PATH. */
static void keys_put(struct trusted_keys *keys, const char *fingerprint, int fd,
		     char *path)
{
	struct trusted_key *key;

	keys_remove(keys, fingerprint);
	keys->v = xreallocarray(keys->v, keys->n + 1, sizeof(*keys->v));
	key = &keys->v[keys->n++];
	memcpy(key->fingerprint, fingerprint, sizeof(key->fingerprint));
	key->fd = fd;
	key->path = path;
}

/* One directory entry: a key, a withdrawal, or nothing of ours. */
static int keys_add_file(struct trusted_keys *keys, int dirfd, const char *dir,
			 const char *name, struct error *err)
{
	cleanup_fd int fd = -EBADF;
	struct stat st;

	fd = openat(dirfd, name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 && errno == ELOOP) {
		log_debug("key store: %s/%s is a symbolic link: ignored", dir,
			  name);
		return 0;
	}
	if (fd < 0)
		return error_sys(err, errno, "open trusted key %s/%s", dir,
				 name);
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "stat trusted key %s/%s", dir,
				 name);
	if (S_ISDIR(st.st_mode))
		return 0; /* the next component of a longer prefix */
	if (!S_ISREG(st.st_mode) || !keystore_is_fingerprint(name)) {
		log_debug("key store: %s/%s is no key file: ignored", dir,
			  name);
		return 0;
	}
	if (st.st_size == 0) {
		keys_remove(keys, name);
		return 0;
	}
	if (st.st_size > (off_t)KEY_FILE_MAX)
		return error_set(err, EFBIG,
				 "trusted key %s/%s is larger than %lu bytes",
				 dir, name, KEY_FILE_MAX);
	if (keys->n >= KEYS_MAX)
		return error_set(err, E2BIG,
				 "more than %d trusted keys for one image",
				 KEYS_MAX);
	keys_put(keys, name, TAKE_FD(fd), xasprintf("%s/%s", dir, name));
	return 0;
}

static int keys_add_dir(struct trusted_keys *keys, const char *config_dir,
			const char *rel, struct error *err)
{
	cleanup_free char *path = NULL;
	cleanup_dir DIR *dir = NULL;
	const struct dirent *e;

	path = xasprintf("%s/trustedkeys/%s", config_dir, rel);
	dir = opendir(path);
	if (!dir && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (!dir)
		return error_sys(err, errno, "open key directory %s", path);
	for (errno = 0; (e = readdir(dir)); errno = 0) {
		int r;

		if (e->d_name[0] == '.')
			continue;
		r = keys_add_file(keys, dirfd(dir), path, e->d_name, err);
		if (r < 0)
			return r;
	}
	if (errno)
		return error_sys(err, errno, "read key directory %s", path);
	return 0;
}

/* DIRS[from..to) in each configuration directory. */
static int keys_add_dirs(struct trusted_keys *keys, const struct keystore *ks,
			 const struct strv *dirs, size_t from, size_t to,
			 struct error *err)
{
	const char *const config[] = {ks->system_dir, ks->local_dir,
				      ks->user_dir};

	for (size_t c = 0; c < sizeof(config) / sizeof(config[0]); c++) {
		for (size_t i = from; config[c] && i < to; i++) {
			int r = keys_add_dir(keys, config[c], dirs->v[i], err);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

int keystore_find(const struct keystore *ks, const char *name,
		  struct trusted_keys *ret, struct error *err)
{
	cleanup_trusted_keys struct trusted_keys keys = TRUSTED_KEYS_INIT;
	cleanup_strv struct strv dirs = STRV_INIT;
	int r;

	r = keystore_dirs_make(&dirs, name, err);
	if (r < 0)
		return r;
	r = keys_add_dirs(&keys, ks, &dirs, 0, 1, err);
	if (r < 0)
		return r;
	r = keys_add_dirs(&keys, ks, &dirs, 1, dirs.n, err);
	if (r < 0)
		return r;
	*ret = keys;
	keys = (struct trusted_keys)TRUSTED_KEYS_INIT;
	return 0;
}

/* DIRFD is replaced by its sub-directory NAME, made 0755 if missing. */
static int enter_dir(int *dirfd, const char *name, struct error *err)
{
	cleanup_fd int fd = -EBADF;
	bool made = mkdirat(*dirfd, name, 0755) == 0;
	struct stat st;

	if (!made && errno != EEXIST)
		return error_sys(err, errno, "create key directory %s", name);
	fd = openat(*dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "open key directory %s", name);
	/* Whatever the umask: other users verify with these keys too. */
	if (made &&
	    (fstat(fd, &st) < 0 ||
	     fchmod(fd, (st.st_mode & 07777) | 0755) < 0 || fsync(*dirfd) < 0))
		return error_sys(err, errno, "set up key directory %s", name);
	fd_close(dirfd);
	*dirfd = TAKE_FD(fd);
	return 0;
}

static int open_config_dir(const char *dir, struct error *err)
{
	int fd;

	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return error_sys(err, errno,
				 "create configuration directory %s", dir);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "open configuration directory %s",
				 dir);
	return fd;
}

int keystore_add(const struct keystore *ks, const char *prefix,
		 const char *fingerprint, const void *data, size_t len,
		 char **ret_path, struct error *err)
{
	cleanup_strv struct strv dirs = STRV_INIT;
	cleanup_strv struct strv parts = STRV_INIT;
	cleanup_fd int fd = -EBADF;
	const char *dir = "root.d";
	int r;

	if (!keystore_is_fingerprint(fingerprint))
		return error_set(err, EINVAL,
				 "%s is no key fingerprint of 40 hex digits",
				 fingerprint);
	if (prefix) {
		r = keystore_dirs_make(&dirs, prefix, err);
		if (r < 0)
			return r;
		dir = dirs.v[dirs.n - 1];
	}
	fd = open_config_dir(ks->local_dir, err);
	if (fd < 0)
		return fd;
	r = enter_dir(&fd, "trustedkeys", err);
	strv_split(&parts, dir, '/');
	for (size_t i = 0; r >= 0 && i < parts.n; i++)
		r = enter_dir(&fd, parts.v[i], err);
	if (r < 0)
		return r;
	r = atomic_file_write(fd, fingerprint, 0644, data, len, err);
	if (r < 0)
		return r;
	*ret_path = xasprintf("%s/trustedkeys/%s/%s", ks->local_dir, dir,
			      fingerprint);
	return 0;
}

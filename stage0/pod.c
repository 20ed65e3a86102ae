/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/pod.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/test_hooks.h"
#include "spec/acname.h"
#include "spec/stage1_abi.h"

#define NAMES_DIR "names"
#define POD_PATH_MAX 96

static const struct {
	const char *name;
	enum pod_state locked;
	enum pod_state unlocked;
} dirs[POD_DIR_MAX] = {
	[POD_EMBRYO] = {"embryo", POD_STATE_EMBRYO, POD_STATE_EMBRYO},
	[POD_PREPARE] = {"prepare", POD_STATE_PREPARING,
			 POD_STATE_ABORTED_PREPARE},
	[POD_PREPARED] = {"prepared", POD_STATE_PREPARED, POD_STATE_PREPARED},
	[POD_RUN] = {"run", POD_STATE_RUNNING, POD_STATE_EXITED},
	[POD_EXITED_GARBAGE] = {"exited-garbage", POD_STATE_EXITED_DELETING,
				POD_STATE_EXITED_GARBAGE},
	[POD_GARBAGE] = {"garbage", POD_STATE_DELETING, POD_STATE_GARBAGE},
};

static const char *const state_texts[] = {
	[POD_STATE_EMBRYO] = "embryo",
	[POD_STATE_PREPARING] = "preparing",
	[POD_STATE_ABORTED_PREPARE] = "aborted prepare",
	[POD_STATE_PREPARED] = "prepared",
	[POD_STATE_RUNNING] = "running",
	[POD_STATE_EXITED] = "exited",
	[POD_STATE_EXITED_DELETING] = "exited deleting",
	[POD_STATE_EXITED_GARBAGE] = "exited garbage",
	[POD_STATE_DELETING] = "deleting",
	[POD_STATE_GARBAGE] = "garbage",
};

/* Where commands look for a pod.  A pod only moves on while it is searched
 * for, so a second round finds what slipped past the first. */
static const enum pod_dir searched[] = {POD_RUN, POD_PREPARED, POD_PREPARE,
					POD_EXITED_GARBAGE};
#define N_SEARCHED (sizeof(searched) / sizeof(searched[0]))

const char *pod_dir_name(enum pod_dir dir)
{
	return dirs[dir].name;
}

const char *pod_state_text(enum pod_state state)
{
	return state_texts[state];
}

static const char *pod_path(enum pod_dir dir, const char *uuid,
			    char buf[POD_PATH_MAX])
{
	(void)snprintf(buf, POD_PATH_MAX, "pods/%s/%s", dirs[dir].name, uuid);
	return buf;
}

int pods_open(struct pods *ret, const char *dir, struct error *err)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno != ENOENT)
		return error_sys(err, errno, "open data directory %s", dir);
	*ret = (struct pods){.dir = dir, .data_fd = fd < 0 ? -EBADF : fd};
	return 0;
}

void pods_close(struct pods *pods)
{
	fd_close(&pods->data_fd);
}

void pod_close(struct pod *pod)
{
	fd_close(&pod->fd);
	pod->locked = false;
}

/* --- finding ---------------------------------------------------------------
 */

/* -ENOENT without message. */
static int try_open(const struct pods *pods, enum pod_dir dir, const char *uuid,
		    struct pod *ret, struct error *err)
{
	char path[POD_PATH_MAX];
	int fd;

	if (pods->data_fd < 0)
		return -ENOENT;
	fd = openat(pods->data_fd, pod_path(dir, uuid, path),
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return -ENOENT;
	if (fd < 0)
		return error_sys(err, errno, "open pod %s", uuid);
	*ret = (struct pod){.pods = pods, .dir = dir, .fd = fd};
	(void)snprintf(ret->uuid, sizeof(ret->uuid), "%s", uuid);
	return 0;
}

int pod_open_in(const struct pods *pods, enum pod_dir dir, const char *uuid,
		struct pod *ret, struct error *err)
{
	int r = try_open(pods, dir, uuid, ret, err);

	if (r == -ENOENT)
		return error_set(err, ENOENT, "no pod %s in %s", uuid,
				 dirs[dir].name);
	return r;
}

static int open_full_uuid(const struct pods *pods, const char *uuid,
			  struct pod *ret, struct error *err)
{
	for (size_t i = 0; i < 2 * N_SEARCHED; i++) {
		int r = try_open(pods, searched[i % N_SEARCHED], uuid, ret,
				 err);

		if (r != -ENOENT)
			return r;
	}
	return error_set(err, ENOENT, "no matches found for \"%s\"", uuid);
}

static bool is_uuid(const char *s)
{
	struct uuid uuid;
	char text[UUID_TEXT_LEN + 1];

	if (strlen(s) != UUID_TEXT_LEN || uuid_parse(s, &uuid, NULL) < 0)
		return false;
	uuid_format(&uuid, text);
	return strcmp(text, s) == 0;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* UUIDs in DIR that start with PREFIX. */
static int list_dir(const struct pods *pods, enum pod_dir dir,
		    const char *prefix, struct strv *ret, struct error *err)
{
	cleanup_dir DIR *d = NULL;
	char path[POD_PATH_MAX];
	struct dirent *de;
	int fd;

	if (pods->data_fd < 0)
		return 0;
	fd = openat(pods->data_fd, pod_path(dir, "", path),
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return error_sys(err, errno, "open %s/%s", pods->dir, path);
	d = fdopendir(fd);
	if (!d) {
		fd_close(&fd);
		return error_sys(err, errno, "read %s/%s", pods->dir, path);
	}
	while (errno = 0, (de = readdir(d)) != NULL)
		if (strncmp(de->d_name, prefix, strlen(prefix)) == 0 &&
		    is_uuid(de->d_name) && !strv_has(ret, de->d_name))
			strv_push(ret, de->d_name);
	if (errno)
		return error_sys(err, errno, "read %s/%s", pods->dir, path);
	return 0;
}

int pods_list(const struct pods *pods, enum pod_dir dir, struct strv *ret,
	      struct error *err)
{
	int r = list_dir(pods, dir, "", ret, err);

	if (ret->n > 0)
		qsort(ret->v, ret->n, sizeof(*ret->v), compare_strings);
	return r;
}

static int open_prefix(const struct pods *pods, const char *prefix,
		       struct pod *ret, struct error *err)
{
	cleanup_strv struct strv found = STRV_INIT;

	for (size_t i = 0; i < 2 * N_SEARCHED; i++) {
		int r;

		if (i == N_SEARCHED && found.n > 0)
			break;
		r = list_dir(pods, searched[i % N_SEARCHED], prefix, &found,
			     err);
		if (r < 0)
			return r;
	}
	if (found.n == 0)
		return error_set(err, ENOENT, "no matches found for \"%s\"",
				 prefix);
	if (found.n > 1)
		return error_set(err, EINVAL, "ambiguous uuid, %zu matches",
				 found.n);
	return open_full_uuid(pods, found.v[0], ret, err);
}

int pod_open(const struct pods *pods, const char *word, struct pod *ret,
	     struct error *err)
{
	char lower[UUID_TEXT_LEN + 1];
	char named[UUID_TEXT_LEN + 1];
	size_t len = strlen(word);

	if (len == 0)
		return error_set(err, EINVAL, "UUID cannot be empty");
	if (pod_name_lookup(pods, word, named, NULL) == 0)
		return open_full_uuid(pods, named, ret, err);
	if (len > UUID_TEXT_LEN)
		return error_set(err, ENOENT, "no matches found for \"%s\"",
				 word);
	for (size_t i = 0; i <= len; i++)
		lower[i] = (char)tolower((unsigned char)word[i]);
	if (is_uuid(lower))
		return open_full_uuid(pods, lower, ret, err);
	return open_prefix(pods, lower, ret, err);
}

/* Who moves on meanwhile is found twice. */
static void drop_repeated(struct strv *sorted)
{
	size_t n = 0;

	for (size_t i = 0; i < sorted->n; i++) {
		if (n > 0 && strcmp(sorted->v[n - 1], sorted->v[i]) == 0)
			free(sorted->v[i]);
		else
			sorted->v[n++] = sorted->v[i];
	}
	if (sorted->v)
		sorted->v[n] = NULL;
	sorted->n = n;
}

int pods_list_shown(const struct pods *pods, struct strv *ret,
		    struct error *err)
{
	/* In the order pods move. */
	static const enum pod_dir shown[] = {POD_PREPARE, POD_PREPARED, POD_RUN,
					     POD_EXITED_GARBAGE};
	int r = 0;

	for (size_t i = 0; i < sizeof(shown) / sizeof(*shown) && r == 0; i++)
		r = list_dir(pods, shown[i], "", ret, err);
	strv_sort(ret);
	drop_repeated(ret);
	return r;
}

enum pod_state pod_state(const struct pod *pod)
{
	bool held = pod->locked || lock_is_held(pod->fd);

	return held ? dirs[pod->dir].locked : dirs[pod->dir].unlocked;
}

/* --- making and moving -----------------------------------------------------
 */

static int make_dirs(struct pods *pods, struct error *err)
{
	char path[POD_PATH_MAX];
	int r;

	if (pods->data_fd < 0) {
		r = mkdir_p_at(AT_FDCWD, pods->dir, 0755);
		if (r < 0)
			return error_sys(err, -r, "make data directory %s",
					 pods->dir);
		r = pods_open(pods, pods->dir, err);
		if (r < 0)
			return r;
	}
	if (mkdirat(pods->data_fd, "pods", 0750) < 0 && errno != EEXIST)
		return error_sys(err, errno, "make %s/pods", pods->dir);
	/* The one that make_embryo() asks for last: where it is, all are. */
	_Static_assert(POD_EMBRYO == 0, "made last");
	for (int d = POD_DIR_MAX - 1; d >= 0; d--) {
		(void)snprintf(path, sizeof(path), "pods/%s", dirs[d].name);
		if (mkdirat(pods->data_fd, path, 0750) < 0 && errno != EEXIST)
			return error_sys(err, errno, "make %s/%s", pods->dir,
					 path);
	}
	return 0;
}

static int make_embryo(struct pods *pods, const char *uuid, struct error *err)
{
	char path[POD_PATH_MAX];
	int r;

	pod_path(POD_EMBRYO, uuid, path);
	if (pods->data_fd >= 0 && mkdirat(pods->data_fd, path, 0750) == 0)
		return 0;
	if (pods->data_fd >= 0 && errno != ENOENT)
		return error_sys(err, errno, "make pod %s", uuid);
	r = make_dirs(pods, err);
	if (r < 0)
		return r;
	if (mkdirat(pods->data_fd, path, 0750) < 0)
		return error_sys(err, errno, "make pod %s", uuid);
	return 0;
}

static int try_new(struct pods *pods, struct pod *ret, struct error *err)
{
	cleanup_pod struct pod pod = POD_INIT;
	char uuid[UUID_TEXT_LEN + 1];
	struct uuid random;
	int r;

	r = uuid_random(&random, err);
	if (r < 0)
		return r;
	uuid_format(&random, uuid);
	r = make_embryo(pods, uuid, err);
	test_stop_at("new-embryo");
	if (r == 0)
		r = pod_open_in(pods, POD_EMBRYO, uuid, &pod, err);
	if (r < 0)
		return r;
	r = lock_wait(pod.fd, LOCK_EX);
	if (r < 0)
		return error_sys(err, -r, "lock pod %s", uuid);
	pod.locked = true;
	r = pod_move(&pod, POD_PREPARE, false, err);
	test_stop_at("new-prepare");
	if (r < 0)
		return r;
	*ret = pod;
	pod = (struct pod)POD_INIT;
	return 0;
}

int pod_new(struct pods *pods, struct pod *ret, struct error *err)
{
	int r = -ENOENT;

	/* gc takes an embryo for a dead one if it comes before the lock. */
	for (int tries = 0; r == -ENOENT && tries < 5; tries++)
		r = try_new(pods, ret, err);
	return r;
}

/* True if the path PHASE/UUID still is the directory we have open. */
static bool is_in_place(const struct pod *pod)
{
	char path[POD_PATH_MAX];
	struct stat ours, there;

	return fstat(pod->fd, &ours) == 0 &&
	       fstatat(pod->pods->data_fd, pod_path(pod->dir, pod->uuid, path),
		       &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

int pod_lock(struct pod *pod, struct error *err)
{
	const struct timespec ms = {.tv_nsec = 1000000};
	int r = -EBUSY;

	/* pod_state() of another command holds a shared lock for an instant:
	 * only a lock that stays is a holder. */
	for (int tries = 0; r == -EBUSY && tries < 20; tries++) {
		if (tries > 0)
			(void)nanosleep(&ms, NULL);
		r = lock_try(pod->fd, LOCK_EX);
	}
	if (r < 0)
		return error_sys(err, -r, "lock pod %s", pod->uuid);
	if (!is_in_place(pod)) {
		(void)flock(pod->fd, LOCK_UN);
		return error_set(err, ESTALE,
				 "pod %s was moved by another command",
				 pod->uuid);
	}
	pod->locked = true;
	return 0;
}

static int sync_dir_at(int dirfd, const char *path)
{
	cleanup_fd int fd = -EBADF;

	fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

int pod_move(struct pod *pod, enum pod_dir dir, bool sync, struct error *err)
{
	char from[POD_PATH_MAX];
	char to[POD_PATH_MAX];
	int data_fd;
	int r = 0;

	assert(pod->pods && pod->locked);
	data_fd = pod->pods->data_fd;
	pod_path(pod->dir, pod->uuid, from);
	pod_path(dir, pod->uuid, to);
	if (renameat(data_fd, from, data_fd, to) < 0)
		return error_sys(err, errno, "move pod %s to %s", pod->uuid,
				 dirs[dir].name);
	pod->dir = dir;
	if (sync)
		r = sync_dir_at(data_fd, pod_path(dir, "", to));
	if (r < 0)
		return error_sys(err, -r, "sync %s/%s", pod->pods->dir, to);
	return 0;
}

/* --- names -----------------------------------------------------------------
 */

static const char *name_path(const char *name, char *buf, size_t size)
{
	(void)snprintf(buf, size, NAMES_DIR "/%s", name);
	return buf;
}

int pod_name_lookup(const struct pods *pods, const char *name, char *ret,
		    struct error *err)
{
	char path[NAME_MAX + sizeof(NAMES_DIR) + 1];
	char uuid[UUID_TEXT_LEN + 1];
	ssize_t n = -1;

	/* An AC Name is one path component. */
	if (strlen(name) <= NAME_MAX && acname_check(name, NULL) == 0 &&
	    pods->data_fd >= 0)
		n = readlinkat(pods->data_fd,
			       name_path(name, path, sizeof(path)), uuid,
			       sizeof(uuid));
	if (n != UUID_TEXT_LEN)
		return error_set(err, ENOENT, "no pod is named %s", name);
	uuid[n] = '\0';
	if (!is_uuid(uuid))
		return error_set(err, ENOENT, "no pod is named %s", name);
	memcpy(ret, uuid, sizeof(uuid));
	return 0;
}

static bool exists(const struct pods *pods, const char *uuid)
{
	cleanup_pod struct pod pod = POD_INIT;

	return open_full_uuid(pods, uuid, &pod, NULL) == 0;
}

static int link_name(struct pod *pod, const char *name, struct error *err)
{
	int data_fd = pod->pods->data_fd;
	char path[NAME_MAX + sizeof(NAMES_DIR) + 1];
	char owner[UUID_TEXT_LEN + 1] = "";

	name_path(name, path, sizeof(path));
	for (int tries = 0; tries < 3; tries++) {
		if (symlinkat(pod->uuid, data_fd, path) == 0)
			return 0;
		if (errno != EEXIST)
			return error_sys(err, errno, "name pod %s", name);
		if (pod_name_lookup(pod->pods, name, owner, NULL) == 0 &&
		    strcmp(owner, pod->uuid) == 0)
			return 0;
		if (pod_name_lookup(pod->pods, name, owner, NULL) == 0 &&
		    exists(pod->pods, owner))
			break;
		/* Its pod is gone: a kill came between the two. */
		(void)unlinkat(data_fd, path, 0);
	}
	return error_set(err, EEXIST, "the name %s is pod %s's", name, owner);
}

int pod_name_set(struct pod *pod, const char *name, struct error *err)
{
	int data_fd = pod->pods->data_fd;
	int r = acname_check(name, err);

	if (r < 0)
		return r;
	if (strlen(name) > NAME_MAX)
		return error_set(err, EINVAL, "pod name %.32s... is too long",
				 name);
	if (is_uuid(name))
		return error_set(err, EINVAL, "a pod name cannot be a UUID");
	if (mkdirat(data_fd, NAMES_DIR, 0755) < 0 && errno != EEXIST)
		return error_sys(err, errno, "make %s/" NAMES_DIR,
				 pod->pods->dir);
	r = atomic_file_write(pod->fd, POD_NAME_FILE, 0644, name, strlen(name),
			      err);
	if (r == 0)
		r = link_name(pod, name, err);
	if (r == 0 && (r = sync_dir_at(data_fd, NAMES_DIR)) < 0)
		return error_sys(err, -r, "sync %s/" NAMES_DIR, pod->pods->dir);
	return r;
}

char *pod_name_get(const struct pod *pod)
{
	cleanup_strbuf struct strbuf name = STRBUF_INIT;

	if (read_file_at(pod->fd, POD_NAME_FILE, NAME_MAX, &name, NULL) < 0 ||
	    acname_check(name.buf, NULL) < 0)
		return NULL;
	return strbuf_detach(&name);
}

int pod_name_clear(struct pod *pod, struct error *err)
{
	cleanup_free char *name = pod_name_get(pod);
	char path[NAME_MAX + sizeof(NAMES_DIR) + 1];
	char owner[UUID_TEXT_LEN + 1];

	if (!name || pod_name_lookup(pod->pods, name, owner, NULL) < 0 ||
	    strcmp(owner, pod->uuid) != 0)
		return 0;
	if (unlinkat(pod->pods->data_fd, name_path(name, path, sizeof(path)),
		     0) < 0 &&
	    errno != ENOENT)
		return error_sys(err, errno, "remove pod name %s", name);
	return 0;
}

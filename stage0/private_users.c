/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/private_users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "base/test_hooks.h"
#include "base/user_ns.h"
#include "spec/stage1_abi.h"
#include "spec/user_range.h"
#include "spec/uuid.h"
#include "stage0/pod.h"
#include "stage0/pod_files.h"

#define SUBIDS_MAX (1024UL * 1024)
#define PRIVATE_USERS_RUN_DIR "/run/rkt"
#define PRIVATE_USERS_DIR PRIVATE_USERS_RUN_DIR "/users"
#define PRIVATE_USERS_CLAIM_MAX 4096
#define CLAIM_NAME_MAX 16

/* --- checking --------------------------------------------------------------
 */

/* Tried, and not known of file systems and kernels. */
static int try_to_map(const struct pods *pods, struct error *err)
{
	cleanup_fd int mnt =
		open_tree(pods->data_fd, "",
			  AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	cleanup_fd int ns = -EBADF;
	struct error why = ERROR_INIT;
	int r;

	if (mnt < 0)
		return error_sys(err, errno, "clone the mount of %s",
				 pods->dir);
	ns = user_ns_new(USER_RANGE_FIRST_MIN, USER_RANGE_COUNT, err);
	if (ns < 0)
		return error_prefix(err, ns, "--private-users");
	r = user_ns_map_mount(ns, mnt, false, &why);
	if (r == -EINVAL)
		return error_set(
			err, EINVAL,
			"--private-users: the file system of %s cannot "
			"map owners: ext4, xfs and btrfs can, tmpfs "
			"from Linux 6.3",
			pods->dir);
	if (r < 0 && err)
		*err = why;
	return r;
}

int private_users_check(const struct pods *pods, const struct pod_manifest *pm,
			struct error *err)
{
	int r = user_range_check_pod(pm, err);

	return r < 0 || pods->data_fd < 0 ? r : try_to_map(pods, err);
}

/* --- choosing --------------------------------------------------------------
 */

/* 1 and RET if the pod has one, which is empty else. */
static int load(int poddir_fd, struct user_range *ret, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = read_file_at(poddir_fd, POD_PRIVATE_USERS_FILE,
			     USER_RANGE_TEXT_MAX, &text, NULL);

	*ret = (struct user_range){0};
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return error_sys(err, -r, "read " POD_PRIVATE_USERS_FILE);
	r = user_range_parse(text.buf, ret, err);
	return r < 0 ? error_prefix(err, r, POD_PRIVATE_USERS_FILE) : 1;
}

int private_users_range(const struct pod *pod, struct user_range *ret,
			struct error *err)
{
	int r = load(pod->fd, ret, err);

	return r < 0 ? r : 0;
}

/*
 * A pod only moves on through these, so one that moves while they are read is
 * met again further down; an exited pod that is started goes back to run.
 */
static const enum pod_dir in_order[] = {
	POD_EMBRYO,	    POD_PREPARE, POD_PREPARED, POD_RUN,
	POD_EXITED_GARBAGE, POD_RUN,	 POD_GARBAGE,
};
#define N_IN_ORDER (sizeof(in_order) / sizeof(*in_order))

static int add_pods(const struct pods *pods, enum pod_dir dir,
		    struct user_ranges *taken, struct error *err)
{
	cleanup_strv struct strv uuids = STRV_INIT;
	int r = pods_list(pods, dir, &uuids, err);

	for (size_t i = 0; i < uuids.n && r == 0; i++) {
		cleanup_pod struct pod other = POD_INIT;
		struct user_range range;

		/* Moved or gone meanwhile, or half written by a kill. */
		if (pod_open_in(pods, dir, uuids.v[i], &other, NULL) == 0 &&
		    load(other.fd, &range, NULL) == 1)
			user_ranges_add(taken, &range);
	}
	return r;
}

static int find_taken(const struct pods *pods, struct user_ranges *taken,
		      struct error *err)
{
	static const char *const files[] = {"/etc/subuid", "/etc/subgid"};
	int r = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(*files) && r == 0; i++) {
		cleanup_strbuf struct strbuf text = STRBUF_INIT;

		r = read_file_path(files[i], SUBIDS_MAX, &text, NULL);
		if (r == 0)
			user_ranges_add_subids(taken, text.buf);
		else if (r == -ENOENT)
			r = 0;
		else
			return error_sys(err, -r, "read %s", files[i]);
	}
	for (size_t i = 0; i < N_IN_ORDER && r == 0; i++)
		r = add_pods(pods, in_order[i], taken, err);
	return r;
}

/* --- on the host -----------------------------------------------------------
 */

/*
 * Pods of several data directories meet here: /run/rkt/users/FIRST is a
 * symbolic link to the pod that has the range, as DATA_DIR/UUID.  It is gone
 * after a boot, as what runs is; a link whose pod is gone counts for nothing.
 */
static int open_claims(struct error *err)
{
	cleanup_fd int fd = -EBADF;
	int r;

	if ((mkdir(PRIVATE_USERS_RUN_DIR, 0755) < 0 && errno != EEXIST) ||
	    (mkdir(PRIVATE_USERS_DIR, 0700) < 0 && errno != EEXIST))
		return error_sys(err, errno, "create " PRIVATE_USERS_DIR);
	fd = open(PRIVATE_USERS_DIR,
		  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = fd < 0 ? -errno : lock_wait(fd, LOCK_EX);
	return r < 0 ? error_sys(err, -r, "lock " PRIVATE_USERS_DIR)
		     : TAKE_FD(fd);
}

/* True if the pod that CLAIM names is there and has the range from FIRST. */
static bool is_claim_live(const char *claim, uint32_t first)
{
	cleanup_free char *data_dir =
		xstrndup(claim, (size_t)(path_base(claim) - claim));
	cleanup_pods struct pods pods = PODS_INIT;
	bool is_live = false;

	if (pods_open(&pods, data_dir, NULL) < 0)
		return false;
	for (size_t i = 0; i < N_IN_ORDER && !is_live; i++) {
		cleanup_pod struct pod other = POD_INIT;
		struct user_range range;

		is_live = pod_open_in(&pods, in_order[i], path_base(claim),
				      &other, NULL) == 0 &&
			  load(other.fd, &range, NULL) == 1 &&
			  range.first == first;
	}
	return is_live;
}

static void claim_name(const struct user_range *range, char ret[CLAIM_NAME_MAX])
{
	(void)snprintf(ret, CLAIM_NAME_MAX, "%u", range->first);
}

/* Whose RANGE is; an empty text if nobody's. */
static void read_claim(int claims, const struct user_range *range,
		       char ret[PRIVATE_USERS_CLAIM_MAX])
{
	char name[CLAIM_NAME_MAX];
	ssize_t n;

	claim_name(range, name);
	n = readlinkat(claims, name, ret, PRIVATE_USERS_CLAIM_MAX - 1);
	ret[n < 0 ? 0 : n] = '\0';
}

static char *claim_text(const struct pod *pod)
{
	return xasprintf("%s/%s", pod->pods->dir, pod->uuid);
}

/* -EBUSY: another pod has it, which HOLDER names then. */
static int check_claim(int claims, const struct pod *pod,
		       const struct user_range *range,
		       char holder[PRIVATE_USERS_CLAIM_MAX])
{
	cleanup_free char *ours = claim_text(pod);

	read_claim(claims, range, holder);
	return strcmp(holder, ours) != 0 && *holder &&
			       is_claim_live(holder, range->first)
		       ? -EBUSY
		       : 0;
}

/* In place of one that counts for nothing. */
static int make_claim(int claims, const struct pod *pod,
		      const struct user_range *range, struct error *err)
{
	cleanup_free char *ours = claim_text(pod);
	char name[CLAIM_NAME_MAX];

	claim_name(range, name);
	if ((unlinkat(claims, name, 0) < 0 && errno != ENOENT) ||
	    symlinkat(ours, claims, name) < 0)
		return error_sys(err, errno, "create " PRIVATE_USERS_DIR "/%s",
				 name);
	return 0;
}

static int choose(int claims, const struct pod *pod, struct user_range *ret,
		  struct error *err)
{
	cleanup_user_ranges struct user_ranges taken = USER_RANGES_INIT;
	char holder[PRIVATE_USERS_CLAIM_MAX];
	struct uuid uuid;
	int r = uuid_parse(pod->uuid, &uuid, err);

	if (r == 0)
		r = find_taken(pod->pods, &taken, err);
	if (r == 0)
		r = user_range_choose(&uuid, &taken, ret, err);
	while (r == 0 && check_claim(claims, pod, ret, holder) < 0) {
		user_ranges_add(&taken, ret);
		r = user_range_choose(&uuid, &taken, ret, err);
	}
	return r;
}

int private_users_claim(const struct pod *pod, struct error *err)
{
	cleanup_fd int claims = -EBADF;
	char holder[PRIVATE_USERS_CLAIM_MAX];
	struct user_range range;
	int r = load(pod->fd, &range, err);

	if (r <= 0)
		return r;
	claims = open_claims(err);
	if (claims < 0)
		return claims;
	if (check_claim(claims, pod, &range, holder) == 0)
		return make_claim(claims, pod, &range, err);
	return error_set(err, EBUSY,
			 "the users of pod %s, %u to %u, are now those of pod "
			 "%s in %.*s: remove one of the two",
			 pod->uuid, range.first, range.first + range.count - 1,
			 path_base(holder),
			 (int)(path_base(holder) - holder - 1), holder);
}

void private_users_drop(const struct pod *pod)
{
	cleanup_free char *ours = claim_text(pod);
	char holder[PRIVATE_USERS_CLAIM_MAX], name[CLAIM_NAME_MAX];
	cleanup_fd int claims = -EBADF;
	struct user_range range;

	if (load(pod->fd, &range, NULL) <= 0)
		return;
	claims = open_claims(NULL);
	if (claims < 0)
		return;
	read_claim(claims, &range, holder);
	claim_name(&range, name);
	if (strcmp(holder, ours) == 0)
		(void)unlinkat(claims, name, 0);
}

int private_users_assign(struct pod *pod, struct error *err)
{
	cleanup_fd int lock = openat(pod->pods->data_fd, "pods",
				     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int claims = -EBADF;
	char text[USER_RANGE_TEXT_MAX];
	struct user_range range;
	int r;

	r = load(pod->fd, &range, err);
	if (r != 0)
		return r < 0 ? r : 0;
	/* Who looks for a free one sees all that are given: also those
	 * who share the directory and have a /run of their own. */
	r = lock < 0 ? -errno : lock_wait(lock, LOCK_EX);
	if (r < 0)
		return error_sys(err, -r, "lock the pods");
	claims = open_claims(err);
	if (claims < 0)
		return claims;
	r = choose(claims, pod, &range, err);
	if (r < 0)
		return r;
	/* First what is removed with the pod: no kill leaves a claim. */
	user_range_format(&range, text);
	r = pod_file_new(pod->fd, POD_PRIVATE_USERS_FILE, 0644, text,
			 strlen(text), err);
	if (r == 0)
		r = make_claim(claims, pod, &range, err);
	test_stop_at("prepare-users");
	return r;
}

int private_users_arg(const struct pod *pod, struct strv *args,
		      struct error *err)
{
	char text[USER_RANGE_TEXT_MAX];
	struct user_range range;
	int r = private_users_claim(pod, err);

	if (r == 0)
		r = load(pod->fd, &range, err);
	if (r <= 0)
		return r;
	user_range_format(&range, text);
	strv_pushf(args, "--private-users=%s", text);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/private_users.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/lock.h"
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

/* 1 and RET if the pod has one. */
static int load(int poddir_fd, struct user_range *ret, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = read_file_at(poddir_fd, POD_PRIVATE_USERS_FILE,
			     USER_RANGE_TEXT_MAX, &text, NULL);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return error_sys(err, -r, "read " POD_PRIVATE_USERS_FILE);
	r = user_range_parse(text.buf, ret, err);
	return r < 0 ? error_prefix(err, r, POD_PRIVATE_USERS_FILE) : 1;
}

static int add_pods(const struct pods *pods, enum pod_dir dir,
		    struct user_ranges *taken, struct error *err)
{
	cleanup_strv struct strv uuids = STRV_INIT;
	int r = pods_list(pods, dir, &uuids, err);

	for (size_t i = 0; i < uuids.n && r == 0; i++) {
		cleanup_pod struct pod other = POD_INIT;
		struct user_range range;

		/* Moved or gone meanwhile, or half written by a kill: the
		 * directories are gone through in the order pods move. */
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
	for (int dir = POD_EMBRYO; dir < POD_DIR_MAX && r == 0; dir++)
		r = add_pods(pods, (enum pod_dir)dir, taken, err);
	return r;
}

static int choose(struct pod *pod, struct user_range *ret, struct error *err)
{
	cleanup_user_ranges struct user_ranges taken = USER_RANGES_INIT;
	struct uuid uuid;
	int r = uuid_parse(pod->uuid, &uuid, err);

	if (r == 0)
		r = find_taken(pod->pods, &taken, err);
	return r < 0 ? r : user_range_choose(&uuid, &taken, ret, err);
}

int private_users_assign(struct pod *pod, struct error *err)
{
	cleanup_fd int lock = openat(pod->pods->data_fd, "pods",
				     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char text[USER_RANGE_TEXT_MAX];
	struct user_range range;
	int r;

	r = load(pod->fd, &range, err);
	if (r != 0)
		return r < 0 ? r : 0;
	/* Who looks for a free one sees all that are given. */
	r = lock < 0 ? -errno : lock_wait(lock, LOCK_EX);
	if (r < 0)
		return error_sys(err, -r, "lock the pods");
	r = choose(pod, &range, err);
	if (r < 0)
		return r;
	user_range_format(&range, text);
	r = pod_file_new(pod->fd, POD_PRIVATE_USERS_FILE, 0644, text,
			 strlen(text), err);
	test_stop_at("prepare-users");
	return r;
}

int private_users_arg(int poddir_fd, struct strv *args, struct error *err)
{
	char text[USER_RANGE_TEXT_MAX];
	struct user_range range;
	int r = load(poddir_fd, &range, err);

	if (r <= 0)
		return r;
	user_range_format(&range, text);
	strv_pushf(args, "--private-users=%s", text);
	return 0;
}

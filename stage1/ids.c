/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/ids.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "stage1/rootless.h"

/* What differs between a user and a group. */
struct kind {
	const char *what;
	const char *file;
	int field; /* of the id in a line, from 0 */
};

static const struct kind user_kind = {"user", "/etc/passwd", 2};
static const struct kind group_kind = {"group", "/etc/group", 2};
static const struct kind primary_kind = {"user", "/etc/passwd", 3};

/* The field from P to the next ':' or END. */
static const char *field_end(const char *p, const char *end)
{
	const char *colon = memchr(p, ':', (size_t)(end - p));

	return colon ? colon : end;
}

/* The field number FIELD of the line from P to END. */
static int parse_line_id(const char *p, const char *end, int field,
			 uint32_t *ret)
{
	char id[16];
	size_t len;

	for (int skip = 0; skip < field; skip++) {
		p = field_end(p, end);
		if (p == end)
			return -EINVAL;
		p++;
	}
	len = (size_t)(field_end(p, end) - p);
	if (len >= sizeof(id) || memchr(p, '\0', len))
		return -EINVAL;
	memcpy(id, p, len);
	id[len] = '\0';
	return parse_id(id, ret) < 0 ? -EINVAL : 0;
}

static int find_in_text(const char *text, size_t len, const char *name,
			int field, uint32_t *ret)
{
	const char *end = text + len;
	size_t name_len = strlen(name);

	/* Such a name would match across fields or lines. */
	if (name_len == 0 || strpbrk(name, ":\n"))
		return -ENOENT;
	for (const char *p = text; p < end;) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));

		if (!eol)
			eol = end;
		if ((size_t)(eol - p) > name_len && p[name_len] == ':' &&
		    memcmp(p, name, name_len) == 0)
			return parse_line_id(p, eol, field, ret);
		p = eol < end ? eol + 1 : end;
	}
	return -ENOENT;
}

int ids_find_in_text(const char *text, size_t len, const char *name,
		     uint32_t *ret)
{
	return find_in_text(text, len, name, user_kind.field, ret);
}

static int check_regular(int fd)
{
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? 0 : -EINVAL;
}

/* Looks before it opens: opening a device may already do something, opening
 * a FIFO waits. */
static int open_regular(int rootfd, const char *path)
{
	int handle cleanup_fd = open_in_root(rootfd, path, O_PATH);
	int fd cleanup_fd = -EBADF;
	int r;

	r = check_regular(handle);
	if (r < 0)
		return r;
	fd = open_in_root(rootfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	r = check_regular(fd);
	if (r < 0)
		return r;
	return TAKE_FD(fd);
}

/* 1 and *ret if KIND's file has NAME, 0 if not. */
static int find_name(int rootfd, const struct kind *kind, const char *name,
		     uint32_t *ret, struct error *err)
{
	struct strbuf text cleanup_strbuf = STRBUF_INIT;
	int fd cleanup_fd = -EBADF;
	int r;

	fd = open_regular(rootfd, kind->file);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd == -EINVAL)
		return error_set(err, EINVAL,
				 "%s of the image is no regular file",
				 kind->file);
	if (fd < 0)
		return error_sys(err, -fd, "open %s of the image", kind->file);
	r = strbuf_read_fd(&text, fd, IDS_FILE_MAX);
	if (r < 0)
		return error_sys(err, -r, "read %s of the image", kind->file);
	r = find_in_text(text.buf, text.len, name, kind->field, ret);
	if (r == -EINVAL)
		return error_set(err, EINVAL,
				 "%s %s has no valid id in %s of the image",
				 kind->what, name, kind->file);
	return r == 0;
}

/* The specification opens nothing: the owner is asked of the path. */
static int find_owner(int rootfd, const struct kind *kind, const char *path,
		      uint32_t *ret, struct error *err)
{
	int fd cleanup_fd = open_in_root(rootfd, path, O_PATH);
	struct stat st;

	if (fd < 0)
		return error_sys(err, -fd,
				 "find the %s that owns %s in the image",
				 kind->what, path);
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno,
				 "find the %s that owns %s in the image",
				 kind->what, path);
	*ret = kind == &user_kind ? st.st_uid : st.st_gid;
	return 0;
}

static int find(int rootfd, const struct kind *kind, const char *name,
		uint32_t *ret, struct error *err)
{
	int r;

	if (name[0] == '/')
		return find_owner(rootfd, kind, name, ret, err);
	r = find_name(rootfd, kind, name, ret, err);
	if (r != 0)
		return r < 0 ? r : 0;
	if (parse_id(name, ret) == 0)
		return 0;
	if (strcmp(name, "root") == 0) {
		*ret = 0;
		return 0;
	}
	return error_set(err, ENOENT, "no %s %s in %s of the image", kind->what,
			 name, kind->file);
}

int ids_find_user(int rootfd, const char *user, uid_t *ret, struct error *err)
{
	return find(rootfd, &user_kind, user, ret, err);
}

int ids_find_group(int rootfd, const char *group, gid_t *ret, struct error *err)
{
	return find(rootfd, &group_kind, group, ret, err);
}

int ids_find_user_group(int rootfd, const char *user, const char *group,
			gid_t *ret, struct error *err)
{
	struct error why = ERROR_INIT;
	int r = ids_find_group(rootfd, group, ret, &why);

	if (r == -ENOENT && strcmp(user, group) == 0)
		r = find_name(rootfd, &primary_kind, user, ret, &why) == 1 ? 0
									   : r;
	if (r < 0 && err)
		*err = why;
	return r;
}

int ids_set_groups(gid_t gid, const gid_t *groups, size_t n_groups,
		   struct error *err)
{
	/* Without root and without a range of users nobody may. */
	if (setgroups(n_groups, groups) < 0 &&
	    !(errno == EPERM && n_groups == 0 && is_rootless()))
		return error_sys(err, errno, "set %zu supplementary groups",
				 n_groups);
	if (setresgid(gid, gid, gid) < 0)
		return error_sys(err, errno, "change to group %u", gid);
	return 0;
}

int ids_set_user(uid_t uid, struct error *err)
{
	uid_t real, effective, saved;

	/* EAGAIN: RLIMIT_NPROC on old kernels; never run on as root. */
	if (setresuid(uid, uid, uid) < 0)
		return error_sys(err, errno, "change to user %u", uid);
	if (getresuid(&real, &effective, &saved) < 0 || real != uid ||
	    effective != uid || saved != uid)
		return error_set(err, EPERM, "change to user %u: still user %u",
				 uid, effective);
	return 0;
}

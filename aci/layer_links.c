/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/layer_links.h"

#include <assert.h>
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
#include "base/syscalls.h"

#define LIST_MAX (1UL << 30) /* bytes */
#define OPEN_DIR (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define ROOTFS "rootfs/"

int layer_links_add(struct strbuf *list, enum aci_link kind,
		    const struct aci_entry *e, struct error *err)
{
	cleanup_free char *path = NULL;
	cleanup_free char *target = NULL;
	int r = aci_path_clean(e->path, &path, err);

	if (r == 0)
		r = aci_path_clean(e->target, &target, err);
	if (r < 0)
		return r;
	assert(path && target);
	strbuf_addch(list, (char)kind);
	strbuf_add(list, path + strlen(ROOTFS), strlen(path + strlen(ROOTFS)));
	strbuf_addch(list, '\0');
	strbuf_add(list, target + strlen(ROOTFS),
		   strlen(target + strlen(ROOTFS)));
	strbuf_addch(list, '\0');
	return 0;
}

/* The directory PATH lies in, and its last part; who wrote the list is not
 * trusted. */
static int open_parent(int root, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	cleanup_free char *dir =
		slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");

	*ret_name = slash ? slash + 1 : path;
	if (!**ret_name || strcmp(*ret_name, ".") == 0 ||
	    strcmp(*ret_name, "..") == 0)
		return -EINVAL;
	return sys_openat2(root, dir, OPEN_DIR, 0,
			   RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
				   RESOLVE_NO_MAGICLINKS);
}

static int put_link(int from, const char *target, int to, const char *path)
{
	const char *target_name, *name;
	cleanup_fd int target_dir = open_parent(from, target, &target_name);
	cleanup_fd int dir = open_parent(to, path, &name);
	struct stat st;

	if (target_dir < 0 || dir < 0)
		return target_dir < 0 ? target_dir : dir;
	if (fstatat(target_dir, target_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (fstat(dir, &st) < 0 || unlinkat(dir, name, 0) < 0 ||
	    linkat(target_dir, target_name, dir, name, 0) < 0)
		return -errno;
	return futimens(dir,
			(const struct timespec[]){st.st_atim, st.st_mtim}) < 0
		       ? -errno
		       : 0;
}

static int refuse(const char *path, const char *target, int code,
		  struct error *err)
{
	cleanup_free char *from = aci_quote(path);
	cleanup_free char *to = aci_quote(target);

	if (code == -ENOENT || code == -ENOTDIR || code == -ELOOP ||
	    code == -EISDIR)
		return error_set(err, EINVAL,
				 "layer entry %s: it is a hard link to %s, "
				 "and no layer below it has such a file",
				 from, to);
	return error_sys(err, -code, "link %s to %s", from, to);
}

static int apply_all(const struct strbuf *list, int src, int rootfs,
		     struct error *err)
{
	const char *p = list->buf, *end = list->buf + list->len;

	if (list->len > 0 && end[-1] != '\0')
		return error_set(err, EPROTO, "the list of links is cut short");
	while (p < end) {
		enum aci_link kind = (enum aci_link) * p;
		const char *path = p + 1;
		const char *target = path + strlen(path) + 1;
		int r;

		if (target >= end)
			return error_set(err, EPROTO,
					 "the list of links is cut short");
		r = put_link(kind == ACI_LINK_BELOW ? rootfs : src, target, src,
			     path);
		if (r < 0)
			return refuse(path, target, r, err);
		p = target + strlen(target) + 1;
	}
	return 0;
}

int layer_links_apply(int layer, int rootfs, struct error *err)
{
	cleanup_strbuf struct strbuf list = STRBUF_INIT;
	cleanup_fd int fd =
		openat(layer, LAYER_LINKS, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_fd int src = -EBADF;
	int r;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return error_sys(err, errno, "open the list of links");
	r = strbuf_read_fd(&list, fd, LIST_MAX);
	if (r < 0)
		return error_sys(err, -r, "read the list of links");
	src = openat(layer, "rootfs", OPEN_DIR);
	if (src < 0)
		return error_sys(err, errno, "open the layer's rootfs");
	return apply_all(&list, src, rootfs, err);
}

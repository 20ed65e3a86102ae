/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/aci_write.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "aci/layout.h"
#include "aci/tar_entry.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"

#define COPY_SIZE (256 * 1024)
#define NOBODY 65534

/* First names of inodes with several, open addressing, size a power of 2. */
struct links {
	struct link {
		dev_t dev;
		ino_t ino;
		char *name; /* NULL = free slot */
	} * slot;
	size_t n, size;
};

struct writer {
	struct archive *a;
	const struct aci_write_options *opt;
	struct strv *warnings;
	struct links links;
	struct strbuf path; /* of the entry at hand, from the archive's root */
	char *buf;	    /* COPY_SIZE */
	int outfd;
	int failed; /* errno of the first write that failed; 0 = none */
};

/* --- hard links ---------------------------------------------------------- */

static struct link *links_find(struct links *l, dev_t dev, ino_t ino)
{
	size_t i = (size_t)((ino * 0x9e3779b97f4a7c15ULL) >> 20 ^ dev);

	for (;; i++) {
		struct link *s = &l->slot[i & (l->size - 1)];

		if (!s->name || (s->dev == dev && s->ino == ino))
			return s;
	}
}

static void links_grow(struct links *l)
{
	struct links old = *l;

	l->size = old.size ? old.size * 2 : 64;
	l->slot = xcalloc(l->size, sizeof(*l->slot));
	for (size_t i = 0; i < old.size; i++) {
		struct link *s = &old.slot[i];

		if (s->name)
			*links_find(l, s->dev, s->ino) = *s;
	}
	free(old.slot);
}

/* The first name of ST's inode, or NULL when NAME is the first. */
static const char *links_add(struct links *l, const struct stat *st,
			     const char *name)
{
	struct link *s;

	if (2 * l->n >= l->size)
		links_grow(l);
	s = links_find(l, st->st_dev, st->st_ino);
	if (s->name)
		return s->name;
	*s = (struct link){st->st_dev, st->st_ino, xstrdup(name)};
	l->n++;
	return NULL;
}

static void links_release(struct links *l)
{
	for (size_t i = 0; i < l->size; i++)
		free(l->slot[i].name);
	free(l->slot);
}

/* --- extended attributes ---------------------------------------------------
 */

/* What belongs to a file; labels and measurements of the host do not. */
static const char *const kept_xattrs[] = {
	"user.",
	"security.capability",
	"security.ima",
	"system.posix_acl_access",
	"system.posix_acl_default",
};

static bool xattr_is_kept(const char *name)
{
	for (size_t i = 0; i < sizeof(kept_xattrs) / sizeof(*kept_xattrs);
	     i++) {
		const char *k = kept_xattrs[i];
		size_t len = strlen(k);

		if (k[len - 1] == '.' ? !strncmp(name, k, len)
				      : !strcmp(name, k))
			return true;
	}
	return false;
}

static int xattr_add(struct writer *w, struct archive_entry *e,
		     const char *file, const char *name, struct error *err)
{
	/* XATTR_SIZE_MAX is 64 KiB: one buffer holds any value. */
	ssize_t n = getxattr(file, name, w->buf, COPY_SIZE);

	if (n < 0)
		return error_sys(err, errno, "read %s of %s", name,
				 w->path.buf);
	archive_entry_xattr_add_entry(e, name, w->buf, (size_t)n);
	return 0;
}

/* FILE is the /proc/self/fd/N of an O_PATH descriptor, also of a symlink. */
static int xattrs_add(struct writer *w, struct archive_entry *e,
		      const char *file, struct error *err)
{
	cleanup_strv struct strv names = STRV_INIT;
	ssize_t len = listxattr(file, w->buf, COPY_SIZE);
	int r;

	if (len < 0 && errno == ENOTSUP)
		return 0;
	if (len < 0)
		return error_sys(err, errno, "list attributes of %s",
				 w->path.buf);
	for (char *p = w->buf; p < w->buf + len; p += strlen(p) + 1) {
		if (xattr_is_kept(p))
			strv_push(&names, p);
	}
	strv_sort(&names);
	for (size_t i = 0; i < names.n; i++) {
		r = xattr_add(w, e, file, names.v[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* --- entries ---------------------------------------------------------------
 */

/* Never fails for the library: an archive it has given up it does not free. */
static la_ssize_t out_write(struct archive *a, void *arg, const void *data,
			    size_t n)
{
	struct writer *w = arg;
	int r = w->failed ? 0 : write_full(w->outfd, data, n);

	(void)a;
	if (r < 0)
		w->failed = -r;
	return (la_ssize_t)n;
}

static const char *written(const struct writer *w)
{
	return w->path.len ? w->path.buf : "the archive";
}

static int archive_fail(struct writer *w, struct error *err)
{
	int code = archive_errno(w->a);
	const char *text = archive_error_string(w->a);

	if (code <= 0)
		code = EIO;
	return error_set(err, code, "write %s: %s", written(w),
			 text ? text : strerror(code));
}

/* After a call of the library that went well. */
static int check_out(struct writer *w, struct error *err)
{
	return w->failed ? error_sys(err, w->failed, "write %s", written(w))
			 : 0;
}

static uint32_t id_inside(const struct aci_write_options *opt, uint32_t id)
{
	if (opt->n_ids == 0)
		return id;
	return id - opt->first_id < opt->n_ids ? id - opt->first_id : NOBODY;
}

static struct archive_entry *entry_make(const struct writer *w,
					const struct stat *st)
{
	struct stat kept = *st;

	kept.st_uid = id_inside(w->opt, st->st_uid);
	kept.st_gid = id_inside(w->opt, st->st_gid);
	if (w->opt->owner_root)
		kept.st_uid = kept.st_gid = 0;
	return tar_entry_new(w->path.buf, &kept);
}

static int header_write(struct writer *w, struct archive_entry *e,
			struct error *err)
{
	return tar_entry_put(w->a, e) ? check_out(w, err)
				      : archive_fail(w, err);
}

static int data_write(struct writer *w, const void *data, size_t n,
		      struct error *err)
{
	return archive_write_data(w->a, data, n) == (la_ssize_t)n
		       ? check_out(w, err)
		       : archive_fail(w, err);
}

/* The content of FD, exactly SIZE bytes of it as the header promised. */
static int content_write(struct writer *w, int fd, off_t size,
			 struct error *err)
{
	off_t done = 0;

	for (;;) {
		ssize_t n = read(fd, w->buf, COPY_SIZE);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "read %s", w->path.buf);
		if (w->opt->is_live && n > size - done)
			n = size - done;
		if (n > size - done || (n == 0 && done < size))
			return error_set(err, ESTALE,
					 "%s changed while it was read",
					 w->path.buf);
		if (n == 0)
			return 0;
		r = data_write(w, w->buf, (size_t)n, err);
		if (r < 0)
			return r;
		done += n;
	}
}

static int symlink_read(struct writer *w, int fd, struct archive_entry *e,
			struct error *err)
{
	ssize_t n = readlinkat(fd, "", w->buf, COPY_SIZE - 1);

	if (n < 0)
		return error_sys(err, errno, "read link %s", w->path.buf);
	w->buf[n] = '\0';
	archive_entry_copy_symlink(e, w->buf);
	return 0;
}

static int directory_write(struct writer *w, int dirfd, struct error *err);

/*
 * One file of the tree.  FD is an O_PATH descriptor of it: what is described,
 * read and walked is one and the same inode whatever happens to its name, and
 * no device or FIFO is opened.
 */
static int file_write(struct writer *w, int fd, const struct stat *st,
		      struct error *err)
{
	cleanup_entry struct archive_entry *e = entry_make(w, st);
	cleanup_fd int data = -EBADF;
	char proc[PROC_FD_MAX];
	const char *first = NULL;
	int r;

	proc_fd_path(fd, proc);
	if (!S_ISDIR(st->st_mode) && st->st_nlink > 1)
		first = links_add(&w->links, st, w->path.buf);
	if (first) {
		archive_entry_set_size(e, 0);
		archive_entry_copy_hardlink(e, first);
		return header_write(w, e, err);
	}

	if (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)) {
		data = open(proc, O_RDONLY | O_CLOEXEC);
		if (data < 0)
			return error_sys(err, errno, "open %s", w->path.buf);
	} else if (S_ISLNK(st->st_mode)) {
		r = symlink_read(w, fd, e, err);
		if (r < 0)
			return r;
	}
	r = xattrs_add(w, e, proc, err);
	if (r < 0)
		return r;
	r = header_write(w, e, err);
	if (r < 0)
		return r;
	if (S_ISREG(st->st_mode))
		return content_write(w, data, st->st_size, err);
	return S_ISDIR(st->st_mode) ? directory_write(w, data, err) : 0;
}

static bool is_left_out(struct writer *w, mode_t mode)
{
	const char *what = S_ISSOCK(mode) ? "socket" : "device node";

	if (!S_ISSOCK(mode) &&
	    !((S_ISCHR(mode) || S_ISBLK(mode)) && w->opt->no_devices))
		return false;
	if (w->warnings)
		strv_pushf(w->warnings, "%s: %s left out", w->path.buf, what);
	return true;
}

static int name_write(struct writer *w, int dirfd, const char *name,
		      struct error *err)
{
	cleanup_fd int fd =
		openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT && w->opt->is_live)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "open %s", w->path.buf);
	return is_left_out(w, st.st_mode) ? 0 : file_write(w, fd, &st, err);
}

static int names_read(struct writer *w, int dirfd, struct strv *ret,
		      struct error *err)
{
	cleanup_fd int copy =
		openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *de;

	if (!dir)
		return error_sys(err, errno, "open %s", w->path.buf);
	(void)TAKE_FD(copy);
	while (errno = 0, (de = readdir(dir))) {
		if (strcmp(de->d_name, ".") && strcmp(de->d_name, ".."))
			strv_push(ret, de->d_name);
	}
	if (errno)
		return error_sys(err, errno, "read %s", w->path.buf);
	strv_sort(ret);
	return 0;
}

static int directory_write(struct writer *w, int dirfd, struct error *err)
{
	cleanup_strv struct strv names = STRV_INIT;
	size_t len = w->path.len;
	int r = names_read(w, dirfd, &names, err);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		strbuf_addf(&w->path, "/%s", names.v[i]);
		r = name_write(w, dirfd, names.v[i], err);
		strbuf_setlen(&w->path, len);
	}
	return r;
}

/* --- the image -------------------------------------------------------------
 */

static int manifest_write(struct writer *w, const struct aci_layout *layout,
			  struct error *err)
{
	cleanup_entry struct archive_entry *e = NULL;
	struct stat st = layout->st;
	int r;

	strbuf_addstr(&w->path, ACI_MANIFEST);
	st.st_size = (off_t)layout->manifest_len;
	e = entry_make(w, &st);
	r = header_write(w, e, err);
	if (r == 0)
		r = data_write(w, layout->manifest, layout->manifest_len, err);
	strbuf_reset(&w->path);
	return r;
}

static int rootfs_write(struct writer *w, const struct aci_layout *layout,
			struct error *err)
{
	struct stat st;
	int r;

	strbuf_addstr(&w->path, ACI_ROOTFS);
	if (fstat(layout->rootfsfd, &st) < 0)
		return error_sys(err, errno, "look at rootfs");
	r = file_write(w, layout->rootfsfd, &st, err);
	strbuf_reset(&w->path);
	return r;
}

static int archive_open(struct writer *w, struct error *err)
{
	const char *options = w->opt->no_compression ? TAR_PAX_OPTIONS
						     : TAR_PAX_OPTIONS
				      ",gzip:!timestamp";

	if (archive_write_set_format_pax(w->a) != ARCHIVE_OK ||
	    (!w->opt->no_compression &&
	     archive_write_add_filter_gzip(w->a) != ARCHIVE_OK) ||
	    archive_write_set_options(w->a, options) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(w->a, 1) != ARCHIVE_OK ||
	    archive_write_open(w->a, w, NULL, out_write, NULL) != ARCHIVE_OK)
		return archive_fail(w, err);
	return 0;
}

/* What is written: an image, or with LAYOUT NULL a file with all below it. */
struct content {
	const struct aci_layout *layout;
	int fd;
	const char *name;
};

static int tree_write(struct writer *w, const struct content *c,
		      struct error *err)
{
	struct stat st;

	strbuf_addstr(&w->path, c->name);
	if (fstat(c->fd, &st) < 0)
		return error_sys(err, errno, "look at %s", c->name);
	return is_left_out(w, st.st_mode) ? 0 : file_write(w, c->fd, &st, err);
}

static int image_write(struct writer *w, const struct aci_layout *layout,
		       struct error *err)
{
	int r = manifest_write(w, layout, err);

	return r < 0 ? r : rootfs_write(w, layout, err);
}

static int content_put(struct writer *w, const struct content *c,
		       struct error *err)
{
	int r = archive_open(w, err);

	if (r == 0)
		r = c->layout ? image_write(w, c->layout, err)
			      : tree_write(w, c, err);
	if (r == 0)
		r = archive_write_close(w->a) == ARCHIVE_OK
			    ? check_out(w, err)
			    : archive_fail(w, err);
	return r;
}

/*
 * The library takes names for text of the current locale.  Ours are bytes,
 * nearly always UTF-8: so it gets that locale whatever the caller's is.
 */
static int content_put_utf8(struct writer *w, const struct content *c,
			    struct error *err)
{
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale_t before;
	int r;

	if (!utf8)
		return error_sys(err, errno, "use the locale C.UTF-8");
	before = uselocale(utf8);
	r = content_put(w, c, err);
	(void)uselocale(before);
	freelocale(utf8);
	return r;
}

static int archive_put(const struct content *c, int outfd,
		       const struct aci_write_options *opt,
		       struct strv *warnings, struct error *err)
{
	struct writer w = {
		.a = archive_write_new(),
		.opt = opt,
		.warnings = warnings,
		.path = STRBUF_INIT,
		.buf = xmalloc(COPY_SIZE),
		.outfd = outfd,
	};
	int r = content_put_utf8(&w, c, err);

	/* After a failure closing would still write: drop what is buffered. */
	if (r < 0 && !w.failed)
		w.failed = -r;
	archive_write_free(w.a);
	links_release(&w.links);
	strbuf_release(&w.path);
	free(w.buf);
	return r;
}

int aci_write(const struct aci_layout *layout, int outfd,
	      const struct aci_write_options *opt, struct strv *warnings,
	      struct error *err)
{
	const struct content c = {.layout = layout};

	return archive_put(&c, outfd, opt, warnings, err);
}

int aci_write_tree(int fd, const char *name, int outfd,
		   const struct aci_write_options *opt, struct strv *warnings,
		   struct error *err)
{
	const struct content c = {.fd = fd, .name = name};

	return archive_put(&c, outfd, opt, warnings, err);
}

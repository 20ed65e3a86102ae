/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/aci_write.h"

#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "aci/layout.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"

#define MANIFEST "{\"acKind\":\"ImageManifest\"}\n"

struct tree {
	char path[64];
	int fd, rootfs;
};

static void put(int dirfd, const char *name, const char *data)
{
	cr_assert(write_file_at(dirfd, name, 0644, data, strlen(data), NULL) ==
		  0);
}

static void set_time(int dirfd, const char *name, long nsec)
{
	struct timespec ts[2] = {{1000000000, 0}, {1234567890, nsec}};

	cr_assert(utimensat(dirfd, name, ts, AT_SYMLINK_NOFOLLOW) == 0);
}

/* The files of every test, made in the order the caller says. */
static const char *const names[] = {
	"a", "b", "B", "z-last", "\xc3\xa4\xff", "\xc3\xb6"};
#define N_NAMES (sizeof(names) / sizeof(*names))

static void tree_make(struct tree *t, bool backwards)
{
	(void)snprintf(t->path, sizeof(t->path), "/tmp/aci-write-XXXXXX");
	cr_assert(mkdtemp(t->path) != NULL);
	t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(t->fd >= 0);
	put(t->fd, "manifest", MANIFEST);
	cr_assert(mkdirat(t->fd, "rootfs", 0755) == 0);
	t->rootfs = openat(t->fd, "rootfs", O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < N_NAMES; i++) {
		const char *name = names[backwards ? N_NAMES - 1 - i : i];

		put(t->rootfs, name, name);
		set_time(t->rootfs, name, 987654321);
	}
	cr_assert(mkdirat(t->rootfs, "dir", 0700) == 0);
	cr_assert(linkat(t->rootfs, "a", t->rootfs, "dir/link", 0) == 0);
	cr_assert(symlinkat("../a", t->rootfs, "dir/sym") == 0);
	set_time(t->rootfs, "dir/sym", 5);
	set_time(t->rootfs, "dir", 0);
	set_time(t->fd, "rootfs", 0);
	set_time(t->fd, "manifest", 1);
}

static void tree_remove(struct tree *t)
{
	close(t->fd);
	close(t->rootfs);
	cr_expect(remove_tree_at(AT_FDCWD, t->path, NULL) == 0);
}

/* The image of T in a memfd, at offset 0. */
static int write_image(struct tree *t, const struct aci_write_options *opt,
		       struct strv *warnings)
{
	cleanup_aci_layout struct aci_layout layout = ACI_LAYOUT_INIT;
	struct error err = ERROR_INIT;
	int fd = memfd_create("image", MFD_CLOEXEC);

	cr_assert(fd >= 0);
	cr_assert(aci_layout_open(t->fd, &layout, &err) == 0, "%s", err.msg);
	cr_assert(aci_write(&layout, fd, opt, warnings, &err) == 0, "%s",
		  err.msg);
	cr_assert(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static bool same_bytes(int a, int b)
{
	cleanup_strbuf struct strbuf sa = STRBUF_INIT, sb = STRBUF_INIT;

	cr_assert(strbuf_read_fd(&sa, a, STRBUF_MAX / 2) >= 0);
	cr_assert(strbuf_read_fd(&sb, b, STRBUF_MAX / 2) >= 0);
	(void)lseek(a, 0, SEEK_SET);
	(void)lseek(b, 0, SEEK_SET);
	return sa.len > 0 && sa.len == sb.len &&
	       !memcmp(sa.buf, sb.buf, sa.len);
}

static struct archive *reader_open(int fd)
{
	struct archive *a = archive_read_new();

	(void)setlocale(LC_ALL, "C.UTF-8");
	archive_read_support_filter_gzip(a);
	archive_read_support_format_tar(a);
	cr_assert(archive_read_open_fd(a, fd, 10240) == ARCHIVE_OK);
	return a;
}

/* One line an entry: TYPE MODE UID PATH [-> TARGET | = FIRST] SIZE. */
static void list_image(int fd, struct strv *ret)
{
	struct archive *a = reader_open(fd);
	struct archive_entry *e;

	int r;

	while ((r = archive_read_next_header(a, &e)) == ARCHIVE_OK ||
	       r == ARCHIVE_WARN) {
		const char *hard = archive_entry_hardlink(e);
		const char *sym = hard ? NULL : archive_entry_symlink(e);

		strv_pushf(ret, "%06o %s%s%s %lld",
			   (unsigned)archive_entry_mode(e),
			   archive_entry_pathname(e),
			   hard	 ? " = "
			   : sym ? " -> "
				 : "",
			   hard	 ? hard
			   : sym ? sym
				 : "",
			   (long long)archive_entry_size(e));
	}
	archive_read_free(a);
	(void)lseek(fd, 0, SEEK_SET);
}

static struct archive *find_entry(int fd, const char *path,
				  struct archive_entry **ret)
{
	struct archive *a = reader_open(fd);

	int r;

	while ((r = archive_read_next_header(a, ret)) == ARCHIVE_OK ||
	       r == ARCHIVE_WARN) {
		if (!strcmp(archive_entry_pathname(*ret), path))
			return a;
	}
	cr_assert_fail("%s is not in the image", path);
	return NULL;
}

Test(aci_write, entries_are_sorted_manifest_first)
{
	static const char *const want[] = {
		"100644 manifest 27",
		"040755 rootfs/ 0",
		"100644 rootfs/B 1",
		"100644 rootfs/a 1",
		"100644 rootfs/b 1",
		"040700 rootfs/dir/ 0",
		"000644 rootfs/dir/link = rootfs/a 0",
		"120777 rootfs/dir/sym -> ../a 0",
		"100644 rootfs/z-last 6",
		"100644 rootfs/\xc3\xa4\xff 3",
		"100644 rootfs/\xc3\xb6 2",
	};
	cleanup_strv struct strv got = STRV_INIT;
	cleanup_fd int fd = -1;
	struct tree t = {0};

	tree_make(&t, false);
	fd = write_image(&t, &(struct aci_write_options){0}, NULL);
	list_image(fd, &got);
	cr_assert(got.n == sizeof(want) / sizeof(*want), "%zu entries", got.n);
	for (size_t i = 0; i < got.n; i++)
		cr_expect(!strcmp(got.v[i], want[i]), "%s, wanted %s", got.v[i],
			  want[i]);
	tree_remove(&t);
}

Test(aci_write, equal_trees_give_equal_bytes)
{
	static const struct aci_write_options rows[] = {
		{0},
		{.no_compression = true},
		{.owner_root = true},
	};
	struct tree one = {0}, two = {0};

	tree_make(&one, false);
	tree_make(&two, true);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cleanup_fd int a = write_image(&one, &rows[i], NULL);
		cleanup_fd int b = -1;

		(void)setlocale(LC_ALL, i ? "C.UTF-8" : "C");
		b = write_image(&two, &rows[i], NULL);
		cr_expect(same_bytes(a, b), "row %zu", i);
	}
	(void)setlocale(LC_ALL, "C.UTF-8");
	tree_remove(&one);
	tree_remove(&two);
}

Test(aci_write, gzip_header_names_no_file_and_no_time)
{
	static const unsigned char want[8] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0};
	unsigned char got[8] = {0};
	cleanup_fd int fd = -1;
	struct tree t = {0};

	tree_make(&t, false);
	fd = write_image(&t, &(struct aci_write_options){0}, NULL);
	cr_expect(read_full(fd, got, sizeof(got)) == sizeof(got));
	cr_expect(!memcmp(got, want, sizeof(want)));
	tree_remove(&t);
}

Test(aci_write, compression_does_not_change_the_tar)
{
	cleanup_fd int gz = -1, plain = -1;
	cleanup_fd int out = memfd_create("tar", MFD_CLOEXEC);
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	struct tree t = {0};
	char buf[4096];
	ssize_t n;

	tree_make(&t, false);
	gz = write_image(&t, &(struct aci_write_options){0}, NULL);
	plain = write_image(
		&t, &(struct aci_write_options){.no_compression = true}, NULL);
	archive_read_support_filter_gzip(a);
	archive_read_support_format_raw(a);
	cr_assert(archive_read_open_fd(a, gz, 10240) == ARCHIVE_OK);
	cr_assert(archive_read_next_header(a, &e) == ARCHIVE_OK);
	while ((n = archive_read_data(a, buf, sizeof(buf))) > 0)
		cr_assert(write_full(out, buf, (size_t)n) == 0);
	archive_read_free(a);
	cr_assert(lseek(out, 0, SEEK_SET) == 0);
	cr_expect(same_bytes(out, plain));
	tree_remove(&t);
}

Test(aci_write, properties_survive)
{
	static const char cap[20] = {1, 0, 0, 2, 0, 4};
	const struct aci_write_options keep = {0}, root = {.owner_root = 1};
	cleanup_fd int fd = -1;
	struct archive_entry *e;
	struct archive *a;
	const char *name;
	const void *value;
	bool user;
	size_t size;
	struct tree t = {0};

	if (getuid() != 0)
		cr_skip_test("making owners and devices needs root");
	tree_make(&t, false);
	cr_assert(fchownat(t.rootfs, "b", 3000000000U, 70000, 0) == 0);
	cr_assert(fchmodat(t.rootfs, "b", 06711, 0) == 0);
	cr_assert(mknodat(t.rootfs, "null", S_IFCHR | 0666, makedev(1, 3)) ==
		  0);
	cr_assert(mkfifoat(t.rootfs, "fifo", 0600) == 0);
	fd = openat(t.rootfs, "b", O_RDONLY | O_CLOEXEC);
	cr_assert(fsetxattr(fd, "security.capability", cap, sizeof(cap), 0) ==
		  0);
	user = fsetxattr(fd, "user.\xc3\xbc", "v\0w", 3, 0) == 0;
	(void)fsetxattr(fd, "trusted.host", "x", 1, 0);
	set_time(t.rootfs, "b", 987654321);
	fd_close(&fd);

	fd = write_image(&t, &keep, NULL);
	a = find_entry(fd, "rootfs/b", &e);
	cr_expect(archive_entry_uid(e) == 3000000000LL);
	cr_expect(archive_entry_gid(e) == 70000);
	cr_expect((archive_entry_mode(e) & 07777) == 06711);
	cr_expect(archive_entry_mtime(e) == 1234567890);
	cr_expect(archive_entry_mtime_nsec(e) == 987654321);
	cr_expect(archive_entry_xattr_reset(e) == (user ? 2 : 1));
	cr_assert(archive_entry_xattr_next(e, &name, &value, &size) ==
		  ARCHIVE_OK);
	while (strcmp(name, "security.capability"))
		cr_assert(archive_entry_xattr_next(e, &name, &value, &size) ==
			  ARCHIVE_OK);
	cr_expect(size == sizeof(cap) && !memcmp(value, cap, size));
	archive_read_free(a);

	(void)lseek(fd, 0, SEEK_SET);
	a = find_entry(fd, "rootfs/null", &e);
	cr_expect(archive_entry_filetype(e) == AE_IFCHR);
	cr_expect(archive_entry_rdev(e) == makedev(1, 3));
	archive_read_free(a);
	(void)lseek(fd, 0, SEEK_SET);
	a = find_entry(fd, "rootfs/fifo", &e);
	cr_expect(archive_entry_filetype(e) == AE_IFIFO);
	archive_read_free(a);
	fd_close(&fd);

	fd = write_image(&t, &root, NULL);
	a = find_entry(fd, "rootfs/b", &e);
	cr_expect(archive_entry_uid(e) == 0 && archive_entry_gid(e) == 0);
	archive_read_free(a);
	tree_remove(&t);
}

Test(aci_write, sockets_are_left_out_with_a_warning)
{
	cleanup_strv struct strv warnings = STRV_INIT, got = STRV_INIT;
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	cleanup_fd int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cleanup_fd int fd = -1;
	struct tree t = {0};

	tree_make(&t, false);
	(void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/rootfs/sock",
		       t.path);
	cr_assert(bind(s, (struct sockaddr *)&sun, sizeof(sun)) == 0);
	fd = write_image(&t, &(struct aci_write_options){0}, &warnings);
	list_image(fd, &got);
	cr_expect(got.n == 11, "%zu entries", got.n);
	cr_assert(warnings.n == 1);
	cr_expect(!strcmp(warnings.v[0], "rootfs/sock: socket left out"), "%s",
		  warnings.v[0]);
	tree_remove(&t);
}

Test(aci_write, long_names_and_many_hard_links)
{
	cleanup_strv struct strv got = STRV_INIT;
	cleanup_fd int fd = -1;
	char name[256], text[256];
	size_t links = 0;
	struct tree t = {0};

	tree_make(&t, false);
	memset(name, 'n', 200);
	for (int i = 0; i < 200; i++) {
		(void)snprintf(name + 200, 6, "-%03d", i);
		if (i % 2)
			cr_assert(linkat(t.rootfs, text, t.rootfs, name, 0) ==
				  0);
		else
			put(t.rootfs, name, "x");
		(void)snprintf(text, sizeof(text), "%s", name);
	}
	fd = write_image(&t, &(struct aci_write_options){0}, NULL);
	list_image(fd, &got);
	cr_expect(got.n == 211);
	for (size_t i = 0; i < got.n; i++)
		links += strstr(got.v[i], " = ") != NULL;
	cr_expect(links == 101, "%zu", links);
	tree_remove(&t);
}

/* --- layouts ---------------------------------------------------------------
 */

Test(aci_layout, every_problem_is_named)
{
	cleanup_strv struct strv problems = STRV_INIT;
	struct aci_layout layout = ACI_LAYOUT_INIT;
	struct tree t = {0};

	tree_make(&t, false);
	cr_expect(aci_layout_check(t.fd, &problems, NULL) == 0);
	cr_expect(problems.n == 0);

	put(t.fd, "extra", "");
	cr_assert(renameat(t.fd, "rootfs", t.fd, "real") == 0);
	cr_assert(symlinkat("real", t.fd, "rootfs") == 0);
	cr_assert(unlinkat(t.fd, "manifest", 0) == 0);
	cr_expect(aci_layout_check(t.fd, &problems, NULL) == 0);
	cr_expect(problems.n == 4, "%zu problems", problems.n);
	cr_expect(strv_has(&problems, "manifest: missing"));
	cr_expect(strv_has(&problems,
			   "rootfs: must be a directory, is a symlink"));
	cr_expect(strv_has(&problems,
			   "extra: only manifest and rootfs may be here"));
	cr_expect(aci_layout_open(t.fd, &layout, NULL) < 0);

	put(t.fd, "manifest", MANIFEST);
	cr_expect(aci_layout_open(t.fd, &layout, NULL) < 0);
	aci_layout_release(&layout);
	tree_remove(&t);
}

Test(aci_layout, a_fifo_as_manifest_does_not_hang)
{
	struct aci_layout layout = ACI_LAYOUT_INIT;
	struct error err = ERROR_INIT;
	struct tree t = {0};

	tree_make(&t, false);
	cr_assert(unlinkat(t.fd, "manifest", 0) == 0);
	cr_assert(mkfifoat(t.fd, "manifest", 0600) == 0);
	cr_expect(aci_layout_open(t.fd, &layout, &err) == -EINVAL);
	cr_expect(!strcmp(err.msg, "manifest: must be a file, is a FIFO"), "%s",
		  err.msg);
	aci_layout_release(&layout);
	tree_remove(&t);
}

/* Files of procfs say size 0 and give more. */
Test(aci_write, a_file_that_is_not_as_its_size_says_is_an_error)
{
	char manifest[] = MANIFEST;
	struct aci_layout layout = {
		.rootfsfd = open("/proc/sys/kernel/random",
				 O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.manifest = manifest,
		.manifest_len = sizeof(manifest) - 1,
		.st = {.st_mode = S_IFREG | 0644},
	};
	struct error err = ERROR_INIT;
	cleanup_fd int out = memfd_create("image", MFD_CLOEXEC);

	cr_assert(layout.rootfsfd >= 0);
	cr_expect(aci_write(&layout, out, &(struct aci_write_options){0}, NULL,
			    &err) == -ESTALE);
	cr_expect(strstr(err.msg, "changed while it was read") != NULL, "%s",
		  err.msg);
	close(layout.rootfsfd);
}

Test(aci_write, a_full_disk_is_an_error)
{
	cleanup_fd int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	cleanup_aci_layout struct aci_layout layout = ACI_LAYOUT_INIT;
	struct error err = ERROR_INIT;
	struct tree t = {0};

	tree_make(&t, false);
	cr_assert(aci_layout_open(t.fd, &layout, &err) == 0);
	cr_expect(aci_write(&layout, full, &(struct aci_write_options){0}, NULL,
			    &err) == -ENOSPC,
		  "%s", err.msg);
	tree_remove(&t);
}

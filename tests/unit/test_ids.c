/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/ids.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
			     "# comment\n"
			     "\n"
			     "www:x:33:34::/var/www:/bin/false\n"
			     "www:x:99:99::/second:/bin/false\n"
			     "1234:x:77:77::/:/bin/false\n"
			     "big:x:4294967295:0::/:\n"
			     "neg:x:-1:0::/:\n"
			     "huge:x:99999999999999999999:0::/:\n"
			     "short:x\n"
			     "empty:x::0::/:\n"
			     ":x:5:5::/:\n"
			     "last:x:42:43";

Test(ids, text)
{
	static const struct {
		const char *name;
		int r;
		uint32_t id;
	} rows[] = {
		{"root", 0, 0},		{"www", 0, 33},
		{"1234", 0, 77},	{"last", 0, 42},
		{"ww", -ENOENT, 0},	{"wwww", -ENOENT, 0},
		{"nobody", -ENOENT, 0}, {"", -ENOENT, 0},
		{"root:x", -ENOENT, 0}, {"\nwww", -ENOENT, 0},
		{"big", -EINVAL, 0},	{"neg", -EINVAL, 0},
		{"huge", -EINVAL, 0},	{"short", -EINVAL, 0},
		{"empty", -EINVAL, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t id = 4711;
		int r = ids_find_in_text(passwd, sizeof(passwd) - 1,
					 rows[i].name, &id);

		cr_expect_eq(r, rows[i].r, "%s: %d", rows[i].name, r);
		cr_expect_eq(id, r == 0 ? rows[i].id : 4711, "%s: %u",
			     rows[i].name, id);
	}
}

/* Text of an image: anything. */
Test(ids, odd_text)
{
	static const struct {
		const char *text;
		size_t len;
		int r;
	} rows[] = {
		{"", 0, -ENOENT},
		{"u", 1, -ENOENT},
		{"u:", 2, -EINVAL},
		{"u::", 3, -EINVAL},
		{"u::1", 4, 0},
		{"\n\n\nu::1", 7, 0},
		{"u:\0:1\n", 6, 0},
		{"u::1\0\n", 6, -EINVAL},
		{"\0u::1", 5, -ENOENT},
		{"u::1\r\n", 6, -EINVAL},
		{"u::00000000000000000000000001", 29, -EINVAL},
	};
	char *line cleanup_free = malloc(100000);
	uint32_t id;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(
			ids_find_in_text(rows[i].text, rows[i].len, "u", &id),
			rows[i].r, "%zu", i);
	memset(line, 'u', 100000);
	cr_expect_eq(ids_find_in_text(line, 100000, "u", &id), -ENOENT);
	memset(line, ':', 100000);
	cr_expect_eq(ids_find_in_text(line, 100000, "u", &id), -ENOENT);
}

/* --- below a root
 * ---------------------------------------------------------------- */

static char root_dir[64];
static int root_fd;

static void put(const char *path, const char *text)
{
	cr_assert_eq(write_string_at(root_fd, path, 0644, text, NULL), 0);
}

static void make_root(void)
{
	memcpy(root_dir, "/tmp/rkt-test-ids-XXXXXX", 25);
	cr_assert(mkdtemp(root_dir));
	root_fd = open(root_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(root_fd, 0);
	cr_assert_eq(mkdirat(root_fd, "etc", 0755), 0);
}

static void remove_root(void)
{
	close(root_fd);
	remove_tree_at(AT_FDCWD, root_dir, NULL);
}

Test(ids, forms, .init = make_root, .fini = remove_root)
{
	static const struct {
		const char *name;
		int user_r;
		uid_t user;
		int group_r;
		gid_t group;
	} rows[] = {
		{"root", 0, 0, 0, 0},
		{"www", 0, 33, -ENOENT, 0},
		{"staff", -ENOENT, 0, 0, 50},
		{"1234", 0, 77, 0, 1234},
		{"0", 0, 0, 0, 0},
		{"65534", 0, 65534, 0, 65534},
		{"4294967295", -ENOENT, 0, -ENOENT, 0},
		{"-1", -ENOENT, 0, -ENOENT, 0},
		{"12x", -ENOENT, 0, -ENOENT, 0},
		{"neg", -EINVAL, 0, -ENOENT, 0},
		{"/data", 0, 1001, 0, 1002},
		{"/link", 0, 1001, 0, 1002},
		{"/up", 0, 1001, 0, 1002},
		{"/nothing", -ENOENT, 0, -ENOENT, 0},
		{"/etc/../../../../data", 0, 1001, 0, 1002},
	};

	if (geteuid() != 0)
		cr_skip_test("needs root");
	put("etc/passwd", passwd);
	put("etc/group", "staff:x:50:a,b\n");
	put("data", "");
	cr_assert_eq(fchownat(root_fd, "data", 1001, 1002, 0), 0);
	cr_assert_eq(symlinkat("/data", root_fd, "link"), 0);
	cr_assert_eq(symlinkat("../../../data", root_fd, "up"), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = ERROR_INIT;
		uid_t uid = 0;
		gid_t gid = 0;

		cr_expect_eq(ids_find_user(root_fd, rows[i].name, &uid, &err),
			     rows[i].user_r, "%s: %s", rows[i].name, err.msg);
		cr_expect_eq(uid, rows[i].user, "%s: %u", rows[i].name, uid);
		cr_expect_eq(ids_find_group(root_fd, rows[i].name, &gid, &err),
			     rows[i].group_r, "%s: %s", rows[i].name, err.msg);
		cr_expect_eq(gid, rows[i].group, "%s: %u", rows[i].name, gid);
	}
}

Test(ids, says_what_was_looked_up, .init = make_root, .fini = remove_root)
{
	struct error err = ERROR_INIT;
	uid_t uid;

	cr_expect_eq(ids_find_user(root_fd, "www", &uid, &err), -ENOENT);
	cr_expect_str_eq(err.msg, "no user www in /etc/passwd of the image");
	cr_expect_eq(ids_find_user(root_fd, "root", &uid, &err), 0);
	cr_expect_eq(ids_find_user(root_fd, "12", &uid, &err), 0);
	cr_expect_eq(uid, 12);
	cr_expect_eq(ids_find_group(root_fd, "/x", &uid, &err), -ENOENT);
	cr_expect(strstr(err.msg, "group that owns /x in the image"), "%s",
		  err.msg);
}

/* An image's /etc/passwd that is no file, or leads out of the image. */
Test(ids, hostile_files, .init = make_root, .fini = remove_root)
{
	static const struct {
		mode_t type;
		dev_t dev;
		const char *link;
		int r;
	} rows[] = {
		{S_IFIFO, 0, NULL, -EINVAL},
		{S_IFCHR, 0x105, NULL, -EINVAL}, /* 1:5, /dev/zero */
		{S_IFDIR, 0, NULL, -EINVAL},
		{S_IFLNK, 0, "/etc/passwd", -ELOOP},
		{S_IFLNK, 0, "/proc/1/root/etc/passwd", -ENOENT},
		/* The host's has "nobody"; the image has no such file. */
		{S_IFLNK, 0, "../../../../../etc/shadow", -ENOENT},
	};

	if (geteuid() != 0)
		cr_skip_test("needs root");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = ERROR_INIT;
		uid_t uid;

		if (rows[i].type == S_IFLNK)
			cr_assert_eq(
				symlinkat(rows[i].link, root_fd, "etc/passwd"),
				0);
		else if (rows[i].type == S_IFDIR)
			cr_assert_eq(mkdirat(root_fd, "etc/passwd", 0755), 0);
		else
			cr_assert_eq(mknodat(root_fd, "etc/passwd",
					     rows[i].type | 0644, rows[i].dev),
				     0);
		cr_expect_eq(ids_find_user(root_fd, "nobody", &uid, &err),
			     rows[i].r, "%zu: %s", i, err.msg);
		cr_assert_eq(remove_tree_at(root_fd, "etc/passwd", NULL), 0);
	}
}

Test(ids, endless_file, .init = make_root, .fini = remove_root)
{
	struct error err = ERROR_INIT;
	uid_t uid;
	int fd = openat(root_fd, "etc/passwd", O_WRONLY | O_CREAT | O_CLOEXEC,
			0644);

	cr_assert_eq(ftruncate(fd, (off_t)1 << 40), 0);
	close(fd);
	cr_expect_eq(ids_find_user(root_fd, "www", &uid, &err), -EFBIG, "%s",
		     err.msg);
}

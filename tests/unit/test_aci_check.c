/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/aci_check.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

static const struct aci_check_limits limits = {1UL << 30, 100000};

#define FILE_(p)                                                               \
	{                                                                      \
		.path = (p), .type = ACI_FILE                                  \
	}
#define DIR_(p)                                                                \
	{                                                                      \
		.path = (p), .type = ACI_DIRECTORY                             \
	}
#define LINK_(p, t)                                                            \
	{                                                                      \
		.path = (p), .type = ACI_SYMLINK, .target = (t)                \
	}
#define HARD_(p, t)                                                            \
	{                                                                      \
		.path = (p), .type = ACI_HARDLINK, .target = (t)               \
	}

#define N_ENTRIES 6

struct row {
	struct aci_entry entries[N_ENTRIES]; /* up to the first without path */
	const char *message;		     /* part of it; NULL = accepted */
};

static int check_row(const struct row *row, struct error *err)
{
	cleanup_aci_check struct aci_check c;
	int r = 0;

	aci_check_init(&c, &limits);
	for (size_t i = 0; i < N_ENTRIES && row->entries[i].path && r >= 0; i++)
		r = aci_check_entry(&c, &row->entries[i], err);
	return r < 0 ? r : aci_check_end(&c, err);
}

static void check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct error err = ERROR_INIT;
		int r = check_row(&rows[i], &err);

		if (!rows[i].message)
			cr_expect(r == 0, "row %zu: %s", i, err.msg);
		else
			cr_expect(r < 0 && strstr(err.msg, rows[i].message),
				  "row %zu: %d %s, not %s", i, r, err.msg,
				  rows[i].message);
	}
}

Test(aci_check, layout)
{
	static const struct row rows[] = {
		{{FILE_("manifest"), DIR_("rootfs")}, NULL},
		{{DIR_("rootfs/"), FILE_("manifest")}, NULL},
		{{DIR_("./"), FILE_("./manifest"), DIR_("./rootfs/"),
		  FILE_("./rootfs/a")},
		 NULL},
		{{FILE_("rootfs/a/b"), DIR_("rootfs/a"), DIR_("rootfs"),
		  FILE_("manifest")},
		 NULL},
		{{FILE_("manifest"), DIR_("rootfs"), FILE_("rootfs/manifest")},
		 NULL},
		{{DIR_("rootfs")}, "no manifest"},
		{{FILE_("manifest")}, "no rootfs"},
		{{FILE_("manifest"), FILE_("rootfs/a")}, "no rootfs"},
		{{FILE_("manifest"), FILE_("rootfs")}, "not a directory"},
		{{FILE_("manifest"), DIR_("rootfs"), FILE_("README")},
		 "nothing but manifest and rootfs/"},
		{{FILE_("manifest"), DIR_("rootfs"), FILE_("rootfs2/x")},
		 "nothing but"},
		{{FILE_("manifest"), DIR_("rootfs"), FILE_("manifest/x")},
		 "nothing but"},
		{{LINK_("manifest", "rootfs/m")}, "not a regular file"},
		{{HARD_("manifest", "rootfs/m")}, "not a regular file"},
		{{FILE_("./")}, "top is not a directory"},
	};

	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

Test(aci_check, names)
{
	static const struct row rows[] = {
		{{FILE_("/manifest")}, "absolute"},
		{{FILE_("rootfs/../../etc/passwd")}, ".."},
		{{FILE_("rootfs/..")}, ".."},
		{{FILE_("rootfs/..a/b..")}, "no manifest"},
		{{DIR_("rootfs"), DIR_("rootfs")}, "twice"},
		{{FILE_("manifest"), FILE_("manifest")}, "twice"},
		{{DIR_("rootfs/d"), DIR_("rootfs//d/")}, "twice"},
		{{DIR_("rootfs/d"), FILE_("rootfs/./d")}, "twice"},
		{{DIR_("rootfs/d"), FILE_("rootfs/d/x"), DIR_("rootfs/d")},
		 "twice"},
		{{FILE_("rootfs/d/x"), FILE_("rootfs/d")},
		 "earlier entries are below it"},
		{{FILE_("rootfs/d"), FILE_("rootfs/d/x")},
		 "below something that is not a directory"},
		{{LINK_("rootfs/d", "/etc"), FILE_("rootfs/d/x")},
		 "behind a symbolic link"},
		{{LINK_("rootfs/d", "."), FILE_("rootfs/d/e/f/x")},
		 "behind a symbolic link"},
		{{FILE_("rootfs/d"), HARD_("rootfs/e", "rootfs/d"),
		  FILE_("rootfs/e/x")},
		 "below something"},
	};

	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

Test(aci_check, links_and_numbers)
{
	static const struct row rows[] = {
		{{FILE_("manifest"), DIR_("rootfs"), FILE_("rootfs/a"),
		  HARD_("rootfs/b", "./rootfs//a"),
		  HARD_("rootfs/c", "rootfs/b")},
		 NULL},
		{{HARD_("rootfs/b", "/etc/passwd")}, "out of the rootfs"},
		{{HARD_("rootfs/b", "../etc/passwd")}, "out of the rootfs"},
		{{FILE_("manifest"), HARD_("rootfs/b", "manifest")},
		 "out of the rootfs"},
		{{HARD_("rootfs/b", "rootfs/a"), FILE_("rootfs/a")},
		 "no earlier entry"},
		{{HARD_("rootfs/b", "rootfs/b")}, "no earlier entry"},
		{{DIR_("rootfs/a"), HARD_("rootfs/b", "rootfs/a")},
		 "to a directory"},
		{{LINK_("rootfs/l", "/etc"),
		  HARD_("rootfs/b", "rootfs/l/passwd")},
		 "no earlier entry"},
		{{LINK_("rootfs/l", "")}, "empty"},
		{{{.path = "rootfs/z", .type = ACI_CHAR, .major = 4096}},
		 "device number"},
		{{{.path = "rootfs/z", .type = ACI_BLOCK, .minor = 1 << 20}},
		 "device number"},
		{{{.path = "rootfs/z", .type = ACI_FILE, .size = -1}},
		 "negative"},
		{{{.path = "rootfs/z", .type = ACI_FILE, .size = 2L << 30}},
		 "more than the limit"},
		{{{.path = "rootfs/z", .uid = UINT32_MAX}}, "owner"},
		{{{.path = "rootfs/z", .gid = -1}}, "owner"},
		{{FILE_("rootfs/a"),
		  {.path = "rootfs/b",
		   .type = ACI_HARDLINK,
		   .target = "rootfs/a",
		   .size = 1}},
		 "with content"},
	};

	check_rows(rows, sizeof(rows) / sizeof(rows[0]));
}

Test(aci_check, long_names)
{
	static char path[8192] = "rootfs/";
	struct row row = {{FILE_(path)}, NULL};
	struct error err = ERROR_INIT;

	memset(path + 7, 'a', 255);
	check_row(&row, &err);
	cr_expect_null(strstr(err.msg, "too long"));
	memset(path + 7, 'a', 256);
	check_row(&row, &err);
	cr_expect_not_null(strstr(err.msg, "too long"));
	for (size_t i = 7; i < 4090; i++)
		path[i] = i % 2 ? '/' : 'b';
	check_row(&row, &err);
	cr_expect_not_null(strstr(err.msg, "too long"));
}

Test(aci_check, data)
{
	const struct aci_entry e = {
		.path = "rootfs/a", .type = ACI_FILE, .size = 20000};
	static const struct {
		int64_t offset;
		size_t n;
		uint64_t unpacked; /* after it; 0 = refused */
	} rows[] = {
		{0, 100, 4096},	      {100, 3996, 4096}, {4096, 4097, 12288},
		{8193, 10, 12288},    {16384, 1, 16384}, {16385, 0, 16384},
		{16385, 3615, 16384}, {19000, 1, 0},	 {20000, 1, 0},
		{INT64_MAX, 1, 0},    {-1, 1, 0},
	};
	cleanup_aci_check struct aci_check c;

	aci_check_init(&c, &limits);
	cr_assert(aci_check_entry(&c, &e, NULL) == ACI_ROLE_ROOTFS);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int r = aci_check_data(&c, &e, rows[i].offset, rows[i].n, NULL);

		cr_expect(rows[i].unpacked ? r == 0 : r == -EINVAL, "row %zu",
			  i);
		if (rows[i].unpacked)
			cr_expect(c.unpacked_size == rows[i].unpacked,
				  "row %zu: %llu", i,
				  (unsigned long long)c.unpacked_size);
	}
}

/* Many entries: the table grows, and the limit holds. */
Test(aci_check, many)
{
	const struct aci_check_limits few = {1UL << 30, 50000};
	cleanup_aci_check struct aci_check c;
	struct error err = ERROR_INIT;
	char path[64];
	int r = 0;

	aci_check_init(&c, &few);
	for (unsigned int i = 0; i < 50000 && r >= 0; i++) {
		struct aci_entry e = FILE_(path);

		(void)snprintf(path, sizeof(path), "rootfs/%u/%u", i % 97, i);
		r = aci_check_entry(&c, &e, &err);
	}
	cr_expect(r >= 0, "%s", err.msg);
	r = aci_check_entry(&c, &(struct aci_entry)FILE_("rootfs/x"), &err);
	cr_expect(r == -EFBIG, "%d", r);
	cr_expect(c.n_files == 50000);
}

Test(aci_check, quote)
{
	static const char *const rows[][2] = {
		{"rootfs/a b", "rootfs/a b"},
		{"a\nb\033[2J", "a\\x0ab\\x1b[2J"},
		{"\xe2\x80\xae"
		 "cod.exe",
		 "\\xe2\\x80\\xaecod.exe"},
		{"a\\b", "a\\x5cb"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cleanup_free char *q = aci_quote(rows[i][0]);

		cr_expect_str_eq(q, rows[i][1]);
	}
}

Test(aci_check, xattrs)
{
	static const struct {
		const char *name;
		bool kept;
	} rows[] = {
		{"user.a", true},
		{"user.", false},
		{"security.capability", true},
		{"security.selinux", false},
		{"security.ima", false},
		{"system.posix_acl_access", true},
		{"trusted.overlay.opaque", false},
		{"com.apple.quarantine", false},
		{"", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(aci_xattr_is_kept(rows[i].name) == rows[i].kept, "%s",
			  rows[i].name);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/keystore.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/strv.h"

#define K1 "1111111111111111111111111111111111111111"
#define K2 "2222222222222222222222222222222222222222"
#define K3 "3333333333333333333333333333333333333333"

Test(keystore, is_fingerprint)
{
	static const struct {
		const char *name;
		bool want;
	} tests[] = {
		{K1, true},
		{"0123456789abcdef0123456789abcdef01234567", true},
		{"0123456789ABCDEF0123456789abcdef01234567", false},
		{"0123456789abcdef0123456789abcdef0123456", false},
		{"0123456789abcdef0123456789abcdef012345678", false},
		{"0123456789abcdef0123456789abcdef0123456g", false},
		{"", false},
		{K1 "~", false},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
		cr_expect_eq(keystore_is_fingerprint(tests[i].name),
			     tests[i].want, "%s", tests[i].name);
}

Test(keystore, dirs_make)
{
	static const struct {
		const char *name;
		const char *want; /* the last directory; NULL: refused */
		size_t n;
	} tests[] = {
		{"example", "prefix.d/example", 2},
		{"example.com/a/b", "prefix.d/example.com/a/b", 4},
		{"", NULL, 0},
		{"Example.com", NULL, 0},
		{"/a", NULL, 0},
		{"a/", NULL, 0},
		{"a//b", NULL, 0},
		{"a/../b", NULL, 0},
		{"a/./b", NULL, 0},
		{"../a", NULL, 0},
		{"a b", NULL, 0},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		cleanup_strv struct strv dirs = STRV_INIT;
		struct error err = ERROR_INIT;
		int r = keystore_dirs_make(&dirs, tests[i].name, &err);

		if (!tests[i].want) {
			cr_expect_eq(r, -EINVAL, "%s", tests[i].name);
			cr_expect_eq(dirs.n, 0, "%s", tests[i].name);
			continue;
		}
		cr_assert_eq(r, 0, "%s: %s", tests[i].name, err.msg);
		cr_assert_eq(dirs.n, tests[i].n, "%s", tests[i].name);
		cr_expect_str_eq(dirs.v[0], "root.d");
		cr_expect_str_eq(dirs.v[dirs.n - 1], tests[i].want);
	}
}

/* DIR/trustedkeys/PATH with TEXT in it. */
static void put(const char *dir, const char *path, const char *text)
{
	cleanup_free char *full = xasprintf("%s/trustedkeys/%s", dir, path);
	cleanup_free char *parent = xstrdup(full);
	cleanup_fd int fd = -EBADF;

	*strrchr(parent, '/') = '\0';
	cr_assert_eq(mkdir_p_at(AT_FDCWD, parent, 0755), 0);
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write_full(fd, text, strlen(text)), 0);
}

static int by_fingerprint(const void *a, const void *b)
{
	return strcmp(((const struct trusted_key *)a)->fingerprint,
		      ((const struct trusted_key *)b)->fingerprint);
}

/* "1:text,2:text": first digit and contents of each key found. */
static void expect_keys(const struct keystore *ks, const char *name,
			const char *want)
{
	cleanup_trusted_keys struct trusted_keys keys = TRUSTED_KEYS_INIT;
	struct error err = ERROR_INIT;
	char got[512] = "";

	cr_assert_eq(keystore_find(ks, name, &keys, &err), 0, "%s", err.msg);
	if (keys.n > 0)
		qsort(keys.v, keys.n, sizeof(*keys.v), by_fingerprint);
	for (size_t i = 0; i < keys.n; i++) {
		char text[64] = "";
		size_t len = strlen(got);

		cr_assert_geq(read_full(keys.v[i].fd, text, sizeof(text) - 1),
			      0);
		(void)snprintf(got + len, sizeof(got) - len, "%s%c:%s",
			       i ? "," : "", keys.v[i].fingerprint[0], text);
	}
	cr_expect_str_eq(got, want, "%s: %s", name, got);
}

Test(keystore, find)
{
	char root[] = "/tmp/rkt-keystore.XXXXXX";
	cleanup_free char *sys = NULL;
	cleanup_free char *local = NULL;
	cleanup_free char *user = NULL;
	cleanup_free char *link = NULL;
	struct keystore ks = {0};

	cr_assert(mkdtemp(root));
	sys = xasprintf("%s/sys", root);
	local = xasprintf("%s/local", root);
	user = xasprintf("%s/user", root);
	ks = (struct keystore){sys, local, user};
	expect_keys(&ks, "example.com/a", "");

	put(sys, "root.d/" K1, "root");
	put(sys, "prefix.d/example.com/" K2, "sys");
	expect_keys(&ks, "example.com/a", "1:root,2:sys");
	expect_keys(&ks, "example.com", "1:root,2:sys");
	expect_keys(&ks, "example.community", "1:root");
	expect_keys(&ks, "example.org", "1:root");

	put(local, "prefix.d/example.com/" K2, "local");
	expect_keys(&ks, "example.com/a", "1:root,2:local");
	put(local, "prefix.d/example.com/a/" K3, "deep");
	expect_keys(&ks, "example.com/a/x", "1:root,2:local,3:deep");
	expect_keys(&ks, "example.com/b", "1:root,2:local");
	expect_keys(&ks, "example.com/ab", "1:root,2:local");

	/* An empty local file withdraws a key for its prefix only. */
	put(local, "prefix.d/example.com/a/" K1, "");
	expect_keys(&ks, "example.com/a", "2:local,3:deep");
	expect_keys(&ks, "example.com/b", "1:root,2:local");
	put(local, "root.d/" K1, "");
	expect_keys(&ks, "example.org", "");
	put(user, "prefix.d/example.org/" K1, "user");
	expect_keys(&ks, "example.org/z", "1:user");

	/* What is no key file is none. */
	put(local, "root.d/README", "x");
	put(local, "root.d/" K3 "~", "x");
	link = xasprintf("%s/trustedkeys/root.d/" K2, local);
	cr_assert_eq(symlink("/etc/passwd", link), 0);
	expect_keys(&ks, "example.net", "");
	cr_expect_eq(remove_tree_at(AT_FDCWD, root, NULL), 0);
}

Test(keystore, add)
{
	char root[] = "/tmp/rkt-keystore.XXXXXX";
	cleanup_free char *local = NULL;
	cleanup_free char *path = NULL;
	cleanup_free char *path2 = NULL;
	struct keystore ks = {0};
	struct error err = ERROR_INIT;
	struct stat st;
	mode_t mask = umask(077);

	cr_assert(mkdtemp(root));
	local = xasprintf("%s/local", root);
	ks.local_dir = local;
	cr_assert_eq(keystore_add(&ks, "a.b/c", K1, "key", 3, &path, &err), 0,
		     "%s", err.msg);
	cr_expect(path && strstr(path, "/trustedkeys/prefix.d/a.b/c/" K1));
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0644);
	*strrchr(path, '/') = '\0';
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0755);
	cr_assert_eq(keystore_add(&ks, NULL, K2, "key", 3, &path2, &err), 0);
	expect_keys(&ks, "a.b/c/d", "1:key,2:key");
	expect_keys(&ks, "a.b", "2:key");

	cr_expect_eq(keystore_add(&ks, "../x", K1, "k", 1, &path, NULL),
		     -EINVAL);
	cr_expect_eq(keystore_add(&ks, NULL, "../../x", "k", 1, &path, NULL),
		     -EINVAL);
	(void)umask(mask);
	cr_expect_eq(remove_tree_at(AT_FDCWD, root, NULL), 0);
}

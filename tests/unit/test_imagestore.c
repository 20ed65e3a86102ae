/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "aci/image_labels.h"
#include "aci/imagestore.h"
#include "aci/seal.h"
#include "aci/treestore.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/image_ref.h"
#include "spec/name_value.h"

static char root[64];
static const char libexec[] = "/nonexistent"; /* no tar has to be read */

static void setup(void)
{
	(void)snprintf(root, sizeof(root), "/tmp/rkt-imagestore.XXXXXX");
	cr_assert(mkdtemp(root));
}

/* Stored tars are immutable where that is possible. */
static void unseal_dir(const char *name)
{
	cleanup_strv struct strv names = STRV_INIT;
	cleanup_fd int fd = -EBADF;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/cas/%s", root, name);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)dir_names(fd, &names);
	for (size_t i = 0; i < names.n; i++)
		seal_lift(fd, names.v[i]);
}

static void unseal(void)
{
	unseal_dir("blob");
	unseal_dir("tmp");
}

static void teardown(void)
{
	unseal();
	cr_expect_eq(remove_tree_at(AT_FDCWD, root, NULL), 0);
}

TestSuite(imagestore, .init = setup, .fini = teardown);

static struct imagestore *open_store(unsigned flags)
{
	struct imagestore *store = NULL;
	struct error err = ERROR_INIT;

	cr_assert_eq(imagestore_open(root, libexec, flags | IMAGESTORE_CREATE,
				     &store, &err),
		     0, "%s", err.msg);
	return store;
}

/* DIGIT 128 times. */
static struct image_id id_of(char digit)
{
	struct image_id id;

	memcpy(id.text, IMAGE_ID_PREFIX, IMAGE_ID_PREFIX_LEN);
	memset(id.text + IMAGE_ID_PREFIX_LEN, digit, IMAGE_ID_HEX_LEN);
	id.text[IMAGE_ID_LEN] = '\0';
	return id;
}

static void import(struct imagestore *store, char digit, const char *name,
		   const char *version, bool latest)
{
	cleanup_free char *manifest = xasprintf(
		"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\","
		"\"name\":\"%s\",\"labels\":[{\"name\":\"version\",\"value\":"
		"\"%s\"},{\"name\":\"os\",\"value\":\"linux\"},{\"name\":"
		"\"arch\",\"value\":\"amd64\"}]}",
		name, version);
	struct error err = ERROR_INIT;
	cleanup_fd int fd = imagestore_new_file(store, &err);
	struct image_import im = {
		.id = id_of(digit),
		.manifest = manifest,
		.manifest_len = strlen(manifest),
		.blob_fd = fd,
		.size = 4,
		.source = "/x.aci",
		.latest = latest,
	};

	cr_assert_geq(fd, 0, "%s", err.msg);
	cr_assert_eq(write_full(fd, "blob", 4), 0);
	cr_assert_eq(imagestore_commit(store, &im, &err), 0, "%s", err.msg);
}

static void expect_found(struct imagestore *store, const char *name, char digit)
{
	cleanup_image_ref struct image_ref ref = IMAGE_REF_INIT;
	struct error err = ERROR_INIT;
	struct image_id id;
	int r;

	cr_assert_eq(image_ref_parse(name, &ref, &err), 0, "%s", err.msg);
	r = imagestore_find_name(store, &ref, &id, &err);
	if (!digit) {
		cr_expect_eq(r, -ENOENT, "%s", name);
		return;
	}
	cr_assert_eq(r, 0, "%s: %s", name, err.msg);
	cr_expect_eq(id.text[IMAGE_ID_PREFIX_LEN], digit, "%s", name);
}

Test(imagestore, labels)
{
	struct name_value have[] = {{(char *)"version", (char *)"1,0"},
				    {(char *)"os", (char *)"linux"},
				    {(char *)"arch", (char *)"amd64"}};
	const struct name_values labels = {have, 3};
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	static const struct {
		const char *name, *value;
		bool want;
	} tests[] = {
		{"os", "linux", true},	 {"version", "1,0", true},
		{"arch", "amd64", true}, {"os", "linu", false},
		{"s", "linux", false},	 {"version", "1", false},
		{"version", "", false},	 {"channel", "x", false},
	};

	image_labels_make(&labels, &text);
	cr_expect_str_eq(text.buf, "arch=amd64,os=linux,version=1%2C0");
	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		struct name_value one = {(char *)tests[i].name,
					 (char *)tests[i].value};
		const struct name_values want = {&one, 1};

		cr_expect_eq(image_labels_match(text.buf, &want), tests[i].want,
			     "%s=%s", one.name, one.value);
	}
	cr_expect(image_labels_match("", &(struct name_values){NULL, 0}));
}

Test(imagestore, find_id)
{
	struct imagestore *store = open_store(0);
	struct image_id id;
	char prefix[IMAGE_ID_LEN + 1];

	import(store, 'a', "example.com/a", "1", false);
	cr_expect_eq(imagestore_find_id(store, id_of('a').text, &id, NULL), 0);
	cr_expect_eq(imagestore_find_id(store, "sha512-aa", &id, NULL), 0);
	cr_expect_str_eq(id.text, id_of('a').text);
	cr_expect_eq(imagestore_find_id(store, "sha512-AAAA", &id, NULL), 0);
	image_id_full(&id, prefix);
	cr_expect_eq(imagestore_find_id(store, prefix, &id, NULL), 0);
	cr_expect_eq(imagestore_find_id(store, "sha512-a", &id, NULL), -EINVAL);
	cr_expect_eq(imagestore_find_id(store, "sha512-ab", &id, NULL),
		     -ENOENT);
	cr_expect_eq(imagestore_find_id(store, id_of('b').text, &id, NULL),
		     -ENOENT);
	cr_expect_eq(imagestore_find_id(store, "sha512-../../x", &id, NULL),
		     -EINVAL);

	/* A second one that begins alike. */
	(void)snprintf(prefix, sizeof(prefix), "%s/cas/blob", root);
	{
		cleanup_fd int dir = open(prefix, O_DIRECTORY | O_CLOEXEC);
		struct image_id other = id_of('a');
		char name[200];

		other.text[IMAGE_ID_LEN - 1] = 'b';
		(void)snprintf(name, sizeof(name), "%s.tar", other.text);
		cr_assert_eq(write_string_at(dir, name, 0600, "", NULL), 0);
	}
	cr_expect_eq(imagestore_find_id(store, "sha512-aa", &id, NULL),
		     -EEXIST);
	cr_expect_eq(imagestore_find_id(store, id_of('a').text, &id, NULL), 0);
	imagestore_free(store);
}

Test(imagestore, find_name)
{
	struct imagestore *store = open_store(0);

	expect_found(store, "example.com/a", '\0');
	import(store, 'a', "example.com/a", "1.0", false);
	import(store, 'b', "example.com/a", "2.0", false);
	import(store, 'c', "example.com/c", "1.0", false);
	expect_found(store, "example.com/a", 'b');
	expect_found(store, "example.com/a:1.0", 'a');
	expect_found(store, "example.com/a:2.0,os=linux,arch=amd64", 'b');
	expect_found(store, "example.com/a:3.0", '\0');
	expect_found(store, "example.com/a,arch=arm64", '\0');
	expect_found(store, "example.com", '\0');

	/* Imported again: the newest import. */
	import(store, 'a', "example.com/a", "1.0", false);
	expect_found(store, "example.com/a", 'a');
	/* Marked latest: before newer ones. */
	import(store, 'b', "example.com/a", "2.0", true);
	import(store, 'a', "example.com/a", "1.0", false);
	expect_found(store, "example.com/a", 'b');
	expect_found(store, "example.com/a:1.0", 'a');
	imagestore_free(store);
}

Test(imagestore, remove)
{
	struct imagestore *store = open_store(0);
	cleanup_image_rows struct image_rows rows = IMAGE_ROWS_INIT;
	cleanup_image_row struct image_row row = {0};
	cleanup_strbuf struct strbuf manifest = STRBUF_INIT;
	struct image_id a = id_of('a');
	struct error err = ERROR_INIT;

	import(store, 'a', "example.com/a", "1.0", false);
	cr_expect_eq(imagestore_read_manifest(store, &a, &manifest, &err), 0);
	cr_expect_eq(imagestore_find_source(store, "/x.aci", &row, &err), 0);
	cr_expect_str_eq(row.name, "example.com/a");
	cr_assert_eq(imagestore_remove(store, &a, &err), 0, "%s", err.msg);
	cr_expect_eq(imagestore_remove(store, &a, &err), 0, "%s", err.msg);
	cr_expect_eq(imagestore_read_manifest(store, &a, &manifest, &err),
		     -ENOENT);
	expect_found(store, "example.com/a", '\0');
	cr_expect_eq(imagestore_list(store, NULL, &rows, &err), 0);
	cr_expect_eq(rows.n, 0);
	imagestore_free(store);
}

/* Everything a kill may leave, and what reconcile makes of it. */
Test(imagestore, reconcile)
{
	struct imagestore *store = open_store(IMAGESTORE_EXCLUSIVE);
	cleanup_image_rows struct image_rows rows = IMAGE_ROWS_INIT;
	struct imagestore_repairs n;
	struct error err = ERROR_INIT;
	char name[200];
	int cas;

	import(store, 'a', "example.com/a", "1.0", false);
	import(store, 'b', "example.com/b", "1.0", false);
	import(store, 'c', "example.com/c", "1.0", false);
	/* a lost its row with the table, b its blob */
	imagestore_free(store);
	(void)snprintf(name, sizeof(name), "%s/cas/images.sqlite", root);
	cr_assert_eq(unlink(name), 0);
	store = open_store(IMAGESTORE_EXCLUSIVE);
	cas = imagestore_dirfd(store);
	import(store, 'c', "example.com/c", "1.0", false);
	import(store, 'd', "example.com/d", "1.0", false);
	unseal();
	(void)snprintf(name, sizeof(name), "blob/%s.tar", id_of('b').text);
	cr_assert_eq(unlinkat(cas, name, 0), 0);
	(void)snprintf(name, sizeof(name), "blob/%s.tar", id_of('d').text);
	cr_assert_eq(unlinkat(cas, name, 0), 0);
	cr_assert_eq(mkdir_p_at(cas, "tmp/tree-1/rootfs/x", 0700), 0);
	cr_assert_eq(write_string_at(cas, "tmp/import-1", 0600, "x", NULL), 0);

	cr_assert_eq(imagestore_reconcile(store, &n, &err), 0, "%s", err.msg);
	cr_expect_eq(n.n_rows_added, 1);
	cr_expect_eq(n.n_rows_removed, 1);
	cr_expect_eq(n.n_files_removed, 4); /* tmp/ two, manifests b, d */
	expect_found(store, "example.com/a", 'a');
	expect_found(store, "example.com/b", '\0');
	expect_found(store, "example.com/c", 'c');
	cr_expect_neq(faccessat(cas, "tmp/tree-1", F_OK, 0), 0);
	cr_expect_eq(imagestore_list(store, NULL, &rows, &err), 0);
	cr_expect_eq(rows.n, 2);

	cr_assert_eq(imagestore_reconcile(store, &n, &err), 0, "%s", err.msg);
	cr_expect_eq(n.n_rows_added + n.n_rows_removed + n.n_files_removed, 0);
	imagestore_free(store);
}

/* Who reads a tar whole seals it then, also if it was taken away meanwhile. */
Test(imagestore, condemned_and_sealed)
{
	struct imagestore *store = open_store(IMAGESTORE_EXCLUSIVE);
	const struct image_id id = id_of('a');
	struct imagestore_repairs n;
	struct error err = ERROR_INIT;
	char name[200];

	(void)snprintf(name, sizeof(name), "tmp/%s.bad", id.text);
	for (int i = 0; i < 2; i++) {
		import(store, 'a', "example.com/a", "1.0", false);
		cr_assert_eq(imagestore_condemn(store, &id, &err), 0, "%s",
			     err.msg);
		seal_again(imagestore_dirfd(store), name);
	}
	cr_expect_eq(imagestore_reconcile(store, &n, &err), 0, "%s", err.msg);
	cr_expect_neq(faccessat(imagestore_dirfd(store), name, F_OK, 0), 0);
	imagestore_free(store);
}

Test(imagestore, pod_images)
{
	static const char *const states[] = {"prepared", "run",
					     "exited-garbage", "garbage"};
	struct imagestore *store = open_store(IMAGESTORE_EXCLUSIVE);
	cleanup_strv struct strv used = STRV_INIT;
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < 4; i++) {
		cleanup_free char *path =
			xasprintf("%s/pods/%s/u%zu/generations/app/1", root,
				  states[i], i);
		cleanup_fd int fd = -EBADF;

		cr_assert_eq(mkdir_p_at(AT_FDCWD, path, 0700), 0);
		fd = open(path, O_DIRECTORY | O_CLOEXEC);
		cr_assert_eq(write_string_at(fd, "treeStoreID", 0600,
					     id_of("dcba"[i]).text, NULL),
			     0);
	}
	{
		cleanup_free char *path = xasprintf("%s/pods/run/u1", root);
		cleanup_fd int fd = open(path, O_DIRECTORY | O_CLOEXEC);

		cr_assert_eq(write_string_at(fd, "stage1TreeStoreID", 0600,
					     id_of('e').text, NULL),
			     0);
	}
	cr_assert_eq(imagestore_pod_images(store, &used, &err), 0, "%s",
		     err.msg);
	cr_expect(strv_has(&used, id_of('e').text));
	cr_expect(strv_has(&used, id_of('d').text));
	cr_expect(strv_has(&used, id_of('c').text));
	cr_expect(strv_has(&used, id_of('b').text));
	cr_expect_not(strv_has(&used, id_of('a').text));
	cr_expect_str_eq(used.v[0], id_of('b').text); /* sorted */
	imagestore_free(store);
}

Test(imagestore, two_users)
{
	struct imagestore *a = open_store(0);
	struct imagestore *b = open_store(0);

	import(a, 'a', "example.com/a", "1.0", false);
	import(b, 'a', "example.com/a", "1.0", false);
	import(b, 'b', "example.com/a", "2.0", false);
	expect_found(a, "example.com/a", 'b');
	imagestore_free(a);
	imagestore_free(b);
	a = open_store(IMAGESTORE_EXCLUSIVE);
	cr_expect_eq(imagestore_share(a, NULL), 0);
	b = open_store(0);
	imagestore_free(b);
	imagestore_free(a);
}

Test(imagestore, missing)
{
	struct imagestore *store = NULL;
	struct error err = ERROR_INIT;

	cr_expect_eq(imagestore_open(root, libexec, 0, &store, &err), -ENOENT);
	cr_expect_null(store);
	cr_expect(strstr(err.msg, "/cas"));
}

/* What an unsigned image's parser said does not outlive a signed import, and
 * does not replace what is stored. */
Test(imagestore, signed_manifest_counts)
{
	struct imagestore *store = open_store(0);
	static const struct {
		const char *name, *signer, *want;
	} steps[] = {
		{"example.com/liar", NULL, "example.com/liar"},
		{"example.com/a", NULL, "example.com/liar"},
		{"example.com/a", "1111", "example.com/a"},
		{"example.com/liar", NULL, "example.com/a"},
	};

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		cleanup_free char *manifest =
			xasprintf("{\"acKind\":\"ImageManifest\",\"acVersion\":"
				  "\"0.8.11\",\"name\":\"%s\"}",
				  steps[i].name);
		cleanup_image_row struct image_row row = {0};
		struct error err = ERROR_INIT;
		cleanup_fd int fd = imagestore_new_file(store, &err);
		const struct image_import im = {
			.id = id_of('a'),
			.manifest = manifest,
			.manifest_len = strlen(manifest),
			.blob_fd = fd,
			.source = "/x.aci",
			.signer = steps[i].signer,
			.is_checked = true,
		};

		if (i == 2) {
			struct image_import unchecked = im;

			unchecked.is_checked = false;
			cr_expect_eq(imagestore_commit(store, &unchecked, NULL),
				     -ESTALE);
		}
		cr_assert_eq(imagestore_commit(store, &im, &err), 0, "%s",
			     err.msg);
		cr_assert_eq(imagestore_get(store, &im.id, &row, &err), 0);
		cr_expect_str_eq(row.name, steps[i].want, "%zu", i);
		cr_expect_str_eq(row.signer, i < 2 ? "" : "1111", "%zu", i);
		/* The manifest another command has read before it was right. */
		if (i == 2) {
			char name[200];

			(void)snprintf(name, sizeof(name), "manifest/%s",
				       im.id.text);
			cr_assert_eq(write_string_at(
					     imagestore_dirfd(store), name,
					     0640,
					     "{\"acKind\":\"ImageManifest\","
					     "\"acVersion\":\"0.8.11\","
					     "\"name\":\"example.com/liar\"}",
					     NULL),
				     0);
		}
	}
	imagestore_free(store);
}

static void set_time(int dirfd, const char *name, time_t seconds)
{
	const struct timespec times[2] = {{.tv_sec = seconds},
					  {.tv_sec = seconds}};

	cr_assert_eq(utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

static size_t n_listed(struct imagestore *store, const char *name)
{
	cleanup_image_rows struct image_rows rows = IMAGE_ROWS_INIT;
	struct error err = ERROR_INIT;

	cr_assert_eq(imagestore_list(store, name, &rows, &err), 0, "%s",
		     err.msg);
	return rows.n;
}

/* Without a look at each blob, as long as blob/ is as it was. */
Test(imagestore, list_without_blobs)
{
	struct imagestore *store = open_store(0);
	int cas = imagestore_dirfd(store);
	char name[200];
	struct stat st;

	import(store, 'a', "example.com/a", "1.0", false);
	import(store, 'b', "example.com/b", "1.0", false);
	import(store, 'c', "example.com/a", "2.0", false);
	set_time(cas, "blob", time(NULL) + 100);
	cr_expect_eq(n_listed(store, NULL), 3);
	cr_expect_eq(n_listed(store, "example.com/a"), 2);
	/* Too fresh to tell the next change from the last. */
	cr_expect_neq(faccessat(cas, "complete", F_OK, 0), 0);
	set_time(cas, "blob", 1000);
	cr_expect_eq(n_listed(store, NULL), 3);
	cr_assert_eq(fstatat(cas, "complete", &st, 0), 0);
	cr_expect_eq(st.st_mtim.tv_sec, 1000);

	unseal();
	(void)snprintf(name, sizeof(name), "blob/%s.tar", id_of('a').text);
	cr_assert_eq(unlinkat(cas, name, 0), 0);
	cr_expect_eq(n_listed(store, NULL), 2);
	cr_expect_eq(n_listed(store, "example.com/a"), 1);
	/* What is not complete is not noted as such. */
	set_time(cas, "blob", 2000);
	cr_expect_eq(n_listed(store, NULL), 2);
	cr_assert_eq(fstatat(cas, "complete", &st, 0), 0);
	cr_expect_eq(st.st_mtim.tv_sec, 1000);
	/* And that it is noted is believed. */
	set_time(cas, "blob", 1000);
	cr_expect_eq(n_listed(store, NULL), 3);
	imagestore_free(store);
}

static int64_t last_used(struct imagestore *store, const char *name)
{
	cleanup_image_rows struct image_rows rows = IMAGE_ROWS_INIT;

	cr_assert_eq(imagestore_list(store, name, &rows, NULL), 0);
	cr_assert_geq(rows.n, 1);
	return rows.v[rows.n - 1].last_used;
}

Test(imagestore, last_used)
{
	struct imagestore *store = open_store(IMAGESTORE_EXCLUSIVE);
	int cas = imagestore_dirfd(store);
	const int64_t now = time(NULL);
	struct image_id a = id_of('a');
	cleanup_free char *used = xasprintf("used/%s", a.text);
	cleanup_free char *blob = xasprintf("blob/%s.tar", a.text);
	struct imagestore_repairs n;

	import(store, 'a', "example.com/a", "1.0", false);
	cr_expect_geq(last_used(store, NULL) / 1000000000, now);
	/* Its import was just now: no file says it again. */
	imagestore_touch(store, &a);
	cr_expect_neq(faccessat(cas, used, F_OK, 0), 0);
	unseal();
	set_time(cas, blob, 1000);
	imagestore_touch(store, &a);
	cr_expect_eq(faccessat(cas, used, F_OK, 0), 0);
	set_time(cas, used, 5000);
	cr_expect_eq(last_used(store, NULL), 5000 * 1000000000LL);
	cr_expect_eq(last_used(store, "example.com/a"), 5000 * 1000000000LL);
	imagestore_touch(store, &a);
	cr_expect_geq(last_used(store, NULL) / 1000000000, now);
	cr_assert_eq(imagestore_remove(store, &a, NULL), 0);
	cr_expect_neq(faccessat(cas, used, F_OK, 0), 0);
	/* Left over by a kill. */
	cr_assert_eq(write_string_at(cas, used, 0640, "", NULL), 0);
	cr_assert_eq(imagestore_reconcile(store, &n, NULL), 0);
	cr_expect_eq(n.n_files_removed, 1);
	cr_expect_neq(faccessat(cas, used, F_OK, 0), 0);
	imagestore_free(store);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tar becomes an index; a reader that knows only the format reads it back,
 * and what it finds is what the archive library finds in the tar.  Where the
 * blob's pieces end changes nothing, and the same tar is the same bytes.
 */
#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aci/aci_check.h"
#include "aci/aci_read.h"
#include "aci/index_make.h"
#include "aci/index_plan.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "tests/fuzz/erofs_read.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_tar.h"

#define MAX (301UL << 20)

static uint8_t *load(int fd, uint64_t size)
{
	uint8_t *p = xmalloc(size + 1);

	fuzz_expect(pread_full(fd, p, size, 0) == (ssize_t)size);
	return p;
}

/* A hard link is what its target is; the first name of it was met before. */
static void expect_link(const struct er_image *im, const struct er_node *n,
			const char *target)
{
	cleanup_free char *clean = NULL;
	const struct er_node *to;

	fuzz_expect(aci_path_clean(target, &clean, NULL) == 0);
	to = er_find(im, clean);
	fuzz_expect(to && to->nid == n->nid);
}

static uint64_t content_of(struct archive *a)
{
	const void *block;
	la_int64_t offset;
	uint64_t sum = 0;
	size_t n;

	while (archive_read_data_block(a, &block, &n, &offset) == ARCHIVE_OK)
		sum = er_mix(sum, (uint64_t)offset, block, n);
	return sum;
}

static void expect_same(const struct er_image *im, struct archive *a,
			struct archive_entry *entry)
{
	cleanup_free char *path = NULL;
	const struct er_node *n;
	struct aci_entry e;

	fuzz_expect(aci_entry_make(entry, &e, NULL) == 0);
	fuzz_expect(aci_path_clean(e.path, &path, NULL) == 0);
	if (strncmp(path, "rootfs", 6) != 0)
		return;
	n = er_find(im, path);
	fuzz_expect(n);
	if (e.type == ACI_HARDLINK) {
		expect_link(im, n, e.target);
		return;
	}
	fuzz_expect(n->uid == e.uid && n->gid == e.gid);
	fuzz_expect(n->mtime == archive_entry_mtime(entry) &&
		    n->nsec == archive_entry_mtime_nsec(entry));
	fuzz_expect((n->mode & S_IFMT) == archive_entry_filetype(entry));
	if (e.type == ACI_SYMLINK)
		fuzz_expect(strcmp(n->target, e.target) == 0);
	else if (archive_entry_xattr_count(entry) == 0 &&
		 archive_entry_acl_types(entry) == 0)
		fuzz_expect((n->mode & 07777) ==
			    (archive_entry_perm(entry) & 07777));
	if (e.type == ACI_FILE)
		fuzz_expect(n->size == (uint64_t)e.size &&
			    n->content == content_of(a));
	if (e.type == ACI_CHAR || e.type == ACI_BLOCK)
		fuzz_expect(n->rdev == ((e.minor & 0xff) | e.major << 8 |
					(e.minor & ~0xffULL) << 12));
}

static void compare(const struct er_image *im, const uint8_t *tar, size_t size)
{
	struct archive *a = aci_tar_new();
	struct archive_entry *entry;

	fuzz_expect(archive_read_open_memory(a, tar, size) == ARCHIVE_OK);
	while (archive_read_next_header(a, &entry) >= ARCHIVE_WARN)
		if (archive_entry_pathname(entry))
			expect_same(im, a, entry);
	(void)archive_read_free(a);
}

/* The other way to the same index. */
static void expect_again(const struct aci_contents *contents, int blob,
			 const uint8_t *want, uint64_t size)
{
	struct index_layer layer = {.size = contents->totals.tar_size};
	struct render_pass pass = {0};
	const struct index_plan plan = {&layer, 1, {&pass, 1}};
	cleanup_fd int fd = memfd_create("again", MFD_CLOEXEC);
	cleanup_free uint8_t *got = NULL;
	struct error err = ERROR_INIT;
	uint64_t n = 0;

	memcpy(layer.digest, contents->totals.tar_digest, sizeof(layer.digest));
	fuzz_expect(index_make(&plan, &blob, fd, &n, &err) == 0);
	fuzz_expect(n == size);
	got = load(fd, n);
	fuzz_expect(memcmp(got, want, size) == 0);
}

static void check_index(const struct aci_contents *contents, int blob_fd,
			int index_fd, uint64_t size)
{
	uint64_t tar_size = contents->totals.tar_size;
	cleanup_free uint8_t *tar = load(blob_fd, tar_size);
	cleanup_free uint8_t *index = load(index_fd, size);
	struct er_image im = {
		.n_devices = 1,
		.devices = {{tar, tar_size, 0}},
	};

	er_read(&im, index, size);
	fuzz_expect(im.n >= 2 && er_find(&im, "rootfs"));
	compare(&im, tar, tar_size);
	expect_again(contents, blob_fd, index, size);
	er_release(&im);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct aci_limits limits = {.max_tar_size = MAX,
						 .max_files = 10000};
	cleanup_aci_contents struct aci_contents contents = ACI_CONTENTS_INIT;
	cleanup_fd int image = memfd_create("image", MFD_CLOEXEC);
	cleanup_fd int blob = memfd_create("blob", MFD_CLOEXEC);
	cleanup_fd int index = memfd_create("index", MFD_CLOEXEC);
	cleanup_free uint8_t *copy = xmalloc(size + 1);
	struct error err = ERROR_INIT;
	uint64_t index_size = 0;

	memcpy(copy, data, size);
	fuzz_tar_checksums(copy, size);
	fuzz_expect(write_full(image, copy, size) == 0);
	if (index_import(image, blob, index, &limits, &contents, &index_size,
			 &err) < 0)
		fuzz_expect(err.code > 0 && err.msg[0]);
	else if (index_size > 0)
		check_index(&contents, blob, index, index_size);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree as a tar: of every image that is accepted one can be written that is
 * accepted again, with as many files, and of which the same one is written.
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aci/aci_read.h"
#include "aci/image_tree.h"
#include "aci/index_make.h"
#include "aci/index_plan.h"
#include "aci/tree_tar.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_tar.h"

#define TAR_MAX (16UL << 20)

static int append(void *arg, const void *data, size_t n)
{
	struct strbuf *out = arg;

	if (out->len + n > TAR_MAX)
		return -EFBIG;
	strbuf_add(out, data, n);
	return 0;
}

/* The image TAR as it is written of its tree. */
static int write_again(int tar, struct strbuf *out, struct error *err)
{
	char empty[] = "{}";
	struct strbuf manifest = {.buf = empty, .len = strlen(empty)};
	struct image_pool *pool = image_pool_new();
	struct index_layer layer = {.format = INDEX_LAYER_ACI};
	struct render_pass pass = {.image = 0};
	const struct index_plan plan = {
		.layers = &layer,
		.n_layers = 1,
		.passes = {.v = &pass, .n = 1},
	};
	struct tree_tar writer = {
		.write = append,
		.arg = out,
		.blob_fds = &tar,
		.manifest = &manifest,
		.with_implied = true,
	};
	size_t n;
	int r = index_tree_make(&plan, &tar, pool, &writer.tree, err);

	if (r == 0)
		r = tree_tar_write(&writer, &n, err);
	image_pool_free(pool);
	return r;
}

/* The uncompressed tar of DATA in a file, if it is an image. */
static int read_image(const void *data, size_t size, uint64_t *ret_files)
{
	static const struct aci_limits limits = {.max_tar_size = TAR_MAX,
						 .max_files = 1000};
	cleanup_aci_contents struct aci_contents contents = ACI_CONTENTS_INIT;
	cleanup_fd int image = memfd_create("image", MFD_CLOEXEC);
	cleanup_fd int tar = memfd_create("tar", MFD_CLOEXEC);

	fuzz_expect(write_full(image, data, size) == 0);
	if (aci_read(image, tar, &limits, NULL, &contents, NULL) < 0)
		return -EINVAL;
	*ret_files = contents.n_files;
	return TAKE_FD(tar);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_strbuf struct strbuf first = STRBUF_INIT;
	cleanup_strbuf struct strbuf second = STRBUF_INIT;
	cleanup_free uint8_t *copy = xmalloc(size + 1);
	struct error err = ERROR_INIT;
	uint64_t n_files, n_again;
	cleanup_fd int tar = -EBADF;
	cleanup_fd int again = -EBADF;
	static bool is_prepared;
	int r;

	if (!is_prepared)
		fuzz_expect(tree_tar_prepare(NULL) == 0);
	is_prepared = true;
	memcpy(copy, data, size);
	fuzz_tar_checksums(copy, size);
	tar = read_image(copy, size, &n_files);
	if (tar < 0)
		return 0;
	r = write_again(tar, &first, &err);
	fuzz_expect((r < 0) == (err.msg[0] != '\0'));
	if (r < 0)
		return 0;
	again = read_image(first.buf, first.len, &n_again);
	fuzz_expect(again >= 0 && n_again >= n_files);
	fuzz_expect(write_again(again, &second, NULL) == 0);
	fuzz_expect(first.len == second.len &&
		    memcmp(first.buf, second.buf, first.len) == 0);
	return 0;
}

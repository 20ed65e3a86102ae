/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of a layer's hard links to layers below it: whatever it says,
 * nothing outside of the two trees is seen or changed.
 */
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/layer_links.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "tests/fuzz/fuzz.h"

static char top[] = "/tmp/fuzz-layer-links-XXXXXX";
static int top_fd = -1;

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_all(void)
{
	(void)nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void put_file(const char *path, const void *data, size_t n)
{
	cleanup_fd int fd = openat(
		top_fd, path,
		O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	fuzz_expect(fd >= 0 && write_full(fd, data, n) == 0);
}

/* Trees as they are before: each file has one name. */
static void make_trees(void)
{
	static const char *const files[] = {
		"outside",	  "below/x",	    "below/d/y",
		"layer/rootfs/a", "layer/rootfs/b", "layer/rootfs/d/c"};

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		(void)unlinkat(top_fd, files[i], 0);
		put_file(files[i], files[i], strlen(files[i]));
	}
}

static void make_top(void)
{
	static const char *const dirs[] = {"below", "below/d", "layer",
					   "layer/rootfs", "layer/rootfs/d"};

	fuzz_expect(mkdtemp(top));
	(void)atexit(remove_all);
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		fuzz_expect(mkdirat(top_fd, dirs[i], 0700) == 0);
	fuzz_expect(symlinkat("../outside", top_fd, "below/out") == 0);
	fuzz_expect(symlinkat("../..", top_fd, "layer/rootfs/up") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_fd int layer = -EBADF;
	cleanup_fd int below = -EBADF;
	struct error err = ERROR_INIT;
	struct stat st;
	int r;

	if (top_fd < 0)
		make_top();
	make_trees();
	put_file("layer/" LAYER_LINKS, data, size);
	layer = openat(top_fd, "layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	below = openat(top_fd, "below", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fuzz_expect(layer >= 0 && below >= 0);
	r = layer_links_apply(layer, below, &err);
	fuzz_expect((r < 0) == (err.msg[0] != '\0'));
	fuzz_expect(fstatat(top_fd, "outside", &st, AT_SYMLINK_NOFOLLOW) == 0);
	fuzz_expect(S_ISREG(st.st_mode) && st.st_nlink == 1);
	/* Of what lies below names are never taken away. */
	fuzz_expect(fstatat(top_fd, "below/x", &st, AT_SYMLINK_NOFOLLOW) == 0);
	fuzz_expect(st.st_nlink >= 1);
	fuzz_expect(fstatat(below, "d/y", &st, AT_SYMLINK_NOFOLLOW) == 0);
	return 0;
}

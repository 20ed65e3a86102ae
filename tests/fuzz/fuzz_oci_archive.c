/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of an archive: inside of it, by clean names, and the same when
 * what was unpacked is read again.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/aci_check.h"
#include "aci/oci_archive.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/strv.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_tar.h"

#define TAR_MAX (16UL << 20)

static void check(const struct strv *files, uint64_t size)
{
	fuzz_expect(files->n % 3 == 0);
	for (size_t i = 0; i < files->n; i += 3) {
		cleanup_free char *clean = NULL;
		uint64_t at, len;

		fuzz_expect(aci_path_clean(files->v[i], &clean, NULL) == 0);
		fuzz_expect(strcmp(clean, files->v[i]) == 0);
		fuzz_expect(parse_uint(files->v[i + 1], size, &at) == 0);
		fuzz_expect(parse_uint(files->v[i + 2], size - at, &len) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_fd int fd = memfd_create("archive", MFD_CLOEXEC);
	cleanup_fd int tar = memfd_create("tar", MFD_CLOEXEC);
	cleanup_fd int again = memfd_create("again", MFD_CLOEXEC);
	cleanup_free uint8_t *copy = xmalloc(size + 1);
	cleanup_strv struct strv first = STRV_INIT;
	cleanup_strv struct strv second = STRV_INIT;
	struct error err = ERROR_INIT;
	struct stat st;
	int r;

	memcpy(copy, data, size);
	fuzz_tar_checksums(copy, size);
	fuzz_expect(write_full(fd, copy, size) == 0);
	r = oci_archive_read(fd, tar, TAR_MAX, &first, &err);
	fuzz_expect((r < 0) == (err.msg[0] != '\0'));
	if (r < 0)
		return 0;
	fuzz_expect(fstat(tar, &st) == 0);
	check(&first, (uint64_t)st.st_size);
	fuzz_expect(oci_archive_read(tar, again, TAR_MAX, &second, NULL) == 0);
	fuzz_expect(strv_equal(&first, &second));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole way of an image through the reader.  Header checksums are set
 * right first: no mutation would get past them.  An accepted image has a
 * second, equal reading, and a name for what is in it.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aci/aci_read.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "spec/image_manifest.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_tar.h"

static int read_image(const uint8_t *data, size_t size,
		      struct aci_contents *ret, struct error *err)
{
	static const struct aci_limits limits = {.max_tar_size = 16UL << 20,
						 .max_files = 1000};
	cleanup_fd int fd = memfd_create("image", MFD_CLOEXEC);

	fuzz_expect(fd >= 0 && write_full(fd, data, size) == 0);
	return aci_read(fd, -1, &limits, NULL, ret, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_aci_contents struct aci_contents first = ACI_CONTENTS_INIT;
	cleanup_aci_contents struct aci_contents second = ACI_CONTENTS_INIT;
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	cleanup_free uint8_t *copy = xmalloc(size + 1);
	struct error err = ERROR_INIT;

	memcpy(copy, data, size);
	fuzz_tar_checksums(copy, size);
	if (read_image(copy, size, &first, &err) < 0) {
		fuzz_expect(err.code > 0 && err.msg[0]);
		return 0;
	}
	fuzz_expect(read_image(copy, size, &second, NULL) == 0);
	fuzz_expect(!memcmp(first.totals.tar_digest, second.totals.tar_digest,
			    sizeof(first.totals.tar_digest)));
	fuzz_expect(first.n_files == second.n_files && first.n_files >= 1);
	fuzz_expect(first.totals.image_size == size);
	if (image_manifest_parse(first.manifest.buf, first.manifest.len, &im,
				 NULL) == 0)
		fuzz_expect(im.name && im.name[0]);
	return 0;
}

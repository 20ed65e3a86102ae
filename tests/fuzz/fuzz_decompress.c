/* SPDX-License-Identifier: Apache-2.0 */
/* Every compression, to the end or the first error, 16 MiB at most. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aci/decompress.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "tests/fuzz/fuzz.h"

#define OUTPUT_MAX (16L << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[65536];
	cleanup_fd int fd = memfd_create("image", MFD_CLOEXEC);
	struct decompressor *d = NULL;
	struct error err = ERROR_INIT;
	ssize_t n = 0, total = 0;

	fuzz_expect(fd >= 0 && write_full(fd, data, size) == 0);
	if (decompressor_open(fd, -1, DIGEST_SHA256, &d, &err) < 0) {
		fuzz_expect(err.msg[0]);
		return 0;
	}
	while (total < OUTPUT_MAX &&
	       (n = decompressor_read(d, out, sizeof(out), &err)) > 0)
		total += n;
	fuzz_expect(n >= 0 || err.msg[0]);
	if (total < OUTPUT_MAX && n == 0)
		fuzz_expect(decompressor_input_size(d) == size);
	decompressor_free(d);
	return 0;
}

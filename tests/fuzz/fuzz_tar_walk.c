/* SPDX-License-Identifier: Apache-2.0 */
/* How the bytes are cut into pieces changes nothing. */
#include <string.h>

#include "aci/tar_walk.h"
#include "base/error.h"
#include "tests/fuzz/fuzz.h"

struct result {
	int r;
	uint64_t n_entries;
};

static struct result walk(const uint8_t *data, size_t size, size_t piece)
{
	cleanup_tar_walk struct tar_walk w;
	struct error err = ERROR_INIT;
	struct result ret = {0};

	tar_walk_init(&w);
	for (size_t at = 0; at < size && ret.r == 0; at += piece)
		ret.r = tar_walk_feed(&w, data + at,
				      size - at < piece ? size - at : piece,
				      &err);
	if (ret.r == 0)
		ret.r = tar_walk_end(&w, &err);
	fuzz_expect((ret.r < 0) == (err.msg[0] != '\0'));
	ret.n_entries = w.n_entries;
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t pieces[] = {7, 512, 1000};
	struct result whole;

	if (size == 0)
		return 0;
	whole = walk(data, size, size);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct result r = walk(data, size, pieces[i]);

		fuzz_expect(r.r == whole.r);
		fuzz_expect(r.r < 0 || r.n_entries == whole.n_entries);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What is accepted is words that begin with a flag or an image, and what is
 * refused says why and gives none. */
#include <string.h>

#include "base/error.h"
#include "base/strv.h"
#include "spec/pod_file.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_strv struct strv words = STRV_INIT;
	struct error err = ERROR_INIT;

	if (pod_file_parse((const char *)data, size, &words, &err) < 0) {
		fuzz_expect(*err.msg && words.n == 0);
		return 0;
	}
	fuzz_expect(words.n > 0);
	fuzz_expect(strcmp(words.v[0], "--") != 0);
	return 0;
}

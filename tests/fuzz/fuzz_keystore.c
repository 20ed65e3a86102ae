/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Image names become directories of the key store, and file names become
 * fingerprints: whatever comes in, no path may leave the store.
 */
#include <string.h>

#include "aci/keystore.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/strv.h"
#include "tests/fuzz/fuzz.h"

static void check_dir(const char *dir)
{
	cleanup_strv struct strv parts = STRV_INIT;

	fuzz_expect(strncmp(dir, "prefix.d/", 9) == 0);
	strv_split(&parts, dir, '/');
	for (size_t i = 0; i < parts.n; i++) {
		fuzz_expect(parts.v[i][0] != '\0');
		fuzz_expect(strcmp(parts.v[i], ".") != 0);
		fuzz_expect(strcmp(parts.v[i], "..") != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *name = xstrndup((const char *)data, size);
	cleanup_strv struct strv dirs = STRV_INIT;

	if (keystore_is_fingerprint(name)) {
		fuzz_expect(strlen(name) == KEY_FINGERPRINT_LEN);
		fuzz_expect(!strchr(name, '/') && !strchr(name, '.'));
	}
	if (keystore_dirs_make(&dirs, name, NULL) < 0) {
		fuzz_expect(dirs.n == 0);
		return 0;
	}
	fuzz_expect(dirs.n >= 2 && strcmp(dirs.v[0], "root.d") == 0);
	for (size_t i = 1; i < dirs.n; i++) {
		check_dir(dirs.v[i]);
		fuzz_expect(strlen(dirs.v[i]) > strlen(dirs.v[i - 1]) ||
			    i == 1);
	}
	fuzz_expect(strcmp(dirs.v[dirs.n - 1] + 9, name) == 0);
	return 0;
}

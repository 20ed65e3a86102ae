/* SPDX-License-Identifier: Apache-2.0 */
/* A path, as a client of the metadata service and as who registers pods. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "spec/acname.h"
#include "spec/metadata.h"
#include "tests/fuzz/fuzz.h"

static void query(const char *path)
{
	struct metadata_query q;
	int r = metadata_query_parse(path, &q);

	fuzz_expect(r == 0 || r == -ENOENT);
	fuzz_expect(strlen(q.token) <= METADATA_TOKEN_LEN);
	fuzz_expect(strlen(q.app) <= APP_NAME_MAX);
	if (r < 0)
		return;
	fuzz_expect(path[0] == '/' &&
		    strncmp(path + 1, q.token, strlen(q.token)) == 0);
	fuzz_expect(!q.name ||
		    (q.name > path && q.name < path + strlen(path) && *q.name));
}

static void registration(const char *path)
{
	char app[APP_NAME_MAX + 1];
	struct uuid uuid;
	int r = metadata_registration_parse(path, &uuid, app);

	fuzz_expect(r == 0 || r == -ENOENT);
	fuzz_expect(r < 0 || !*app || acname_check(app, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *path = xstrndup((const char *)data, size);

	query(path);
	registration(path);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.json of a docker archive: the first line says which image is
 * wanted.  What is found by its place can be asked for by its tag.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "spec/docker_archive.h"
#include "spec/docker_ref.h"
#include "spec/oci.h"
#include "tests/fuzz/fuzz.h"

static void ask_by_tag(const char *json, size_t len, const char *tag)
{
	cleanup_docker_archive struct docker_archive a = DOCKER_ARCHIVE_INIT;
	cleanup_docker_ref struct docker_ref ref = DOCKER_REF_INIT;

	fuzz_expect(docker_ref_parse(tag, &ref, NULL) == 0);
	/* By digest nothing is asked for, and "@" is a number. */
	if (!ref.tag || *tag == '@')
		return;
	if (docker_archive_parse(json, len, tag, &a, NULL) == 0)
		fuzz_expect(a.tag && a.config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_docker_archive struct docker_archive a = DOCKER_ARCHIVE_INIT;
	const char *text = (const char *)data;
	const char *end = size ? memchr(text, '\n', size) : NULL;
	size_t len = end ? (size_t)(end - text) : 0;
	cleanup_free char *want = xstrndup(text, len);
	const char *json = end ? end + 1 : text;
	size_t json_len = size - (size_t)(json - text);
	struct error err = ERROR_INIT;
	int r = docker_archive_parse(json, json_len, *want ? want : NULL, &a,
				     &err);

	fuzz_expect((r < 0) == (err.msg[0] != '\0'));
	if (r < 0)
		return 0;
	fuzz_expect(a.config && a.layers.n <= OCI_LAYERS_MAX);
	if (a.tag)
		ask_by_tag(json, json_len, a.tag);
	return 0;
}

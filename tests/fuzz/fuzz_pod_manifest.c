/* SPDX-License-Identifier: Apache-2.0 */
/* A pod manifest that parses is written in a form that parses the same. */
#include <string.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "spec/json_read.h"
#include "spec/pod_manifest.h"
#include "tests/fuzz/fuzz.h"

static void expect_round_trip(const struct pod_manifest *pm,
			      enum json_style style)
{
	struct pod_manifest again cleanup_pod_manifest = POD_MANIFEST_INIT;
	struct strbuf first cleanup_strbuf = STRBUF_INIT;
	struct strbuf second cleanup_strbuf = STRBUF_INIT;

	pod_manifest_write(pm, style, &first);
	fuzz_expect(pod_manifest_parse(first.buf, first.len, &again, NULL) ==
		    0);
	pod_manifest_write(&again, style, &second);
	fuzz_expect(strcmp(first.buf, second.buf) == 0);
	fuzz_expect((pod_manifest_check_runnable(pm, NULL) == 0) ==
		    (pod_manifest_check_runnable(&again, NULL) == 0));
}

static void expect_equal_copy(const struct runtime_app *ra)
{
	struct runtime_app again cleanup_runtime_app = RUNTIME_APP_INIT;
	struct runtime_app copy cleanup_runtime_app = RUNTIME_APP_INIT;
	struct strbuf first cleanup_strbuf = STRBUF_INIT;
	struct strbuf second cleanup_strbuf = STRBUF_INIT;

	runtime_app_copy(&copy, ra);
	runtime_app_write(ra, JSON_COMPACT_STYLE, &first);
	runtime_app_write(&copy, JSON_COMPACT_STYLE, &second);
	fuzz_expect(strcmp(first.buf, second.buf) == 0);
	fuzz_expect(runtime_app_parse(first.buf, first.len, &again, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pod_manifest pm cleanup_pod_manifest = POD_MANIFEST_INIT;
	struct problems problems cleanup_problems = PROBLEMS_INIT;
	const char *text = (const char *)data;
	struct error err = ERROR_INIT;
	int r = pod_manifest_parse(text, size, &pm, &err);

	fuzz_expect((pod_manifest_validate(text, size, &problems) == 0) ==
		    (r == 0));
	fuzz_expect((problems.n_errors == 0) == (r == 0));
	if (r < 0) {
		fuzz_expect(*err.msg);
		return 0;
	}
	expect_round_trip(&pm, JSON_COMPACT_STYLE);
	expect_round_trip(&pm, JSON_PRETTY_STYLE);
	for (size_t i = 0; i < pm.n_apps; i++)
		expect_equal_copy(&pm.apps[i]);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* An image manifest that parses is written in a form that parses the same. */
#include <string.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "spec/image_manifest.h"
#include "spec/json_read.h"
#include "spec/pod_manifest.h"
#include "tests/fuzz/fuzz.h"

static void expect_round_trip(const struct image_manifest *im,
			      enum json_style style)
{
	struct image_manifest again cleanup_image_manifest =
		IMAGE_MANIFEST_INIT;
	struct strbuf first cleanup_strbuf = STRBUF_INIT;
	struct strbuf second cleanup_strbuf = STRBUF_INIT;

	image_manifest_write(im, style, &first);
	fuzz_expect(image_manifest_parse(first.buf, first.len, &again, NULL) ==
		    0);
	image_manifest_write(&again, style, &second);
	fuzz_expect(strcmp(first.buf, second.buf) == 0);
}

static void expect_equal_copy(const struct app *app)
{
	struct strbuf first cleanup_strbuf = STRBUF_INIT;
	struct strbuf second cleanup_strbuf = STRBUF_INIT;
	struct app copy cleanup_app = {0};
	struct json_writer w;

	app_copy(&copy, app);
	json_writer_init(&w, &first, JSON_COMPACT_STYLE);
	app_write(app, NULL, &w);
	json_writer_init(&w, &second, JSON_COMPACT_STYLE);
	app_write(&copy, NULL, &w);
	fuzz_expect(strcmp(first.buf, second.buf) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_manifest im cleanup_image_manifest = IMAGE_MANIFEST_INIT;
	struct problems problems cleanup_problems = PROBLEMS_INIT;
	const char *text = (const char *)data;
	struct error err = ERROR_INIT;
	int r = image_manifest_parse(text, size, &im, &err);

	/* One verdict, whether or not problems are collected. */
	fuzz_expect((image_manifest_validate(text, size, &problems) == 0) ==
		    (r == 0));
	fuzz_expect((problems.n_errors == 0) == (r == 0));
	if (r < 0) {
		fuzz_expect(*err.msg);
		return 0;
	}
	expect_round_trip(&im, JSON_COMPACT_STYLE);
	expect_round_trip(&im, JSON_PRETTY_STYLE);
	if (im.has_app) {
		expect_equal_copy(&im.app);
		(void)app_check_runnable(&im.app, &err);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The words of `rkt run`, one a line.  What the grammar accepts must give
 * words that are accepted again and mean the same.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/image_manifest.h"
#include "spec/pod_manifest.h"
#include "stage0/app_args.h"
#include "stage0/pod_request.h"
#include "tests/fuzz/fuzz.h"

static const char image_text[] =
	"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\",\"name\":"
	"\"example.com/app\",\"labels\":[{\"name\":\"os\",\"value\":\"linux\"}"
	"],\"app\":{\"exec\":[\"/a\"],\"user\":\"0\",\"group\":\"0\"}}";

static void apply(const struct image_manifest *image, const struct strv *words)
{
	cleanup_runtime_app struct runtime_app ra = RUNTIME_APP_INIT;
	cleanup_runtime_app struct runtime_app again = RUNTIME_APP_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_strbuf struct strbuf text2 = STRBUF_INIT;

	if (app_args_apply(image, words, &ra, NULL) < 0)
		return;
	runtime_app_write(&ra, JSON_COMPACT_STYLE, &text);
	/* A manifest is what stage1 gets: it must be able to read it. */
	if (runtime_app_parse(text.buf, text.len, &again, NULL) < 0)
		abort();
	runtime_app_write(&again, JSON_COMPACT_STYLE, &text2);
	if (strcmp(text.buf, text2.buf) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct image_manifest image;
	cleanup_pod_request struct pod_request req = POD_REQUEST_INIT;
	cleanup_strv struct strv argv = STRV_INIT;
	struct strv env = STRV_INIT;
	char *text;

	if (size > 65536)
		return 0;
	if (!image.name &&
	    image_manifest_parse(image_text, strlen(image_text), &image, NULL))
		abort();
	text = xstrndup((const char *)data, size);
	strv_split(&argv, text, '\n');
	free(text);
	if (pod_request_parse(&req, argv.v, NULL, 0, NULL) < 0)
		return 0;
	/* No file of the host is read. */
	strv_release(&req.set_env_file);
	if (pod_request_resolve(&req, &env, NULL) < 0)
		return 0;
	for (size_t i = 0; i < req.n_apps; i++)
		apply(&image, &req.apps[i].words);
	return 0;
}

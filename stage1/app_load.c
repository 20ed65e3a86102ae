/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/app_load.h"

#include <errno.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "spec/image_manifest.h"
#include "spec/pod_manifest.h"
#include "spec/stage1_abi.h"

int app_load(int dirfd, struct image_manifest *image, struct runtime_app *app,
	     struct error *err)
{
	cleanup_strbuf struct strbuf manifest = STRBUF_INIT;
	cleanup_strbuf struct strbuf runtime = STRBUF_INIT;
	int r;

	r = read_file_at(dirfd, GENERATION_MANIFEST_FILE, MANIFEST_MAX,
			 &manifest, err);
	if (r == 0)
		r = image_manifest_parse(manifest.buf, manifest.len, image,
					 err);
	if (r == 0)
		r = read_file_at(dirfd, GENERATION_APP_FILE, MANIFEST_MAX,
				 &runtime, err);
	if (r == 0)
		r = runtime_app_parse(runtime.buf, runtime.len, app, err);
	if (r < 0 || app->has_app)
		return r;
	if (!image->has_app)
		return error_set(err, EINVAL,
				 "neither pod nor image says what to execute");
	app_copy(&app->app, &image->app);
	app->has_app = true;
	return 0;
}

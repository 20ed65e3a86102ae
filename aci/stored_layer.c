/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/stored_layer.h"

#include <string.h>

#include "aci/imagestore.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/image_manifest.h"
#include "spec/oci.h"

int stored_layer_is(struct imagestore *store, const struct image_id *id,
		    struct error *err)
{
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = imagestore_read_manifest(store, id, &text, err);

	if (r >= 0)
		r = image_manifest_parse(text.buf, text.len, &im, err);
	return r < 0 ? r : oci_is_layer_name(im.name);
}

int stored_layers_of(struct imagestore *store, const struct image_id *id,
		     struct strv *ret, struct error *err)
{
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = imagestore_read_manifest(store, id, &text, err);

	/* Most have none, and need not be parsed. */
	if (r < 0 || !strstr(text.buf, OCI_LAYER_PREFIX))
		return r;
	r = image_manifest_parse(text.buf, text.len, &im, err);
	for (size_t i = 0; r >= 0 && i < im.n_dependencies; i++)
		if (oci_is_layer_name(im.dependencies[i].image_name) &&
		    im.dependencies[i].image_id)
			strv_push(ret, im.dependencies[i].image_id);
	return r;
}

int stored_layers_manifest(struct imagestore *store, const struct image_id *id,
			   struct strbuf *ret, struct error *err)
{
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = imagestore_read_manifest(store, id, &text, err);
	size_t kept = 0, all;

	if (r >= 0)
		r = image_manifest_parse(text.buf, text.len, &im, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < im.n_dependencies; i++) {
		struct dependency dep = im.dependencies[i];

		if (oci_is_layer_name(dep.image_name))
			continue;
		im.dependencies[i] = im.dependencies[kept];
		im.dependencies[kept++] = dep;
	}
	if (kept == im.n_dependencies) {
		strbuf_add(ret, text.buf, text.len);
		return 0;
	}
	/* What was not kept is released with the rest. */
	all = im.n_dependencies;
	im.n_dependencies = kept;
	image_manifest_write(&im, JSON_COMPACT_STYLE, ret);
	im.n_dependencies = all;
	return 1;
}

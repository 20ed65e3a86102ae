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

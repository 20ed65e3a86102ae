/* SPDX-License-Identifier: Apache-2.0 */
/* ListImages and InspectImage, by what `rkt image list` reads. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "aci/imagestore.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "cmd/rkt-api/grpc.h"
#include "cmd/rkt-api/messages.h"
#include "cmd/rkt-api/methods.h"
#include "cmd/rkt-api/service.h"
#include "spec/api.h"
#include "spec/image_manifest.h"

#define SECOND INT64_C(1000000000)

DEFINE_CLEANUP(struct imagestore *, imagestore_free);
#define cleanup_imagestore cleanup_with(imagestore_free_cleanup)

/* What there is besides the row. */
struct image {
	struct strbuf text;
	struct image_manifest manifest;
};

static void image_release(struct image *image)
{
	strbuf_release(&image->text);
	image_manifest_release(&image->manifest);
}
#define cleanup_image __attribute__((__cleanup__(image_release)))

static int image_load(struct imagestore *store, const struct image_row *row,
		      struct image *ret, struct error *err)
{
	struct image_id id;
	int r = image_id_parse(row->id, &id, err);

	if (r == 0)
		r = imagestore_read_manifest(store, &id, &ret->text, err);
	return r < 0 ? r
		     : image_manifest_parse(ret->text.buf, ret->text.len,
					    &ret->manifest, err);
}

static void add(const struct image_row *row, const struct image *image,
		bool detail, struct strbuf *out)
{
	add_image(out, 1,
		  &(const struct image_message){
			  .id = row->id,
			  .name = row->name,
			  .labels = &image->manifest.labels,
			  .annotations = &image->manifest.annotations,
			  .imported_ns = row->imported,
			  .size = row->size,
			  .manifest = image->text.buf,
			  .manifest_len = detail ? image->text.len : 0,
		  });
}

static bool is_meant(const struct api_list_images *request,
		     const struct image_row *row, const struct image *image)
{
	char id[SHOWN_ID_SIZE];

	show_id(row->id, id);
	return api_image_is_meant(
		request, &(const struct api_image_facts){
				 .id = id,
				 .name = row->name,
				 .labels = &image->manifest.labels,
				 .annotations = &image->manifest.annotations,
				 .imported = row->imported / SECOND,
			 });
}

/* No store, no images. */
static int load_rows(const struct service *s, struct imagestore **store,
		     struct image_rows *rows, struct error *err)
{
	int r = service_open_store(s, store, err);

	if (r == -ENOENT) {
		*err = (struct error)ERROR_INIT;
		return 0;
	}
	return r < 0 ? r : imagestore_list(*store, NULL, rows, err);
}

static int list(const struct service *s, const struct api_list_images *request,
		struct strbuf *out, struct error *err)
{
	cleanup_imagestore struct imagestore *store = NULL;
	cleanup_image_rows struct image_rows rows = IMAGE_ROWS_INIT;
	int r = load_rows(s, &store, &rows, err);

	for (size_t i = 0; i < rows.n && r == 0; i++) {
		cleanup_image struct image image = {STRBUF_INIT,
						    IMAGE_MANIFEST_INIT};

		/* Removed meanwhile, or damaged. */
		if (image_load(store, &rows.v[i], &image, NULL) < 0 ||
		    !is_meant(request, &rows.v[i], &image))
			continue;
		add(&rows.v[i], &image, request->detail, out);
		r = check_answer(out, err);
	}
	return r;
}

void list_images(void *data, struct grpc_call *call, const char *request,
		 size_t len)
{
	cleanup_api_list_images struct api_list_images asked = {0};
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct error err = ERROR_INIT;
	int r = api_list_images_parse(request, len, &asked, &err);

	if (r == 0)
		r = list(data, &asked, &out, &err);
	call_answer(call, r, &out, &err);
}

/* The row PREFIX abbreviates; whether its blob is whole is for who uses it. */
static int find_row(const struct image_rows *rows, const char *prefix,
		    const struct image_row **ret, struct error *err)
{
	struct image_id id;
	int r = image_id_parse_prefix(prefix, &id, err);

	if (r < 0)
		return r;
	*ret = NULL;
	for (size_t i = 0; i < rows->n; i++) {
		if (strncmp(rows->v[i].id, id.text, strlen(id.text)) != 0)
			continue;
		if (*ret)
			return error_set(err, EINVAL,
					 "ambiguous image ID: \"%s\"", prefix);
		*ret = &rows->v[i];
	}
	return *ret ? 0
		    : error_set(err, ENOENT, "no image has the ID \"%s\"",
				prefix);
}

static int inspect(const struct service *s, const char *id, struct strbuf *out,
		   struct error *err)
{
	cleanup_imagestore struct imagestore *store = NULL;
	cleanup_image_rows struct image_rows rows = IMAGE_ROWS_INIT;
	cleanup_image struct image image = {STRBUF_INIT, IMAGE_MANIFEST_INIT};
	const struct image_row *row = NULL;
	int r = load_rows(s, &store, &rows, err);

	if (r == 0)
		r = find_row(&rows, id, &row, err);
	if (r < 0)
		return r;
	assert(row);
	r = image_load(store, row, &image, err);
	if (r == 0)
		add(row, &image, true, out);
	return r;
}

void inspect_image(void *data, struct grpc_call *call, const char *request,
		   size_t len)
{
	call_inspect(data, call, request, len, inspect);
}

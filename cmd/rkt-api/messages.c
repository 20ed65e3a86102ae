/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-api/messages.h"

#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "spec/api.h"
#include "spec/image_id.h"
#include "spec/protobuf.h"

#define SECOND INT64_C(1000000000)

_Static_assert(SHOWN_ID_SIZE > IMAGE_ID_FULL_LEN, "an id fits");

int check_answer(const struct strbuf *out, struct error *err)
{
	if (out->len > ANSWER_MAX)
		return error_set(err, EFBIG,
				 "the answer is too large: ask without "
				 "details, or with filters");
	return 0;
}

void add_pairs(struct strbuf *out, uint32_t number,
	       const struct name_values *pairs)
{
	for (size_t i = 0; i < pairs->n; i++) {
		size_t mark = protobuf_open(out, number);

		protobuf_add_text(out, 1, pairs->v[i].name);
		protobuf_add_text(out, 2, pairs->v[i].value);
		protobuf_close(out, mark);
	}
}

void show_id(const char *id, char text[SHOWN_ID_SIZE])
{
	(void)snprintf(text, SHOWN_ID_SIZE, "%.*s", IMAGE_ID_FULL_LEN,
		       id ? id : "");
}

static void add_format(struct strbuf *out)
{
	size_t mark = protobuf_open(out, 1);

	protobuf_add_uint(out, 1, API_IMAGE_TYPE_APPC);
	protobuf_add_text(out, 2, RKT_APPC_VERSION);
	protobuf_close(out, mark);
}

void add_image(struct strbuf *out, uint32_t number,
	       const struct image_message *image)
{
	size_t mark = protobuf_open(out, number);
	const char *version =
		image->labels ? name_values_get(image->labels, "version")
			      : NULL;
	char id[SHOWN_ID_SIZE];

	show_id(image->id, id);
	add_format(out);
	protobuf_add_text(out, 2, id);
	protobuf_add_text(out, 3, image->name);
	if (image->name)
		protobuf_add_text(out, 4, version ? version : "latest");
	protobuf_add_int(out, 5, image->imported_ns / SECOND);
	protobuf_add_bytes(out, 6, image->manifest, image->manifest_len);
	protobuf_add_uint(out, 7, image->size);
	if (image->annotations)
		add_pairs(out, 8, image->annotations);
	if (image->labels)
		add_pairs(out, 9, image->labels);
	protobuf_close(out, mark);
}

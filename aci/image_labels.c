/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/image_labels.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "spec/name_value.h"

static void add_escaped(struct strbuf *sb, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < 0x20 || c == 0x7f || strchr("%,=", c))
			strbuf_addf(sb, "%%%02X", c);
		else
			strbuf_addch(sb, *s);
	}
}

static int by_name(const void *a, const void *b)
{
	const struct name_value *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

void image_labels_make(const struct name_values *labels, struct strbuf *sb)
{
	cleanup_free const struct name_value **sorted =
		xreallocarray(NULL, labels->n + 1, sizeof(*sorted));

	for (size_t i = 0; i < labels->n; i++)
		sorted[i] = &labels->v[i];
	qsort(sorted, labels->n, sizeof(*sorted), by_name);
	for (size_t i = 0; i < labels->n; i++) {
		if (i > 0)
			strbuf_addch(sb, ',');
		add_escaped(sb, sorted[i]->name);
		strbuf_addch(sb, '=');
		add_escaped(sb, sorted[i]->value);
	}
}

static bool has_item(const char *list, const char *item, size_t len)
{
	while (*list) {
		size_t n = strcspn(list, ",");

		if (n == len && strncmp(list, item, len) == 0)
			return true;
		list += n + (list[n] == ',');
	}
	return false;
}

bool image_labels_match(const char *have, const struct name_values *want)
{
	cleanup_strbuf struct strbuf item = STRBUF_INIT;

	for (size_t i = 0; i < want->n; i++) {
		const struct name_values one = {&want->v[i], 1};

		strbuf_reset(&item);
		image_labels_make(&one, &item);
		if (!has_item(have, item.buf, item.len))
			return false;
	}
	return true;
}

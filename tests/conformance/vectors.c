/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/vectors.h"

#include <criterion/criterion.h>

#define FILE_NAME "tests/conformance/appc-vectors.json"

json_t *vectors_load(void)
{
	json_error_t err;
	json_t *root = json_load_file(FILE_NAME, 0, &err);

	cr_assert(root, "%s:%d: %s (run from the top of the tree)", FILE_NAME,
		  err.line, err.text);
	return root;
}

const char *vector_string(const struct vector *v, const char *key)
{
	return json_string_value(json_object_get(v->json, key));
}

void vectors_run(const char *group, size_t n,
		 void (*run)(const struct vector *v))
{
	json_t *root = vectors_load();
	json_t *list = json_object_get(root, group);

	cr_assert(json_is_array(list), "group %s is gone", group);
	cr_expect(json_array_size(list) == n,
		  "group %s has %zu vectors, not %zu", group,
		  json_array_size(list), n);
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *json = json_array_get(list, i);
		struct vector v = {
			.group = group,
			.index = i,
			.json = json,
			.in = json_string_value(json_object_get(json, "in")),
			.accept = json_is_true(json_object_get(json, "accept")),
		};

		run(&v);
	}
	json_decref(root);
}

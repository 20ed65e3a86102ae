/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/string_form.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/strv.h"

static int parse_part(const struct string_form *form, char *part, void *object,
		      uint32_t *seen, struct error *err)
{
	char *value = strchr(part, '=');

	if (!value)
		return error_set(err, EINVAL, "%s parameter \"%s\" has no '='",
				 form->what, part);
	*value++ = '\0';
	for (size_t i = 0; i < form->n_keys; i++) {
		if (strcmp(part, form->keys[i].key) != 0)
			continue;
		if (*seen & (UINT32_C(1) << i))
			return error_set(err, EINVAL,
					 "%s parameter \"%s\" is given twice",
					 form->what, part);
		*seen |= UINT32_C(1) << i;
		return form->keys[i].set(object, value, err);
	}
	return error_set(err, EINVAL, "unknown %s parameter \"%s\"", form->what,
			 part);
}

int string_form_parse(const struct string_form *form, const char *s,
		      void *object, struct error *err)
{
	struct strv part cleanup_strv = STRV_INIT;
	uint32_t seen = 0;
	size_t i = 0;
	int r = 0;

	strv_split(&part, s, ',');
	if (form->set_name)
		r = form->set_name(object, part.v[i++], err);
	for (; r == 0 && i < part.n; i++)
		r = parse_part(form, part.v[i], object, &seen, err);
	return r;
}

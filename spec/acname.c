/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/acname.h"

#include "spec/ac_text.h"

static const struct ac_text acname = {
	.what = "name",
	.separators = "-",
	.replacement = '-',
};

int acname_check(const char *s, struct error *err)
{
	return ac_text_check(&acname, s, err);
}

int acname_sanitize(const char *s, char **ret, struct error *err)
{
	return ac_text_sanitize(&acname, s, ret, err);
}

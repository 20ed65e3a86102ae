/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/acidentifier.h"

#include "spec/ac_text.h"

static const struct ac_text acidentifier = {
	.what = "identifier",
	.separators = "-._~/",
	.replacement = '_',
};

int acidentifier_check(const char *s, struct error *err)
{
	return ac_text_check(&acidentifier, s, err);
}

int acidentifier_sanitize(const char *s, char **ret, struct error *err)
{
	return ac_text_sanitize(&acidentifier, s, ret, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/format.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/option.h"
#include "base/strbuf.h"
#include "spec/stage1_abi.h"

int format_parse(const struct option_row *row, void *target, const char *value,
		 struct error *err)
{
	static const char *const names[] = {
		[FORMAT_TABLE] = "",
		[FORMAT_JSON] = "json",
		[FORMAT_JSON_PRETTY] = "json-pretty",
	};

	(void)row;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(value, names[i]) != 0)
			continue;
		*(enum output_format *)target = (enum output_format)i;
		return 0;
	}
	return error_set(err, EINVAL, "must be json or json-pretty");
}

int print_all(const struct strbuf *out)
{
	(void)fwrite(out->buf, 1, out->len, stdout);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/stdio_mode.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "spec/name_value.h"

const char *const stdio_names[3] = {"stdin", "stdout", "stderr"};

static const char *const mode_names[] = {
	[STDIO_NULL] = "null",
	[STDIO_LOG] = "log",
	[STDIO_STREAM] = "stream",
	[STDIO_TTY] = "tty",
};

int stdio_mode_parse(int index, const char *text, enum stdio_mode *ret,
		     struct error *err)
{
	for (int i = STDIO_NULL; i <= STDIO_TTY; i++)
		if (strcmp(text, mode_names[i]) == 0 &&
		    (index > 0 || i != STDIO_LOG)) {
			*ret = (enum stdio_mode)i;
			return 0;
		}
	return error_set(err, EINVAL,
			 index > 0 ? "must be log, null, stream or tty"
				   : "must be null, stream or tty");
}

int stdio_modes_make(const struct name_values *annotations,
		     enum stdio_mode ret[3], struct error *err)
{
	for (int i = 0; i < 3; i++) {
		cleanup_free char *name =
			xasprintf(STDIO_ANNOTATION_PREFIX "%s", stdio_names[i]);
		const char *text = name_values_get(annotations, name);
		int r = 0;

		ret[i] = i > 0 ? STDIO_LOG : STDIO_NULL;
		if (text)
			r = stdio_mode_parse(i, text, &ret[i], err);
		if (r < 0)
			return error_prefix(err, r, "annotation %s", name);
	}
	return 0;
}

bool stdio_has(const enum stdio_mode modes[3], enum stdio_mode mode)
{
	return modes[0] == mode || modes[1] == mode || modes[2] == mode;
}

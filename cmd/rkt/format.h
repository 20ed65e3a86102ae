/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_FORMAT_H
#define CMD_RKT_FORMAT_H

/* --format=json|json-pretty. */

#include "spec/json_write.h"

struct error;
struct strbuf;

enum output_format {
	FORMAT_TABLE = 0,
	FORMAT_JSON,
	FORMAT_JSON_PRETTY,
};

/* A row `--format` whose target is an enum output_format. */
#define FORMAT_OPTION_ROW(type, field)                                         \
	{                                                                      \
		.name = "format", .kind = OPTION_CALL, .parse = format_parse,  \
		.offset = offsetof(type, field), .values = "json|json-pretty", \
		.help = "choose the output format, allowed values: 'json', "   \
			"'json-pretty'"                                        \
	}

/* A row `--pretty-print` whose target is a bool that starts as true. */
#define PRETTY_OPTION_ROW(type, field)                                         \
	{                                                                      \
		.name = "pretty-print", .kind = OPTION_BOOL,                   \
		.implied = "true", .shown = "true",                            \
		.offset = offsetof(type, field),                               \
		.help = "apply indent to format the output"                    \
	}

struct option_row;
int format_parse(const struct option_row *row, void *target, const char *value,
		 struct error *err);

static inline enum json_style format_style(enum output_format format)
{
	return format == FORMAT_JSON_PRETTY ? JSON_PRETTY_STYLE
					    : JSON_COMPACT_STYLE;
}

/* Writes OUT to stdout; rkt's exit code. */
int print_all(const struct strbuf *out);

#endif

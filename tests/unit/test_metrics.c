/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/metrics.h"

#include <criterion/criterion.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

static const struct metric metric = {"m", "What it is.", "gauge"};

static void expect(const struct metric_label *labels, size_t n, double value,
		   const char *line)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;

	metric_add(&out, &metric, labels, n, value);
	cr_expect_str_eq(out.buf, line);
}

Test(metrics, lines)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;

	metric_begin(&out, &metric);
	cr_expect_str_eq(out.buf, "# HELP m What it is.\n# TYPE m gauge\n");
	expect(NULL, 0, 0, "m 0\n");
	expect(NULL, 0, 9007199254740991.0, "m 9007199254740991\n");
	expect(NULL, 0, 0.5, "m 0.5\n");
	expect((const struct metric_label[]){{"a", "x"},
					     {"b", NULL},
					     {"c", ""}},
	       3, 1, "m{a=\"x\",c=\"\"} 1\n");
	expect((const struct metric_label[]){{"a", NULL}}, 1, 1, "m 1\n");
}

/* Whatever an image is called, the text stays one. */
Test(metrics, labels)
{
	expect((const struct metric_label[]){{"a", "\"} 1\n#\\"}}, 1, 1,
	       "m{a=\"\\\"} 1\\n#\\\\\"} 1\n");
	expect((const struct metric_label[]){{"a", "\xc3\xa9\xff{,"}}, 1, 1,
	       "m{a=\"\xc3\xa9\xef\xbf\xbd{,\"} 1\n");
}

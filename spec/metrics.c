/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/metrics.h"

#include <string.h>

#include "base/strbuf.h"
#include "base/utf8.h"

void metric_begin(struct strbuf *out, const struct metric *metric)
{
	strbuf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name,
		    metric->help, metric->name, metric->type);
}

static void add_escaped(struct strbuf *out, const char *text)
{
	size_t len = strlen(text), n;

	for (; len > 0; text += n, len -= n) {
		n = utf8_len(text, len);
		if (*text == '\n')
			strbuf_addstr(out, "\\n");
		else if (*text == '"' || *text == '\\')
			strbuf_addf(out, "\\%c", *text);
		else if (n > 0)
			strbuf_add(out, text, n);
		else
			strbuf_addstr(out, "\xef\xbf\xbd");
		n += n == 0;
	}
}

void metric_add(struct strbuf *out, const struct metric *metric,
		const struct metric_label *labels, size_t n, double value)
{
	char separator = '{';

	strbuf_addstr(out, metric->name);
	for (size_t i = 0; i < n; i++) {
		if (!labels[i].value)
			continue;
		strbuf_addf(out, "%c%s=\"", separator, labels[i].name);
		add_escaped(out, labels[i].value);
		strbuf_addch(out, '"');
		separator = ',';
	}
	if (separator == ',')
		strbuf_addch(out, '}');
	/* Whole numbers up to 2^53 as they are. */
	strbuf_addf(out, " %.17g\n", value);
}

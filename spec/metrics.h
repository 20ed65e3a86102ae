/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_METRICS_H
#define SPEC_METRICS_H

/* The text format of Prometheus, version 0.0.4, pure. */

#include <stddef.h>

struct strbuf;

struct metric {
	const char *name, *help;
	const char *type; /* "gauge" or "counter" */
};

struct metric_label {
	const char *name, *value; /* no value: the label is left out */
};

/* Appends what comes before the values of METRIC. */
void metric_begin(struct strbuf *out, const struct metric *metric);
/* A value; LABELS may be of any bytes.  What is no UTF-8 becomes U+FFFD. */
void metric_add(struct strbuf *out, const struct metric *metric,
		const struct metric_label *labels, size_t n, double value);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_HTTP_HEADERS_H
#define ACI_HTTP_HEADERS_H

/* Values of the HTTP headers that matter for downloads (RFC 9110, 9111).
 * Pure; what is malformed counts as not being there. */

#include <stdbool.h>
#include <stdint.h>

/*
 * For how many seconds an answer is fresh, by its Cache-Control (NULL: none):
 * max-age, 0 if it must be asked for again or not stored.  -1: nothing said.
 */
int64_t http_max_age(const char *cache_control);

struct content_range {
	uint64_t first, last; /* bytes; last >= first unless is_unsatisfied */
	uint64_t total;	      /* 0 = not said ("*") */
	bool is_unsatisfied;  /* a 416's form: only total */
};

/* "bytes 10-99/100", with "*" for what is not known.  -EINVAL. */
int http_content_range_parse(const char *value, struct content_range *ret);

/* True for an entity tag that says the same only of the same bytes: quoted
 * and not weak. */
bool http_etag_is_strong(const char *etag);

/* Retry-After in seconds, at most MAX; -1 if absent or a date. */
int64_t http_retry_after(const char *value, int64_t max);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_DISCOVERY_HTML_H
#define ACI_DISCOVERY_HTML_H

/*
 * The discovery tags of an HTML page, in the page's order: meta elements
 * anywhere in it whose name begins with "ac-".  Runs on hostile bytes: only
 * inside the sandbox, in tests and in fuzzers.
 */

#include <stddef.h>

struct strv;

#define DISCOVERY_PAGE_MAX (1024UL * 1024) /* bytes */
#define DISCOVERY_TAGS_MAX 256		   /* of a page; more are left out */
#define DISCOVERY_TEXT_MAX 4096		   /* of a content; longer: left out */

/*
 * Appends for each tag three strings: its name, and the prefix and template
 * of its content (spec/discovery.h).  What is no HTML has no tags.
 */
void discovery_html_parse(const char *page, size_t len, struct strv *ret);

#endif

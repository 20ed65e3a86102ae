/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_DISCOVERY_H
#define SPEC_DISCOVERY_H

/*
 * Meta discovery (discovery.md): where an image name's pages are, which of
 * their tags are for it, and what URLs those make.
 *
 *	<meta name="ac-discovery" content="PREFIX URL-TEMPLATE">
 *	<meta name="ac-discovery-pubkeys" content="PREFIX URL">
 *
 * Pure.
 */

#include <stdbool.h>
#include <stddef.h>

struct image_ref;
struct strbuf;
struct strv;

#define DISCOVERY_TAG_IMAGE "ac-discovery"
#define DISCOVERY_TAG_KEYS "ac-discovery-pubkeys"

/* Splits a tag's content at its first blank: PREFIX and TEMPLATE.  False if
 * one of them is missing: the tag says nothing. */
bool discovery_content_split(const char *content, struct strbuf *prefix,
			     struct strbuf *template);

/*
 * NAME's pages from the deepest to the host's own: "SCHEME://NAME?..."; PORT
 * behind the host if it is not 0.
 */
void discovery_pages_make(const char *name, const char *scheme,
			  unsigned int port, struct strv *ret);

/* Whether a tag with PREFIX is for the image NAME. */
bool discovery_prefix_match(const char *prefix, const char *name);

/*
 * TEMPLATE with {name}, {ext} and the labels of REF put in, appended to RET.
 * No version is "latest" here.  False: a variable is left over, {ext} is
 * missing or the result is no text for a URL; RET is worth nothing then.
 */
bool discovery_expand(const char *template, const struct image_ref *ref,
		      const char *ext, struct strbuf *ret);

#endif

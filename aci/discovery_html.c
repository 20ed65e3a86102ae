/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/discovery_html.h"

#include <libxml/HTMLparser.h>
#include <libxml/xmlerror.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/discovery.h"

struct page {
	struct strv *tags;
	size_t n;
};

static void add_tag(struct page *page, const char *name, const char *content)
{
	cleanup_strbuf struct strbuf prefix = STRBUF_INIT;
	cleanup_strbuf struct strbuf template = STRBUF_INIT;

	if (strncmp(name, "ac-", 3) != 0 || page->n >= DISCOVERY_TAGS_MAX ||
	    strlen(name) + strlen(content) > DISCOVERY_TEXT_MAX ||
	    !discovery_content_split(content, &prefix, &template))
		return;
	strv_push(page->tags, name);
	strv_push(page->tags, prefix.buf);
	strv_push(page->tags, template.buf);
	page->n++;
}

/* ATTRIBUTES: names and values by turns, a value may be NULL. */
static void on_element(void *arg, const xmlChar *element,
		       const xmlChar **attributes)
{
	const char *name = NULL, *content = NULL;

	if (strcasecmp((const char *)element, "meta") != 0 || !attributes)
		return;
	for (; attributes[0]; attributes += 2) {
		const char *key = (const char *)attributes[0];
		const char *value = (const char *)attributes[1];

		if (strcasecmp(key, "name") == 0)
			name = value;
		else if (strcasecmp(key, "content") == 0)
			content = value;
	}
	if (name && content)
		add_tag(arg, name, content);
}

static void be_quiet(void *arg, const char *fmt, ...)
{
	(void)arg;
	(void)fmt;
}

void discovery_html_parse(const char *bytes, size_t len, struct strv *ret)
{
	struct page page = {ret, 0};
	htmlSAXHandler sax = {.startElement = on_element};
	htmlParserCtxtPtr parser;

	if (len == 0 || len > DISCOVERY_PAGE_MAX)
		return;
	xmlSetGenericErrorFunc(NULL, be_quiet);
	parser = htmlCreatePushParserCtxt(&sax, &page, NULL, 0, NULL,
					  XML_CHAR_ENCODING_UTF8);
	if (!parser)
		return;
	/* A page's own word on its charset would have iconv look for files;
	 * what matters in it is ASCII. */
	(void)htmlCtxtUseOptions(
		parser, HTML_PARSE_RECOVER | HTML_PARSE_NOERROR |
				HTML_PARSE_NOWARNING | HTML_PARSE_NONET |
				HTML_PARSE_IGNORE_ENC);
	(void)htmlParseChunk(parser, bytes, (int)len, 1);
	if (parser->myDoc)
		xmlFreeDoc(parser->myDoc);
	htmlFreeParserCtxt(parser);
}

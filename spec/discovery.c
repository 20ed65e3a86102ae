/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/discovery.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/image_ref.h"

static const char blanks[] = " \t\n\v\f\r";

/* S without blanks at its ends, appended. */
static void add_trimmed(struct strbuf *sb, const char *s, size_t len)
{
	while (len > 0 && strchr(blanks, s[0])) {
		s++;
		len--;
	}
	while (len > 0 && strchr(blanks, s[len - 1]))
		len--;
	strbuf_add(sb, s, len);
}

bool discovery_content_split(const char *content, struct strbuf *prefix,
			     struct strbuf *template)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	const char *blank;

	add_trimmed(&text, content, strlen(content));
	/* The reference splits at a blank alone: a tab is part of the text. */
	blank = strchr(text.buf, ' ');
	if (!blank)
		return false;
	add_trimmed(prefix, text.buf, (size_t)(blank - text.buf));
	add_trimmed(template, blank, strlen(blank));
	return prefix->len > 0 && template->len > 0;
}

static void add_page(const char *name, const char *scheme, unsigned int port,
		     struct strv *ret)
{
	size_t host = strcspn(name, "/");

	if (port)
		strv_pushf(ret, "%s://%.*s:%u%s?ac-discovery=1", scheme,
			   (int)host, name, port, name + host);
	else
		strv_pushf(ret, "%s://%s?ac-discovery=1", scheme, name);
}

void discovery_pages_make(const char *name, const char *scheme,
			  unsigned int port, struct strv *ret)
{
	cleanup_free char *path = xstrdup(name);
	char *slash;

	add_page(path, scheme, port, ret);
	while ((slash = strrchr(path, '/'))) {
		*slash = '\0';
		add_page(path, scheme, port, ret);
	}
}

bool discovery_prefix_match(const char *prefix, const char *name)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* What {VARIABLE} of LEN bytes stands for, NULL if for nothing. */
static const char *find_value(const struct image_ref *ref, const char *ext,
			      const char *variable, size_t len)
{
	cleanup_free char *name = xstrndup(variable, len);
	const char *value;

	if (strcmp(name, "name") == 0)
		return ref->name;
	if (strcmp(name, "ext") == 0)
		return ext;
	value = name_values_get(&ref->labels, name);
	if (strcmp(name, "version") == 0 && (!value || !*value))
		return "latest";
	return value;
}

/* Nothing a URL can have raw: blanks and controls would end its line. */
static bool is_url_text(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f)
			return false;
	return true;
}

bool discovery_expand(const char *template, const struct image_ref *ref,
		      const char *ext, struct strbuf *ret)
{
	const char *open;
	bool has_ext = false;

	while ((open = strchr(template, '{'))) {
		const char *close = strchr(open, '}');
		const char *value;

		if (!close)
			break;
		value = find_value(ref, ext, open + 1,
				   (size_t)(close - open - 1));
		if (!value)
			return false;
		has_ext |= value == ext;
		strbuf_add(ret, template, (size_t)(open - template));
		strbuf_addstr(ret, value);
		template = close + 1;
	}
	strbuf_addstr(ret, template);
	return has_ext && is_url_text(ret->buf);
}

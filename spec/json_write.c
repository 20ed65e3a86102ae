/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/json_write.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/strv.h"
#include "base/utf8.h"

static void quote_ascii(struct strbuf *out, unsigned char c)
{
	static const char escapes[128] = {
		['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
		['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
	};

	if (escapes[c]) {
		strbuf_addch(out, '\\');
		strbuf_addch(out, escapes[c]);
	} else {
		strbuf_addf(out, "\\u%04x", c);
	}
}

/* Bytes that go out as they are. */
static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

void json_quote(struct strbuf *out, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	strbuf_addch(out, '"');
	while (*p) {
		const unsigned char *start = p;
		size_t len;

		while (is_plain(*p))
			p++;
		strbuf_add(out, start, (size_t)(p - start));
		if (!*p)
			break;
		len = utf8_len((const char *)p, strnlen((const char *)p, 4));
		if (len == 1)
			quote_ascii(out, *p);
		else if (len == 0)
			strbuf_addstr(out, "\xef\xbf\xbd");
		else
			strbuf_add(out, p, len);
		p += len ? len : 1;
	}
	strbuf_addch(out, '"');
}

void json_writer_init(struct json_writer *w, struct strbuf *out,
		      enum json_style style)
{
	*w = (struct json_writer){.out = out, .style = style};
}

static void new_line(struct json_writer *w)
{
	if (w->style != JSON_PRETTY_STYLE)
		return;
	strbuf_addch(w->out, '\n');
	for (unsigned i = 0; i < w->depth; i++)
		strbuf_addch(w->out, '\t');
}

/* Comma, indentation and name: all that precedes a value. */
static void begin_value(struct json_writer *w, const char *key)
{
	if (w->has_items)
		strbuf_addch(w->out, ',');
	if (w->depth > 0)
		new_line(w);
	w->has_items = true;
	if (!key)
		return;
	json_quote(w->out, key);
	strbuf_addch(w->out, ':');
	if (w->style == JSON_PRETTY_STYLE)
		strbuf_addch(w->out, ' ');
}

static void open_container(struct json_writer *w, const char *key, char c)
{
	begin_value(w, key);
	strbuf_addch(w->out, c);
	w->depth++;
	w->has_items = false;
}

static void close_container(struct json_writer *w, char c)
{
	assert(w->depth > 0);
	w->depth--;
	if (w->has_items)
		new_line(w);
	strbuf_addch(w->out, c);
	w->has_items = true;
}

void json_open_object(struct json_writer *w, const char *key)
{
	open_container(w, key, '{');
}

void json_close_object(struct json_writer *w)
{
	close_container(w, '}');
}

void json_open_array(struct json_writer *w, const char *key)
{
	open_container(w, key, '[');
}

void json_close_array(struct json_writer *w)
{
	close_container(w, ']');
}

void json_add_raw(struct json_writer *w, const char *key, const char *text)
{
	begin_value(w, key);
	strbuf_addstr(w->out, text);
}

void json_add_null(struct json_writer *w, const char *key)
{
	json_add_raw(w, key, "null");
}

void json_add_bool(struct json_writer *w, const char *key, bool value)
{
	json_add_raw(w, key, value ? "true" : "false");
}

void json_add_string(struct json_writer *w, const char *key, const char *s)
{
	if (!s) {
		json_add_null(w, key);
		return;
	}
	begin_value(w, key);
	json_quote(w->out, s);
}

void json_add_string_if(struct json_writer *w, const char *key, const char *s)
{
	if (s && *s)
		json_add_string(w, key, s);
}

void json_add_int(struct json_writer *w, const char *key, int64_t value)
{
	begin_value(w, key);
	strbuf_addf(w->out, "%" PRId64, value);
}

void json_add_uint(struct json_writer *w, const char *key, uint64_t value)
{
	begin_value(w, key);
	strbuf_addf(w->out, "%" PRIu64, value);
}

void json_add_strv(struct json_writer *w, const char *key,
		   const struct strv *sv)
{
	json_open_array(w, key);
	for (size_t i = 0; i < sv->n; i++)
		json_add_string(w, NULL, sv->v[i]);
	json_close_array(w);
}

void json_strv_write(const struct strv *sv, struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out, JSON_COMPACT_STYLE);
	json_add_strv(&w, NULL, sv);
}

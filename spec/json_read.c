/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/json_read.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/json_write.h"
#include "spec/stage1_abi.h"

/* More findings than this help nobody, and the input chooses their number. */
#define PROBLEMS_MAX 100

/* --- problems --------------------------------------------------------------
 */

void problems_release(struct problems *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].where);
		free(p->v[i].text);
	}
	free(p->v);
	*p = (struct problems)PROBLEMS_INIT;
}

static void problems_add(struct problems *p, const char *where,
			 const char *text, bool is_warning)
{
	if (!is_warning)
		p->n_errors++;
	if (p->n >= PROBLEMS_MAX)
		return;
	p->v = xreallocarray(p->v, p->n + 1, sizeof(*p->v));
	p->v[p->n++] = (struct problem){
		.where = xstrdup(where),
		.text = xstrdup(text),
		.is_warning = is_warning,
	};
}

static void doc_note(struct json_doc *doc, const char *where, const char *text,
		     bool is_warning)
{
	if (doc->problems)
		problems_add(doc->problems, where, text, is_warning);
	if (is_warning)
		return;
	if (doc->n_errors++ > 0)
		return;
	if (*where)
		error_set(doc->err, EINVAL, "%s: %s", where, text);
	else
		error_set(doc->err, EINVAL, "%s", text);
}

/* "app.ports[0].port"; the top of the document is "". */
static void node_path(const struct json_node *node, struct strbuf *out)
{
	if (!node->up)
		return;
	node_path(node->up, out);
	if (!node->key) {
		strbuf_addf(out, "[%zu]", node->index);
		return;
	}
	if (out->len)
		strbuf_addch(out, '.');
	strbuf_addstr(out, node->key);
}

static void node_note(const struct json_node *node, const char *text,
		      bool is_warning)
{
	struct strbuf where cleanup_strbuf = STRBUF_INIT;

	/* Only the first error is wanted unless someone collects. */
	if (!node->doc->problems && (is_warning || node->doc->n_errors)) {
		node->doc->n_errors += !is_warning;
		return;
	}
	node_path(node, &where);
	doc_note(node->doc, where.buf, text, is_warning);
}

void json_problem(const struct json_node *node, const char *fmt, ...)
{
	char text[ERROR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	node_note(node, text, false);
}

void json_warning(const struct json_node *node, const char *fmt, ...)
{
	char text[ERROR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	node_note(node, text, true);
}

void json_problem_error(const struct json_node *node, const struct error *err)
{
	node_note(node, err->msg, false);
}

/* --- documents -------------------------------------------------------------
 */

/* A byte inside a UTF-8 sequence. */
static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

/* Line and column, both from 1, of the character at OFFSET. */
static void doc_note_at(struct json_doc *doc, const char *buf, size_t offset,
			const char *text)
{
	char where[64];
	size_t line = 1, column = 1;

	for (size_t i = 0; i < offset; i++) {
		column += !is_continuation(buf[i]);
		if (buf[i] == '\n') {
			line++;
			column = 1;
		}
	}
	snprintf(where, sizeof(where), "line %zu, column %zu", line, column);
	doc_note(doc, where, text, false);
}

static int doc_check_bytes(struct json_doc *doc, const char *buf, size_t len)
{
	const char *nul;

	if (len > MANIFEST_MAX) {
		char text[64];

		snprintf(text, sizeof(text), "longer than %lu bytes",
			 MANIFEST_MAX);
		doc_note(doc, "", text, false);
		if (doc->err)
			doc->err->code = EFBIG;
		return -EFBIG;
	}
	nul = len ? memchr(buf, '\0', len) : NULL;
	if (nul) {
		doc_note_at(doc, buf, (size_t)(nul - buf), "NUL byte");
		return -EINVAL;
	}
	return 0;
}

/*
 * Keys come from outside, so their hashes need a random seed.  Left alone
 * jansson opens /dev/urandom for it, which a sandbox does not have.
 */
static void seed_hashes(void)
{
	uint32_t seed = 0;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == sizeof(seed))
		json_object_seed(seed);
}

/* je->position is behind the token that was not expected. */
static size_t error_offset(const json_error_t *je, const char *buf, size_t len)
{
	size_t offset = je->position > 0 ? (size_t)je->position : 0;

	if (offset > len)
		offset = len;
	if (json_error_code(je) == json_error_premature_end_of_input)
		return offset;
	if (offset > 0)
		offset--;
	while (offset > 0 && is_continuation(buf[offset]))
		offset--;
	return offset;
}

int json_doc_parse(struct json_doc *ret, const char *buf, size_t len,
		   struct problems *problems, struct error *err)
{
	json_error_t je;
	int r;

	*ret = (struct json_doc){.err = err, .problems = problems};
	r = doc_check_bytes(ret, buf, len);
	if (r < 0)
		return r;
	seed_hashes();
	ret->root = json_loadb(buf, len, JSON_DECODE_ANY, &je);
	if (ret->root)
		return 0;
	doc_note_at(ret, buf, error_offset(&je, buf, len), je.text);
	return -EINVAL;
}

void json_doc_release(struct json_doc *doc)
{
	json_decref(doc->root);
	doc->root = NULL;
}

int json_doc_result(const struct json_doc *doc)
{
	return doc->n_errors ? -EINVAL : 0;
}

struct json_node json_root(struct json_doc *doc)
{
	return (struct json_node){.json = doc->root, .doc = doc};
}

/* --- types -----------------------------------------------------------------
 */

static const char *type_name(const json_t *json)
{
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "a boolean";
	default:
		return "null";
	}
}

static bool wrong_type(const struct json_node *node, const char *want)
{
	json_problem(node, "must be %s, is %s", want, type_name(node->json));
	return false;
}

bool json_node_is_null(const struct json_node *node)
{
	return json_typeof(node->json) == JSON_NULL;
}

bool json_node_is_object(const struct json_node *node)
{
	return json_typeof(node->json) == JSON_OBJECT;
}

bool json_node_is_number(const struct json_node *node)
{
	return json_typeof(node->json) == JSON_INTEGER ||
	       json_typeof(node->json) == JSON_REAL;
}

bool json_node_is_string(const struct json_node *node)
{
	return json_typeof(node->json) == JSON_STRING;
}

bool json_want_object(const struct json_node *node)
{
	return json_node_is_object(node) || wrong_type(node, "an object");
}

bool json_want_array(const struct json_node *node)
{
	return json_typeof(node->json) == JSON_ARRAY ||
	       wrong_type(node, "an array");
}

/* --- members and items -----------------------------------------------------
 */

bool json_member_or_null(const struct json_node *object, const char *key,
			 struct json_node *ret)
{
	json_t *json = (json_t *)object->json, *found;
	const char *name;
	json_t *value;

	found = json_object_get(json, key);
	if (!found) {
		json_object_foreach (json, name, value)
			if (strcasecmp(name, key) == 0)
				found = value;
	}
	if (!found)
		return false;
	*ret = (struct json_node){
		.json = found,
		.doc = object->doc,
		.up = object,
		.key = key,
	};
	return true;
}

bool json_member(const struct json_node *object, const char *key,
		 struct json_node *ret)
{
	return json_member_or_null(object, key, ret) && !json_node_is_null(ret);
}

bool json_next_member(const struct json_node *object, struct json_node *it)
{
	json_t *json = (json_t *)object->json;
	void *iter;

	if (!it->key)
		iter = json_object_iter(json);
	else
		iter = json_object_iter_next(json,
					     json_object_key_to_iter(it->key));
	if (!iter)
		return false;
	*it = (struct json_node){
		.json = json_object_iter_value(iter),
		.doc = object->doc,
		.up = object,
		.key = json_object_iter_key(iter),
	};
	return true;
}

size_t json_n_items(const struct json_node *array)
{
	return json_array_size(array->json);
}

bool json_item(const struct json_node *array, size_t index,
	       struct json_node *ret)
{
	json_t *found = json_array_get(array->json, index);

	if (!found)
		return false;
	*ret = (struct json_node){
		.json = found,
		.doc = array->doc,
		.up = array,
		.index = index,
	};
	return true;
}

/* --- scalars ---------------------------------------------------------------
 */

bool json_read_string(const struct json_node *node, const char **ret)
{
	if (!json_node_is_string(node))
		return wrong_type(node, "a string");
	*ret = json_string_value(node->json);
	return true;
}

char *json_read_string_dup(const struct json_node *node)
{
	const char *s;

	return json_read_string(node, &s) ? xstrdup(s) : NULL;
}

bool json_read_bool(const struct json_node *node, bool *ret)
{
	if (!json_is_boolean(node->json))
		return wrong_type(node, "a boolean");
	*ret = json_is_true(node->json);
	return true;
}

bool json_read_int(const struct json_node *node, int64_t min, int64_t max,
		   int64_t *ret)
{
	json_int_t value;

	if (json_typeof(node->json) != JSON_INTEGER)
		return wrong_type(node, "an integer");
	value = json_integer_value(node->json);
	if (value < min || value > max) {
		json_problem(node,
			     "%" JSON_INTEGER_FORMAT " is not in %" PRId64
			     "..%" PRId64,
			     value, min, max);
		return false;
	}
	*ret = value;
	return true;
}

bool json_read_strv(const struct json_node *node, struct strv *ret)
{
	struct json_node item;
	bool ok = true;
	size_t n;

	if (!json_want_array(node))
		return false;
	n = json_n_items(node);
	for (size_t i = 0; i < n; i++) {
		const char *s = "";

		if (!json_item(node, i, &item))
			break;
		if (json_node_is_null(&item) || json_read_string(&item, &s))
			strv_push(ret, s);
		else
			ok = false;
	}
	return ok;
}

char *json_read_raw(const struct json_node *node)
{
	char *text = json_dumps(node->json, JSON_COMPACT | JSON_ENCODE_ANY);

	if (!text)
		abort(); /* out of memory: the value was parsed */
	return text;
}

void json_read_number_text(const struct json_node *node, struct strbuf *sb)
{
	char text[64];

	if (json_typeof(node->json) == JSON_INTEGER) {
		strbuf_addf(sb, "%" JSON_INTEGER_FORMAT,
			    json_integer_value(node->json));
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		double value = json_real_value(node->json);

		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	strbuf_addstr(sb, text);
}

/* --- members by name -------------------------------------------------------
 */

void json_get_string(const struct json_node *object, const char *key,
		     char **ret)
{
	struct json_node node;
	char *s;

	if (!json_member(object, key, &node))
		return;
	s = json_read_string_dup(&node);
	if (!s)
		return;
	free(*ret);
	*ret = s;
}

void json_get_bool(const struct json_node *object, const char *key, bool *ret)
{
	struct json_node node;

	if (json_member(object, key, &node))
		json_read_bool(&node, ret);
}

void json_get_int(const struct json_node *object, const char *key, int64_t min,
		  int64_t max, int64_t *ret)
{
	struct json_node node;

	if (json_member(object, key, &node))
		json_read_int(&node, min, max, ret);
}

void json_get_strv(const struct json_node *object, const char *key,
		   struct strv *ret)
{
	struct json_node node;

	if (json_member(object, key, &node))
		json_read_strv(&node, ret);
}

bool json_get_checked(const struct json_node *object, const char *key,
		      int (*check)(const char *s, struct error *err),
		      char **ret)
{
	struct error err = ERROR_INIT;
	struct json_node node;
	const char *s;

	if (!json_member_or_null(object, key, &node) ||
	    !json_read_string(&node, &s))
		return false;
	if (check(s, &err) < 0) {
		json_problem_error(&node, &err);
		return false;
	}
	free(*ret);
	*ret = xstrdup(s);
	return true;
}

void json_for_each(const struct json_node *object, const char *key,
		   void (*read)(const struct json_node *item, void *arg),
		   void *arg)
{
	struct json_node array, item;
	size_t n;

	if (!json_member(object, key, &array) || !json_want_array(&array))
		return;
	n = json_n_items(&array);
	for (size_t i = 0; i < n; i++)
		if (json_item(&array, i, &item))
			read(&item, arg);
}

int json_strv_parse(const char *buf, size_t len, struct strv *ret,
		    struct error *err)
{
	struct json_doc doc cleanup_json_doc = {0};
	struct strv sv cleanup_strv = STRV_INIT;
	struct json_node root;
	int r;

	r = json_doc_parse(&doc, buf, len, NULL, err);
	if (r < 0)
		return r;
	root = json_root(&doc);
	json_read_strv(&root, &sv);
	r = json_doc_result(&doc);
	if (r < 0)
		return r;
	*ret = sv;
	sv = (struct strv)STRV_INIT;
	return 0;
}

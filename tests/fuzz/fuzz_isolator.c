/* SPDX-License-Identifier: Apache-2.0 */
/* Input: the isolator's name, a newline, its value. */
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/isolator.h"
#include "spec/json_write.h"
#include "tests/fuzz/fuzz.h"

static void write_list(const struct isolator *isolator, struct strbuf *out)
{
	struct isolators list cleanup_isolators = ISOLATORS_INIT;
	struct isolators copy cleanup_isolators = ISOLATORS_INIT;
	struct isolator own;
	struct json_writer w;

	isolator_copy(&own, isolator);
	isolators_add(&list, &own);
	isolators_copy(&copy, &list);
	fuzz_expect(isolators_check(&copy, NULL) == 0);
	fuzz_expect(isolators_find(&copy, isolator->kind));
	json_writer_init(&w, out, JSON_COMPACT_STYLE);
	isolator_write(isolators_find(&copy, isolator->kind), NULL, &w);
}

static void expect_round_trip(const struct isolator *isolator)
{
	struct strbuf first cleanup_strbuf = STRBUF_INIT;
	struct strbuf second cleanup_strbuf = STRBUF_INIT;
	struct isolator again cleanup_isolator = {0};
	const char *value;
	char *text cleanup_free = NULL;

	write_list(isolator, &first);
	value = strstr(first.buf, "\"value\":");
	fuzz_expect(value);
	/* Without the object's closing brace. */
	text = xstrdup(value + strlen("\"value\":"));
	text[strlen(text) - 1] = '\0';
	fuzz_expect(isolator_parse(isolator->name, text, &again, NULL) == 0);
	write_list(&again, &second);
	fuzz_expect(strcmp(first.buf, second.buf) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *name cleanup_free = xstrndup((const char *)data, size);
	struct isolator isolator cleanup_isolator = {0};
	struct error err = ERROR_INIT;
	char *value = strchr(name, '\n');

	if (!value)
		return 0;
	*value++ = '\0';
	if (isolator_parse(name, value, &isolator, &err) < 0) {
		fuzz_expect(*err.msg);
		return 0;
	}
	(void)isolator_check_usable(&isolator, &err);
	expect_round_trip(&isolator);
	return 0;
}

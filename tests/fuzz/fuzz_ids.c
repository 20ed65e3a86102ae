/* SPDX-License-Identifier: Apache-2.0 */
/* Input: a user's name, a newline, the text of /etc/passwd. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "stage1/ids.h"
#include "tests/fuzz/fuzz.h"

/* The same, written the slow way, on a copy of one line. */
static bool line_matches(char *line, const char *name, uint32_t *id, int *r)
{
	char *fields[3] = {line, NULL, NULL};

	for (int i = 1; i < 3 && fields[i - 1]; i++) {
		fields[i] = strchr(fields[i - 1], ':');
		if (fields[i])
			*fields[i]++ = '\0';
	}
	if (!fields[1] || strcmp(line, name) != 0)
		return false;
	*r = -EINVAL;
	if (fields[2]) {
		fields[2][strcspn(fields[2], ":")] = '\0';
		*r = strlen(fields[2]) < 16 && parse_id(fields[2], id) == 0
			     ? 0
			     : -EINVAL;
	}
	return true;
}

static int find_slowly(char *text, const char *name, uint32_t *id)
{
	int r = -ENOENT;

	while (text) {
		char *next = strchr(text, '\n');

		if (next)
			*next++ = '\0';
		if (line_matches(text, name, id, &r))
			return r;
		text = next;
	}
	return -ENOENT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *newline = memchr(data, '\n', size);
	char *name cleanup_free = NULL;
	char *copy cleanup_free = NULL;
	uint32_t id = 1, expected = 1;
	const char *text;
	size_t len;
	int r;

	if (!newline)
		return 0;
	name = xstrndup((const char *)data, (size_t)(newline - data));
	text = (const char *)newline + 1;
	len = size - (size_t)(newline - data) - 1;
	r = ids_find_in_text(text, len, name, &id);
	fuzz_expect(r == 0 || r == -ENOENT || r == -EINVAL);
	fuzz_expect(r == 0 || id == 1);
	if (memchr(text, '\0', len) || !*name || strchr(name, ':'))
		return 0;
	copy = xstrndup(text, len);
	fuzz_expect(find_slowly(copy, name, &expected) == r);
	fuzz_expect(id == expected);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/limits.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/strbuf.h"

#define TEXT_MAX (16UL * 1024)
/* A name and the blanks after it. */
#define NAME_WIDTH 26

static int parse_value(const char **at, rlim_t *ret)
{
	char word[32];
	uint64_t value;
	size_t len;

	*at += strspn(*at, " ");
	len = strcspn(*at, " \n");
	if (len == 0 || len >= sizeof(word))
		return -EINVAL;
	memcpy(word, *at, len);
	word[len] = '\0';
	*at += len;
	if (strcmp(word, "unlimited") == 0) {
		*ret = RLIM_INFINITY;
		return 0;
	}
	if (parse_uint(word, UINT64_MAX, &value) < 0)
		return -EINVAL;
	*ret = value;
	return 0;
}

int limits_parse(const char *text, struct rlimit *ret)
{
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		const char *line = strchr(text, '\n');
		const char *at;

		if (!line || strnlen(line + 1, NAME_WIDTH) < NAME_WIDTH)
			return -EINVAL;
		text = line + 1;
		at = text + NAME_WIDTH;
		if (parse_value(&at, &ret[i].rlim_cur) < 0 ||
		    parse_value(&at, &ret[i].rlim_max) < 0)
			return -EINVAL;
	}
	return 0;
}

int limits_read(pid_t pid, struct rlimit *ret, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	char path[64];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	r = read_file_path(path, TEXT_MAX, &text, err);
	if (r < 0)
		return r;
	return limits_parse(text.buf, ret) < 0
		       ? error_set(err, EINVAL, "%s: unknown form", path)
		       : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/capability.h"

#include <errno.h>
#include <string.h>
#include <sys/capability.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "base/strv.h"

uint64_t caps_from_name(const char *name)
{
	cap_value_t cap;

	/* libcap also reads numbers, and stops at a blank. */
	if (strncasecmp(name, "CAP_", 4) != 0 || strpbrk(name, " \t\n,+=-") ||
	    cap_from_name(name, &cap) < 0 || cap < 0 || cap > 63)
		return 0;
	return CAPS_BIT(cap);
}

char *caps_to_names(uint64_t caps)
{
	struct strbuf sb cleanup_strbuf = STRBUF_INIT;

	for (int cap = 0; cap < 64; cap++) {
		char *name;

		if (!(caps & CAPS_BIT(cap)))
			continue;
		name = cap_to_name(cap);
		if (!name)
			continue;
		strbuf_addf(&sb, "%s", sb.len ? "," : "");
		for (char *p = name; *p; p++)
			strbuf_addch(&sb, *p >= 'a' && *p <= 'z'
						  ? (char)(*p - 'a' + 'A')
						  : *p);
		cap_free(name);
	}
	return strbuf_detach(&sb);
}

int caps_parse(const struct strv *names, uint64_t *ret, struct error *err)
{
	struct strbuf unknown cleanup_strbuf = STRBUF_INIT;
	uint64_t caps = 0;

	for (size_t i = 0; i < names->n; i++) {
		uint64_t cap = caps_from_name(names->v[i]);

		if (cap == 0)
			strbuf_addf(&unknown, "%s%s", unknown.len ? ", " : "",
				    names->v[i]);
		caps |= cap;
	}
	if (unknown.len)
		return error_set(err, EINVAL, "unknown capability: %s",
				 unknown.buf);
	*ret = caps;
	return 0;
}

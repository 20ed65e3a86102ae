/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/whiteout.h"

#include <stdbool.h>
#include <string.h>

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

enum whiteout whiteout_of(const char *name)
{
	if (!starts_with(name, WHITEOUT_PREFIX))
		return WHITEOUT_NONE;
	if (strcmp(name, WHITEOUT_OPAQUE) == 0)
		return WHITEOUT_ALL;
	return starts_with(name, WHITEOUT_META_PREFIX) ? WHITEOUT_IGNORED
						       : WHITEOUT_NAME;
}

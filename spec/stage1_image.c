/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/stage1_image.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/parse.h"
#include "base/strv.h"
#include "spec/image_manifest.h"
#include "spec/stage1_abi.h"

static const struct {
	const char *name;
	const char *annotation;
} entries[STAGE1_ENTRY_MAX] = {
	[STAGE1_RUN] = {"run", STAGE1_ANNOTATION_PREFIX "run"},
	[STAGE1_ENTER] = {"enter", STAGE1_ANNOTATION_PREFIX "enter"},
	[STAGE1_GC] = {"gc", STAGE1_ANNOTATION_PREFIX "gc"},
	[STAGE1_STOP] = {"stop", STAGE1_ANNOTATION_PREFIX "stop"},
};

const char *stage1_entry_name(enum stage1_entry entry)
{
	return entries[entry].name;
}

const char *stage1_image_entry(const struct image_manifest *im,
			       enum stage1_entry entry)
{
	const char *path =
		name_values_get(&im->annotations, entries[entry].annotation);

	return path && *path ? path : NULL;
}

int stage1_image_version(const struct image_manifest *im, unsigned int *ret,
			 struct error *err)
{
	const char *text =
		name_values_get(&im->annotations, STAGE1_ANNOTATION_VERSION);
	uint64_t version = 1;

	if (text && (parse_uint(text, UINT32_MAX, &version) < 0 || !version))
		return error_set(err, EINVAL,
				 "stage1 image %s: annotation "
				 "%s \"%s\" is no version",
				 im->name, STAGE1_ANNOTATION_VERSION, text);
	if (version > STAGE1_INTERFACE_VERSION)
		return error_set(err, EOPNOTSUPP,
				 "stage1 image %s wants interface version %s, "
				 "this rkt knows 1 to %d: it takes a newer rkt",
				 im->name, text, STAGE1_INTERFACE_VERSION);
	*ret = (unsigned int)version;
	return 0;
}

int stage1_image_check(const struct image_manifest *im, struct error *err)
{
	unsigned int version;

	if (!stage1_image_entry(im, STAGE1_RUN))
		return error_set(err, EINVAL,
				 "image %s is no stage1: it has no annotation "
				 "%s",
				 im->name, entries[STAGE1_RUN].annotation);
	return stage1_image_version(im, &version, err);
}

/* --- arguments of run ------------------------------------------------------
 */

/* What is not in this table came with STAGE1_INTERFACE_VERSION. */
static const struct {
	const char *name;
	unsigned int version; /* the first that knows it */
	bool silent;	      /* nobody asked for it */
} options[] = {
	{"--debug", 1, false},
	{"--net", 1, false},
	{"--interactive", 1, false},
	{"--private-users", 1, false},
	{"--local-config", 1, false},
	{"--hostname", 2, false},
	{"--disable-capabilities-restriction", 3, false},
	{"--disable-paths", 3, false},
	{"--disable-seccomp", 3, false},
	{"--dns-conf-mode", 4, false},
	{"--mutable", 5, false},
	{"--ipc", 6, false},
	{"--system-config", STAGE1_INTERFACE_VERSION, true},
};

static bool is_known(unsigned int version, const char *arg, bool *ret_silent)
{
	size_t len = strcspn(arg, "=");

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		if (strlen(options[i].name) == len &&
		    strncmp(options[i].name, arg, len) == 0) {
			*ret_silent = options[i].silent;
			return version >= options[i].version;
		}
	*ret_silent = false;
	return version >= STAGE1_INTERFACE_VERSION;
}

void stage1_run_args_make(unsigned int version, const struct strv *args,
			  struct strv *ret, struct strv *warnings)
{
	for (size_t i = 0; i < args->n; i++) {
		const char *arg = args->v[i];
		bool silent;

		if (is_known(version, arg, &silent))
			strv_push(ret, arg);
		else if (!silent)
			strv_pushf(warnings,
				   "%.*s option is not supported by stage1",
				   (int)strcspn(arg, "="), arg);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_IMAGE_MANIFEST_H
#define SPEC_IMAGE_MANIFEST_H

/* Image Manifest (aci.md): bytes in, struct out, and canonical bytes back. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"
#include "spec/app.h"
#include "spec/json_write.h"
#include "spec/name_value.h"

struct error;
struct problems;
struct strbuf;

struct dependency {
	char *image_name; /* AC Identifier */
	char *image_id;	  /* NULL = none; image_id_parse() before use */
	struct name_values labels;
	uint64_t size; /* bytes, 0 = not given */
};

struct image_manifest {
	char *ac_version; /* normalised SemVer */
	char *name;	  /* AC Identifier */
	struct name_values labels;
	bool has_app;
	struct app app;
	struct dependency *dependencies;
	size_t n_dependencies;
	struct strv path_whitelist;
	struct name_values annotations;
};

#define IMAGE_MANIFEST_INIT                                                    \
	{                                                                      \
		0                                                              \
	}

/* -EINVAL with line and column or JSON path; *RET is set only on success. */
int image_manifest_parse(const char *buf, size_t len,
			 struct image_manifest *ret, struct error *err);
void image_manifest_release(struct image_manifest *im);
#define cleanup_image_manifest                                                 \
	__attribute__((__cleanup__(image_manifest_release)))

/* All that is wrong with BUF, not only the first; -EINVAL if anything is. */
int image_manifest_validate(const char *buf, size_t len,
			    struct problems *problems);

/* Appends the canonical text; empty lists and defaults are left out. */
void image_manifest_write(const struct image_manifest *im,
			  enum json_style style, struct strbuf *out);

#endif

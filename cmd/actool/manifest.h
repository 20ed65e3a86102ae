/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_ACTOOL_MANIFEST_H
#define CMD_ACTOOL_MANIFEST_H

/* What is wrong with a manifest or a layout, as lines for people. */

#include <stddef.h>

struct aci_layout;
struct error;

enum manifest_kind {
	MANIFEST_ANY,
	MANIFEST_IMAGE,
};

/*
 * Prints every problem of the manifest in BUF as "LABEL: WHERE: TEXT" on
 * stderr.  Returns its acKind ("ImageManifest"; static) when it is valid,
 * warnings or not, and NULL when it is not.
 */
const char *manifest_report(const char *label, enum manifest_kind want,
			    const char *buf, size_t len);

/*
 * Opens and checks the layout PATH.  Everything wrong with it is printed on
 * stderr.  0 = valid, 1 = not valid, or -errno when it cannot be read.
 */
int layout_report(const char *path, struct aci_layout *ret, struct error *err);

#endif

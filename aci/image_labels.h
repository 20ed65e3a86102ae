/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_IMAGE_LABELS_H
#define ACI_IMAGE_LABELS_H

/* An image's labels as one text, which is how the table has them: imagedb.h. */

#include <stdbool.h>

struct name_values;
struct strbuf;

/* The canonical text of LABELS for a row; appends to SB. */
void image_labels_make(const struct name_values *labels, struct strbuf *sb);
/* True if the canonical text HAVE has every label of WANT. */
bool image_labels_match(const char *have, const struct name_values *want);

#endif

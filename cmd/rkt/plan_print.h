/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_PLAN_PRINT_H
#define CMD_RKT_PLAN_PRINT_H

/* How `rkt update --plan` shows a plan. */

#include "spec/json_write.h"

struct strbuf;
struct update_plan;

/* For terminals of 80 columns. */
void plan_format(const struct update_plan *plan, struct strbuf *out);
/* One object with a newline behind it; POD is a UUID. */
void plan_write(const struct update_plan *plan, const char *pod,
		enum json_style style, struct strbuf *out);

#endif

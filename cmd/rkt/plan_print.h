/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_PLAN_PRINT_H
#define CMD_RKT_PLAN_PRINT_H

/* How `rkt update --plan` shows a plan. */

#include <stdbool.h>

#include "cmd/rkt/format.h"

struct strbuf;
struct update_plan;

/*
 * Prints PLAN: lines for terminals of 80 columns, or one object with a newline
 * behind it; POD is a UUID.  True if it is refused.
 */
bool plan_show(const struct update_plan *plan, const char *pod,
	       enum output_format format);

/* The same object into OUT. */
void plan_write(const struct update_plan *plan, const char *pod,
		enum output_format format, struct strbuf *out);

/* Every reason of a refusal, behind what is in OUT; with the app's name if it
 * is one of several. */
void plan_add_refusals(const struct update_plan *plan, bool one_of_several,
		       struct strbuf *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_HEALTH_H
#define STAGE1_HEALTH_H

/*
 * Asks a serving generation again and again whether it is well, as its
 * annotations rkt.io/health/... say (spec/service.h), and keeps the answer in
 * status/APP.health: "ok", or "failing: REASON".
 */

struct generation;
struct health;

/* FAILED is called when so many attempts in a row failed as count, and again
 * after as many more; never from health_start(). */
struct health *health_start(struct generation *g,
			    void (*failed)(struct generation *g));
/* HEALTH may be NULL. */
void health_stop(struct health *health);

#endif

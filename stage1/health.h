/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_HEALTH_H
#define STAGE1_HEALTH_H

/*
 * Asks a serving generation again and again whether it is well, as its
 * annotations rkt.io/health/... say (spec/service.h), and keeps the answer in
 * status/APP.health: "ok", or "failing: REASON".
 */

struct generation;
struct pod_app;
struct health;
struct json_node;
struct state_writer;

/* FAILED is called when so many attempts in a row failed as count, and again
 * after as many more; never from health_start(). */
struct health *health_start(struct generation *g,
			    void (*failed)(struct generation *g));
/* What was said of the generation before is not said of the next. */
void health_forget(const struct pod_app *app);
/* HEALTH may be NULL. */
void health_stop(struct health *health);

/* For another supervisor (stage1/state.h): one that is being asked is asked
 * again from the beginning, by whoever goes on. */
void health_rewind(struct health *health);
void health_save(const struct health *health, struct state_writer *w,
		 const char *key);
/* Of one that was just started. */
int health_restore(const struct json_node *node, struct health *health);

#endif

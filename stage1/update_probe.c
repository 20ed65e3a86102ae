/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/error.h"
#include "stage1/generation.h"
#include "stage1/pod.h"
#include "stage1/probe.h"
#include "stage1/update_impl.h"

/* How long after a probe failed the next one comes. */
#define AGAIN_MS 100

static void ask(struct update *u);

/* An HTTP answer that it is not well, but for 503.  What refuses, is silent or
 * fails a command may just not be up yet. */
static bool is_answer(const struct error *why)
{
	return why->code == EPROTO || why->code == EBADMSG;
}

/* Clients hear the same: they are not let wait for the time to be over. */
static bool is_ill(struct update *u, const struct error *why)
{
	u->n_ill = is_answer(why) ? u->n_ill + 1 : 0;
	return u->n_ill >= u->next->service.update_retries;
}

static void on_again(struct event_timer *timer)
{
	ask(timer->data);
}

static void on_answer(void *data, const struct error *why)
{
	struct update *u = data;
	struct error err = ERROR_INIT;

	u->probing = NULL;
	if (!why) {
		u->is_well = true;
		u->when_well(u);
	} else if (is_ill(u, why)) {
		(void)error_set(&err, EPROTO,
				"it was not well %u times in a row: %.700s",
				u->n_ill, why->msg);
		update_roll_back(u, &err);
	} else if (update_since_ms(u->released_ns) >= u->ready_ms) {
		(void)error_set(&err, ETIMEDOUT,
				"it was not well within %llu ms: %.700s",
				(unsigned long long)u->ready_ms, why->msg);
		update_roll_back(u, &err);
	} else {
		u->tick.fn = on_again;
		u->tick.data = u;
		event_timer_set(&u->pod->loop, &u->tick, AGAIN_MS);
	}
}

static void ask(struct update *u)
{
	const struct probe_request request = {
		.probe = &u->probe,
		.g = u->next,
		.done = on_answer,
		.data = u,
	};
	struct error err = ERROR_INIT;

	if (probe_start(&request, &u->probing, &err) < 0)
		update_roll_back(u, &err);
}

bool update_is_well(struct update *u, void (*when_well)(struct update *u))
{
	if (u->probe.kind == PROBE_NONE || u->is_well)
		return true;
	u->when_well = when_well;
	u->n_ill = 0;
	ask(u);
	return false;
}

void update_stop_asking(struct update *u)
{
	if (u->probing)
		probe_cancel(u->probing);
	u->probing = NULL;
	u->is_well = false;
}

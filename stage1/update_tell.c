/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "spec/history.h"
#include "spec/stage1_abi.h"
#include "stage1/generation.h"
#include "stage1/journal.h"
#include "stage1/notify_host.h"
#include "stage1/pod.h"
#include "stage1/update_impl.h"

char *update_image_text(const struct runtime_app *ra)
{
	const char *version =
		ra ? name_values_get(&ra->image.labels, "version") : NULL;

	if (!ra || !ra->image.name)
		return NULL;
	return xasprintf("%s%s%s", ra->image.name, version ? ":" : "",
			 version ? version : "");
}

/* --- to who asked ----------------------------------------------------------
 */

/* The command may be gone, or slow: the transaction goes on. */
static void send_reply(struct update_group *g, const struct control_reply *rec)
{
	if (g->conn >= 0 &&
	    send(g->conn, rec, sizeof(*rec), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
	    errno != EAGAIN)
		fd_close(&g->conn);
}

static void begin_reply(const struct update *u, enum control_reply_kind kind,
			struct control_reply *ret)
{
	*ret = (struct control_reply){
		.version = STAGE1_ABI_VERSION,
		.kind = kind,
		.state = u->state,
		.elapsed_us = update_since_us(u->group->begun_ns),
		.strategy = u->tier,
		.counts = u->counts,
	};
	(void)snprintf(ret->app, sizeof(ret->app), "%s", u->app->name);
}

/* For systemctl status: who asked may have gone when it has switched. */
static void tell_host(const struct update *u, const char *text)
{
	cleanup_free char *image =
		u->next ? update_image_text(&u->next->runtime_app) : NULL;
	cleanup_free char *to =
		image ? TAKE_PTR(image) : xasprintf("generation %u", u->to);
	cleanup_free char *status =
		xasprintf("STATUS=%s of %s to %s: %s: %s",
			  u->is_rollback ? "rollback" : "update", u->app->name,
			  to, update_state_text(u->state), text);

	notify_host_send(u->pod->host_notify, status);
}

void update_tell(struct update *u, const char *text)
{
	struct control_reply rec;

	tell_host(u, text);

	begin_reply(u, CONTROL_PROGRESS, &rec);
	if (u->group->n > 1 && u->state > UPDATE_PLANNED)
		(void)snprintf(rec.text, sizeof(rec.text), "%s: %.700s",
			       u->app->name, text);
	else
		(void)snprintf(rec.text, sizeof(rec.text), "%s", text);
	send_reply(u->group, &rec);
}

/* What is not known of all is known of those together that it is known of;
 * the slowest switch is that of all. */
static void add_counts(struct update_counts *sum, const struct update_counts *c)
{
	uint64_t *all[] = {&sum->moved, &sum->drained, &sum->lost};
	const uint64_t *one[] = {&c->moved, &c->drained, &c->lost};

	for (size_t i = 0; i < 3; i++) {
		if (*one[i] == UPDATE_NOT_COUNTED)
			continue;
		*all[i] = *all[i] == UPDATE_NOT_COUNTED ? *one[i]
							: *all[i] + *one[i];
	}
	if (c->switch_us != UPDATE_NOT_COUNTED &&
	    (sum->switch_us == UPDATE_NOT_COUNTED ||
	     sum->switch_us < c->switch_us))
		sum->switch_us = c->switch_us;
}

/* The whole transaction's last word is that of the worst. */
static struct update *worst(const struct update_group *g)
{
	struct update *w = g->first;

	for (struct update *m = g->first; m; m = m->sibling)
		if (w && m->exit_code > w->exit_code)
			w = m;
	return w;
}

void update_tell_end(struct update_group *g)
{
	struct update_counts sum = UPDATE_COUNTS_UNKNOWN;
	const struct update *last = worst(g);
	struct control_reply rec;
	bool same_tier = true;

	for (const struct update *m = g->first; m; m = m->sibling) {
		add_counts(&sum, &m->counts);
		same_tier = same_tier && m->tier == g->first->tier;
		begin_reply(m, CONTROL_APP, &rec);
		rec.code = m->exit_code;
		(void)snprintf(rec.text, sizeof(rec.text), "%s", m->note.msg);
		send_reply(g, &rec);
	}
	if (!last)
		return;
	begin_reply(last, CONTROL_DONE, &rec);
	rec.code = last->exit_code;
	rec.counts = sum;
	rec.app[0] = '\0';
	if (!same_tier)
		rec.strategy = UPDATE_AUTO;
	(void)snprintf(rec.text, sizeof(rec.text), "%s", last->text);
	send_reply(g, &rec);
}

/* --- to the journal --------------------------------------------------------
 */

int update_note(struct update *u, const char *text, struct error *err)
{
	const struct runtime_app *next =
		u->next && !u->rolling_back ? &u->next->runtime_app : NULL;
	cleanup_free char *to_image = update_image_text(next);
	const struct history_event event = {
		.app = u->app->name,
		.from = u->from,
		.to = u->to,
		.state = u->state,
		.rollback = u->is_rollback,
		.interrupted = u->is_interrupted,
		.text = text,
		.who = u->group->who,
		.from_image = u->from_image,
		.to_image = to_image,
		.from_id = u->from_id,
		.to_id = next ? next->image.id : NULL,
		.tier = u->tier,
		.us = update_since_us(u->group->begun_ns),
		.counts = &u->counts,
	};
	int r = journal_append(u->pod->dirfd, &event, err);

	u->is_noted = r == 0;
	return r;
}

static int enter(struct update *u, enum update_state state, const char *text,
		 struct error *err)
{
	u->state = state;
	log_debug("update of %s: %s", u->app->name, update_state_text(state));
	return update_note(u, text, err);
}

void update_enter_state(struct update *u, enum update_state state,
			const char *text)
{
	struct error err = ERROR_INIT;

	if (enter(u, state, text, &err) < 0)
		log_failure(&err, "update");
	update_tell(u, text);
}

bool update_advance(struct update *u, enum update_state state, const char *text)
{
	struct error err = ERROR_INIT;

	if (enter(u, state, text, &err) < 0) {
		update_roll_back(u, &err);
		return false;
	}
	update_tell(u, text);
	return true;
}

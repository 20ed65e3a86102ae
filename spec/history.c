/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/history.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/acname.h"
#include "spec/json_read.h"
#include "spec/json_write.h"

static const char *const state_names[] = {
	[UPDATE_PLANNED] = "PLANNED",	      [UPDATE_FETCHED] = "FETCHED",
	[UPDATE_STAGED] = "STAGED",	      [UPDATE_STARTED] = "STARTED",
	[UPDATE_VERIFIED] = "VERIFIED",	      [UPDATE_SWITCHED] = "SWITCHED",
	[UPDATE_OBSERVED] = "OBSERVED",	      [UPDATE_COMMITTED] = "COMMITTED",
	[UPDATE_ROLLED_BACK] = "ROLLED_BACK",
};

const char *update_state_text(enum update_state state)
{
	if (state < UPDATE_PLANNED || state > UPDATE_ROLLED_BACK)
		return "UNKNOWN";
	return state_names[state];
}

static bool state_parse(const char *text, enum update_state *ret)
{
	for (unsigned int i = UPDATE_PLANNED; i <= UPDATE_ROLLED_BACK; i++) {
		if (strcmp(text, state_names[i]) != 0)
			continue;
		*ret = i;
		return true;
	}
	return false;
}

static const char *const strategy_names[] = {
	[UPDATE_AUTO] = "auto",		[UPDATE_RESTART] = "restart",
	[UPDATE_HANDOVER] = "handover", [UPDATE_STATE] = "state",
	[UPDATE_PATCH] = "patch",
};

const char *update_strategy_text(enum update_strategy strategy)
{
	return strategy_names[strategy <= UPDATE_PATCH ? strategy
						       : UPDATE_AUTO];
}

bool update_strategy_parse(const char *text, enum update_strategy *ret)
{
	for (unsigned int i = UPDATE_AUTO; i <= UPDATE_PATCH; i++) {
		if (strcmp(text, strategy_names[i]) != 0)
			continue;
		*ret = i;
		return true;
	}
	return false;
}

/* --- writing ---------------------------------------------------------------
 */

static void format_now(char *buf, size_t size)
{
	struct timespec now;
	struct tm tm;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &tm);
	(void)snprintf(buf, size, "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ",
		       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		       tm.tm_min, tm.tm_sec, now.tv_nsec / 1000);
}

static void write_count(struct json_writer *w, const char *key, uint64_t n)
{
	if (n != UPDATE_NOT_COUNTED)
		json_add_uint(w, key, n);
}

static void write_steps(const struct history_step *steps, size_t n,
			struct json_writer *w)
{
	if (n == 0)
		return;
	json_open_array(w, "states");
	for (size_t i = 0; i < n; i++) {
		json_open_object(w, NULL);
		json_add_string(w, "state", update_state_text(steps[i].state));
		json_add_uint(w, "us", steps[i].us);
		json_close_object(w);
	}
	json_close_array(w);
}

static void write_line(const struct history_event *event, const char *time,
		       const struct history_step *steps, size_t n_steps,
		       struct strbuf *line)
{
	struct json_writer w;

	json_writer_init(&w, line, JSON_COMPACT_STYLE);
	json_open_object(&w, NULL);
	json_add_string(&w, "time", time);
	json_add_string(&w, "app", event->app);
	json_add_uint(&w, "from", event->from);
	json_add_uint(&w, "to", event->to);
	json_add_string(&w, "state", update_state_text(event->state));
	json_add_string(&w, "text", event->text);
	if (event->rollback)
		json_add_bool(&w, "rollback", true);
	if (event->interrupted)
		json_add_bool(&w, "interrupted", true);
	json_add_string_if(&w, "who", event->who);
	json_add_string_if(&w, "from_image", event->from_image);
	json_add_string_if(&w, "to_image", event->to_image);
	json_add_string_if(&w, "from_id", event->from_id);
	json_add_string_if(&w, "to_id", event->to_id);
	if (event->tier != UPDATE_AUTO)
		json_add_string(&w, "tier", update_strategy_text(event->tier));
	if (event->us)
		json_add_uint(&w, "us", event->us);
	if (event->counts) {
		write_count(&w, "switch_us", event->counts->switch_us);
		write_count(&w, "moved", event->counts->moved);
		write_count(&w, "drained", event->counts->drained);
		write_count(&w, "lost", event->counts->lost);
	}
	write_steps(steps, n_steps, &w);
	json_close_object(&w);
	strbuf_addch(line, '\n');
}

void history_now(struct strbuf *out)
{
	char now[64];

	format_now(now, sizeof(now));
	strbuf_addstr(out, now);
}

void history_line_make(const struct history_event *event, struct strbuf *line)
{
	char now[64];

	format_now(now, sizeof(now));
	write_line(event, now, NULL, 0, line);
}

/* --- reading ---------------------------------------------------------------
 */

void history_entry_release(struct history_entry *entry)
{
	free(entry->time);
	free(entry->app);
	free(entry->text);
	free(entry->who);
	free(entry->from_image);
	free(entry->to_image);
	free(entry->from_id);
	free(entry->to_id);
	*entry = (struct history_entry)HISTORY_ENTRY_INIT;
}

static uint64_t read_count(const struct json_node *root, const char *key)
{
	int64_t n = -1;

	json_get_int(root, key, 0, INT64_MAX, &n);
	return n < 0 ? UPDATE_NOT_COUNTED : (uint64_t)n;
}

static void read_steps(const struct json_node *root, struct history_entry *ret)
{
	struct json_node array, item;

	if (!json_member(root, "states", &array))
		return;
	for (size_t i = 0;
	     ret->n_steps < HISTORY_STEPS_MAX && json_item(&array, i, &item);
	     i++) {
		struct history_step *step = &ret->steps[ret->n_steps];
		cleanup_free char *state = NULL;
		int64_t us = 0;

		json_get_string(&item, "state", &state);
		json_get_int(&item, "us", 0, INT64_MAX, &us);
		step->us = (uint64_t)us;
		if (state && state_parse(state, &step->state))
			ret->n_steps++;
	}
}

static void read_more(const struct json_node *root, struct history_entry *ret)
{
	cleanup_free char *tier = NULL;
	int64_t us = 0;

	json_get_string(root, "who", &ret->who);
	json_get_string(root, "from_image", &ret->from_image);
	json_get_string(root, "to_image", &ret->to_image);
	json_get_string(root, "from_id", &ret->from_id);
	json_get_string(root, "to_id", &ret->to_id);
	json_get_string(root, "tier", &tier);
	if (tier)
		(void)update_strategy_parse(tier, &ret->tier);
	json_get_int(root, "us", 0, INT64_MAX, &us);
	ret->us = (uint64_t)us;
	ret->counts = (struct update_counts){
		.switch_us = read_count(root, "switch_us"),
		.moved = read_count(root, "moved"),
		.drained = read_count(root, "drained"),
		.lost = read_count(root, "lost"),
	};
	read_steps(root, ret);
}

bool history_line_parse(const char *line, size_t len, struct history_entry *ret)
{
	cleanup_json_doc struct json_doc doc = {0};
	cleanup_free char *state = NULL;
	int64_t from = 0, to = 0;
	struct json_node root;

	*ret = (struct history_entry)HISTORY_ENTRY_INIT;
	if (len == 0 || json_doc_parse(&doc, line, len, NULL, NULL) < 0)
		return false;
	root = json_root(&doc);
	json_get_string(&root, "time", &ret->time);
	json_get_string(&root, "app", &ret->app);
	json_get_string(&root, "state", &state);
	json_get_string(&root, "text", &ret->text);
	json_get_int(&root, "from", 0, UINT32_MAX, &from);
	json_get_int(&root, "to", 0, UINT32_MAX, &to);
	json_get_bool(&root, "rollback", &ret->rollback);
	json_get_bool(&root, "interrupted", &ret->interrupted);
	ret->from = (unsigned int)from;
	ret->to = (unsigned int)to;
	read_more(&root, ret);
	/* The name becomes part of a path. */
	if (ret->time && ret->app && ret->text && state && ret->to &&
	    acname_check(ret->app, NULL) == 0 &&
	    state_parse(state, &ret->state))
		return true;
	history_entry_release(ret);
	return false;
}

bool history_next(char **text, struct history_entry *ret)
{
	char *line;

	while ((line = strsep(text, "\n")))
		if (history_line_parse(line, strlen(line), ret))
			return true;
	return false;
}

/* --- the end of a journal --------------------------------------------------
 */

static void take_text(char **to, char **from)
{
	if (*from) {
		free(*to);
		*to = TAKE_PTR(*from);
	}
}

static void take_count(uint64_t *to, uint64_t from)
{
	if (from != UPDATE_NOT_COUNTED)
		*to = from;
}

/* What the later line LINE says is what counts. */
static void merge(struct history_entry *all, struct history_entry *line)
{
	take_text(&all->time, &line->time);
	take_text(&all->app, &line->app);
	take_text(&all->text, &line->text);
	take_text(&all->who, &line->who);
	take_text(&all->from_image, &line->from_image);
	take_text(&all->to_image, &line->to_image);
	take_text(&all->from_id, &line->from_id);
	take_text(&all->to_id, &line->to_id);
	all->from = line->from;
	all->to = line->to;
	all->state = line->state;
	all->rollback = line->rollback;
	all->interrupted = line->interrupted;
	all->us = line->us;
	if (line->tier != UPDATE_AUTO)
		all->tier = line->tier;
	take_count(&all->counts.switch_us, line->counts.switch_us);
	take_count(&all->counts.moved, line->counts.moved);
	take_count(&all->counts.drained, line->counts.drained);
	take_count(&all->counts.lost, line->counts.lost);
	/* A state may be noted again, with what has become known. */
	if (all->n_steps && all->steps[all->n_steps - 1].state == line->state &&
	    line->state >= UPDATE_COMMITTED)
		return;
	if (all->n_steps < HISTORY_STEPS_MAX)
		all->steps[all->n_steps++] =
			(struct history_step){line->state, line->us};
}

static void write_entry(const struct history_entry *e, struct strbuf *out)
{
	const struct history_event event = {
		.app = e->app,
		.text = e->text,
		.from = e->from,
		.to = e->to,
		.state = e->state,
		.rollback = e->rollback,
		.interrupted = e->interrupted,
		.who = e->who,
		.from_image = e->from_image,
		.to_image = e->to_image,
		.from_id = e->from_id,
		.to_id = e->to_id,
		.tier = e->tier,
		.us = e->us,
		.counts = &e->counts,
	};

	write_line(&event, e->time, e->steps, e->n_steps, out);
}

/* The line of the history for APP. */
static void close_app(const char *journal, const char *app, struct strbuf *out)
{
	cleanup_free char *copy = xstrdup(journal);
	cleanup_history_entry struct history_entry all = HISTORY_ENTRY_INIT;
	struct history_entry e;
	char *next = copy;

	all.counts = (struct update_counts)UPDATE_COUNTS_UNKNOWN;
	while (history_next(&next, &e)) {
		if (strcmp(e.app, app) == 0)
			merge(&all, &e);
		history_entry_release(&e);
	}
	write_entry(&all, out);
}

void history_close_make(const char *journal, size_t len, struct strbuf *out)
{
	cleanup_free char *whole = NULL;
	cleanup_free char *copy = NULL;
	cleanup_strv struct strv apps = STRV_INIT;
	struct history_entry e;
	char *next;

	while (len && journal[len - 1] != '\n')
		len--;
	whole = xstrndup(journal, len);
	copy = xstrdup(whole);
	next = copy;
	while (history_next(&next, &e)) {
		if (!strv_has(&apps, e.app))
			strv_push(&apps, e.app);
		history_entry_release(&e);
	}
	for (size_t i = 0; i < apps.n; i++)
		close_app(whole, apps.v[i], out);
}

/* --- what is asked of a history --------------------------------------------
 */

const char *history_after(const char *text, const char *time)
{
	const char *after = text;

	for (const char *line = text; time && *line;) {
		size_t len = strcspn(line, "\n");
		const char *next = line + len + (line[len] == '\n');
		struct history_entry e;

		if (history_line_parse(line, len, &e)) {
			if (strcmp(e.time, time) <= 0)
				after = next;
			history_entry_release(&e);
		}
		line = next;
	}
	return after;
}

bool history_has_run(const char *text, const char *app, unsigned int number)
{
	cleanup_free char *copy = xstrdup(text);
	struct history_entry e;
	char *next = copy;
	bool has = false;

	while (!has && history_next(&next, &e)) {
		has = strcmp(e.app, app) == 0 &&
		      (e.from == number ||
		       (e.to == number && e.state == UPDATE_COMMITTED));
		history_entry_release(&e);
	}
	return has;
}

unsigned int history_previous(const char *text, const char *app,
			      unsigned int current)
{
	cleanup_free char *copy = xstrdup(text);
	struct history_entry e;
	unsigned int previous = 0;
	char *next = copy;

	while (history_next(&next, &e)) {
		if (strcmp(e.app, app) == 0 && e.to == current &&
		    e.state == UPDATE_COMMITTED && !e.rollback)
			previous = e.from;
		history_entry_release(&e);
	}
	return previous;
}

static bool is(const char *a, const char *b)
{
	return a && strcmp(a, b) == 0;
}

/* One entry for APP: what it makes of how often IMAGE has failed. */
static unsigned int count_entry(const struct history_entry *e,
				const char *image, unsigned int failed)
{
	bool is_to = is(e->to_image, image) || is(e->to_id, image);
	bool is_from = is(e->from_image, image) || is(e->from_id, image);

	if (e->state != UPDATE_COMMITTED)
		return is_to && !e->interrupted &&
				       failed < HISTORY_WENT_BACK - 1
			       ? failed + 1
			       : failed;
	if (is_to)
		return 0;
	return e->rollback && is_from && !is(e->who, HISTORY_AUTO_UPDATE)
		       ? HISTORY_WENT_BACK
		       : failed;
}

unsigned int history_count_failed(const char *text, const char *app,
				  const char *image, char **ret_time)
{
	cleanup_free char *copy = xstrdup(text);
	cleanup_free char *since = NULL;
	struct history_entry e;
	unsigned int failed = 0;
	char *next = copy;

	while (history_next(&next, &e)) {
		unsigned int n = strcmp(e.app, app) == 0
					 ? count_entry(&e, image, failed)
					 : failed;

		if (n != failed)
			take_text(&since, &e.time);
		failed = n;
		history_entry_release(&e);
	}
	if (ret_time)
		*ret_time = failed ? TAKE_PTR(since) : NULL;
	return failed;
}

void history_list_images(const char *text, const char *app, struct strv *ret)
{
	cleanup_free char *copy = xstrdup(text);
	struct history_entry e;
	char *next = copy;

	while (history_next(&next, &e)) {
		bool is_same = e.from_image && is(e.to_image, e.from_image);
		const char *const images[] = {
			e.from_image,
			e.to_image,
			is_same ? e.from_id : NULL,
			is_same ? e.to_id : NULL,
		};

		for (size_t i = 0; i < sizeof(images) / sizeof(*images); i++)
			if (strcmp(e.app, app) == 0 && images[i] &&
			    !strv_has(ret, images[i]))
				strv_push(ret, images[i]);
		history_entry_release(&e);
	}
}

bool history_is_held(const char *text, const char *app, const char *image,
		     char **ret_time)
{
	cleanup_free char *copy = xstrdup(text);
	struct history_entry e;
	char *since = NULL;
	char *next = copy;

	while (history_next(&next, &e)) {
		bool is_back =
			e.state == UPDATE_COMMITTED
				? e.rollback && is(e.from_image, image)
				: !e.interrupted && is(e.to_image, image);

		if (strcmp(e.app, app) == 0 &&
		    (is_back ||
		     (e.state == UPDATE_COMMITTED && is(e.to_image, image)))) {
			free(since);
			since = is_back ? TAKE_PTR(e.time) : NULL;
		}
		history_entry_release(&e);
	}
	*ret_time = since;
	return since;
}

bool history_keeps(const char *text, const char *app, unsigned int current,
		   unsigned int keep, unsigned int n)
{
	/* The chain has no rings: a generation is new but once. */
	for (unsigned int i = 0; current && i <= keep; i++) {
		if (n == current)
			return true;
		current = history_previous(text, app, current);
	}
	return false;
}

unsigned int history_keep_parse(const char *text)
{
	cleanup_free char *number = NULL;
	uint64_t n;

	if (!text)
		return UPDATE_KEEP;
	number = xstrndup(text, strcspn(text, "\n"));
	return parse_uint(number, UPDATE_KEEP_MAX, &n) == 0 ? (unsigned int)n
							    : UPDATE_KEEP;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/history.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/strbuf.h"
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

void history_line_make(const struct history_event *event, struct strbuf *line)
{
	struct json_writer w;
	char now[64];

	format_now(now, sizeof(now));
	json_writer_init(&w, line, JSON_COMPACT_STYLE);
	json_open_object(&w, NULL);
	json_add_string(&w, "time", now);
	json_add_string(&w, "app", event->app);
	json_add_uint(&w, "from", event->from);
	json_add_uint(&w, "to", event->to);
	json_add_string(&w, "state", update_state_text(event->state));
	json_add_string(&w, "text", event->text);
	if (event->rollback)
		json_add_bool(&w, "rollback", true);
	json_close_object(&w);
	strbuf_addch(line, '\n');
}

void history_entry_release(struct history_entry *entry)
{
	free(entry->time);
	free(entry->app);
	free(entry->text);
	*entry = (struct history_entry)HISTORY_ENTRY_INIT;
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
	ret->from = (unsigned int)from;
	ret->to = (unsigned int)to;
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

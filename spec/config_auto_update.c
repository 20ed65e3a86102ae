/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/config_auto_update.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "spec/auto_update.h"
#include "spec/json_read.h"
#include "spec/json_write.h"
#include "spec/time_window.h"

/* --- reading ------------------------------------------------------------- */

/* The member KEY, which nobody may have said before. */
static bool member_once(const struct json_node *file, const char *key,
			bool is_said, struct json_node *ret)
{
	if (!json_member(file, key, ret))
		return false;
	if (is_said)
		json_problem(ret, "is already specified in this directory");
	return !is_said;
}

static void read_window(const struct json_node *item, void *arg)
{
	struct config_auto_update *u = arg;
	struct error err = ERROR_INIT;
	struct time_window window;
	const char *s;

	if (!json_read_string(item, &s))
		return;
	if (time_window_parse(s, &window, &err) < 0)
		json_problem_error(item, &err);
	else
		strv_push(&u->windows, s);
}

/* A mistake here must not allow all. */
static void read_unsigned(const struct json_node *item, void *arg)
{
	struct config_auto_update *u = arg;
	const char *s;

	if (!json_read_string(item, &s))
		return;
	if (!*s || *s == '/' || strstr(s, "://"))
		json_problem(item, "must be as in registry.example.com/team");
	else
		strv_push(&u->unsigned_from, s);
}

static void read_share(const struct json_node *node, int64_t *ret)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;
	uint32_t share = 0;

	if (json_node_is_number(node))
		json_read_number_text(node, &text);
	if (auto_update_share_parse(text.buf, &share, &err) < 0)
		json_problem(node, "must be a number from 0 to 100 with at "
				   "most two decimal places");
	else
		*ret = share;
}

static void read_duration(const struct json_node *node, int64_t *ret)
{
	const char *s;

	if (json_read_string(node, &s) &&
	    (parse_duration(s, ret) < 0 || *ret < 0))
		json_problem(node, "\"%s\" is no time as in 90m", s);
}

void config_auto_update_read(const struct json_node *file,
			     struct config_auto_update *u)
{
	struct json_node node;

	if (member_once(file, "windows", u->has_windows, &node) &&
	    json_want_array(&node)) {
		u->has_windows = true;
		json_for_each(file, "windows", read_window, u);
	}
	if (member_once(file, "percent", u->share >= 0, &node))
		read_share(&node, &u->share);
	if (member_once(file, "tries", u->tries >= 0, &node))
		(void)json_read_int(&node, 1, CONFIG_TRIES_MAX, &u->tries);
	if (member_once(file, "successAfter", u->success_after >= 0, &node))
		read_duration(&node, &u->success_after);
	if (member_once(file, "unsigned", u->has_unsigned, &node) &&
	    json_want_array(&node)) {
		u->has_unsigned = true;
		json_for_each(file, "unsigned", read_unsigned, u);
	}
}

/* --- together ------------------------------------------------------------ */

static void override_number(int64_t *n, int64_t more)
{
	if (more != CONFIG_UNSAID)
		*n = more;
}

void config_auto_update_override(struct config_auto_update *u,
				 struct config_auto_update *more)
{
	if (more->has_windows) {
		strv_release(&u->windows);
		u->windows = more->windows;
		u->has_windows = true;
	}
	if (more->has_unsigned) {
		strv_release(&u->unsigned_from);
		u->unsigned_from = more->unsigned_from;
		u->has_unsigned = true;
	}
	override_number(&u->share, more->share);
	override_number(&u->tries, more->tries);
	override_number(&u->success_after, more->success_after);
	*more = (struct config_auto_update)CONFIG_AUTO_UPDATE_INIT;
}

/* --- writing ------------------------------------------------------------- */

bool config_auto_update_is_said(const struct config_auto_update *u)
{
	return u->has_windows || u->share >= 0 || u->tries >= 0 ||
	       u->success_after >= 0 || u->has_unsigned;
}

void config_auto_update_write(const struct config_auto_update *u,
			      struct json_writer *w)
{
	char text[64];

	if (u->has_windows)
		json_add_strv(w, "windows", &u->windows);
	(void)snprintf(text, sizeof(text), "%.5g", (double)u->share / 100);
	if (u->share >= 0)
		json_add_raw(w, "percent", text);
	if (u->tries >= 0)
		json_add_int(w, "tries", u->tries);
	(void)snprintf(text, sizeof(text), "%.9gs",
		       (double)u->success_after / 1e9);
	if (u->success_after >= 0)
		json_add_string(w, "successAfter", text);
	if (u->has_unsigned)
		json_add_strv(w, "unsigned", &u->unsigned_from);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/app.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "spec/json_read.h"
#include "spec/json_write.h"

static void event_handler_release(struct event_handler *handler)
{
	free(handler->name);
	strv_release(&handler->exec);
}

void app_release(struct app *app)
{
	strv_release(&app->exec);
	free(app->user);
	free(app->group);
	free(app->supplementary_gids);
	for (size_t i = 0; i < app->n_event_handlers; i++)
		event_handler_release(&app->event_handlers[i]);
	free(app->event_handlers);
	free(app->working_directory);
	name_values_release(&app->environment);
	isolators_release(&app->isolators);
	for (size_t i = 0; i < app->n_mount_points; i++)
		mount_point_release(&app->mount_points[i]);
	free(app->mount_points);
	for (size_t i = 0; i < app->n_ports; i++)
		port_release(&app->ports[i]);
	free(app->ports);
	name_values_release(&app->user_annotations);
	name_values_release(&app->user_labels);
	*app = (struct app){0};
}

/* --- copy ------------------------------------------------------------------
 */

static void copy_gids(struct app *ret, const struct app *app)
{
	size_t n = app->n_supplementary_gids;

	if (n == 0)
		return;
	ret->supplementary_gids =
		xreallocarray(NULL, n, sizeof(*ret->supplementary_gids));
	memcpy(ret->supplementary_gids, app->supplementary_gids,
	       n * sizeof(*ret->supplementary_gids));
	ret->n_supplementary_gids = n;
}

static void copy_event_handlers(struct app *ret, const struct app *app)
{
	size_t n = app->n_event_handlers;

	if (n == 0)
		return;
	ret->event_handlers = xcalloc(n, sizeof(*ret->event_handlers));
	ret->n_event_handlers = n;
	for (size_t i = 0; i < n; i++) {
		ret->event_handlers[i].name =
			xstrdup(app->event_handlers[i].name);
		strv_append(&ret->event_handlers[i].exec,
			    &app->event_handlers[i].exec);
	}
}

static void copy_mount_points(struct app *ret, const struct app *app)
{
	size_t n = app->n_mount_points;

	if (n == 0)
		return;
	ret->mount_points = xcalloc(n, sizeof(*ret->mount_points));
	ret->n_mount_points = n;
	for (size_t i = 0; i < n; i++)
		mount_point_copy(&ret->mount_points[i], &app->mount_points[i]);
}

static void copy_ports(struct app *ret, const struct app *app)
{
	size_t n = app->n_ports;

	if (n == 0)
		return;
	ret->ports = xcalloc(n, sizeof(*ret->ports));
	ret->n_ports = n;
	for (size_t i = 0; i < n; i++)
		port_copy(&ret->ports[i], &app->ports[i]);
}

void app_copy(struct app *ret, const struct app *app)
{
	*ret = (struct app){
		.user = app->user ? xstrdup(app->user) : NULL,
		.group = app->group ? xstrdup(app->group) : NULL,
		.working_directory = app->working_directory
					     ? xstrdup(app->working_directory)
					     : NULL,
	};
	strv_append(&ret->exec, &app->exec);
	copy_gids(ret, app);
	copy_event_handlers(ret, app);
	name_values_copy(&ret->environment, &app->environment);
	isolators_copy(&ret->isolators, &app->isolators);
	copy_mount_points(ret, app);
	copy_ports(ret, app);
	name_values_copy(&ret->user_annotations, &app->user_annotations);
	name_values_copy(&ret->user_labels, &app->user_labels);
}

const struct event_handler *app_event_handler(const struct app *app,
					      const char *name)
{
	for (size_t i = 0; i < app->n_event_handlers; i++)
		if (strcmp(app->event_handlers[i].name, name) == 0)
			return &app->event_handlers[i];
	return NULL;
}

/* --- reading ---------------------------------------------------------------
 */

static int event_name_check(const char *s, struct error *err)
{
	if (strcmp(s, EVENT_PRE_START) == 0 || strcmp(s, EVENT_POST_STOP) == 0)
		return 0;
	return error_set(err, EINVAL,
			 "event handler \"%s\" is neither " EVENT_PRE_START
			 " nor " EVENT_POST_STOP,
			 s);
}

static void read_event_handler(const struct json_node *item, void *arg)
{
	struct event_handler handler = {0};
	struct json_node name;
	struct app *app = arg;

	if (!json_want_object(item))
		return;
	if (!json_member_or_null(item, "name", &name)) {
		json_problem(item, "event handler without a name");
		return;
	}
	if (!json_get_checked(item, "name", event_name_check, &handler.name))
		return;
	if (app_event_handler(app, handler.name)) {
		json_problem(item, "event handler %s is given twice",
			     handler.name);
		free(handler.name);
		return;
	}
	json_get_strv(item, "exec", &handler.exec);
	app->event_handlers =
		xreallocarray(app->event_handlers, app->n_event_handlers + 1,
			      sizeof(*app->event_handlers));
	app->event_handlers[app->n_event_handlers++] = handler;
}

static void read_gid(const struct json_node *item, void *arg)
{
	struct app *app = arg;
	int64_t gid = 0;

	if (!json_read_int(item, INT64_MIN, INT64_MAX, &gid))
		return;
	app->supplementary_gids = xreallocarray(
		app->supplementary_gids, app->n_supplementary_gids + 1,
		sizeof(*app->supplementary_gids));
	app->supplementary_gids[app->n_supplementary_gids++] = gid;
}

static void read_mount_point(const struct json_node *item, void *arg)
{
	struct app *app = arg;
	struct mount_point *mp;

	app->mount_points =
		xreallocarray(app->mount_points, app->n_mount_points + 1,
			      sizeof(*app->mount_points));
	mp = &app->mount_points[app->n_mount_points++];
	*mp = (struct mount_point){0};
	mount_point_read(item, mp);
}

static void read_port(const struct json_node *item, void *arg)
{
	struct app *app = arg;
	struct port *p;

	app->ports = xreallocarray(app->ports, app->n_ports + 1,
				   sizeof(*app->ports));
	p = &app->ports[app->n_ports++];
	*p = (struct port){0};
	port_read(item, p);
}

static void read_owner(const struct json_node *object, const char *key,
		       char **ret)
{
	json_get_string(object, key, ret);
	if (!*ret || !**ret)
		json_problem(object, "%s is required", key);
}

static int working_directory_check(const char *s, struct error *err)
{
	if (*s && *s != '/')
		return error_set(err, EINVAL, "'%s' is not an absolute path",
				 s);
	return 0;
}

static void read_working_directory(const struct json_node *object,
				   struct app *ret)
{
	struct json_node node;

	if (!json_member(object, "workingDirectory", &node))
		return;
	json_get_checked(object, "workingDirectory", working_directory_check,
			 &ret->working_directory);
	if (ret->working_directory && !*ret->working_directory) {
		free(ret->working_directory);
		ret->working_directory = NULL;
	}
}

void app_read(const struct json_node *object, struct app *ret)
{
	struct json_node node;

	if (!json_want_object(object))
		return;
	json_get_strv(object, "exec", &ret->exec);
	read_owner(object, "user", &ret->user);
	read_owner(object, "group", &ret->group);
	json_for_each(object, "supplementaryGIDs", read_gid, ret);
	json_for_each(object, "eventHandlers", read_event_handler, ret);
	read_working_directory(object, ret);
	if (json_member(object, "environment", &node))
		name_values_read(&node, NAME_VALUES_ENVIRONMENT,
				 &ret->environment);
	if (json_member(object, "isolators", &node))
		isolators_read(&node, true, &ret->isolators);
	json_for_each(object, "mountPoints", read_mount_point, ret);
	json_for_each(object, "ports", read_port, ret);
	if (json_member(object, "userAnnotations", &node))
		name_values_read_map(&node, &ret->user_annotations);
	if (json_member(object, "userLabels", &node))
		name_values_read_map(&node, &ret->user_labels);
}

int app_parse(const char *buf, size_t len, struct app *ret, struct error *err)
{
	struct json_doc doc cleanup_json_doc = {0};
	struct app app cleanup_app = {0};
	struct json_node root;
	int r;

	r = json_doc_parse(&doc, buf, len, NULL, err);
	if (r < 0)
		return r;
	root = json_root(&doc);
	app_read(&root, &app);
	r = json_doc_result(&doc);
	if (r < 0)
		return r;
	*ret = app;
	app = (struct app){0};
	return 0;
}

/* --- writing ---------------------------------------------------------------
 */

static void write_event_handlers(const struct app *app, struct json_writer *w)
{
	if (app->n_event_handlers == 0)
		return;
	json_open_array(w, "eventHandlers");
	for (size_t i = 0; i < app->n_event_handlers; i++) {
		json_open_object(w, NULL);
		json_add_string(w, "name", app->event_handlers[i].name);
		json_add_strv(w, "exec", &app->event_handlers[i].exec);
		json_close_object(w);
	}
	json_close_array(w);
}

static void write_gids(const struct app *app, struct json_writer *w)
{
	if (app->n_supplementary_gids == 0)
		return;
	json_open_array(w, "supplementaryGIDs");
	for (size_t i = 0; i < app->n_supplementary_gids; i++)
		json_add_int(w, NULL, app->supplementary_gids[i]);
	json_close_array(w);
}

static void write_mount_points(const struct app *app, struct json_writer *w)
{
	if (app->n_mount_points == 0)
		return;
	json_open_array(w, "mountPoints");
	for (size_t i = 0; i < app->n_mount_points; i++)
		mount_point_write(&app->mount_points[i], w);
	json_close_array(w);
}

static void write_ports(const struct app *app, struct json_writer *w)
{
	if (app->n_ports == 0)
		return;
	json_open_array(w, "ports");
	for (size_t i = 0; i < app->n_ports; i++)
		port_write(&app->ports[i], NULL, w);
	json_close_array(w);
}

void app_write(const struct app *app, const char *key, struct json_writer *w)
{
	json_open_object(w, key);
	if (app->exec.n)
		json_add_strv(w, "exec", &app->exec);
	write_event_handlers(app, w);
	json_add_string(w, "user", app->user);
	json_add_string(w, "group", app->group);
	write_gids(app, w);
	json_add_string_if(w, "workingDirectory", app->working_directory);
	name_values_write(&app->environment, "environment", w);
	write_mount_points(app, w);
	write_ports(app, w);
	isolators_write(&app->isolators, "isolators", w);
	name_values_write_map(&app->user_annotations, "userAnnotations", w);
	name_values_write_map(&app->user_labels, "userLabels", w);
	json_close_object(w);
}

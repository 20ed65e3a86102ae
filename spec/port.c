/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/port.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "spec/acname.h"
#include "spec/json_read.h"
#include "spec/json_write.h"
#include "spec/string_form.h"

#define PORT_MAX 65535

void port_release(struct port *p)
{
	free(p->name);
	free(p->protocol);
	*p = (struct port){0};
}

void port_copy(struct port *ret, const struct port *p)
{
	*ret = *p;
	ret->name = p->name ? xstrdup(p->name) : NULL;
	ret->protocol = p->protocol ? xstrdup(p->protocol) : NULL;
}

static int check_range(uint64_t port, uint64_t count, struct error *err)
{
	if (port < 1 || port > PORT_MAX)
		return error_set(err, EINVAL,
				 "port %" PRIu64 " is not in 1..%d", port,
				 PORT_MAX);
	if (count > PORT_MAX || port + count - 1 > PORT_MAX)
		return error_set(err, EINVAL,
				 "%" PRIu64 " ports from %" PRIu64
				 " on end past %d",
				 count, port, PORT_MAX);
	return 0;
}

/* --- string form -----------------------------------------------------------
 */

/* count stays 0 until port_parse() looked at it. */
static int set_name(void *object, const char *value, struct error *err)
{
	struct port *p = object;
	int r = acname_check(value, err);

	if (r == 0)
		p->name = xstrdup(value);
	return r;
}

static int set_protocol(void *object, const char *value, struct error *err)
{
	struct port *p = object;

	(void)err;
	p->protocol = xstrdup(value);
	return 0;
}

static int set_number(const char *value, uint64_t *ret, struct error *err)
{
	if (parse_uint(value, PORT_MAX, ret) < 0)
		return error_set(err, EINVAL, "\"%s\" is not in 0..%d", value,
				 PORT_MAX);
	return 0;
}

static int set_port(void *object, const char *value, struct error *err)
{
	struct port *p = object;
	uint64_t number = 0;
	int r = set_number(value, &number, err);

	p->port = (uint16_t)number;
	return r;
}

static int set_count(void *object, const char *value, struct error *err)
{
	struct port *p = object;
	uint64_t number = 0;
	int r = set_number(value, &number, err);

	p->count = (uint32_t)number;
	return r;
}

static int set_socket_activated(void *object, const char *value,
				struct error *err)
{
	struct port *p = object;

	if (parse_bool(value, &p->socket_activated) < 0)
		return error_set(err, EINVAL,
				 "socketActivated \"%s\" is no boolean", value);
	return 0;
}

int port_parse(const char *s, struct port *ret, struct error *err)
{
	static const struct string_form_key keys[] = {
		{"protocol", set_protocol},
		{"port", set_port},
		{"count", set_count},
		{"socketActivated", set_socket_activated},
	};
	static const struct string_form form = {
		.what = "port",
		.keys = keys,
		.n_keys = sizeof(keys) / sizeof(keys[0]),
		.set_name = set_name,
	};
	struct port p cleanup_port = {0};
	int r = string_form_parse(&form, s, &p, err);

	if (p.count == 0)
		p.count = 1;
	if (r == 0)
		r = check_range(p.port, p.count, err);
	if (r < 0)
		return error_wrap(err, r, "port \"%s\"", s);
	*ret = p;
	p = (struct port){0};
	return 0;
}

/* --- JSON ------------------------------------------------------------------
 */

void port_read(const struct json_node *object, struct port *ret)
{
	struct error err = ERROR_INIT;
	int64_t port = 0, count = 0;

	if (!json_want_object(object))
		return;
	json_get_checked(object, "name", acname_check, &ret->name);
	json_get_string(object, "protocol", &ret->protocol);
	json_get_int(object, "port", 0, INT64_MAX, &port);
	json_get_int(object, "count", 0, INT64_MAX, &count);
	json_get_bool(object, "socketActivated", &ret->socket_activated);
	if (count == 0)
		count = 1;
	if (check_range((uint64_t)port, (uint64_t)count, &err) < 0) {
		json_problem_error(object, &err);
		return;
	}
	ret->port = (uint16_t)port;
	ret->count = (uint32_t)count;
}

void port_write(const struct port *p, const char *key, struct json_writer *w)
{
	json_open_object(w, key);
	json_add_string_if(w, "name", p->name);
	json_add_string_if(w, "protocol", p->protocol);
	json_add_uint(w, "port", p->port);
	json_add_uint(w, "count", p->count);
	json_add_bool(w, "socketActivated", p->socket_activated);
	json_close_object(w);
}

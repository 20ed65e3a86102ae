/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "spec/acname.h"
#include "spec/json_read.h"
#include "spec/json_write.h"
#include "spec/port.h"

void exposed_port_release(struct exposed_port *p)
{
	free(p->name);
	free(p->host_ip);
	port_release(&p->pod_port);
	*p = (struct exposed_port){0};
}

void exposed_port_copy(struct exposed_port *ret, const struct exposed_port *p)
{
	*ret = *p;
	ret->name = p->name ? xstrdup(p->name) : NULL;
	ret->host_ip = p->host_ip ? xstrdup(p->host_ip) : NULL;
	port_copy(&ret->pod_port, &p->pod_port);
}

static int ip_check(const char *s, struct error *err)
{
	unsigned char address[16];

	if (!*s || inet_pton(AF_INET, s, address) == 1 ||
	    inet_pton(AF_INET6, s, address) == 1)
		return 0;
	return error_set(err, EINVAL, "'%s' is no IP address", s);
}

/*
 * Cuts "IP:" or "[IP6]:" off the front of *S; the address to *RET, NULL if
 * there is none.
 */
static int cut_address(char **s, char **ret, struct error *err)
{
	char *address = *s, *colon = strrchr(*s, ':');
	int r;

	if (!colon)
		return 0;
	*colon = '\0';
	*s = colon + 1;
	if (*address == '[' && colon > address && colon[-1] == ']') {
		address++;
		colon[-1] = '\0';
	}
	if (!*address)
		return error_set(err, EINVAL, "host address is empty");
	r = ip_check(address, err);
	if (r == 0)
		*ret = xstrdup(address);
	return r;
}

static int parse_port(const char *s, const char *what, uint64_t *ret,
		      struct error *err)
{
	if (parse_uint(s, 65535, ret) < 0 || *ret == 0)
		return error_set(err, EINVAL, "%s '%s' is not in 1..65535",
				 what, s);
	return 0;
}

static int parse_parts(char *text, struct exposed_port *ret, struct error *err)
{
	char *rest = strchr(text, ':');
	uint64_t port = 0;
	int r;

	if (!rest)
		return error_set(err, EINVAL, "no host port is given");
	*rest++ = '\0';
	r = acname_check(text, err);
	if (r < 0)
		return r;
	ret->name = xstrdup(text);
	r = cut_address(&rest, &ret->host_ip, err);
	if (r < 0)
		return r;
	r = parse_port(rest, "host port", &port, err);
	ret->host_port = (uint32_t)port;
	return r;
}

/* Is S a mapping of numbers, not the name of a port? */
static bool is_numeric(const char *s)
{
	char *first cleanup_free = xstrndup(s, strcspn(s, ":"));
	unsigned char address[4];

	return strchr(s, '/') || *s == '[' ||
	       inet_pton(AF_INET, first, address) == 1;
}

static int set_protocol(struct exposed_port *port, const char *protocol,
			struct error *err)
{
	if (strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0)
		return error_set(err, EINVAL,
				 "protocol '%s' is neither tcp nor udp",
				 protocol);
	port->pod_port.protocol = xstrdup(protocol);
	return 0;
}

/* [IP:]HOSTPORT:PODPORT[/PROTOCOL], IPv6 in brackets. */
static int parse_numbers(char *text, struct exposed_port *ret,
			 struct error *err)
{
	char *slash = strchr(text, '/');
	char *colon;
	uint64_t port;
	int r;

	if (slash)
		*slash++ = '\0';
	colon = strrchr(text, ':');
	if (!colon)
		return error_set(err, EINVAL,
				 "a port of the pod is missing: "
				 "[HOSTIP:]HOSTPORT:PODPORT/PROTOCOL");
	*colon = '\0';
	r = set_protocol(ret, slash ? slash : "tcp", err);
	if (r == 0)
		r = parse_port(colon + 1, "port of the pod", &port, err);
	if (r < 0)
		return r;
	ret->has_pod_port = true;
	ret->pod_port.port = (uint16_t)port;
	ret->pod_port.count = 1;
	r = cut_address(&text, &ret->host_ip, err);
	if (r == 0)
		r = parse_port(text, "host port", &port, err);
	if (r < 0)
		return r;
	ret->host_port = (uint32_t)port;
	ret->name = xasprintf("%s-%u-%u", ret->pod_port.protocol,
			      (unsigned int)ret->pod_port.port,
			      (unsigned int)ret->host_port);
	ret->pod_port.name = xstrdup(ret->name);
	return 0;
}

int exposed_port_parse(const char *s, struct exposed_port *ret,
		       struct error *err)
{
	struct exposed_port p cleanup_exposed_port = {0};
	char *text cleanup_free = xstrdup(s);
	int r = is_numeric(s) ? parse_numbers(text, &p, err)
			      : parse_parts(text, &p, err);

	if (r < 0)
		return error_wrap(err, r, "port \"%s\"", s);
	*ret = p;
	p = (struct exposed_port){0};
	return 0;
}

/* Cuts up to the next ':' off the front of *S; NULL if there is none. */
static char *cut_word(char **s)
{
	char *word = *s, *colon = strchr(*s, ':');

	if (!colon)
		return NULL;
	*colon = '\0';
	*s = colon + 1;
	return word;
}

static int parse_direct(char *text, struct exposed_port *ret, struct error *err)
{
	char *name = cut_word(&text);
	char *protocol = name ? cut_word(&text) : NULL;
	char *number = protocol ? cut_word(&text) : NULL;
	cleanup_free char *host = NULL;
	uint64_t port = 0;
	int r;

	if (!number || !strchr(text, ':'))
		return error_set(err, EINVAL,
				 "is not NAME:PROTOCOL:PODPORT:HOSTIP:"
				 "HOSTPORT");
	r = set_protocol(ret, protocol, err);
	if (r == 0)
		r = parse_port(number, "port of the pod", &port, err);
	if (r < 0)
		return r;
	ret->has_pod_port = true;
	ret->pod_port.name = xstrdup(name);
	ret->pod_port.port = (uint16_t)port;
	ret->pod_port.count = 1;
	host = xasprintf("%s:%s", name, text);
	return parse_parts(host, ret, err);
}

int exposed_port_parse_direct(const char *s, struct exposed_port *ret,
			      struct error *err)
{
	struct exposed_port p cleanup_exposed_port = {0};
	char *text cleanup_free = xstrdup(s);
	int r = parse_direct(text, &p, err);

	if (r < 0)
		return error_wrap(err, r, "port \"%s\"", s);
	*ret = p;
	p = (struct exposed_port){0};
	return 0;
}

void exposed_port_read(const struct json_node *object, struct exposed_port *ret)
{
	struct json_node node;
	int64_t host_port = 0;

	if (!json_want_object(object))
		return;
	json_get_checked(object, "name", acname_check, &ret->name);
	json_get_int(object, "hostPort", 0, UINT32_MAX, &host_port);
	ret->host_port = (uint32_t)host_port;
	if (json_member(object, "hostIP", &node))
		json_get_checked(object, "hostIP", ip_check, &ret->host_ip);
	if (ret->host_ip && !*ret->host_ip) {
		free(ret->host_ip);
		ret->host_ip = NULL;
	}
	if (json_member(object, "podPort", &node)) {
		ret->has_pod_port = true;
		port_read(&node, &ret->pod_port);
	}
}

void exposed_port_write(const struct exposed_port *p, struct json_writer *w)
{
	json_open_object(w, NULL);
	json_add_string_if(w, "name", p->name);
	json_add_uint(w, "hostPort", p->host_port);
	json_add_string_if(w, "hostIP", p->host_ip);
	if (p->has_pod_port)
		port_write(&p->pod_port, "podPort", w);
	json_close_object(w);
}

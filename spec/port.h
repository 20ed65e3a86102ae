/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_PORT_H
#define SPEC_PORT_H

/*
 * ports of an app, and the pod's ports that expose them.  String form of
 * the first: NAME,protocol=tcp,port=80[,count=N][,socketActivated=BOOL].
 */

#include <stdbool.h>
#include <stdint.h>

struct error;
struct json_node;
struct json_writer;
struct strbuf;

struct port {
	char *name;	/* AC Name; NULL = not given (pod templates) */
	char *protocol; /* NULL = not given */
	uint16_t port;	/* 1..65535 */
	uint32_t count; /* >= 1; port + count - 1 <= 65535 */
	bool socket_activated;
};

struct exposed_port {
	char *name;	    /* AC Name of an app's port */
	uint32_t host_port; /* 0 = not given; range unchecked */
	char *host_ip;	    /* IPv4 or IPv6 text; NULL = all addresses */
	bool has_pod_port;
	struct port pod_port; /* instead of the app's port */
};

int port_parse(const char *s, struct port *ret, struct error *err);
void port_release(struct port *p);
#define cleanup_port __attribute__((__cleanup__(port_release)))
void port_copy(struct port *ret, const struct port *p);
void port_read(const struct json_node *object, struct port *ret);
void port_write(const struct port *p, const char *key, struct json_writer *w);

/*
 * rkt's --port: NAME:[HOSTIP:]HOSTPORT, IPv6 in brackets.  Of a port that no
 * image names: [HOSTIP:]HOSTPORT:PODPORT[/PROTOCOL]; without HOSTIP the
 * protocol must be there, as numbers are names, too.
 */
int exposed_port_parse(const char *s, struct exposed_port *ret,
		       struct error *err);
/* rkt's --port of `app sandbox`: NAME:PROTOCOL:PODPORT:HOSTIP:HOSTPORT. */
int exposed_port_parse_direct(const char *s, struct exposed_port *ret,
			      struct error *err);
void exposed_port_release(struct exposed_port *p);
#define cleanup_exposed_port __attribute__((__cleanup__(exposed_port_release)))
void exposed_port_copy(struct exposed_port *ret, const struct exposed_port *p);
void exposed_port_read(const struct json_node *object,
		       struct exposed_port *ret);
void exposed_port_write(const struct exposed_port *p, struct json_writer *w);

#endif

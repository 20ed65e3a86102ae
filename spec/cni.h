/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_CNI_H
#define SPEC_CNI_H

/*
 * What is said to and heard from CNI plugins (containernetworking SPEC.md,
 * versions 0.1.0 to 1.0.0).  Pure: bytes in, structs out and back.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"

struct error;
struct strbuf;

#define CNI_TEXT_MAX (1UL * 1024 * 1024) /* bytes of a conf or a result */
#define CNI_PLUGINS_MAX 16

/* --- network configuration ------------------------------------------------ */

struct cni_plugin_conf {
	char *type;	    /* a file name, no '/' */
	char *json;	    /* the plugin's object as written */
	bool ip_masq;	    /* "ipMasq": true */
	bool port_mappings; /* has the capability portMappings */
};

/* A network: one plugin (.conf) or a chain of them (.conflist). */
struct cni_network {
	char *name;
	char *version; /* cniVersion; "0.1.0" when absent */
	struct cni_plugin_conf *plugins;
	size_t n;
};

/* Reads a .conf (an object with "type") or .conflist ("plugins"). */
int cni_network_parse(const char *buf, size_t len, struct cni_network *ret,
		      struct error *err);
void cni_network_release(struct cni_network *net);

/* --- results --------------------------------------------------------------
 */

struct cni_dns {
	struct strv nameservers;
	struct strv search;
	struct strv options;
	char *domain;
};

bool cni_dns_is_empty(const struct cni_dns *dns);

struct cni_result {
	char *json;    /* as the plugin wrote it, compact */
	char *address; /* first IPv4 "172.16.28.2/24", else first IPv6, NULL */
	bool has_ipv6; /* among its addresses */
	char *gateway; /* of that address, NULL when not told */
	struct cni_dns dns;
};

/* Any version's form: ip4/ip6 (up to 0.2.0) or ips (from 0.3.0). */
int cni_result_parse(const char *buf, size_t len, struct cni_result *ret,
		     struct error *err);
void cni_result_release(struct cni_result *result);

/* "172.16.28.2/24" as address and dotted mask "255.255.255.0": malloc'ed,
 * NULL mask for IPv6 or nonsense. */
void cni_address_split(const char *address, char **ret_ip, char **ret_mask);

/*
 * The text of a failed plugin's answer: "msg; details".  What cannot be read
 * is quoted as rkt did.  malloc'ed.
 */
char *cni_error_text(const char *buf, size_t len);

/* --- what a plugin gets on stdin ------------------------------------------ */

struct cni_port_mapping {
	uint16_t host_port;
	uint16_t container_port;
	const char *protocol; /* "tcp" */
	const char *host_ip;  /* NULL: all */
};

struct cni_stdin {
	const char *name;
	const char *version;
	const char *prev_result; /* JSON, NULL: first of its chain */
	const struct cni_port_mapping *ports; /* runtimeConfig.portMappings */
	size_t n_ports;
	bool no_masq; /* the caller masquerades: "ipMasq": false */
};

/* The plugin's conf with name, cniVersion, prevResult and runtimeConfig put
 * in.  CONF is valid JSON (an object), as cni_network_parse() returns it. */
int cni_stdin_make(const char *conf, const struct cni_stdin *in,
		   struct strbuf *ret, struct error *err);

/* True if plugins of VERSION know prevResult and "ips" (from 0.3.0). */
bool cni_version_has_chains(const char *version);

/* RESULT in the form of 0.4.0, for a chained plugin after one of 0.1.0. */
void cni_result_upgrade(const struct cni_result *result, const char *ifname,
			const char *netns, struct strbuf *ret);

#endif

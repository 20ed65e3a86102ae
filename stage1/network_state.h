/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_NETWORK_STATE_H
#define STAGE1_NETWORK_STATE_H

/*
 * What it takes to undo a pod's networks: every plugin that may have run,
 * with what it was told.  Kept in the pod's file `net/state.json`, written
 * before the first plugin runs and again after each network.  Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct strbuf;

struct network_plugin {
	char *path;	    /* absolute */
	char *conf;	    /* its JSON object as configured */
	char *version;	    /* cniVersion it is run with */
	bool ports;	    /* gets the port mappings */
	bool can_map_ports; /* has the capability; not in the file */
};

/* One network joined. */
struct network_attachment {
	char *name;
	char *file;    /* name of its configuration file */
	char *ifname;  /* "eth0" */
	char *args;    /* CNI_ARGS */
	bool ip_masq;  /* configured so */
	bool own_masq; /* and done by masquerade_add() */
	struct network_plugin *plugins;
	size_t n;
	/* Last result as JSON, in the form of 0.4.0 if the network speaks an
	 * older one; NULL until all plugins have run. */
	char *result;
	char *ip; /* "" until then */
	char *mask;
};

struct network_mapping {
	char *protocol;
	char *host_ip; /* NULL: every address */
	uint16_t host_port;
	uint16_t pod_port;
};

struct network_state {
	char *netns;	/* path of the bound namespace */
	char *cni_path; /* CNI_PATH */
	struct network_mapping *ports;
	size_t n_ports;
	struct network_attachment *v;
	size_t n;
};

struct network_attachment *network_state_add(struct network_state *state);
struct network_plugin *network_attachment_add(struct network_attachment *at);

void network_state_write(const struct network_state *state, struct strbuf *out);
int network_state_parse(const char *buf, size_t len, struct network_state *ret,
			struct error *err);
/* What plugins answered is all that may be in OLD and not in NEW. */
void network_state_take_results(struct network_state *new,
				const struct network_state *old);
bool network_state_same(const struct network_state *a,
			const struct network_state *b);
void network_state_release(struct network_state *state);
#define cleanup_network_state                                                  \
	__attribute__((__cleanup__(network_state_release)))

#endif

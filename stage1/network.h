/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_NETWORK_H
#define STAGE1_NETWORK_H

/*
 * CNI networks of a pod (containernetworking spec 0.1.0 to 1.0.0): plugins
 * are run one after the other with the pod's network namespace bound at
 * /run/netns/rkt-UUID, which lasts until teardown so that everything can be
 * undone after the pod is dead.
 *
 * Files in the pod directory: `netns` (the bound path) and `net-info.json`
 * are written before the first plugin runs and again as results come in:
 * network_teardown() works from them alone, also after a kill -9.
 *
 * All of this runs in the host's mount and network namespaces.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/strv.h"
#include "spec/net_list.h"

struct error;

/* A forwarded port of the host (--port), already matched to an app's port. */
struct network_port {
	const char *protocol; /* "tcp", "udp" or "sctp" */
	const char *host_ip;  /* NULL or "0.0.0.0": every address */
	uint16_t host_port;
	uint16_t pod_port;
};

struct network_request {
	const char *uuid;
	const struct net_list *nets;
	const char *local_config; /* NULL: /etc/rkt */
	const struct network_port *ports;
	size_t n_ports;
	int pod_dirfd;
};

/* Name servers a network told (CNI result's dns). */
struct network_dns {
	const char *network; /* name; NULL: no network has any */
	struct strv nameservers;
	struct strv search;
	struct strv options;
	char *domain; /* NULL when not given */
};

struct network;

/*
 * Checks that every network asked for is configured and its plugins are
 * there, binds the namespace of process INIT_PID, writes the files and
 * starts the first plugin.  Returns without waiting for it: do other work,
 * then network_finish().  For NET_KIND_NONE and _HOST *ret is an object with
 * nothing to do.  On failure nothing is left.
 */
int network_start(const struct network_request *request, pid_t init_pid,
		  struct network **ret, struct error *err);

/*
 * Waits for the running plugin, runs the rest.  On failure everything added
 * so far is deleted in reverse order and the files are gone.
 */
int network_finish(struct network *net, struct error *err);

/*
 * Instead of these two, in the namespace NETNS_FD of a pod whose stage1 was
 * killed: what it has set up is taken as it is, without a plugin.  NULL if
 * that is not complete, or not what would be set up now (configuration, ports,
 * namespace): the caller tears it down and begins anew.
 */
struct network *network_adopt(const struct network_request *request,
			      int netns_fd);

/* An address of the host in the last network that has one: malloc'ed. */
char *network_host_ip(const struct network *net);

/* The pod's address in the network whose plugin forwards ports: malloc'ed;
 * NULL if it has none.  *RET_IPV6: there it has one of IPv6, too. */
char *network_forward_address(const struct network *net, bool *ret_ipv6);

/* First network with name servers; borrows from NET. */
const struct network_dns *network_dns(const struct network *net);
/*
 * resolv.conf(5) as rkt writes it from a network's answer: malloc'ed, NULL
 * when no network told name servers.  Pure.
 */
char *network_resolv_conf_make(const struct network_dns *dns);

/* Frees the object only.  An unfinished plugin is waited for and undone. */
void network_free(struct network *net);
DEFINE_CLEANUP(struct network *, network_free);
#define cleanup_network cleanup_with(network_free_cleanup)

/*
 * Undoes every network of the pod, from its files alone: DEL in reverse
 * order, the namespace unbound, the files removed.  Nothing to do is
 * success.  All steps are tried; the first failure is returned.  What a stage1
 * that was killed has left running of plugins is waited for before,
 * CNI_TIMEOUT_MS at most.
 */
int network_teardown(int pod_dirfd, const char *uuid, struct error *err);

#endif

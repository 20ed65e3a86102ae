/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_NET_INFO_H
#define SPEC_NET_INFO_H

/*
 * net-info.json of a pod: the networks it joined, in rkt's form
 * [{"netName","netConf","pluginPath","ifName","ip","args","mask"}], which
 * list and status print as the pod's `networks`.
 */

#include <stddef.h>

struct error;
struct json_writer;

struct net_info {
	char *net_name;
	char *net_conf; /* file of its configuration, may be relative */
	char *plugin_path;
	char *if_name;
	char *ip;   /* "" until the network is up */
	char *args; /* CNI_ARGS */
	char *mask; /* "255.255.255.0" */
};

struct net_info_list {
	struct net_info *v;
	size_t n;
};

#define NET_INFO_LIST_INIT                                                     \
	{                                                                      \
		NULL, 0                                                        \
	}

/* Strings of the result are never NULL. */
int net_info_parse(const char *buf, size_t len, struct net_info_list *ret,
		   struct error *err);
/* As member KEY (NULL: as the document); NULL strings are written as "". */
void net_info_write(const struct net_info_list *list, const char *key,
		    struct json_writer *w);

/* An empty record at the end; borrows, until the next one is added. */
struct net_info *net_info_add(struct net_info_list *list);
void net_info_release(struct net_info_list *list);
#define cleanup_net_info __attribute__((__cleanup__(net_info_release)))

#endif

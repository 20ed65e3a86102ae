/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_NET_LIST_H
#define SPEC_NET_LIST_H

/*
 * The value of --net: networks to join, "NAME[:ARGS],NAME[:ARGS]".  ARGS are
 * CNI_ARGS ("IP=172.16.28.9", several joined by ';').  `none`, `host` and
 * `all` are special names.
 */

#include <stdbool.h>
#include <stddef.h>

struct error;

struct net_list_entry {
	char *name;
	char *args; /* "" when none were given */
};

struct net_list {
	struct net_list_entry *v;
	size_t n;
};

#define NET_LIST_INIT                                                          \
	{                                                                      \
		NULL, 0                                                        \
	}
#define NET_LIST_MAX 64

enum net_kind {
	NET_KIND_NONE, /* a network namespace with lo only */
	NET_KIND_HOST, /* the host's network namespace */
	NET_KIND_CNI,  /* a network namespace and CNI networks */
};

/*
 * Adds one --net value to LIST (the flag may be repeated).  -EINVAL for an
 * empty or repeated name, arguments to `host` or `all`, a second ':', or
 * another network beside `none` or `host` (rkt ignored it).
 */
int net_list_add(struct net_list *list, const char *value, struct error *err);
void net_list_release(struct net_list *list);
#define cleanup_net_list __attribute__((__cleanup__(net_list_release)))

/* Borrows; NULL if NAME is not in the list. */
const struct net_list_entry *net_list_find(const struct net_list *list,
					   const char *name);
/* An empty list is `default`. */
enum net_kind net_list_kind(const struct net_list *list);
/* The list as one --net value: malloc'ed; "default" for an empty list. */
char *net_list_text(const struct net_list *list);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_NETWORK_CONF_H
#define STAGE1_NETWORK_CONF_H

/*
 * Network configurations: the built-in `default` and `default-restricted`,
 * and *.conf and *.conflist of LOCAL_CONFIG/net.d, which override built-in ones
 * of the same name.
 */

#include <stddef.h>

#include "spec/net_list.h"
#include "stage1/network_state.h"

struct error;

/*
 * Fills STATE's networks, in the order of their file names, and cni_path with
 * what LIST asks for (an empty list means `default`).  Plugins are looked up
 * in LOCAL_CONFIG/net.d, /usr/lib/rkt/plugins/net, /usr/lib/cni and
 * /opt/cni/bin.  -ENOENT with "networks not found: X, Y" or "Could not find
 * plugin "x"".
 */
int network_conf_load(const struct net_list *list, const char *local_config,
		      struct network_state *state, struct error *err);

/*
 * Chooses who forwards STATE's ports: the first network with ipMasq, else
 * the last; its own plugin with the capability, else portmap behind it.
 */
int network_conf_add_portmap(struct network_state *state, struct error *err);

#endif

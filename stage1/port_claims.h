/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_PORT_CLAIMS_H
#define STAGE1_PORT_CLAIMS_H

/*
 * For which ports of the host there may be rules of which pod: a link
 * PROTOCOL-PORT-UUID in HOST_PORTS_DIR to the pod's directory, from before the
 * first plugin runs until all is undone.  A pod that was killed has its rules
 * until gc: they come before those of the next one that takes the port.
 */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct network_state;

/* Those of a pod.  What fails here only makes them last longer. */
void port_claims_add(const char *uuid, int pod_dirfd,
		     const struct network_state *state);
void port_claims_remove(const char *uuid, const struct network_state *state);

/* Is the link NAME about this port?  *RET_UUID points into NAME.  Pure. */
bool port_claim_is(const char *name, const char *protocol, uint16_t port,
		   const char **ret_uuid);

/*
 * The directory of the pod a claim, the link NAME below DIRFD, is of, wherever
 * it has been moved to: a descriptor; -ENOENT if there is none any more.
 */
int port_claim_open_pod(int dirfd, const char *name);

#endif

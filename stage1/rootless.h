/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_ROOTLESS_H
#define STAGE1_ROOTLESS_H

/*
 * Without root, rkt is root of a user namespace (base/rootless.h).  There is
 * no coming back from the pod's pid and network namespaces to the host's,
 * nodes of devices cannot be made, and overlays keep their marks in user
 * attributes.
 */

#include <stdbool.h>
#include <stdlib.h>

#include "spec/stage1_abi.h"

static inline bool is_rootless(void)
{
	return getenv(STAGE1_ENV_ROOTLESS) != NULL;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_API_WATCH_EVENT_H
#define CMD_RKT_API_WATCH_EVENT_H

#include "spec/api.h"

/* What happened to a pod, an app or an image; borrowed. */
struct watch_event {
	struct api_event_facts facts;
	const struct name_values *data; /* NULL: none */
};

#endif

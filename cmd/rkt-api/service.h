/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_API_SERVICE_H
#define CMD_RKT_API_SERVICE_H

/* What the modules of rkt-api share. */

#include "stage0/pod.h"

struct events;
struct imagestore;
struct log_streams;

struct service {
	const char *dir; /* the data directory */
	const char *system_config, *local_config, *user_config;
	const char *insecure; /* as the user wrote it */
	bool trust_keys_from_https;
	struct pods pods;
	struct events *events;
	struct log_streams *logs;
};

/* The image store, not waiting for who cleans it: -EBUSY.  -ENOENT: there is
 * none yet. */
int service_open_store(const struct service *s, struct imagestore **ret,
		       struct error *err);

#endif

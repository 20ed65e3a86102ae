/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_DNS_H
#define STAGE0_DNS_H

/* --dns* and --hosts-entry (rkt-cli, Networking): pure. */

#include "base/strv.h"

struct error;

struct dns_request {
	struct strv servers; /* each "IP[,IP]", "host" or "none" */
	struct strv search;
	struct strv options;
	const char *domain;
	struct strv hosts; /* each "IP=NAME[,IP=NAME]" or "host" */
};

struct dns_files {
	char *mode;   /* for --dns-conf-mode; NULL = all default */
	char *resolv; /* text for the pod's resolv.conf, or NULL */
	char *hosts;  /* text for the pod's hosts, or NULL */
};

int dns_files_make(const struct dns_request *req, struct dns_files *ret,
		   struct error *err);
void dns_files_release(struct dns_files *files);
#define cleanup_dns_files __attribute__((__cleanup__(dns_files_release)))

#endif

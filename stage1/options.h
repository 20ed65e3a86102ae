/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_OPTIONS_H
#define STAGE1_OPTIONS_H

/* Arguments of the entrypoints, as spec/stage1-abi.md lists them. */

#include <stdbool.h>

#include "base/strv.h"
#include "spec/net_list.h"
#include "spec/user_range.h"
#include "stage1/output.h"
#include "stage1/plan.h"

struct error;

/* Where /etc/resolv.conf and /etc/hosts of the apps come from. */
enum dns_mode {
	DNS_DEFAULT = 0, /* CNI result, else the image's file */
	DNS_HOST,	 /* the host's file */
	DNS_STAGE0,	 /* the file stage0 put into the pod directory */
	DNS_NONE,	 /* the image's file, whatever CNI says */
};

struct run_options {
	bool debug;
	bool interactive;
	bool host_ipc;
	struct net_list nets;
	const char *hostname; /* NULL: rkt-UUID */
	struct plan_options plan;
	bool mds_register;
	bool is_mutable;		 /* apps come and go: app_change.h */
	struct user_range private_users; /* count 0: the host's */
	enum dns_mode resolv_mode;
	enum dns_mode hosts_mode;
	const char *local_config;
	const char *system_config;
	enum output_kept log;
	int ready_fd; /* -EBADF: not detached */
	const char *uuid;
};

/* ARGV without the program and entrypoint names.  Strings are borrowed. */
int run_options_parse(int argc, char *const argv[], struct run_options *ret,
		      struct error *err);
void run_options_release(struct run_options *options);

#endif

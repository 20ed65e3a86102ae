/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_LAUNCH_H
#define CMD_RKT_LAUNCH_H

/* What run, run-prepared and start share: from a prepared pod to stage1. */

#include <stdbool.h>

#include "base/option.h"
#include "base/strv.h"
#include "stage0/dns.h"

struct cmd_call;
struct error;
struct images;
struct pod;
struct pod_manifest;
struct pod_trees;

struct launch_opts {
	struct strv net;
	struct dns_request dns;
	const char *hostname;
	const char *ipc;
	const char *log;
	bool mds_register;
	bool interactive;
	bool detach;
};

/* --net, --dns*, --hosts-entry, --hostname, --ipc, --mds-register, --detach;
 * target struct launch_opts. */
extern const struct option_row launch_rows[];

/* A row `--interactive`, for a struct with a struct launch_opts. */
#define INTERACTIVE_OPTION_ROW(type, field)                                    \
	{                                                                      \
		.name = "interactive", .kind = OPTION_BOOL, .implied = "true", \
		.offset = offsetof(type, field.interactive),                   \
		.help = "attach the terminal to the pod's only app"            \
	}

/* A row `--uuid-file-save` whose target is a const char *. */
#define UUID_SAVE_OPTION_ROW(type, field)                                      \
	{                                                                      \
		.name = "uuid-file-save", .values = OPTION_VALUES_FILES,       \
		.kind = OPTION_STRING, .offset = offsetof(type, field),        \
		.help = "write the pod's UUID to this file before preparing"   \
	}
/* Does that; nothing without a FILE. */
int launch_save_uuid(const char *file, const struct pod *pod,
		     struct error *err);

/* What launch_opts come to: release it. */
struct launch {
	struct strv args; /* for stage1 */
	struct dns_files dns;
	bool detach;
};

void launch_release(struct launch *l);
#define cleanup_launch __attribute__((__cleanup__(launch_release)))

/* Checks the options and decides, for the pod of PM. */
int launch_make(const struct cmd_call *call, const struct launch_opts *o,
		const struct pod_manifest *pm, struct launch *ret,
		struct error *err);

/* Files of the launch into the pod directory. */
int launch_save(const struct pod *pod, const struct launch *l,
		struct error *err);

/* Can the pod's stage1 run that? */
int launch_check_stage1(const struct pod *pod, const struct pod_manifest *pm,
			bool detach, struct error *err);

/*
 * Becomes stage1, or prints the UUID of the detached pod.  The pod is locked
 * and in `run`.  Returns rkt's exit code, with the error printed.
 */
int launch_pod(const struct cmd_call *call, struct pod *pod,
	       const struct strv *args, const struct pod_trees *trees,
	       bool detach);

/* Starts the exited pod, locked by us, again as ARGS say. */
int launch_again(const struct cmd_call *call, struct images *im,
		 struct pod *pod, const struct strv *args, bool detach);

#endif

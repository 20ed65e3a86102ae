/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_MACHINE_H
#define STAGE1_MACHINE_H

/*
 * The pod as a machine of the host's systemd-machined, for machinectl(1): its
 * name is rkt-UUID, its leader pod init.  libexec/rkt/rkt-machine speaks with
 * it, because libsystemd cannot be linked into a static program.
 *
 * Only a pod that is the process systemd has started for a unit.  Machines are
 * ended by stopping their unit (machinectl terminate): that of another pod is
 * a login session, or of cron.  The registration moves no process.
 *
 * Nothing that fails here is the pod's: it is said, and the pod runs on.
 */

#include <errno.h>
#include <stdbool.h>
#include <sys/types.h>

#include "stage1/event.h"

struct json_node;
struct state_writer;

struct machine {
	char *program; /* rkt-machine; NULL: the pod is to be no machine */
	bool is_known; /* to machined, or will be when `process` ends */
	int pidfd;     /* of a running rkt-machine, or -EBADF */
	struct event_loop *loop;
	struct event_source process;
};

#define MACHINE_INIT                                                           \
	{                                                                      \
		.pidfd = -EBADF, .process = {.fd = -EBADF }                    \
	}

/* From the environment, which is cleared of what is stage0's. */
void machine_take(struct machine *m);

/* Whether _register would do anything now. */
bool machine_is_wanted(const struct machine *m);

/* Where machined is, has it know pod UUID, without waiting for it. */
void machine_register(struct machine *m, struct event_loop *loop,
		      const char *uuid, pid_t init);

/* Has machined forget it: _begin does not wait, _end does, for seconds. */
void machine_unregister_begin(struct machine *m, const char *uuid);
void machine_unregister_end(struct machine *m);

void machine_release(struct machine *m);

/* For another supervisor: stage1/state.h. */
void machine_save(const struct machine *m, struct state_writer *w,
		  const char *key);
int machine_restore(const struct json_node *node, struct machine *m,
		    struct event_loop *loop);

#endif

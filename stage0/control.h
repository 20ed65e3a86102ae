/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_CONTROL_H
#define STAGE0_CONTROL_H

/*
 * The control socket of a running pod, from outside (records and rules:
 * spec/stage1_abi.h).  One connection carries one request and its replies.
 */

#include <sys/types.h>

#include "spec/stage1_abi.h"

struct control_reply;
struct control_request;
struct error;

/*
 * Connects to the pod whose directory is PODDIR_FD.  Returns the connection.
 * -ESRCH when nobody serves it.
 */
int control_connect(int poddir_fd, struct error *err);

/* Sends REQUEST (its version is filled in) with FD, -EBADF for none. */
int control_send(int conn, const struct control_request *request, int fd,
		 struct error *err);

/* The next reply.  -ECONNRESET when stage1 went away without the last one,
 * -EPROTO when it is no reply. */
int control_receive(int conn, struct control_reply *ret, struct error *err);

/*
 * One record of an attached client.  0, -EAGAIN: not now, -ECONNRESET: the
 * supervisor has gone, or sent this client away: what it said is still there.
 */
int control_attach_send(int conn, enum attach_kind kind, const void *data,
			size_t n);
/* The next one: *RET, and up to ATTACH_DATA_MAX bytes into DATA.  The same, and
 * -EPROTO when it is none. */
int control_attach_receive(int conn, struct attach_head *ret, void *data);

/*
 * Asks the supervisor to go on as PROGRAM (entrypoint_open_program()), or
 * whether it could, and waits for the answer.  -EOPNOTSUPP when there is none.
 */
int control_runtime(int conn, enum runtime_op op, int program,
		    struct runtime_reply *ret, struct error *err);

/* A pidfd of the supervisor behind the connection, by SO_PEERPIDFD or,
 * before Linux 6.5, SO_PEERCRED. */
int control_peer(int conn, struct error *err);

#endif

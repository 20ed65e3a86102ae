/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_CONTROL_RECORD_H
#define STAGE1_CONTROL_RECORD_H

/* Requests as they come over the control socket. */

#include <stdbool.h>
#include <stddef.h>

#include "spec/stage1_abi.h"

/* What came: one of the two. */
struct control_record {
	bool is_runtime;
	struct control_request request;
	struct runtime_request runtime;
};

/*
 * -EPROTO unless BUF is exactly one request of our version, with a known
 * operation, N_FDS descriptors as that operation wants, and a terminated app
 * name.  Pure; this is what is fuzzed.
 */
int control_record_check(const void *buf, size_t len, size_t n_fds,
			 struct control_request *ret);

/* The same of a request for another stage1, of whatever version its sender
 * is. */
int runtime_record_check(const void *buf, size_t len, size_t n_fds,
			 struct runtime_request *ret);

/* Receives one; at most one descriptor, which the caller owns. */
int control_record_receive(int fd, struct control_record *ret, int *ret_passed);

/* Answers on the connection FD. */
void control_reply(int fd, enum control_reply_kind kind, int code,
		   const char *text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_CONTROL_RECORD_H
#define STAGE1_CONTROL_RECORD_H

/* Requests as they come over the control socket. */

#include <stddef.h>

struct control_request;

/*
 * -EPROTO unless BUF is exactly one request of our version, with a known
 * operation, N_FDS descriptors as that operation wants, and a terminated app
 * name.  Pure; this is what is fuzzed.
 */
int control_record_check(const void *buf, size_t len, size_t n_fds,
			 struct control_request *ret);

/* Receives one; at most one descriptor, which the caller owns. */
int control_record_receive(int fd, struct control_request *ret,
			   int *ret_passed);

#endif

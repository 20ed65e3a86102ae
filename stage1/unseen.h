/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_UNSEEN_H
#define STAGE1_UNSEEN_H

/*
 * Listening sockets that no bind(2) was seen for.  IORING_OP_BIND (Linux
 * 6.11) is no system call, so the filter does not ask stage1: nothing bound so
 * can be shared or held, and another bind of that address could not be let
 * through.  The default filter does not allow io_uring; an isolator or
 * --insecure-options=seccomp may.
 */

#include <stdint.h>

struct error;
struct generation;

/*
 * A TCP port G listens on that it may have bound through io_uring, 0 if there
 * is none; ERR says so in words.  A port the kernel chose cannot be told from
 * it.  A socket that only the ring has (no descriptor of a process) is found
 * too, but not on the host's network, where it could be anybody's.
 */
uint16_t unseen_port(const struct generation *g, struct error *err);

#endif

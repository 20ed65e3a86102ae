/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_STEER_H
#define STAGE1_STEER_H

/*
 * Which generation gets a connection: a classic BPF program on a group of
 * listening sockets that share an address (SO_ATTACH_REUSEPORT_CBPF, Linux
 * 4.5).  It returns the number of a socket in the group: the kernel numbers
 * them as they come to listen, and when one leaves, the last one gets its
 * number (reuseport_core.c).  So the old generation's are the first N_OLD,
 * and those behind them are the new one's, as long as none leaves.
 */

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define STEER_ALL 10000U

struct steer {
	unsigned int n_old, n_new; /* sockets; n_old > 0 */
	uint32_t mark;	    /* SO_MARK of what goes to the new one always */
	unsigned int share; /* of STEER_ALL, that goes to the new one */
};

#define STEER_CODE_MAX 16

/* The program; returns its length.  Without new sockets all goes to the old
 * ones.  Pure. */
size_t steer_program_make(const struct steer *steer,
			  struct sock_filter code[STEER_CODE_MAX]);

/* Replaces the program of the group FD belongs to, in one step. */
int steer_apply(int fd, const struct steer *steer, struct error *err);

/* Without a program the kernel spreads by a hash (Linux 5.3). */
void steer_remove(int fd);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_STEER_H
#define STAGE1_STEER_H

/*
 * Which socket gets a connection: a classic BPF program on a group of
 * listening sockets that share an address (SO_ATTACH_REUSEPORT_CBPF, Linux
 * 4.5).  It returns the number of a socket in the group (stage1/reuse_group.h).
 */

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define STEER_ALL 10000U
/* Sockets of one generation at one address. */
#define STEER_MAX 256

/* Numbers of sockets, ascending. */
struct steer_set {
	uint16_t numbers[STEER_MAX];
	unsigned int n;
};

/*
 * How connections of ours are known: by the mark of their sockets (SO_MARK).
 * Where nobody may set that (without root on the host's network) by a number of
 * hops that no system begins with, on a packet of this machine itself.
 */
struct steer_sign {
	uint32_t mark; /* 0: none */
	uint8_t hops;  /* 0: none */
};

struct steer {
	struct steer_set old, next;
	struct steer_sign sign; /* of what goes to the new one always */
	unsigned int share;	/* of STEER_ALL, that goes to the new one */
	/* SO_MARK of what goes to one socket, whoever's it is; 0: of nothing */
	uint32_t ask_mark;
	uint16_t ask;
};

/* Two instructions for a number that is out of its row. */
#define STEER_CODE_MAX (4 * STEER_MAX + 32)

/* A new one, for sockets like FD. */
struct steer_sign steer_sign_make(int fd);
/* For what neither clients nor probes send; if it has a mark. */
uint32_t steer_other_mark(const struct steer_sign *sign);
/* Puts it on a socket that has not connected yet. */
int steer_sign_socket(int fd, const struct steer_sign *sign);

/* The program; returns its length.  One that has no sockets gets nothing:
 * then all goes to the other one.  One of both has some.  Pure. */
size_t steer_program_make(const struct steer *steer,
			  struct sock_filter code[STEER_CODE_MAX]);

/* Replaces the program of the group FD belongs to, in one step. */
int steer_apply(int fd, const struct steer *steer, struct error *err);

/* Without a program the kernel spreads by a hash (Linux 5.3).  True if there
 * was one. */
bool steer_remove(int fd);

#endif

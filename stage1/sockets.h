/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_SOCKETS_H
#define STAGE1_SOCKETS_H

/* The sockets that processes of a generation have open. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct error;
struct generation;

/*
 * Calls FN with a duplicate of every socket of every process of G, which FN
 * closes or keeps, until it returns true; one that several processes have
 * comes several times.  1 if FN returned true, 0, or -errno.
 */
int sockets_each(const struct generation *g, bool (*fn)(void *data, int fd),
		 void *data, struct error *err);

/* The same socket as FD (not a duplicate number: the same inode) is open in
 * G; -errno as above. */
int sockets_has(const struct generation *g, int fd, struct error *err);

/* The same of the socket with this inode. */
int sockets_has_inode(const struct generation *g, ino_t inode,
		      struct error *err);

/* Where a process has a socket. */
struct sockets_place {
	pid_t pid; /* 0: nowhere */
	int number;
};

/* The same, and one place where it is. */
int sockets_find(const struct generation *g, int fd, struct sockets_place *ret,
		 struct error *err);

/* The socket INODE is still there: one look at one process. */
bool sockets_is_at(const struct sockets_place *at, ino_t inode);

/*
 * TCP connections of G that came in at one of N ports (host order), counted
 * up to MAX; -errno as above.
 */
int sockets_count_connections(const struct generation *g,
			      const unsigned short *ports, size_t n, size_t max,
			      struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_REUSE_GROUP_H
#define STAGE1_REUSE_GROUP_H

/*
 * Listening sockets of two generations that share one address: a group of the
 * kernel's (reuseport_core.c).  It numbers them as they come to listen, and
 * when one leaves, the last one gets its number; the program that steers
 * connections (stage1/steer.h) knows them by that.
 *
 * A duplicate of each is kept here, so a socket stays in the group when its
 * process closes it, and what comes to it would wait for nobody:
 * reuse_group_tend() notices, and takes it out.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "stage1/sockets.h"
#include "stage1/steer.h"

struct error;
struct generation;

struct reuse_member {
	int fd; /* the duplicate */
	ino_t inode;
	bool is_next; /* of the new generation */
	bool is_dead; /* no process has it any more */
	struct sockets_place at;
};

struct reuse_group {
	/* The first n_listening listen, and the program knows n_used of them.
	 * Their numbers are their places here; unless is_known only up to
	 * who of its generation has which. */
	struct reuse_member *members; /* owned */
	size_t n, n_listening, n_used;
	bool is_known;
	/* Whom the program gives what. */
	struct steer_sign sign;
	unsigned int share;
	/* The new one has been found well: its sockets may be given what waited
	 * in others. */
	bool is_verified;
	/* The service manager may have its sockets, too: they have to leave
	 * without being closed. */
	bool is_stored;
	const struct generation *old, *next;
	/* A socket in the network of the group, for questions. */
	int (*open)(void *data, int domain);
	void *data;
	int domain;
	struct sockaddr_storage addr;
};

/* FD (taken) is bound; it does not listen yet, or it is of the old one and is
 * there from the beginning. */
void reuse_group_add(struct reuse_group *g, int fd, bool is_next, bool listens);

/* How many there are; of those that do not listen yet, too. */
size_t reuse_group_count(const struct reuse_group *g, bool is_next);
/* How many listen, and somebody has them. */
size_t reuse_group_listening(const struct reuse_group *g, bool is_next);

/* Some process of that generation has one of its sockets. */
bool reuse_group_is_open(struct reuse_group *g, bool is_next);

/* Puts the program on the group. */
int reuse_group_apply(const struct reuse_group *g, struct error *err);

/* Finds the numbers of those that are there from the beginning, and puts the
 * program on the group. */
int reuse_group_learn(struct reuse_group *g, struct error *err);

/* Those that have come to listen get what is theirs.  -EAGAIN: of both at the
 * same time, and they cannot be told apart. */
int reuse_group_look(struct reuse_group *g, struct error *err);

/* Those bound and closed again are forgotten. */
void reuse_group_forget_closed(struct reuse_group *g);

/* Those nobody has any more are taken out; it looks into every process. */
int reuse_group_tend(struct reuse_group *g, struct error *err);

/* All of one generation leave; the rest is the other one's. */
void reuse_group_leave(struct reuse_group *g, bool is_next);

void reuse_group_release(struct reuse_group *g);

#endif

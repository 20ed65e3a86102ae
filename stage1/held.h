/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_HELD_H
#define STAGE1_HELD_H

/*
 * The list of listening sockets that are held for an app while it restarts,
 * and when each is taken over by the new generation's.
 *
 * A new generation may listen in another form (stage1/listen_form.h): then
 * its socket binds beside the held one, and that is let go once it listens
 * wherever the held one did; up to then nobody gets into it.  The kernel cannot
 * move those who wait in the held one's queue to it.  If there are any,
 * held_advance() says so: the old generation has to serve them, with new
 * ones kept out by held_quiet() (their SYN is dropped, and comes again
 * after a second).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "stage1/listen_form.h"

struct error;
struct json_node;
struct pod_app;
struct sock_fprog;
struct state_writer;

struct held_listener {
	/* The duplicate.  -EBADF of a socket of the new generation beside
	 * held ones, until it listens. */
	int fd;
	int domain, type, protocol;
	struct sockaddr_storage addr;
	socklen_t addrlen;
	bool v6only;
	struct listen_form form; /* reaches nobody if it is not TCP */
	ino_t inode;
	uid_t uid;
	bool reuseport;
	int backlog;	     /* before it was held; 0 if that is not known */
	bool made_reuseport; /* only while another form is beside it */
	bool asked_quiet, is_quiet; /* SYNs are dropped: held_keep_out() */
	/* Unix path sockets: a second name of the socket file. */
	int dirfd;
	char *name, *kept_name;
	int next_fd; /* the new generation's socket, until it listens */
	bool taken;  /* the new generation listens here */
	bool seen;   /* by the last listeners_hold() */
	/* Since when there is another one taken at its address. */
	uint64_t surplus_ns;
};

/* While nobody accepts, everybody who connects has to fit. */
#define HELD_BACKLOG 4096
/* More addresses than a server has; each costs us a descriptor. */
#define HELD_MAX 256

/* Appends a copy; what H owns is the list's. */
void held_add(struct pod_app *app, const struct held_listener *h);

/*
 * Nobody is to be let in by it any more, whoever has a duplicate: the service
 * manager (stage1/host_store.h) closes its own when it comes to that.  Its
 * queue migrates as if it were closed.
 */
void held_end_listening(int fd);

/* Closes what it has; a socket the app has, too, is left as it was. */
void held_release(struct held_listener *h);

/*
 * Nobody gets into FD, which has not listened yet or will let nobody in again:
 * where filters of TCP sockets take CAP_NET_ADMIN (Linux 6.18), too.
 */
bool held_shut(int fd);

/* From now on every SYN to it is dropped; it comes again after a second. */
void held_keep_out(struct held_listener *h);

/* Attaches a filter to a socket; false if the app has one of its own there,
 * which must not be lost. */
bool held_filter(int fd, const struct sock_fprog *program);
/* False if there was none. */
bool held_unfilter(int fd);

/* The kernel remembers that the last bind of a port could be shared, and lets
 * any socket of that user join: makes it forget that, on the host's network. */
void held_forget_sharing(const struct held_listener *h);

/* Nothing of the new generation is there yet. */
bool held_is_waiting(const struct held_listener *h);

/* A socket option that is an int; false if it has none such. */
bool held_option(int fd, int level, int option, int *ret);
bool held_is_listening(int fd);
/* How many may wait in a listening TCP socket; 0 of what cannot be said. */
int held_backlog(int fd);
/* Connections the app has not accepted; 0 of what cannot be said. */
unsigned int held_queue_length(int fd);

/* --- for stage1/update.c ----------------------------------------------------
 */

enum held_state {
	HELD_WAIT,
	HELD_OVER,   /* every held socket was taken over or let go */
	HELD_QUEUED, /* one would be let go, if nobody waited in it */
};

/*
 * Looks whether held sockets were taken over, or can be let go: then they are
 * closed, and the new one's duplicate is held instead.  FORCED cuts off who
 * waits in one that is let go.
 */
enum held_state held_advance(struct pod_app *app, bool forced);

/* How many sockets of the new generation listen so far. */
size_t held_taken(const struct pod_app *app);

/* True, with the reason as a message, if the new generation listens at a port
 * of a held socket, but not for all its clients. */
bool held_narrower(const struct pod_app *app, struct error *err);

#define HELD_PORTS_MAX 16
/* Ports of held sockets that other forms were bound beside. */
size_t held_odd_ports(const struct pod_app *app,
		      uint16_t ports[HELD_PORTS_MAX]);

/* Held sockets of these ports get no new connections: SYNs are dropped. */
void held_quiet(struct pod_app *app, const uint16_t *ports, size_t n);

/* Nobody waits in those. */
bool held_are_empty(const struct pod_app *app);

/* The app serves no more: everybody who connects has to fit in unix sockets,
 * too. */
void held_widen(struct pod_app *app);

/* What is held becomes what is to be taken over once more: for a rollback. */
void held_rewind(struct pod_app *app);

/* The one with INDEX is let go: the app gets it in another way. */
void held_forget(struct pod_app *app, size_t index);

/* Closes everything held. */
void held_drop(struct pod_app *app);

/* --- for another supervisor (stage1/state.h) --------------------------------
 */

void held_save(const struct held_listener *v, size_t n, struct state_writer *w,
	       const char *key);
/* Adds those of LIST to the N of *V. */
int held_restore(const struct json_node *list, struct held_listener **v,
		 size_t *n);

#endif

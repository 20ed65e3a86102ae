/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_HOST_STORE_H
#define STAGE1_HOST_STORE_H

/*
 * Descriptors that the host's service manager keeps for a pod
 * (sd_pid_notify_with_fds(3), FDSTORE=1), and gives to the next stage1 as it
 * gives sockets (sd_listen_fds(3)).  So a stage1 that was killed refuses
 * nobody: who connects waits for the next one, in the same network.  Only if
 * the unit says so: FileDescriptorStoreMax=, and FDSTORE in the environment,
 * which systemd 254 sets itself.
 *
 *	rkt.UUID.netns			the pod's network namespace, and with
 *					it the user namespace it belongs to
 *	rkt.UUID.listen.APP.INODE	where the app listens
 *	rkt.UUID.port.APP.PORT.INODE	a socketActivated port
 *
 * Names only say whose it is.  What comes back is believed for what the kernel
 * says of it: a socket if it listens in the pod's network, a namespace if it is
 * of a network, not the host's, and belongs to the users the pod is to have
 * (users_adopt()); and its networks only if what is written of them is what
 * would be set up now (network_adopt()).  What nobody takes is given up.
 *
 * An orderly end gives everything up, as it undoes the networks.  A unix socket
 * is kept if its name is abstract or in a volume: what is in a root that is
 * made anew nobody can connect to.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct json_node;
struct state_writer;

struct host_kept {
	char *name;
	int fd;	   /* given back and not taken yet, or -EBADF */
	bool seen; /* while those of an app are looked through */
};

struct host_store {
	const char *socket; /* NOTIFY_SOCKET; NULL: nothing is kept */
	const char *uuid;
	struct host_kept *v; /* what the service manager has */
	size_t n;
	dev_t netns_dev; /* of the pod, as it is now */
	ino_t netns_ino;
};

/* Takes FDSTORE out of the environment.  Strings are borrowed. */
void host_store_open(struct host_store *s, const char *socket,
		     const char *uuid);
void host_store_release(struct host_store *s);
bool host_store_is_open(const struct host_store *s);

/*
 * FD was given back with NAME: true if that is a name of ours, and FD the
 * store's now.  What is of another pod is given up at once.
 */
bool host_store_take_back(struct host_store *s, int fd, const char *name);

/* The pod is in the network namespace of process PID: sockets of others are
 * not given out.  0 or a negative errno. */
int host_store_set_netns(struct host_store *s, pid_t pid);

/* The pod's network namespace, the caller's now; -EBADF: none is there that
 * can be one. */
int host_store_take_netns(struct host_store *s);
/* It is none for this pod after all: given up. */
void host_store_drop_netns(struct host_store *s);
/* One after the other, until -EBADF: sockets APP listened on. */
int host_store_take_listener(struct host_store *s, const char *app);
/* The socket of a socketActivated port of APP; -EBADF. */
int host_store_take_port(struct host_store *s, const char *app,
			 const char *port);
/* What nobody has taken is given up. */
void host_store_settle(struct host_store *s);

/* FD stays the caller's. */
void host_store_keep_netns(struct host_store *s, int fd);
/*
 * Sockets of one kind of an app: those that are kept between _begin and _end
 * are all there are, others are given up.
 */
enum host_store_kind {
	HOST_STORE_LISTENERS,
	HOST_STORE_PORTS,
};

void host_store_begin(struct host_store *s, enum host_store_kind kind,
		      const char *app);
/* PORT is its name; NULL for HOST_STORE_LISTENERS.  Not what is in another
 * network than the pod. */
void host_store_keep(struct host_store *s, const char *app, const char *port,
		     ino_t inode, int fd);
void host_store_end(struct host_store *s);

/* Gives up everything. */
void host_store_clear(struct host_store *s);

/* For another supervisor: stage1/state.h.  The service manager goes on to
 * keep what it has.  The caller sets socket, uuid and network. */
void host_store_save(const struct host_store *s, struct state_writer *w,
		     const char *key);
int host_store_restore(const struct json_node *node, struct host_store *ret);

#endif

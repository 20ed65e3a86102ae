/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_ACTIVATION_H
#define STAGE1_ACTIVATION_H

/*
 * Ports an image marks as socketActivated (appc B24): the pod listens on them
 * in its own network namespace and the app is given the sockets
 * (sd_listen_fds(3)).  They are the pod's: whatever becomes of the app's
 * processes, connections queue meanwhile.  They are closed when the app has
 * ended for good, so that they never are a black hole.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct app;
struct error;
struct host_sockets;
struct json_node;
struct state_writer;

/* More in one app is a mistake, and each is a descriptor of the pod. */
#define ACTIVATION_MAX 256

struct activated_socket {
	char *name; /* of the port */
	bool udp;
	uint16_t port;
	int fd;
	ino_t inode;
	bool wanted; /* by the generation that asked last */
};

struct activation {
	struct activated_socket *v;
	size_t n;
};

#define ACTIVATION_INIT                                                        \
	{                                                                      \
		NULL, 0                                                        \
	}

/* --- deciding (pure) -------------------------------------------------------
 */

/*
 * What APP's ports ask for, sockets not open yet (fd -EBADF).  -EINVAL: too
 * many, or a protocol that is neither tcp nor udp.
 */
int activation_plan(const struct app *app, struct activation *ret,
		    struct error *err);

/* --- doing -----------------------------------------------------------------
 */

void activation_release(struct activation *a);

/*
 * Opens in the network namespace of the process PIDFD (the caller's own is
 * OWN_NETNS) what APP asks for and A does not have yet, unless it is among
 * HOST's (NULL: there are none): [::] for both IPv4 and IPv6, as systemd does,
 * or 0.0.0.0 where there is no IPv6.  What APP does not ask for stays open: it
 * may be rolled back.
 */
int activation_open(struct activation *a, struct host_sockets *host, int pidfd,
		    int own_netns, const struct app *app, struct error *err);

/* Makes UID and GID the owners of the wanted sockets, which block, as
 * sd_listen_fds(3) promises. */
void activation_give(const struct activation *a, uid_t uid, gid_t gid);

/* Closes what APP, the one that serves now, does not ask for. */
void activation_settle(struct activation *a, const struct app *app);

/* For another supervisor (stage1/state.h). */
void activation_save(const struct activation *a, struct state_writer *w,
		     const char *key);
int activation_restore(const struct json_node *list, struct activation *ret);

bool activation_has_inode(const struct activation *a, ino_t inode);

#endif

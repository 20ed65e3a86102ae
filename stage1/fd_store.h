/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_FD_STORE_H
#define STAGE1_FD_STORE_H

/*
 * Descriptors an app has given to its pod (sd_pid_notify_with_fds(3),
 * FDSTORE=1): they outlive its process and every generation of it, and the
 * next process gets them back.  The pod keeps its copies until the app
 * removes them, or the other end is gone.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct error;
struct event_loop;
struct json_node;
struct state_writer;

/* Annotation of an image: how many descriptors it may store. */
#define FD_STORE_MAX_ANNOTATION "rkt.io/fd-store-max"
#define FD_STORE_DEFAULT 128
/* Their names must fit into one variable of an environment (128 KiB). */
#define FD_STORE_LIMIT 256

struct fd_store;

/* LOOP must outlive it. */
struct fd_store *fd_store_new(struct event_loop *loop);
/* Closes everything. */
void fd_store_free(struct fd_store *store);

/* More than that is refused; what is stored already stays. */
void fd_store_set_max(struct fd_store *store, size_t max);

/*
 * Takes FD in any case.  NAME is valid (notify_message.h).  POLL: it is
 * removed when epoll(7) says that the other end is gone.  0 also if the very
 * same open file is stored already; -ENOSPC when the store is full.
 */
int fd_store_add(struct fd_store *store, int fd, const char *name, bool poll,
		 struct error *err);

/* Closes all of that name; how many there were. */
size_t fd_store_remove(struct fd_store *store, const char *name);

/* The one with INDEX, in the order of storing: borrowed. */
size_t fd_store_count(const struct fd_store *store);
int fd_store_get(const struct fd_store *store, size_t index,
		 const char **ret_name);

/* True if the socket with this inode is stored. */
bool fd_store_has_inode(const struct fd_store *store, ino_t inode);

/* For another supervisor (stage1/state.h). */
void fd_store_save(const struct fd_store *store, struct state_writer *w,
		   const char *key);
int fd_store_restore(const struct json_node *node, struct event_loop *loop,
		     struct fd_store **ret, struct error *err);

/* The value of the annotation (NULL: none); -EINVAL if it is no number up to
 * FD_STORE_LIMIT, *RET is the default then. */
int fd_store_parse_max(const char *value, size_t *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/fd_store.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/parse.h"
#include "stage1/event.h"
#include "stage1/state.h"

struct stored_fd {
	struct fd_store *store;
	struct event_source source; /* its fd is the descriptor */
	char *name;
	bool polled;
};

struct fd_store {
	struct event_loop *loop;
	size_t max;
	struct stored_fd **v;
	size_t n;
};

struct fd_store *fd_store_new(struct event_loop *loop)
{
	struct fd_store *store = xcalloc(1, sizeof(*store));

	*store = (struct fd_store){.loop = loop, .max = FD_STORE_DEFAULT};
	return store;
}

static void drop(struct fd_store *store, size_t i)
{
	struct stored_fd *s = store->v[i];

	if (s->polled)
		event_remove(store->loop, &s->source);
	fd_close(&s->source.fd);
	free(s->name);
	free(s);
	store->n--;
	memmove(&store->v[i], &store->v[i + 1],
		(store->n - i) * sizeof(*store->v));
}

void fd_store_free(struct fd_store *store)
{
	if (!store)
		return;
	while (store->n)
		drop(store, store->n - 1);
	free(store->v);
	free(store);
}

void fd_store_set_max(struct fd_store *store, size_t max)
{
	store->max = max;
}

static void on_event(struct event_source *source, uint32_t events)
{
	struct stored_fd *s = source->data;
	struct fd_store *store = s->store;

	if (!(events & (EPOLLHUP | EPOLLERR)))
		return;
	log_debug("fd store: the other end of %s is gone", s->name);
	for (size_t i = 0; i < store->n; i++)
		if (store->v[i] == s) {
			drop(store, i);
			return;
		}
}

static bool same_file(int a, int b)
{
	pid_t self = getpid();

	return syscall(SYS_kcmp, self, self, KCMP_FILE, a, b) == 0;
}

int fd_store_add(struct fd_store *store, int fd, const char *name, bool poll,
		 struct error *err)
{
	cleanup_fd int own = fd;
	struct stored_fd *s;

	for (size_t i = 0; i < store->n; i++)
		if (same_file(store->v[i]->source.fd, own))
			return 0;
	if (store->n >= store->max)
		return error_set(err, ENOSPC,
				 "store descriptor %s: %zu are stored already "
				 "(annotation " FD_STORE_MAX_ANNOTATION ")",
				 name, store->n);
	s = xcalloc(1, sizeof(*s));
	*s = (struct stored_fd){
		.store = store,
		.source = {.fd = TAKE_FD(own), .fn = on_event, .data = s},
		.name = xstrdup(name),
	};
	/* Not every file has such an end: -EPERM. */
	s->polled = poll && event_add(store->loop, &s->source, 0) == 0;
	store->v = xreallocarray(store->v, store->n + 1, sizeof(*store->v));
	store->v[store->n++] = s;
	return 0;
}

size_t fd_store_remove(struct fd_store *store, const char *name)
{
	size_t before = store->n;

	for (size_t i = store->n; i-- > 0;)
		if (strcmp(store->v[i]->name, name) == 0)
			drop(store, i);
	return before - store->n;
}

size_t fd_store_count(const struct fd_store *store)
{
	return store->n;
}

int fd_store_get(const struct fd_store *store, size_t index,
		 const char **ret_name)
{
	*ret_name = store->v[index]->name;
	return store->v[index]->source.fd;
}

bool fd_store_has_inode(const struct fd_store *store, ino_t inode)
{
	for (size_t i = 0; i < store->n; i++) {
		struct stat st;

		if (fstat(store->v[i]->source.fd, &st) == 0 &&
		    S_ISSOCK(st.st_mode) && st.st_ino == inode)
			return true;
	}
	return false;
}

/* --- for another supervisor ------------------------------------------------
 */

static const struct state_row stored_rows[] = {
	STATE_FD_ROW_AS(struct stored_fd, source.fd, "fd"),
	STATE_ROW(struct stored_fd, name),
	STATE_ROW(struct stored_fd, polled),
};

static const struct state_row store_rows[] = {
	STATE_ROW(struct fd_store, max),
	STATE_NESTED_ROW("stored"),
};

void fd_store_save(const struct fd_store *store, struct state_writer *w,
		   const char *key)
{
	json_open_object(&w->json, key);
	STATE_WRITE(w, store_rows, store);
	json_open_array(&w->json, "stored");
	for (size_t i = 0; i < store->n; i++)
		STATE_WRITE_OBJECT(w, NULL, stored_rows, store->v[i]);
	json_close_array(&w->json);
	json_close_object(&w->json);
}

static int restore_one(const struct json_node *node, struct fd_store *store,
		       struct error *err)
{
	struct stored_fd s = {.source = {.fd = -EBADF}};
	int r = STATE_READ(node, stored_rows, &s);

	if (r == 0 && s.source.fd >= 0 && s.name)
		r = fd_store_add(store, TAKE_FD(s.source.fd), s.name, s.polled,
				 err);
	fd_close(&s.source.fd);
	free(s.name);
	return r;
}

int fd_store_restore(const struct json_node *node, struct event_loop *loop,
		     struct fd_store **ret, struct error *err)
{
	struct fd_store *store = *ret = fd_store_new(loop);
	struct json_node list, item;
	size_t max;
	int r = STATE_READ(node, store_rows, store);

	/* What is stored stays, though less may be since. */
	max = store->max;
	store->max = FD_STORE_LIMIT;
	if (r == 0 && json_member(node, "stored", &list))
		for (size_t i = 0; r == 0 && json_item(&list, i, &item); i++)
			r = restore_one(&item, store, err);
	store->max = max;
	return r;
}

int fd_store_parse_max(const char *value, size_t *ret)
{
	uint64_t number;

	*ret = FD_STORE_DEFAULT;
	if (!value)
		return 0;
	if (parse_uint(value, FD_STORE_LIMIT, &number) < 0)
		return -EINVAL;
	*ret = (size_t)number;
	return 0;
}

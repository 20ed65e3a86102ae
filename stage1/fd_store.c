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

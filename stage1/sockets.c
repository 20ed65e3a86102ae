/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/sockets.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/process_tree.h"
#include "stage1/generation.h"

struct search {
	bool (*fn)(void *data, int fd);
	void *data;
	struct sockets_place *at; /* what FN looks at; may be NULL */
};

static bool search_process(const struct search *search, pid_t pid)
{
	cleanup_fd int pidfd = pidfd_open(pid, 0);
	cleanup_dir DIR *dir = NULL;
	struct dirent *de;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (pidfd < 0 || !dir)
		return false;
	while ((de = readdir(dir))) {
		char target[64] = "";
		uint64_t number;
		int fd;

		if (parse_uint(de->d_name, INT32_MAX, &number) < 0 ||
		    readlinkat(dirfd(dir), de->d_name, target,
			       sizeof(target) - 1) < 0 ||
		    strncmp(target, "socket:", 7) != 0)
			continue;
		fd = pidfd_getfd(pidfd, (int)number, 0);
		if (search->at)
			*search->at = (struct sockets_place){pid, (int)number};
		if (fd >= 0 && search->fn(search->data, fd))
			return true;
	}
	return false;
}

static int search_all(const struct generation *g, const struct search *search,
		      struct error *err)
{
	cleanup_process_tree struct process_tree all = PROCESS_TREE_INIT;
	int r = generation_processes(g, &all, err);

	for (size_t i = 0; r == 0 && i < all.n; i++)
		r = search_process(search, all.pids[i]);
	return r;
}

int sockets_each(const struct generation *g, bool (*fn)(void *data, int fd),
		 void *data, struct error *err)
{
	const struct search search = {.fn = fn, .data = data};

	return search_all(g, &search, err);
}

static bool is_wanted(void *data, int fd)
{
	const ino_t *inode = data;
	struct stat st;
	bool found = fstat(fd, &st) == 0 && st.st_ino == *inode;

	(void)close(fd);
	return found;
}

int sockets_find(const struct generation *g, int fd, struct sockets_place *ret,
		 struct error *err)
{
	struct stat st;
	struct search search = {.fn = is_wanted, .data = &st.st_ino, .at = ret};

	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "look at a socket");
	return search_all(g, &search, err);
}

int sockets_has(const struct generation *g, int fd, struct error *err)
{
	return sockets_find(g, fd, NULL, err);
}

int sockets_has_inode(const struct generation *g, ino_t inode,
		      struct error *err)
{
	return sockets_each(g, is_wanted, &inode, err);
}

bool sockets_is_at(const struct sockets_place *at, ino_t inode)
{
	cleanup_fd int pidfd = at->pid ? pidfd_open(at->pid, 0) : -EBADF;
	int fd = pidfd < 0 ? -EBADF : pidfd_getfd(pidfd, at->number, 0);

	return fd >= 0 && is_wanted(&inode, fd);
}

struct count {
	const unsigned short *ports;
	size_t n_ports, max, n;
};

static bool count_one(void *data, int fd)
{
	struct count *c = data;
	struct sockaddr_storage addr = {0};
	socklen_t len = sizeof(addr);
	uint16_t port = 0;

	if (getsockname(fd, (struct sockaddr *)&addr, &len) == 0) {
		if (addr.ss_family == AF_INET)
			port = ntohs(((struct sockaddr_in *)&addr)->sin_port);
		else if (addr.ss_family == AF_INET6)
			port = ntohs(((struct sockaddr_in6 *)&addr)->sin6_port);
	}
	len = sizeof(addr);
	if (port && getpeername(fd, (struct sockaddr *)&addr, &len) == 0)
		for (size_t i = 0; i < c->n_ports; i++)
			if (c->ports[i] == port) {
				c->n++;
				break;
			}
	(void)close(fd);
	return c->n >= c->max;
}

int sockets_count_connections(const struct generation *g,
			      const unsigned short *ports, size_t n, size_t max,
			      struct error *err)
{
	struct count c = {.ports = ports, .n_ports = n, .max = max};
	int r = sockets_each(g, count_one, &c, err);

	return r < 0 ? r : (int)c.n;
}

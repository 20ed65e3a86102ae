/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/host_store.h"

#include <errno.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/strv.h"
#include "spec/stage1_abi.h"
#include "stage1/notify_host.h"
#include "stage1/state.h"

#define VARIABLE "FDSTORE"
#define LISTEN "listen"
#define PORT "port"
#define NAME_MAX_LEN 255

void host_store_open(struct host_store *s, const char *socket, const char *uuid)
{
	const char *value = getenv(VARIABLE);
	uint64_t max = 0;

	if (!value || parse_uint(value, UINT32_MAX, &max) < 0 || max == 0)
		socket = NULL;
	(void)unsetenv(VARIABLE);
	*s = (struct host_store){.socket = socket, .uuid = uuid};
}

void host_store_release(struct host_store *s)
{
	for (size_t i = 0; i < s->n; i++) {
		fd_close(&s->v[i].fd);
		free(s->v[i].name);
	}
	free(s->v);
	s->v = NULL;
	s->n = 0;
}

bool host_store_is_open(const struct host_store *s)
{
	return s->socket != NULL;
}

/* --- what the service manager has ------------------------------------------
 */

static struct host_kept *find(struct host_store *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->v[i].name, name) == 0)
			return &s->v[i];
	return NULL;
}

static void add(struct host_store *s, const char *name, int fd)
{
	s->v = xreallocarray(s->v, s->n + 1, sizeof(*s->v));
	s->v[s->n++] = (struct host_kept){
		.name = xstrdup(name), .fd = fd, .seen = true};
}

static void keep_as(struct host_store *s, const char *name, int fd)
{
	cleanup_free char *text = xasprintf("FDSTORE=1\nFDNAME=%s", name);
	struct host_kept *kept = find(s, name);

	if (kept) {
		kept->seen = true;
		fd_close(&kept->fd);
		return;
	}
	if (strlen(name) > NAME_MAX_LEN)
		return; /* systemd takes none for it */
	notify_host_send_fd(s->socket, text, fd);
	add(s, name, -EBADF);
}

static void remove_name(const struct host_store *s, const char *name)
{
	cleanup_free char *text = xasprintf("FDSTOREREMOVE=1\nFDNAME=%s", name);

	notify_host_send(s->socket, text);
}

static void give_up(struct host_store *s, size_t i)
{
	remove_name(s, s->v[i].name);
	fd_close(&s->v[i].fd);
	free(s->v[i].name);
	s->n--;
	memmove(&s->v[i], &s->v[i + 1], (s->n - i) * sizeof(*s->v));
}

static bool begins(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* "rkt.UUID.KIND.APP." */
static char *prefix_make(const struct host_store *s, const char *kind,
			 const char *app)
{
	return xasprintf(HOST_STORE_PREFIX "%s.%s.%s.", s->uuid, kind, app);
}

/* --- what comes back -------------------------------------------------------
 */

bool host_store_take_back(struct host_store *s, int fd, const char *name)
{
	cleanup_free char *ours = xasprintf(HOST_STORE_PREFIX "%s.", s->uuid);

	if (!begins(name, HOST_STORE_PREFIX))
		return false;
	if (begins(name, ours) && s->socket && !find(s, name)) {
		add(s, name, fd);
		return true;
	}
	log_debug("%s is not this pod's: it is given up", name);
	remove_name(s, name);
	(void)close(fd);
	return true;
}

static bool is_pod_netns(int fd)
{
	struct stat own, st;

	return ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET &&
	       fstat(fd, &st) == 0 && stat("/proc/self/ns/net", &own) == 0 &&
	       st.st_ino != own.st_ino;
}

int host_store_take_netns(struct host_store *s)
{
	cleanup_free char *name = xasprintf(HOST_STORE_NETNS, s->uuid);
	struct host_kept *kept = find(s, name);

	if (!kept || kept->fd < 0 || !is_pod_netns(kept->fd))
		return -EBADF;
	return TAKE_FD(kept->fd);
}

void host_store_drop_netns(struct host_store *s)
{
	cleanup_free char *name = xasprintf(HOST_STORE_NETNS, s->uuid);
	struct host_kept *kept = find(s, name);

	if (kept)
		give_up(s, (size_t)(kept - s->v));
}

int host_store_set_netns(struct host_store *s, pid_t pid)
{
	cleanup_free char *path = xasprintf("/proc/%d/ns/net", (int)pid);
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	s->netns_dev = st.st_dev;
	s->netns_ino = st.st_ino;
	return 0;
}

static bool get_cookie(int sock, uint64_t *ret)
{
	socklen_t len = sizeof(*ret);

	return getsockopt(sock, SOL_SOCKET, SO_NETNS_COOKIE, ret, &len) == 0;
}

/* Without root nobody is told which the host's network is (SIOCGSKNS), but
 * whether it is the one we are in (Linux 5.14). */
static bool is_in_own(const struct host_store *s, int sock)
{
	cleanup_fd int own = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t a, b;
	struct stat st;

	return own >= 0 && get_cookie(own, &a) && get_cookie(sock, &b) &&
	       a == b && stat("/proc/self/ns/net", &st) == 0 &&
	       st.st_dev == s->netns_dev && st.st_ino == s->netns_ino;
}

static bool is_in_pod(const struct host_store *s, int sock)
{
	cleanup_fd int netns = ioctl(sock, SIOCGSKNS);
	struct stat st;

	if (netns < 0 && errno == EPERM)
		return is_in_own(s, sock);
	return netns >= 0 && fstat(netns, &st) == 0 &&
	       st.st_dev == s->netns_dev && st.st_ino == s->netns_ino;
}

static int take(struct host_store *s, const char *prefix)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].fd >= 0 && begins(s->v[i].name, prefix) &&
		    is_in_pod(s, s->v[i].fd))
			return TAKE_FD(s->v[i].fd);
	return -EBADF;
}

int host_store_take_listener(struct host_store *s, const char *app)
{
	cleanup_free char *prefix = prefix_make(s, LISTEN, app);

	return take(s, prefix);
}

int host_store_take_port(struct host_store *s, const char *app,
			 const char *port)
{
	cleanup_free char *of_app = prefix_make(s, PORT, app);
	cleanup_free char *prefix = xasprintf("%s%s.", of_app, port);

	return take(s, prefix);
}

void host_store_settle(struct host_store *s)
{
	for (size_t i = s->n; i-- > 0;)
		if (s->v[i].fd >= 0)
			give_up(s, i);
}

/* --- what is kept ----------------------------------------------------------
 */

void host_store_keep_netns(struct host_store *s, int fd)
{
	cleanup_free char *name = xasprintf(HOST_STORE_NETNS, s->uuid);

	if (s->socket)
		keep_as(s, name, fd);
}

void host_store_begin(struct host_store *s, enum host_store_kind kind,
		      const char *app)
{
	cleanup_free char *prefix =
		prefix_make(s, kind == HOST_STORE_PORTS ? PORT : LISTEN, app);

	for (size_t i = 0; i < s->n; i++)
		s->v[i].seen = !begins(s->v[i].name, prefix);
}

void host_store_keep(struct host_store *s, const char *app, const char *port,
		     ino_t inode, int fd)
{
	cleanup_free char *prefix = prefix_make(s, port ? PORT : LISTEN, app);
	cleanup_free char *name =
		xasprintf("%s%s%s%llu", prefix, port ? port : "",
			  port ? "." : "", (unsigned long long)inode);

	if (s->socket && fd >= 0 && is_in_pod(s, fd))
		keep_as(s, name, fd);
}

void host_store_end(struct host_store *s)
{
	for (size_t i = s->n; i-- > 0;)
		if (!s->v[i].seen)
			give_up(s, i);
}

void host_store_clear(struct host_store *s)
{
	while (s->n)
		give_up(s, s->n - 1);
}

/* --- for another supervisor ------------------------------------------------
 */

struct names {
	struct strv names;
};

static const struct state_row state_rows[] = {
	STATE_ROW(struct names, names),
};

void host_store_save(const struct host_store *s, struct state_writer *w,
		     const char *key)
{
	struct names saved = {STRV_INIT};

	for (size_t i = 0; i < s->n; i++)
		strv_push(&saved.names, s->v[i].name);
	STATE_WRITE_OBJECT(w, key, state_rows, &saved);
	strv_release(&saved.names);
}

int host_store_restore(const struct json_node *node, struct host_store *ret)
{
	struct names saved = {STRV_INIT};
	int r = STATE_READ(node, state_rows, &saved);

	for (size_t i = 0; r == 0 && i < saved.names.n; i++)
		add(ret, saved.names.v[i], -EBADF);
	strv_release(&saved.names);
	return r;
}

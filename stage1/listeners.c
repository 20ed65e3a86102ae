/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/syscalls.h"
#include "stage1/bind_call.h"
#include "stage1/generation.h"
#include "stage1/handover.h"
#include "stage1/held.h"
#include "stage1/sockets.h"
#include "stage1/steer.h"
#include "stage1/users.h"

/* The file of a unix socket (O_PATH): linux/un.h, which is at odds with
 * sys/un.h. */
#define SIOCUNIXFILE (SIOCPROTOPRIVATE + 0)

/* Of an IPv4 or IPv6 address; 0 of others. */
static uint16_t address_port(const struct sockaddr_storage *addr)
{
	const struct sockaddr_in *v4 = (const void *)addr;
	const struct sockaddr_in6 *v6 = (const void *)addr;

	switch (addr->ss_family) {
	case AF_INET:
		return ntohs(v4->sin_port);
	case AF_INET6:
		return ntohs(v6->sin6_port);
	default:
		return 0;
	}
}

/* --- the sockets of a generation -------------------------------------------
 */

static bool is_unix_path(const struct held_listener *h)
{
	return h->domain == AF_UNIX &&
	       ((const struct sockaddr_un *)&h->addr)->sun_path[0] != '\0';
}

/* False if its socket file is in no directory of the app's root, or not in a
 * volume: only that is there for the next generation, too. */
static bool find_unix_dir(struct held_listener *h, const struct generation *g)
{
	const struct sockaddr_un *un = (const void *)&h->addr;
	cleanup_fd int root = -EBADF;
	cleanup_free char *path = NULL;
	cleanup_free char *dir = NULL;
	struct stat at_root, at_dir;
	char proc[64];

	if (un->sun_path[0] != '/')
		return false;
	path = xstrndup(un->sun_path, sizeof(un->sun_path));
	(void)snprintf(proc, sizeof(proc), "/proc/%d/root", (int)g->main.pid);
	root = open(proc, O_PATH | O_DIRECTORY | O_CLOEXEC);
	dir = xstrndup(path, (size_t)(path_base(path) - path));
	h->dirfd = root < 0 ? -EBADF
			    : open_in_root(root, dir, O_PATH | O_DIRECTORY);
	if (h->dirfd < 0 || fstat(root, &at_root) < 0 ||
	    fstat(h->dirfd, &at_dir) < 0 || at_root.st_dev == at_dir.st_dev)
		return false;
	h->name = xstrdup(path_base(path));
	h->kept_name = xasprintf(".%s.rkt-held", h->name);
	return true;
}

/* A second name for the socket file, so that it outlives the unlink of a
 * server that cleans up, or of one that makes room for its own. */
static bool keep_unix_name(const struct held_listener *h,
			   const struct generation *g)
{
	/* A volume of theirs takes files from nobody else. */
	const struct users *users = &g->app->pod->users;
	struct error err = ERROR_INIT;
	int r;

	if (users_act(users, &err) < 0)
		log_failure(&err, g->app->name);
	(void)unlinkat(h->dirfd, h->kept_name, 0);
	r = linkat(h->dirfd, h->name, h->dirfd, h->kept_name, 0);
	users_rest(users);
	return r == 0;
}

static bool keep_unix_path(struct held_listener *h, struct generation *g)
{
	return find_unix_dir(h, g) && keep_unix_name(h, g);
}

/* The very file H is bound to. */
static bool is_its_file(const struct held_listener *h, const char *name)
{
	cleanup_fd int file = ioctl(h->fd, SIOCUNIXFILE);
	struct stat bound, st;

	return file >= 0 && fstat(file, &bound) == 0 &&
	       fstatat(h->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_dev == bound.st_dev && st.st_ino == bound.st_ino;
}

/* H came from the stage1 before this one: is it to be found where G would make
 * it? */
static bool find_unix_path(struct held_listener *h, const struct generation *g)
{
	return find_unix_dir(h, g) &&
	       (is_its_file(h, h->kept_name) ||
		(is_its_file(h, h->name) && keep_unix_name(h, g)));
}

/* Its name is a file again, and the second name stays for another time. */
static int restore_unix_path(const struct held_listener *h,
			     const struct users *users)
{
	cleanup_free char *temp = NULL;
	struct error err = ERROR_INIT;
	int r;

	if (!h->kept_name)
		return 0;
	temp = xasprintf("%s.new", h->kept_name);
	r = users_act(users, &err);
	(void)unlinkat(h->dirfd, temp, 0);
	if (r == 0 && (linkat(h->dirfd, h->kept_name, h->dirfd, temp, 0) < 0 ||
		       renameat(h->dirfd, temp, h->dirfd, h->name) < 0))
		r = -errno;
	/* Nothing is renamed where both are the same file already. */
	(void)unlinkat(h->dirfd, temp, 0);
	users_rest(users);
	return r;
}

/* Will the next generation come to the same address? */
static bool will_come_back(struct held_listener *h, struct generation *g)
{
	const struct pod *pod = g->app->pod;

	/* The kernel chose the address. */
	if (h->domain == AF_UNIX &&
	    h->addrlen <= offsetof(struct sockaddr_un, sun_path))
		return false;
	if (h->domain == AF_UNIX)
		return !is_unix_path(h) || keep_unix_path(h, g);
	/* Port 0: every other bind of TCP has passed through our hands; but
	 * for stage1/unseen.h. */
	if ((h->domain == AF_INET || h->domain == AF_INET6) &&
	    h->protocol == IPPROTO_TCP)
		return (h->reuseport && !g->may_uring) ||
		       pod_has_bound(pod, g, address_port(&h->addr));
	return true;
}

static bool is_held_already(struct pod_app *app, ino_t inode)
{
	for (size_t i = 0; i < app->n_held; i++)
		if (app->held[i].inode == inode) {
			app->held[i].seen = true;
			return true;
		}
	return false;
}

/* Takes FD if it is a listening socket not held yet. */
/* False, with FD closed, of what is not to be held. */
static bool look_at_socket(struct pod_app *app, int fd,
			   struct held_listener *ret)
{
	struct held_listener h = {
		.fd = fd,
		.addrlen = sizeof(h.addr),
		.dirfd = -EBADF,
		.next_fd = -EBADF,
	};
	int reuseport = 0, v6only = 0;
	struct stat st;

	if (app->n_held >= HELD_MAX || fstat(fd, &st) < 0 ||
	    is_held_already(app, st.st_ino) || !held_is_listening(fd) ||
	    !held_option(fd, SOL_SOCKET, SO_DOMAIN, &h.domain) ||
	    !held_option(fd, SOL_SOCKET, SO_TYPE, &h.type) ||
	    !held_option(fd, SOL_SOCKET, SO_PROTOCOL, &h.protocol) ||
	    getsockname(fd, (struct sockaddr *)&h.addr, &h.addrlen) < 0) {
		(void)close(fd);
		return false;
	}
	if (h.domain == AF_INET6)
		(void)held_option(fd, SOL_IPV6, IPV6_V6ONLY, &v6only);
	h.v6only = v6only;
	if (h.protocol == IPPROTO_TCP)
		h.form = listen_form_make(&h.addr, v6only);
	h.inode = st.st_ino;
	h.seen = true;
	h.uid = st.st_uid;
	h.reuseport = held_option(fd, SOL_SOCKET, SO_REUSEPORT, &reuseport) &&
		      reuseport;
	*ret = h;
	return true;
}

static void hold_socket(struct generation *g, int fd)
{
	struct held_listener h;

	if (!look_at_socket(g->app, fd, &h))
		return;
	if (!will_come_back(&h, g)) {
		held_release(&h);
		return;
	}
	h.backlog = held_backlog(fd);
	/* Of a unix socket listen(2) would make us who clients see behind it
	 * (SO_PEERCRED): not while the app serves. */
	if (h.domain != AF_UNIX)
		(void)listen(fd, HELD_BACKLOG);
	held_add(g->app, &h);
}

void listeners_adopt(struct generation *g, int fd)
{
	struct held_listener h;

	if (!look_at_socket(g->app, fd, &h))
		return;
	/* In the midst of an update it let some in, and not all. */
	(void)steer_remove(fd);
	(void)held_unfilter(fd);
	h.backlog = held_backlog(fd);
	(void)listen(fd, HELD_BACKLOG);
	held_add(g->app, &h);
}

void listeners_find_adopted(struct generation *g)
{
	struct pod_app *app = g->app;

	for (size_t i = app->n_held; i-- > 0;) {
		struct held_listener *h = &app->held[i];

		if (is_unix_path(h) && h->dirfd < 0 && !find_unix_path(h, g)) {
			log_debug("app %s: nobody finds its unix socket %.*s "
				  "any more",
				  app->name, (int)sizeof(h->addr) - 2,
				  ((struct sockaddr_un *)&h->addr)->sun_path);
			held_forget(app, i);
		}
	}
}

static bool hold_found(void *data, int fd)
{
	hold_socket(data, fd);
	return false;
}

int listeners_hold(struct generation *g, struct error *err)
{
	int r = sockets_each(g, hold_found, g, err);

	return r < 0 ? r : (int)g->app->n_held;
}

/* --- answering bind --------------------------------------------------------
 */

static bool same_address(const struct held_listener *h,
			 const struct bind_call *call)
{
	if (h->domain != call->domain || h->type != call->type ||
	    h->protocol != call->protocol)
		return false;
	if (call->domain == AF_INET) {
		const struct sockaddr_in *a = (const void *)&h->addr;
		const struct sockaddr_in *b = (const void *)&call->addr;

		return a->sin_port == b->sin_port &&
		       a->sin_addr.s_addr == b->sin_addr.s_addr;
	}
	if (call->domain == AF_INET6) {
		const struct sockaddr_in6 *a = (const void *)&h->addr;
		const struct sockaddr_in6 *b = (const void *)&call->addr;

		return a->sin6_port == b->sin6_port &&
		       h->v6only == call->v6only &&
		       a->sin6_scope_id == b->sin6_scope_id &&
		       memcmp(&a->sin6_addr, &b->sin6_addr,
			      sizeof(a->sin6_addr)) == 0;
	}
	/* Servers give the length with or without the final NUL. */
	if (call->domain == AF_UNIX) {
		const struct sockaddr_un *a = (const void *)&h->addr;
		const struct sockaddr_un *b = (const void *)&call->addr;

		if (a->sun_path[0] == '\0')
			return h->addrlen == call->addrlen &&
			       memcmp(a, b, h->addrlen) == 0;
		return strncmp(a->sun_path, b->sun_path, sizeof(a->sun_path)) ==
		       0;
	}
	return false;
}

/* A server that only tried its address closes that socket and comes again. */
static void forget_if_closed(struct generation *g, struct held_listener *h)
{
	if (h->next_fd >= 0 && !held_is_listening(h->next_fd) &&
	    sockets_has(g, h->next_fd, NULL) == 0)
		fd_close(&h->next_fd);
}

static struct held_listener *find_held(struct generation *g,
				       const struct bind_call *call)
{
	struct pod_app *app = g->app;

	for (size_t i = 0; i < app->n_held; i++) {
		struct held_listener *h = &app->held[i];

		if (h->fd < 0 || h->taken || !same_address(h, call))
			continue;
		forget_if_closed(g, h);
		/* One held socket serves one: a second bind of the address
		 * is the app's own doing. */
		if (h->next_fd < 0)
			return h;
	}
	return NULL;
}

/* Of held sockets that wait, or of the new generation's own. */
static bool overlaps(struct generation *g, const struct listen_form *form,
		     bool waiting)
{
	struct pod_app *app = g->app;

	for (size_t i = 0; i < app->n_held; i++) {
		struct held_listener *h = &app->held[i];

		if (!listen_form_overlaps(&h->form, form))
			continue;
		if (!h->taken)
			forget_if_closed(g, h);
		if (waiting ? held_is_waiting(h) : h->taken || h->next_fd >= 0)
			return true;
	}
	return false;
}

/* Would the kernel let this socket bind if nobody shared anything? */
static bool is_in_use(struct pod *pod, const struct bind_call *call)
{
	static const struct {
		int level, option;
	} copied[] = {
		{SOL_SOCKET, SO_REUSEADDR},
		{SOL_IPV6, IPV6_V6ONLY},
		{SOL_IP, IP_FREEBIND},
	};
	cleanup_fd int fd = -EBADF;

	if (pod_net_enter(pod) < 0)
		return true;
	fd = socket(call->domain, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pod_net_leave(pod);
	if (fd < 0)
		return true;
	for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++) {
		int value;

		if (held_option(call->fd, copied[i].level, copied[i].option,
				&value))
			(void)setsockopt(fd, copied[i].level, copied[i].option,
					 &value, sizeof(value));
	}
	return bind(fd, (const struct sockaddr *)&call->addr, call->addrlen) <
	       0;
}

static void gather_facts(struct generation *g, const struct bind_call *call,
			 const struct held_listener *held,
			 struct bind_facts *facts)
{
	struct pod *pod = g->app->pod;
	struct listen_form form;
	int value;

	*facts = (struct bind_facts){
		.is_tcp =
			(call->domain == AF_INET || call->domain == AF_INET6) &&
			call->type == SOCK_STREAM &&
			call->protocol == IPPROTO_TCP,
		.has_port = call->port != 0,
		.host_net = net_list_kind(&pod->options.nets) == NET_KIND_HOST,
		.is_held = held != NULL,
		.held_reuseport = held && held->reuseport,
	};
	if (!facts->is_tcp || !facts->has_port)
		return;
	form = listen_form_make(&call->addr, call->v6only);
	facts->overlaps_held = overlaps(g, &form, true);
	facts->overlaps_own = facts->overlaps_held && overlaps(g, &form, false);
	facts->has_reuseport =
		held_option(call->fd, SOL_SOCKET, SO_REUSEPORT, &value) &&
		value;
	if (held || (facts->host_net && !facts->overlaps_held))
		return;
	facts->in_use = facts->overlaps_held || is_in_use(pod, call);
	/* Two sockets of one generation that both ask for it share as they
	 * always could. */
	facts->made_reuseport = pod_made_reuseport(pod, g, call->port);
}

static void set_reuseport(struct generation *g, const struct bind_call *call)
{
	int one = 1;

	if (setsockopt(call->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) ==
	    0)
		pod_note_bound(g->app->pod, g, call->domain, call->port, true);
}

/* Only sockets of one user may share. */
static void share_with(struct generation *g, const struct bind_call *call,
		       const struct held_listener *h)
{
	struct stat st;

	set_reuseport(g, call);
	if (fstat(call->fd, &st) == 0 && st.st_uid != h->uid &&
	    fchown(call->fd, h->uid, (gid_t)-1) < 0)
		log_warning("app %s: port %u: its user cannot join the "
			    "listening socket held for it",
			    g->app->name, call->port);
}

static void join(struct generation *g, struct bind_call *call,
		 struct held_listener *h)
{
	share_with(g, call, h);
	h->next_fd = TAKE_FD(call->fd);
}

/* The kernel lets both have the port only if both share it. */
static void bind_beside(struct generation *g, struct bind_call *call)
{
	struct pod_app *app = g->app;
	struct held_listener new = {
		.fd = -EBADF,
		.domain = call->domain,
		.type = call->type,
		.protocol = call->protocol,
		.addr = call->addr,
		.addrlen = call->addrlen,
		.v6only = call->v6only,
		.form = listen_form_make(&call->addr, call->v6only),
		.dirfd = -EBADF,
	};
	int one = 1;

	if (app->n_held >= HELD_MAX)
		return;
	for (size_t i = 0; i < app->n_held; i++) {
		struct held_listener *h = &app->held[i];

		if (!held_is_waiting(h) ||
		    !listen_form_overlaps(&h->form, &new.form))
			continue;
		if (!h->reuseport)
			h->made_reuseport =
				setsockopt(h->fd, SOL_SOCKET, SO_REUSEPORT,
					   &one, sizeof(one)) == 0;
		share_with(g, call, h);
		new.uid = h->uid;
		/* On the host's network nothing stays shared. */
		new.made_reuseport = h->made_reuseport;
		new.reuseport = h->reuseport;
	}
	new.next_fd = TAKE_FD(call->fd);
	/* It may still turn out that it cannot stay. */
	held_keep_out(&new);
	held_add(app, &new);
}

static int copy_options(int from, int to)
{
	static const struct {
		int level, option;
	} options[] = {
		{SOL_SOCKET, SO_REUSEADDR},  {SOL_SOCKET, SO_KEEPALIVE},
		{SOL_SOCKET, SO_LINGER},     {SOL_SOCKET, SO_RCVBUF},
		{SOL_SOCKET, SO_SNDBUF},     {SOL_SOCKET, SO_RCVTIMEO},
		{SOL_SOCKET, SO_SNDTIMEO},   {SOL_SOCKET, SO_PASSCRED},
		{SOL_TCP, TCP_NODELAY},	     {SOL_TCP, TCP_DEFER_ACCEPT},
		{SOL_TCP, TCP_KEEPIDLE},     {SOL_TCP, TCP_KEEPINTVL},
		{SOL_TCP, TCP_KEEPCNT},	     {SOL_TCP, TCP_FASTOPEN},
		{SOL_TCP, TCP_USER_TIMEOUT},
	};
	int flags = fcntl(from, F_GETFL);

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		char value[64];
		socklen_t len = sizeof(value);

		if (getsockopt(from, options[i].level, options[i].option, value,
			       &len) < 0)
			continue;
		/* The kernel doubles what it is told for these two. */
		if (options[i].option == SO_RCVBUF ||
		    options[i].option == SO_SNDBUF)
			*(int *)(void *)value /= 2;
		(void)setsockopt(to, options[i].level, options[i].option, value,
				 len);
	}
	return flags < 0 ? -errno : fcntl(to, F_SETFL, flags);
}

/* Puts the held socket where the app has its own. */
static int substitute(struct generation *g, struct bind_call *call,
		      struct held_listener *h)
{
	struct seccomp_notif_addfd addfd = {
		.id = call->id,
		.flags = SECCOMP_ADDFD_FLAG_SETFD,
		.srcfd = (uint32_t)h->fd,
		.newfd = (uint32_t)call->number,
		.newfd_flags = call->cloexec ? O_CLOEXEC : 0,
	};
	int r;

	if (copy_options(call->fd, h->fd) < 0)
		return -EINVAL;
	r = restore_unix_path(h, &g->app->pod->users);
	if (r < 0)
		return r;
	if (ioctl(g->listener_source.fd, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd) < 0)
		return -errno;
	h->taken = true;
	return 0;
}

/* Returns true if the call is to go on in the kernel, else *ret_error is its
 * result (0 or a negative errno). */
static bool answer(struct generation *g, struct bind_call *call, int *ret_error)
{
	struct held_listener *h = find_held(g, call);
	struct pod_app *app = g->app;
	struct bind_facts facts;

	gather_facts(g, call, h, &facts);
	if (call->type == SOCK_DGRAM && call->port)
		g->has_udp = true;
	if (facts.is_tcp && facts.has_port)
		pod_note_bound(g->app->pod, g, call->domain, call->port, false);
	if (facts.is_tcp && facts.has_port && app->handover &&
	    handover_bind(app->handover, g, call, ret_error))
		return *ret_error == 0;
	switch (bind_decide(&facts)) {
	case BIND_CONTINUE:
		return true;
	case BIND_REUSEPORT:
		set_reuseport(g, call);
		return true;
	case BIND_JOIN:
		join(g, call, h);
		return true;
	case BIND_BESIDE:
		bind_beside(g, call);
		return true;
	case BIND_SUBSTITUTE:
		*ret_error = substitute(g, call, h);
		/* Then the kernel says what is wrong with the address. */
		return *ret_error < 0;
	case BIND_IN_USE:
		*ret_error = -EADDRINUSE;
		return false;
	}
	return true;
}

void listeners_on_notify(struct event_source *source, uint32_t events)
{
	struct generation *g = source->data;
	struct seccomp_notif notif = {0};
	struct seccomp_notif_resp resp = {0};
	struct bind_call call = BIND_CALL_INIT;
	int error = 0;
	bool go_on = true;

	if (!(events & EPOLLIN)) {
		/* Nobody has the filter any more; the pidfd tells the rest. */
		event_remove(&g->app->pod->loop, source);
		source->fd = -EBADF;
		if (g->ops->ending)
			g->ops->ending(g);
		return;
	}
	if (ioctl(source->fd, SECCOMP_IOCTL_NOTIF_RECV, &notif) < 0)
		return;
	if (bind_call_read(source->fd, &notif, &call) == 0) {
		if (g->app->pod->on_bind)
			g->app->pod->on_bind(g, &call);
		go_on = answer(g, &call, &error);
	}
	bind_call_release(&call);
	resp.id = notif.id;
	resp.flags = go_on ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0;
	resp.error = go_on ? 0 : error;
	if (ioctl(source->fd, SECCOMP_IOCTL_NOTIF_SEND, &resp) < 0)
		log_debug("app %s: bind answered too late", g->app->name);
}

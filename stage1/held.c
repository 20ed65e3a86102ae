/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/held.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "stage1/pod.h"
#include "stage1/state.h"

/* Of packets that nobody has forwarded. */
#define HOPS_MAX 255

/* A new process that has not come for one of several sockets at one address
 * after so long has fewer of them. */
#define SURPLUS_MS 500

bool held_option(int fd, int level, int option, int *ret)
{
	socklen_t len = sizeof(*ret);

	return getsockopt(fd, level, option, ret, &len) == 0;
}

bool held_is_listening(int fd)
{
	int value;

	return held_option(fd, SOL_SOCKET, SO_ACCEPTCONN, &value) && value;
}

/* False of what is no listening TCP socket. */
static bool listen_info(int fd, struct tcp_info *ret)
{
	socklen_t len = sizeof(*ret);

	*ret = (struct tcp_info){0};
	return getsockopt(fd, SOL_TCP, TCP_INFO, ret, &len) == 0 &&
	       ret->tcpi_state == TCP_LISTEN;
}

unsigned int held_queue_length(int fd)
{
	struct tcp_info info;

	return listen_info(fd, &info) ? info.tcpi_unacked : 0;
}

int held_backlog(int fd)
{
	struct tcp_info info;

	return listen_info(fd, &info) ? (int)info.tcpi_sacked : 0;
}

void held_add(struct pod_app *app, const struct held_listener *h)
{
	app->held =
		xreallocarray(app->held, app->n_held + 1, sizeof(*app->held));
	app->held[app->n_held++] = *h;
}

static bool has_filter(int fd)
{
	socklen_t len = 0;

	return getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &len) < 0 ||
	       len > 0;
}

bool held_filter(int fd, const struct sock_fprog *program)
{
	return !has_filter(fd) && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER,
					     program, sizeof(*program)) == 0;
}

bool held_unfilter(int fd)
{
	int zero = 0;

	return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &zero,
			  sizeof(zero)) == 0;
}

/* Drops every SYN; what was begun goes on. */
static bool attach_quiet(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13), /* TCP flags */
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, TH_SYN | TH_ACK),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TH_SYN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]),
				     .filter = code};

	return held_filter(fd, &program);
}

/*
 * Who comes has not so many hops left.  A connection inherits that: it is not
 * for sockets that have somebody in the midst of a handshake.
 */
static bool set_hops(int fd, int hops)
{
	int before = 0, domain;

	if (!held_option(fd, SOL_SOCKET, SO_DOMAIN, &domain) ||
	    !held_option(fd, SOL_IP, IP_MINTTL, &before))
		return false;
	/* The app has its own. */
	if (hops && before)
		return false;
	if (domain == AF_INET6)
		(void)setsockopt(fd, SOL_IPV6, IPV6_MINHOPCOUNT, &hops,
				 sizeof(hops));
	return setsockopt(fd, SOL_IP, IP_MINTTL, &hops, sizeof(hops)) == 0;
}

bool held_shut(int fd)
{
	return attach_quiet(fd) || set_hops(fd, HOPS_MAX);
}

void held_keep_out(struct held_listener *h)
{
	int fd = h->fd < 0 ? h->next_fd : h->fd;

	h->asked_quiet = true;
	if (h->is_quiet)
		return;
	h->is_quiet = attach_quiet(fd);
	/* A filter of the app's own would be taken for ours later. */
	if (!h->is_quiet && !has_filter(fd) && !held_is_listening(fd))
		h->is_quiet = set_hops(fd, HOPS_MAX);
}

static void held_let_in(struct held_listener *h)
{
	int fd = h->fd < 0 ? h->next_fd : h->fd;

	if (h->is_quiet && !held_unfilter(fd))
		(void)set_hops(fd, 0);
	h->is_quiet = h->asked_quiet = false;
}

/*
 * TCP_REPAIR lets one bind where others are (the host's network, where we
 * are).
 */
void held_forget_sharing(const struct held_listener *h)
{
	cleanup_fd int fd = socket(h->domain, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = TCP_REPAIR_ON;

	if (fd < 0 ||
	    setsockopt(fd, SOL_TCP, TCP_REPAIR, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)&h->addr, h->addrlen) < 0)
		log_debug("port %u may still be shared", h->form.port);
}

/* The app may have the socket, too: as it was. */
static void undo_changes(struct held_listener *h)
{
	int zero = 0;

	held_let_in(h);
	if (h->made_reuseport) {
		(void)setsockopt(h->fd, SOL_SOCKET, SO_REUSEPORT, &zero,
				 sizeof(zero));
		held_forget_sharing(h);
	}
	/* Of a socket nobody took over: the old one may serve on. */
	if (h->fd >= 0 && h->backlog)
		(void)listen(h->fd, h->backlog);
	h->made_reuseport = false;
}

void held_release(struct held_listener *h)
{
	undo_changes(h);
	if (h->kept_name && h->dirfd >= 0)
		(void)unlinkat(h->dirfd, h->kept_name, 0);
	fd_close(&h->fd);
	fd_close(&h->next_fd);
	fd_close(&h->dirfd);
	free(h->name);
	free(h->kept_name);
}

void held_end_listening(int fd)
{
	(void)shutdown(fd, SHUT_RD);
}

/* The service manager may have it, too, and closes it later. */
static void end_listening(const struct pod_app *app,
			  const struct held_listener *h)
{
	if (h->fd >= 0 && h->form.port &&
	    host_store_is_open(&app->pod->host_store))
		held_end_listening(h->fd);
}

static bool same_place(const struct held_listener *a,
		       const struct held_listener *b)
{
	return a->domain == b->domain && a->type == b->type &&
	       a->protocol == b->protocol && a->v6only == b->v6only &&
	       a->addrlen == b->addrlen &&
	       memcmp(&a->addr, &b->addr, a->addrlen) == 0;
}

static bool is_host_net(const struct pod_app *app)
{
	return net_list_kind(&app->pod->options.nets) == NET_KIND_HOST;
}

/* On the host's network no queue migrates: the new one's other workers get the
 * time to come for theirs. */
static bool may_drop_surplus(const struct pod_app *app, struct held_listener *h)
{
	uint64_t now = monotonic_ns();

	if (!is_host_net(app))
		return true;
	if (!h->surplus_ns)
		h->surplus_ns = now;
	return (now - h->surplus_ns) / 1000000 >= SURPLUS_MS;
}

/*
 * The old one may have had more sockets at one address than the new one:
 * once one of the new is there, the queues of the others migrate into it.
 */
static void drop_surplus(struct pod_app *app)
{
	size_t n = 0;

	for (size_t i = 0; i < app->n_held; i++) {
		struct held_listener *h = &app->held[i];
		bool surplus = false;

		for (size_t j = 0; j < app->n_held && !surplus; j++)
			surplus = app->held[j].taken && !h->taken &&
				  h->next_fd < 0 && h->reuseport &&
				  same_place(h, &app->held[j]);
		if (surplus && may_drop_surplus(app, h)) {
			end_listening(app, h);
			held_release(h);
		} else {
			app->held[n++] = *h;
		}
	}
	app->n_held = n;
}

/* Nothing of the new generation is there yet. */
bool held_is_waiting(const struct held_listener *h)
{
	return h->fd >= 0 && !h->taken && h->next_fd < 0;
}

static void take_over(const struct pod_app *app, struct held_listener *h)
{
	struct stat st;

	if (h->fd >= 0)
		h->is_quiet = h->asked_quiet = false;
	h->backlog = 0;
	/* Its queue migrates into the new one's. */
	end_listening(app, h);
	fd_close(&h->fd);
	h->fd = TAKE_FD(h->next_fd);
	if (fstat(h->fd, &st) == 0)
		h->inode = st.st_ino;
	h->taken = true;
}

static size_t forms_taken(const struct pod_app *app,
			  struct listen_form forms[HELD_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < app->n_held && n < HELD_MAX; i++)
		if (app->held[i].taken)
			forms[n++] = app->held[i].form;
	return n;
}

/* The new generation listens wherever H does. */
static bool is_covered(const struct held_listener *h,
		       const struct listen_form *forms, size_t n)
{
	return h->form.port && listen_form_covered(&h->form, forms, n);
}

/*
 * Held sockets that are covered go all at once, when there is no other that
 * waits: up to then it can be taken back, and nobody has noticed.
 */
static enum held_state may_let_go(struct pod_app *app, bool forced)
{
	enum held_state state = HELD_OVER;
	struct listen_form forms[HELD_MAX];
	size_t n = forms_taken(app, forms);

	for (size_t i = 0; i < app->n_held; i++)
		if (held_is_waiting(&app->held[i]) &&
		    !is_covered(&app->held[i], forms, n))
			return HELD_WAIT;
	for (size_t i = 0; i < app->n_held; i++) {
		struct held_listener *h = &app->held[i];

		if (!held_is_waiting(h))
			continue;
		/* Whoever has begun is in the queue when one looks again. */
		if (!h->asked_quiet) {
			held_keep_out(h);
			state = HELD_WAIT;
		} else if (!forced && held_queue_length(h->fd) &&
			   state == HELD_OVER) {
			state = HELD_QUEUED;
		}
	}
	return state;
}

static void let_go_covered(struct pod_app *app)
{
	size_t n = 0;

	for (size_t i = 0; i < app->n_held; i++) {
		struct held_listener *h = &app->held[i];
		unsigned int waiting;

		if (!held_is_waiting(h)) {
			app->held[n++] = *h;
			continue;
		}
		waiting = held_queue_length(h->fd);
		if (waiting)
			log_warning("app %s: port %u: %u who waited are cut "
				    "off",
				    app->name, h->form.port, waiting);
		end_listening(app, h);
		held_release(h);
	}
	app->n_held = n;
}

/* Into sockets of the new generation that were beside held ones. */
static void let_in_uncontested(struct pod_app *app)
{
	for (size_t i = 0; i < app->n_held; i++) {
		struct held_listener *h = &app->held[i];
		bool contested = false;

		if (!h->taken || !h->asked_quiet)
			continue;
		for (size_t j = 0; j < app->n_held && !contested; j++)
			contested = held_is_waiting(&app->held[j]) &&
				    listen_form_overlaps(&app->held[j].form,
							 &h->form);
		if (!contested)
			held_let_in(h);
	}
}

enum held_state held_advance(struct pod_app *app, bool forced)
{
	enum held_state state;

	for (size_t i = 0; i < app->n_held; i++) {
		struct held_listener *h = &app->held[i];

		if (!h->taken && h->next_fd >= 0 &&
		    held_is_listening(h->next_fd)) {
			app->n_moved += held_queue_length(h->fd);
			take_over(app, h);
		}
	}
	drop_surplus(app);
	state = may_let_go(app, forced);
	if (state == HELD_OVER)
		let_go_covered(app);
	let_in_uncontested(app);
	for (size_t i = 0; i < app->n_held; i++)
		if (app->held[i].fd >= 0 && !app->held[i].taken &&
		    state == HELD_OVER)
			state = HELD_WAIT;
	return state;
}

size_t held_taken(const struct pod_app *app)
{
	size_t n = 0;

	for (size_t i = 0; i < app->n_held; i++)
		n += app->held[i].taken;
	return n;
}

/* A socket of the new generation that meets clients of H; NULL. */
static const struct held_listener *
find_other_form(const struct pod_app *app, const struct held_listener *h)
{
	for (size_t i = 0; i < app->n_held; i++)
		if (app->held[i].taken &&
		    listen_form_overlaps(&app->held[i].form, &h->form))
			return &app->held[i];
	return NULL;
}

bool held_narrower(const struct pod_app *app, struct error *err)
{
	struct listen_form forms[HELD_MAX];
	size_t n = forms_taken(app, forms);
	char now[LISTEN_FORM_TEXT], before[LISTEN_FORM_TEXT];

	for (size_t i = 0; i < app->n_held; i++) {
		const struct held_listener *h = &app->held[i], *other;

		if (!held_is_waiting(h) ||
		    listen_form_covered(&h->form, forms, n))
			continue;
		other = find_other_form(app, h);
		if (!other)
			continue;
		(void)error_set(err, EADDRNOTAVAIL,
				"it listens on %s where the old one listened "
				"on %s: clients would be refused",
				listen_form_text(&other->form, now),
				listen_form_text(&h->form, before));
		return true;
	}
	return false;
}

size_t held_odd_ports(const struct pod_app *app, uint16_t ports[HELD_PORTS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < app->n_held && n < HELD_PORTS_MAX; i++)
		if (held_is_waiting(&app->held[i]) &&
		    find_other_form(app, &app->held[i]))
			ports[n++] = app->held[i].form.port;
	return n;
}

void held_quiet(struct pod_app *app, const uint16_t *ports, size_t n)
{
	for (size_t i = 0; i < app->n_held; i++)
		for (size_t j = 0; j < n; j++)
			if (app->held[i].fd >= 0 &&
			    app->held[i].form.port == ports[j])
				held_keep_out(&app->held[i]);
}

bool held_are_empty(const struct pod_app *app)
{
	for (size_t i = 0; i < app->n_held; i++)
		if (app->held[i].asked_quiet && !app->held[i].taken &&
		    held_queue_length(app->held[i].fd) > 0)
			return false;
	return true;
}

void held_widen(struct pod_app *app)
{
	for (size_t i = 0; i < app->n_held; i++)
		if (app->held[i].domain == AF_UNIX)
			(void)listen(app->held[i].fd, HELD_BACKLOG);
}

void held_rewind(struct pod_app *app)
{
	size_t n = 0;

	for (size_t i = 0; i < app->n_held; i++) {
		struct held_listener *h = &app->held[i];

		/* Nobody ever got into those beside one that is still held. */
		if (h->fd < 0 || (h->taken && h->asked_quiet)) {
			held_release(h);
			continue;
		}
		fd_close(&h->next_fd);
		undo_changes(h);
		h->taken = false;
		h->surplus_ns = 0;
		(void)listen(h->fd, HELD_BACKLOG);
		app->held[n++] = *h;
	}
	app->n_held = n;
}

void held_forget(struct pod_app *app, size_t index)
{
	held_release(&app->held[index]);
	app->n_held--;
	memmove(&app->held[index], &app->held[index + 1],
		(app->n_held - index) * sizeof(*app->held));
}

void held_drop(struct pod_app *app)
{
	for (size_t i = 0; i < app->n_held; i++)
		held_release(&app->held[i]);
	free(app->held);
	app->held = NULL;
	app->n_held = 0;
}

/* --- for another supervisor ------------------------------------------------
 */

static const struct state_row state_rows[] = {
	STATE_FD_ROW(struct held_listener, fd),
	STATE_ROW(struct held_listener, domain),
	STATE_ROW(struct held_listener, type),
	STATE_ROW(struct held_listener, protocol),
	STATE_ROW(struct held_listener, addr),
	STATE_ROW(struct held_listener, addrlen),
	STATE_ROW(struct held_listener, v6only),
	STATE_ROW(struct held_listener, uid),
	STATE_ROW(struct held_listener, reuseport),
	STATE_ROW(struct held_listener, backlog),
	STATE_ROW(struct held_listener, made_reuseport),
	STATE_ROW(struct held_listener, asked_quiet),
	STATE_ROW(struct held_listener, is_quiet),
	STATE_FD_ROW(struct held_listener, dirfd),
	STATE_NULLABLE_ROW(struct held_listener, name),
	STATE_NULLABLE_ROW(struct held_listener, kept_name),
	STATE_FD_ROW(struct held_listener, next_fd),
	STATE_ROW(struct held_listener, taken),
	STATE_ROW(struct held_listener, seen),
};

void held_save(const struct held_listener *v, size_t n, struct state_writer *w,
	       const char *key)
{
	json_open_array(&w->json, key);
	for (size_t i = 0; i < n; i++)
		STATE_WRITE_OBJECT(w, NULL, state_rows, &v[i]);
	json_close_array(&w->json);
}

int held_restore(const struct json_node *list, struct held_listener **v,
		 size_t *n)
{
	struct json_node item;
	struct stat st;
	int r = 0;

	for (size_t i = 0; r == 0 && json_item(list, i, &item); i++) {
		struct held_listener *h;

		*v = xreallocarray(*v, *n + 1, sizeof(**v));
		h = &(*v)[(*n)++];
		*h = (struct held_listener){
			.fd = -EBADF,
			.dirfd = -EBADF,
			.next_fd = -EBADF,
		};
		r = STATE_READ(&item, state_rows, h);
		if (h->protocol == IPPROTO_TCP)
			h->form = listen_form_make(&h->addr, h->v6only);
		if (h->fd >= 0 && fstat(h->fd, &st) == 0)
			h->inode = st.st_ino;
	}
	return r;
}

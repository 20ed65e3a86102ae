/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
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
#include "base/process_tree.h"
#include "base/strbuf.h"
#include "base/syscalls.h"
#include "spec/stage1_abi.h"
#include "stage1/environment.h"
#include "stage1/fd_store.h"
#include "stage1/generation.h"
#include "stage1/notify_message.h"
#include "stage1/pod.h"
#include "stage1/state.h"

/* SCM_MAX_FD of the kernel: no message carries more. */
#define FDS_MAX 253
#define PROCS_MAX (1024UL * 1024)
/* What an app says is written down at most this often. */
#define SAVE_MS 50
/* More than the kernel queues (net.unix.max_dgram_qlen). */
#define DRAIN_MAX 1024

struct notify {
	struct generation *g;
	struct event_source source;
	struct event_timer watchdog_timer;
	struct event_timer save_timer;
	bool expected; /* the image says that it tells */
	bool released;
	bool ready, stopping, reloading;
	int error;
	char bus_error[NOTIFY_BUS_ERROR_MAX + 1];
	char *status;
	size_t fd_max;
	uint64_t watchdog_usec;
	uint64_t extended_until_ns;
};

/* --- for rkt status ----------------------------------------------------------
 */

static void save(struct event_timer *timer)
{
	struct notify *n = timer->data;
	const struct generation *g = n->g;
	cleanup_free char *name = xasprintf(
		POD_STATUS_DIR "/%s" STATUS_NOTIFY_SUFFIX, g->app->name);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;

	if (g->app->current != g)
		return;
	strbuf_addf(&text, "READY=%d\n", n->ready);
	if (n->stopping)
		strbuf_addstr(&text, "STOPPING=1\n");
	if (n->reloading)
		strbuf_addstr(&text, "RELOADING=1\n");
	if (n->error)
		strbuf_addf(&text, "ERRNO=%d\n", n->error);
	if (n->bus_error[0])
		strbuf_addf(&text, "BUSERROR=%s\n", n->bus_error);
	if (n->status && *n->status)
		strbuf_addf(&text, "STATUS=%s\n", n->status);
	if (write_string_at(g->app->pod->dirfd, name, 0644, text.buf, &err) < 0)
		log_failure(&err, NULL);
	g->app->has_notified = true;
}

static void save_soon(struct notify *n)
{
	if (n->save_timer.deadline_ns)
		return;
	event_timer_set(&n->g->app->pod->loop, &n->save_timer, SAVE_MS);
}

/* --- watchdog ----------------------------------------------------------------
 */

static void watchdog_bites(struct notify *n, const char *why)
{
	log_warning("app %s: watchdog: %s, it is aborted", n->g->app->name,
		    why);
	generation_stop(n->g, SIGABRT, STOP_TIMEOUT_MS);
}

static void on_watchdog(struct event_timer *timer)
{
	watchdog_bites(timer->data, "it has not pinged in time");
}

/* It begins when the app runs, and has said so if it is to. */
static void watchdog_rearm(struct notify *n)
{
	struct event_loop *loop = &n->g->app->pod->loop;

	event_timer_cancel(loop, &n->watchdog_timer);
	if (!n->watchdog_usec || !n->released || n->g->stop_sent ||
	    (n->expected && !n->ready))
		return;
	event_timer_set(loop, &n->watchdog_timer, n->watchdog_usec / 1000 + 1);
}

/* --- who says it -------------------------------------------------------------
 */

struct sender {
	pid_t pid;
	int pidfd;
};

static bool has_process(const struct generation *g, pid_t pid)
{
	cleanup_process_tree struct process_tree all = PROCESS_TREE_INIT;

	return generation_processes(g, &all, NULL) == 0 &&
	       process_tree_has(&all, pid);
}

/* True for one that has ended meanwhile, too, where the kernel can tell. */
static bool is_ours(const struct generation *g, const struct sender *sender)
{
	struct sys_pidfd_info info = {
		.mask = SYS_PIDFD_INFO_CGROUPID | SYS_PIDFD_INFO_EXIT,
	};
	struct stat st;

	if (sender->pid <= 0)
		return false;
	/* Not reaped yet, so the number is still its own. */
	if (g->main.pidfd >= 0 && sender->pid == g->main.pid)
		return true;
	if (sender->pidfd >= 0 && g->leaf.dirfd >= 0 &&
	    sys_pidfd_get_info(sender->pidfd, &info) == 0 &&
	    info.mask & SYS_PIDFD_INFO_CGROUPID)
		return fstat(g->leaf.dirfd, &st) == 0 &&
		       info.cgroupid == st.st_ino;
	return has_process(g, sender->pid);
}

/* Is process PID number POD_PID in the pod? */
static bool has_pod_pid(pid_t pid, pid_t pod_pid)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	char path[64];
	const char *line;
	char *end;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (read_file_at(AT_FDCWD, path, PROCS_MAX, &text, NULL) < 0)
		return false;
	line = strstr(text.buf, "\nNSpid:");
	if (!line)
		return false;
	(void)strtol(line + strlen("\nNSpid:"), &end, 10);
	return strtol(end, NULL, 10) == pod_pid;
}

/* A pidfd of the generation's process POD_PID, and its number here. */
static int find_process(const struct generation *g, pid_t pod_pid,
			pid_t *ret_pid)
{
	cleanup_process_tree struct process_tree all = PROCESS_TREE_INIT;
	int r = generation_processes(g, &all, NULL);

	for (size_t i = 0; r == 0 && i < all.n; i++) {
		pid_t pid = all.pids[i];
		int fd;

		if (!has_pod_pid(pid, pod_pid))
			continue;
		fd = pidfd_open(pid, 0);
		/* All of that was of it only if it is still there. */
		if (fd >= 0 && has_pod_pid(pid, pod_pid) &&
		    has_process(g, pid)) {
			*ret_pid = pid;
			return fd;
		}
		fd_close(&fd);
	}
	return -ESRCH;
}

/* --- what it says ------------------------------------------------------------
 */

static void take_main_pid(struct notify *n, pid_t pod_pid)
{
	struct generation *g = n->g;
	pid_t pid;
	int fd;

	if (pod_pid == g->main.pod_pid && g->main.pidfd >= 0) {
		generation_adopt(g, -EBADF, 0);
		return;
	}
	fd = find_process(g, pod_pid, &pid);
	if (fd < 0)
		log_warning("app %s: MAINPID=%d is no process of it",
			    g->app->name, (int)pod_pid);
	else
		generation_adopt(g, fd, pid);
}

static void store_fds(struct notify *n, const struct notify_message *m,
		      int *fds, size_t n_fds)
{
	struct pod_app *app = n->g->app;
	const char *name = m->fd_name[0] ? m->fd_name : FD_NAME_DEFAULT;

	if (!app->store)
		app->store = fd_store_new(&app->pod->loop);
	fd_store_set_max(app->store, n->fd_max);
	for (size_t i = 0; i < n_fds; i++) {
		struct error err = ERROR_INIT;

		if (fd_store_add(app->store, TAKE_FD(fds[i]), name, m->fd_poll,
				 &err) < 0)
			log_failure(&err, app->name);
	}
}

static void remove_fds(struct notify *n, const struct notify_message *m)
{
	if (!m->fd_name[0])
		log_warning("app %s: FDSTOREREMOVE=1 without a FDNAME",
			    n->g->app->name);
	else if (n->g->app->store)
		(void)fd_store_remove(n->g->app->store, m->fd_name);
}

static void extend(struct notify *n, uint64_t usec)
{
	struct generation *g = n->g;
	uint64_t until = monotonic_ns() + usec * 1000;

	n->extended_until_ns = until;
	if (g->kill_timer.deadline_ns && g->kill_timer.deadline_ns < until)
		event_timer_set(&g->app->pod->loop, &g->kill_timer,
				usec / 1000);
}

static void take_state(struct notify *n, const struct notify_message *m)
{
	if (m->has_status) {
		free(n->status);
		n->status = xstrdup(m->status);
	}
	if (m->has_errno)
		n->error = m->error;
	if (m->bus_error[0])
		memcpy(n->bus_error, m->bus_error, sizeof(n->bus_error));
	if (m->reloading)
		n->reloading = true;
	if (m->stopping)
		n->stopping = true;
	if (m->ready) {
		n->reloading = false;
		n->ready = true;
	}
	if (m->has_status || m->has_errno || m->bus_error[0] || m->reloading ||
	    m->stopping || m->ready)
		save_soon(n);
	if (m->ready) {
		/* Who asks wants the file to say so, too. */
		save(&n->save_timer);
		if (n->g->app->pod->on_told)
			n->g->app->pod->on_told(n->g->app->pod);
	}
}

static void take_message(struct notify *n, const struct notify_message *m,
			 int *fds, size_t n_fds)
{
	bool was_ready = n->ready;

	if (m->fd_store_remove)
		remove_fds(n, m);
	if (m->fd_store)
		store_fds(n, m, fds, n_fds);
	if (m->extend_usec)
		extend(n, m->extend_usec);
	/* A handler before or after it does not speak for the app. */
	if (n->g->state != GENERATION_RUNNING)
		return;
	if (m->main_pid)
		take_main_pid(n, m->main_pid);
	if (m->watchdog_usec)
		n->watchdog_usec = m->watchdog_usec;
	take_state(n, m);
	if (m->watchdog == NOTIFY_WATCHDOG_TRIGGER)
		watchdog_bites(n, "it asks for it");
	else if (m->watchdog == NOTIFY_WATCHDOG_PING || m->watchdog_usec ||
		 n->ready != was_ready)
		watchdog_rearm(n);
}

/* --- receiving ---------------------------------------------------------------
 */

struct datagram {
	char text[NOTIFY_MESSAGE_MAX + 1];
	size_t len;
	struct sender sender;
	int fds[FDS_MAX];
	size_t n_fds;
};

static void take_control(struct msghdr *msg, struct datagram *d)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		size_t size = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_RIGHTS &&
		    size <= (FDS_MAX - d->n_fds) * sizeof(int)) {
			memcpy(d->fds + d->n_fds, CMSG_DATA(c), size);
			d->n_fds += size / sizeof(int);
		} else if (c->cmsg_type == SCM_CREDENTIALS) {
			struct ucred cred;

			memcpy(&cred, CMSG_DATA(c), sizeof(cred));
			d->sender.pid = cred.pid;
		} else if (c->cmsg_type == SCM_PIDFD) {
			memcpy(&d->sender.pidfd, CMSG_DATA(c), sizeof(int));
		}
	}
}

/* 1 with a datagram, whose descriptors are the caller's to close; 0 without;
 * -errno. */
static int receive(int fd, struct datagram *d)
{
	struct iovec iov = {.iov_base = d->text, .iov_len = sizeof(d->text)};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(struct ucred)) +
			 CMSG_SPACE(sizeof(int)) +
			 CMSG_SPACE(sizeof(int) * FDS_MAX)];
	} control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	d->n_fds = 0;
	d->sender = (struct sender){.pidfd = -EBADF};
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	take_control(&msg, d);
	/* One byte more than what may be: it is refused as too long. */
	d->len = msg.msg_flags & MSG_TRUNC ? sizeof(d->text) : (size_t)n;
	return 1;
}

static void understand(struct notify *n, struct datagram *d)
{
	struct notify_message m;

	if (!is_ours(n->g, &d->sender)) {
		log_debug("app %s: process %d is none of it: not heard",
			  n->g->app->name, (int)d->sender.pid);
		return;
	}
	if (notify_message_parse(d->text, d->len, &m) < 0) {
		log_debug("app %s: a notification cannot be read",
			  n->g->app->name);
		return;
	}
	/* Closing its descriptor says that all before was seen to. */
	if (!m.barrier)
		take_message(n, &m, d->fds, d->n_fds);
}

/* Returns false when nothing is left to read. */
static bool serve_one(struct notify *n)
{
	struct datagram d = {.n_fds = 0};
	int r = receive(n->source.fd, &d);

	if (r <= 0)
		return false;
	understand(n, &d);
	for (size_t i = 0; i < d.n_fds; i++)
		fd_close(&d.fds[i]);
	fd_close(&d.sender.pidfd);
	return true;
}

static void on_datagram(struct event_source *source, uint32_t events)
{
	(void)events;
	(void)serve_one(source->data);
}

void generation_notify_drain(struct generation *g)
{
	for (int i = 0; g->notify && i < DRAIN_MAX; i++)
		if (!serve_one(g->notify))
			return;
}

/* --- the socket --------------------------------------------------------------
 */

static int open_socket(int dev, struct error *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *name = path_base(NOTIFY_SOCKET_PATH);
	cleanup_fd int fd = -EBADF;
	char dir[PROC_FD_MAX];
	int one = 1;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) < 0)
		return error_sys(err, errno, "create the notify socket");
	/* Without (before Linux 6.5) a sender has to live until it is heard. */
	(void)setsockopt(fd, SOL_SOCKET, SO_PASSPIDFD, &one, sizeof(one));
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s",
		       proc_fd_path(dev, dir), name);
	if (bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    fchmodat(dev, name, 0666, 0) < 0)
		return error_sys(err, errno, "create " NOTIFY_SOCKET_PATH);
	return TAKE_FD(fd);
}

/* The app's own counts before its image's. */
static const char *annotation(const struct generation *g, const char *name)
{
	const char *own = name_values_get(&g->runtime_app.annotations, name);

	return own ? own : name_values_get(&g->image.annotations, name);
}

static void read_annotations(struct notify *n)
{
	const struct generation *g = n->g;
	const char *watchdog = annotation(g, WATCHDOG_ANNOTATION);
	const char *max = annotation(g, FD_STORE_MAX_ANNOTATION);
	const char *told = annotation(g, NOTIFY_ANNOTATION);
	int64_t ns;

	n->expected = told && strcmp(told, "true") == 0;
	if (fd_store_parse_max(max, &n->fd_max) < 0)
		log_warning("app %s: " FD_STORE_MAX_ANNOTATION
			    " %s is no number up to %d, using %d",
			    g->app->name, max, FD_STORE_LIMIT,
			    FD_STORE_DEFAULT);
	if (!watchdog)
		return;
	if (parse_duration(watchdog, &ns) == 0 && ns >= 1000)
		n->watchdog_usec = (uint64_t)ns / 1000;
	else
		log_warning("app %s: " WATCHDOG_ANNOTATION
			    " %s is no duration, there is no watchdog",
			    g->app->name, watchdog);
}

static struct notify *new_notify(struct generation *g)
{
	struct notify *n = g->notify = xcalloc(1, sizeof(*n));

	*n = (struct notify){
		.g = g,
		.source = {.fd = -EBADF, .fn = on_datagram, .data = n},
		.watchdog_timer = {.fn = on_watchdog, .data = n},
		.save_timer = {.fn = save, .data = n},
	};
	read_annotations(n);
	return n;
}

static int watch(struct notify *n, struct error *err)
{
	int r = event_add(&n->g->app->pod->loop, &n->source, EPOLLIN);

	return r < 0 ? error_sys(err, -r, "watch the notify socket") : 0;
}

int generation_notify_open(struct generation *g, int dev, struct error *err)
{
	struct notify *n = new_notify(g);

	n->source.fd = open_socket(dev, err);
	return n->source.fd < 0 ? n->source.fd : watch(n, err);
}

void generation_notify_close(struct generation *g)
{
	struct notify *n = g->notify;
	struct event_loop *loop = &g->app->pod->loop;

	if (!n)
		return;
	event_timer_cancel(loop, &n->watchdog_timer);
	event_timer_cancel(loop, &n->save_timer);
	event_remove(loop, &n->source);
	fd_close(&n->source.fd);
	free(n->status);
	free(n);
	g->notify = NULL;
}

/* --- for others --------------------------------------------------------------
 */

void generation_notify_serves(struct generation *g)
{
	struct notify *n = g->notify;

	/* What an earlier generation said is not its. */
	if (n->expected || n->ready || n->status || g->app->has_notified)
		save(&n->save_timer);
	if (n->ready && g->app->pod->on_told)
		g->app->pod->on_told(g->app->pod);
}

void generation_notify_released(struct generation *g)
{
	g->notify->released = true;
	watchdog_rearm(g->notify);
	generation_notify_serves(g);
}

void generation_notify_ending(struct generation *g)
{
	if (!g->notify)
		return;
	event_timer_cancel(&g->app->pod->loop, &g->notify->watchdog_timer);
}

enum notify_readiness notify_readiness(const struct generation *g)
{
	const struct notify *n = g->notify;

	if (!n || !n->expected)
		return NOTIFY_UNUSED;
	return n->ready ? NOTIFY_READY : NOTIFY_AWAITED;
}

uint64_t notify_extended_ms(const struct generation *g)
{
	uint64_t now = monotonic_ns();

	if (!g->notify || g->notify->extended_until_ns <= now)
		return 0;
	return (g->notify->extended_until_ns - now) / 1000000;
}

uint64_t notify_watchdog_usec(const struct generation *g)
{
	return g->notify ? g->notify->watchdog_usec : 0;
}

/* --- for another supervisor ------------------------------------------------
 */

static const struct state_row state_rows[] = {
	STATE_FD_ROW_AS(struct notify, source.fd, "fd"),
	STATE_ROW(struct notify, released),
	STATE_ROW(struct notify, ready),
	STATE_ROW(struct notify, stopping),
	STATE_ROW(struct notify, reloading),
	STATE_ROW(struct notify, error),
	STATE_CHARS_ROW(struct notify, bus_error),
	STATE_NULLABLE_ROW(struct notify, status),
	STATE_ROW(struct notify, fd_max),
	STATE_ROW(struct notify, watchdog_usec),
	STATE_ROW(struct notify, extended_until_ns),
	STATE_ROW(struct notify, watchdog_timer),
	STATE_ROW(struct notify, save_timer),
};

void generation_notify_save(const struct generation *g, struct state_writer *w,
			    const char *key)
{
	STATE_WRITE_OBJECT(w, key, state_rows, g->notify);
}

int generation_notify_restore(struct generation *g,
			      const struct json_node *node, struct error *err)
{
	struct event_loop *loop = &g->app->pod->loop;
	struct notify *n = new_notify(g);
	int r = STATE_READ(node, state_rows, n);

	if (r < 0)
		return r;
	event_timer_resume(loop, &n->watchdog_timer);
	event_timer_resume(loop, &n->save_timer);
	return watch(n, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/reexec.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/process.h"
#include "base/syscalls.h"
#include "spec/stage1_abi.h"
#include "stage1/handoff.h"
#include "stage1/pod.h"
#include "stage1/pod_state.h"
#include "stage1/rootless.h"
#include "stage1/state.h"

/* One that does not answer is none. */
#define TRIAL_MS 10000
/* The same while nobody supervises: it has answered before. */
#define LAST_TRIAL_MS 2000
/* How long what is between two states is waited for, and how often. */
#define SETTLE_MS 10000
#define SETTLE_LOOK_MS 10
/* Of what it says. */
#define SAID_MAX 65536
/* Who has no number in a user namespace (user_namespaces(7)). */
#define OVERFLOW_UID 65534

struct reexec {
	struct pod *pod;
	int program, conn;
	bool check_only;
	/* The trial that is under way. */
	struct event_source trial; /* pidfd */
	int said;
	struct event_timer timer;
	uint64_t settle_until_ns;
	void (*when_settled)(struct reexec *x);
	char new_version[RUNTIME_VERSION_MAX];
};

/* --- answers ---------------------------------------------------------------
 */

static void answer(int conn, int code, const char *old_version,
		   const char *new_version, uint64_t away_us, const char *text)
{
	struct runtime_reply reply = {
		.magic = RUNTIME_MAGIC,
		.code = code,
		.away_us = away_us,
	};

	(void)snprintf(reply.old_version, sizeof(reply.old_version), "%s",
		       old_version);
	(void)snprintf(reply.new_version, sizeof(reply.new_version), "%s",
		       new_version);
	(void)snprintf(reply.text, sizeof(reply.text), "%s", text);
	(void)send(conn, &reply, sizeof(reply), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void reexec_drop(struct pod *pod)
{
	struct reexec *x = pod->reexec;
	int status;

	if (!x)
		return;
	pod->reexec = NULL;
	event_timer_cancel(&pod->loop, &x->timer);
	if (x->trial.fd >= 0) {
		event_remove(&pod->loop, &x->trial);
		(void)sys_pidfd_send_signal(x->trial.fd, SIGKILL);
		(void)process_wait(x->trial.fd, &status);
	}
	fd_close(&x->trial.fd);
	fd_close(&x->said);
	fd_close(&x->program);
	fd_close(&x->conn);
	free(x);
}

static void end(struct reexec *x, int code, const char *text)
{
	if (code)
		log_warning("stays stage1 %s: %s", RKT_VERSION, text);
	answer(x->conn, code, RKT_VERSION, x->new_version, 0, text);
	reexec_drop(x->pod);
}

static void refuse(struct reexec *x, const struct error *err)
{
	end(x, RKT_EXIT_REFUSED, error_innermost(err));
}

/* --- the program -----------------------------------------------------------
 */

/* Without root the host's root is nobody here, and 0 who runs the pod. */
static bool is_trusted(uid_t uid)
{
	return uid == 0 || (is_rootless() && uid == OVERFLOW_UID);
}

/*
 * Apps reach /proc/PID/exe of what enters their namespaces: it must be nobody's
 * to write, by any way (CVE-2019-5736).
 */
static int check_program(int fd, struct error *err)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return error_sys(err, errno, "look at the new stage1");
	if (!S_ISREG(st.st_mode) || !is_trusted(st.st_uid))
		return error_set(err, EPERM,
				 "the new stage1 is no file of root's");
	if (seals >= 0 && seals & F_SEAL_WRITE)
		return 0;
	if (st.st_mode & 022)
		return error_set(err, EPERM,
				 "others than root may write to the new "
				 "stage1");
	if (!(fs.f_flags & ST_RDONLY))
		return error_set(err, EPERM,
				 "the new stage1 is not protected against "
				 "this pod: its mount is writable");
	return 0;
}

static bool is_own_program(int fd)
{
	struct stat own, other;

	return stat("/proc/self/exe", &own) == 0 && fstat(fd, &other) == 0 &&
	       own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

/* --- trials ----------------------------------------------------------------
 */

/* What the next one goes on from. */
struct sealed_record {
	int fd; /* sealed memory */
	struct state_writer w;
};

static void record_release(struct sealed_record *record)
{
	fd_close(&record->fd);
	state_writer_release(&record->w);
}

static int seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS,
		     F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) <
			       0
		       ? -errno
		       : 0;
}

static int record_make(const struct reexec *x, uint64_t left_ns,
		       struct sealed_record *ret, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r;

	state_writer_init(&ret->w, &text);
	ret->fd =
		memfd_create("stage1-record", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (ret->fd < 0)
		return error_sys(err, errno, "create a record");
	r = handoff_make(x->pod, x->conn, left_ns, &text, &ret->w, err);
	if (r < 0)
		return r;
	r = write_full(ret->fd, text.buf, text.len);
	if (r == 0)
		r = seal(ret->fd);
	return r < 0 ? error_sys(err, -r, "write a record") : 0;
}

/* Those of RECORD stay open in what is executed, or do not. */
static void keep_open(const struct sealed_record *record, bool yes)
{
	(void)set_cloexec(record->fd, !yes);
	for (size_t i = 0; i < record->w.n_fds; i++)
		(void)set_cloexec(record->w.fds[i], !yes);
}

struct trial {
	const struct reexec *x;
	const struct sealed_record *record;
};

static void trial_child(const void *arg, int said)
{
	const struct reexec *x = ((const struct trial *)arg)->x;
	const struct sealed_record *record =
		((const struct trial *)arg)->record;
	char name[] = "stage1", entrypoint[] = "adopt", check[] = "--check";
	char option[32];
	cleanup_free char *uuid = xstrdup(x->pod->options.uuid);
	char *const argv[] = {name, entrypoint, check, option, uuid, NULL};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)snprintf(option, sizeof(option), "--record=%d", record->fd);
	if (dup2(said, STDERR_FILENO) < 0)
		_exit(127);
	keep_open(record, true);
	(void)execveat(x->program, "", argv, environ, AT_EMPTY_PATH);
	(void)dprintf(STDERR_FILENO, "it cannot be executed: %s\n",
		      strerrordesc_np(errno));
	_exit(127);
}

/* Tries the program in a child: its pidfd, and SAID where it talks to. */
static int trial_start(const struct reexec *x,
		       const struct sealed_record *record, int *ret_said,
		       struct error *err)
{
	const struct trial trial = {x, record};

	return process_start(0, trial_child, &trial, ret_said, NULL, err);
}

/* The last line of TEXT, without the name of who says it. */
static const char *last_line(char *text)
{
	static const char prefix[] = "stage1: ";
	size_t len = strlen(text);
	char *line;

	while (len && text[len - 1] == '\n')
		text[--len] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	return strncmp(line, prefix, strlen(prefix)) == 0
		       ? line + strlen(prefix)
		       : line;
}

/* The trial behind PIDFD has ended; what it said decides. */
static int trial_result(int pidfd, int said, char version[RUNTIME_VERSION_MAX],
			struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	char how[64];
	const char *line;
	int status = 0;

	(void)process_wait(pidfd, &status);
	(void)set_nonblock(said);
	(void)strbuf_read_fd(&text, said, SAID_MAX);
	line = last_line(text.buf);
	if (status == 0 &&
	    strncmp(line, HANDOFF_CAN, strlen(HANDOFF_CAN)) == 0) {
		(void)snprintf(version, RUNTIME_VERSION_MAX, "%s",
			       line + strlen(HANDOFF_CAN));
		return 0;
	}
	if (status == 0)
		return error_set(err, ENOEXEC,
				 "the new stage1 cannot go on: it does not say "
				 "that it could");
	(void)process_status_text(status, how, sizeof(how));
	return error_set(err, ENOEXEC, "the new stage1 cannot go on: %.900s",
			 WIFSIGNALED(status) || !*line ? how : line);
}

/* --- going -----------------------------------------------------------------
 */

static int last_trial(const struct reexec *x,
		      const struct sealed_record *record, struct error *err)
{
	char version[RUNTIME_VERSION_MAX];
	cleanup_fd int said = -EBADF;
	cleanup_fd int pidfd = trial_start(x, record, &said, err);
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};

	if (pidfd < 0)
		return pidfd;
	if (poll(&ended, 1, LAST_TRIAL_MS) == 0)
		(void)sys_pidfd_send_signal(pidfd, SIGKILL);
	return trial_result(pidfd, said, version, err);
}

/* Returns only if it does not. */
static int execute(const struct reexec *x, const struct sealed_record *record,
		   struct error *err)
{
	char name[] = "stage1", entrypoint[] = "adopt";
	char option[32], back[32] = "--back=";
	cleanup_free char *uuid = xstrdup(x->pod->options.uuid);
	char *const argv[] = {name, entrypoint, option, back, uuid, NULL};
	cleanup_fd int own = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	int r;

	if (own < 0)
		return error_sys(err, errno, "open this stage1");
	(void)snprintf(option, sizeof(option), "--record=%d", record->fd);
	(void)snprintf(back, sizeof(back), "--back=%d", own);
	keep_open(record, true);
	(void)set_cloexec(own, 0);
	(void)execveat(x->program, "", argv, environ, AT_EMPTY_PATH);
	r = -errno;
	keep_open(record, false);
	return error_sys(err, -r, "execute the new stage1");
}

static void go(struct reexec *x)
{
	uint64_t left_ns = monotonic_ns();
	struct sealed_record record = {.fd = -EBADF};
	struct error err = ERROR_INIT;
	int r;

	pod_rewind(x->pod);
	r = record_make(x, left_ns, &record, &err);
	if (r == 0)
		r = last_trial(x, &record, &err);
	if (r == 0)
		(void)execute(x, &record, &err);
	record_release(&record);
	refuse(x, &err);
}

/* --- waiting ---------------------------------------------------------------
 */

static void on_settle(struct event_timer *timer)
{
	struct reexec *x = timer->data;
	struct error err = ERROR_INIT;

	if (pod_is_settled(x->pod, &err))
		x->when_settled(x);
	else if (err.code == EBUSY && monotonic_ns() < x->settle_until_ns)
		event_timer_set(&x->pod->loop, timer, SETTLE_LOOK_MS);
	else
		refuse(x, &err);
}

/* Not at once: who asks for it is done with what it does first. */
static void settle(struct reexec *x, void (*when_settled)(struct reexec *x))
{
	x->settle_until_ns = monotonic_ns() + SETTLE_MS * UINT64_C(1000000);
	x->when_settled = when_settled;
	x->timer.fn = on_settle;
	x->timer.data = x;
	event_timer_set(&x->pod->loop, &x->timer, 0);
}

/* --- the first trial -------------------------------------------------------
 */

static void on_trial_end(struct event_source *source, uint32_t events)
{
	struct reexec *x = source->data;
	struct error err = ERROR_INIT;
	int r;

	(void)events;
	event_timer_cancel(&x->pod->loop, &x->timer);
	event_remove(&x->pod->loop, source);
	r = trial_result(source->fd, x->said, x->new_version, &err);
	fd_close(&source->fd);
	fd_close(&x->said);
	if (r < 0)
		refuse(x, &err);
	else if (x->check_only)
		end(x, 0, "");
	else
		settle(x, go);
}

static void on_trial_timeout(struct event_timer *timer)
{
	struct reexec *x = timer->data;
	struct error err = ERROR_INIT;

	(void)error_set(&err, ETIMEDOUT,
			"the new stage1 does not say whether it can go on");
	refuse(x, &err);
}

static int start_first_trial(struct reexec *x, struct error *err)
{
	struct sealed_record record = {.fd = -EBADF};
	int r = record_make(x, monotonic_ns(), &record, err);

	if (r == 0)
		r = trial_start(x, &record, &x->said, err);
	record_release(&record);
	if (r < 0)
		return r;
	x->trial.fd = r;
	r = event_add(&x->pod->loop, &x->trial, EPOLLIN);
	return r < 0 ? error_sys(err, -r, "watch the trial of the new stage1")
		     : 0;
}

static void first_trial(struct reexec *x)
{
	struct error err = ERROR_INIT;

	x->timer.fn = on_trial_timeout;
	event_timer_set(&x->pod->loop, &x->timer, TRIAL_MS);
	if (start_first_trial(x, &err) < 0)
		refuse(x, &err);
}

/* --- requests --------------------------------------------------------------
 */

void reexec_request(struct pod *pod, const struct runtime_request *request,
		    int program, int conn)
{
	struct error err = ERROR_INIT;
	struct reexec *x;

	if (pod->reexec) {
		answer(conn, RKT_EXIT_REFUSED, RKT_VERSION, "", 0,
		       "another stage1 is being tried already");
		fd_close(&program);
		fd_close(&conn);
		return;
	}
	x = pod->reexec = xcalloc(1, sizeof(*x));
	*x = (struct reexec){
		.pod = pod,
		.program = program,
		.conn = conn,
		.check_only = request->op == RUNTIME_CHECK,
		.trial = {.fd = -EBADF, .fn = on_trial_end, .data = x},
		.said = -EBADF,
	};
	if (check_program(program, &err) < 0) {
		refuse(x, &err);
		return;
	}
	if (is_own_program(program)) {
		(void)snprintf(x->new_version, sizeof(x->new_version), "%s",
			       RKT_VERSION);
		end(x, 0, "it is what runs already");
		return;
	}
	settle(x, first_trial);
}

void reexec_done(int conn, const char *old_version, uint64_t left_ns, bool ok)
{
	uint64_t away_us = (monotonic_ns() - left_ns) / 1000;

	log_debug("stage1 %s goes on, after %llu us", RKT_VERSION,
		  (unsigned long long)away_us);
	answer(conn, ok ? 0 : RKT_EXIT_REFUSED, old_version, RKT_VERSION,
	       away_us,
	       ok ? ""
		  : "the new stage1 failed where it had not when tried; "
		    "the one before goes on");
	fd_close(&conn);
}

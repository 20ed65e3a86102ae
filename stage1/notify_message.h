/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_NOTIFY_MESSAGE_H
#define STAGE1_NOTIFY_MESSAGE_H

/*
 * One datagram of the sd_notify(3) protocol, read (pure): lines NAME=VALUE.
 * As systemd does it: of a name given twice the first counts; what is unknown
 * is ignored, and so is what is known with a value that cannot be.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Longer ones are not read at all (systemd's limit: PIPE_BUF). */
#define NOTIFY_MESSAGE_MAX 4096
#define NOTIFY_STATUS_MAX 512
/* A D-Bus error name. */
#define NOTIFY_BUS_ERROR_MAX 255
/* sd_pid_notify_with_fds(3). */
#define FD_NAME_MAX 255
#define FD_NAME_DEFAULT "stored"

enum notify_watchdog {
	NOTIFY_WATCHDOG_NONE,
	NOTIFY_WATCHDOG_PING,
	NOTIFY_WATCHDOG_TRIGGER,
};

struct notify_message {
	bool ready, stopping, reloading;
	/* Nothing else counts then; the descriptor that came along is to be
	 * closed when everything before has been seen to. */
	bool barrier;
	bool fd_store, fd_store_remove;
	bool fd_poll; /* true unless FDPOLL=0 */
	enum notify_watchdog watchdog;
	bool has_status; /* "" clears it */
	bool has_errno, has_exit_status;
	int error, exit_status;
	char bus_error[NOTIFY_BUS_ERROR_MAX + 1]; /* "" = not given */
	pid_t main_pid;		/* 0 = not given; in the sender's numbers */
	uint64_t watchdog_usec; /* 0 = not given */
	uint64_t extend_usec;	/* 0 = not given */
	uint64_t monotonic_usec;
	char status[NOTIFY_STATUS_MAX]; /* one line of UTF-8, cut to fit */
	char fd_name[FD_NAME_MAX + 1];	/* "" = not given */
};

/*
 * Reads LEN bytes (need not be terminated).  -EBADMSG: it is empty, too long
 * or has a NUL in it.
 */
int notify_message_parse(const char *text, size_t len,
			 struct notify_message *ret);

/* A name a descriptor can have: 1 to 255 printable ASCII, no ':'. */
bool fd_name_is_valid(const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/notify_message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/utf8.h"

bool fd_name_is_valid(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len > FD_NAME_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] < ' ' || name[i] >= 127 || name[i] == ':')
			return false;
	return true;
}

/* --- values ----------------------------------------------------------------
 */

static bool is_one(const char *value)
{
	return strcmp(value, "1") == 0;
}

static void read_ready(const char *value, struct notify_message *m)
{
	m->ready = is_one(value);
}

static void read_stopping(const char *value, struct notify_message *m)
{
	m->stopping = is_one(value);
}

static void read_reloading(const char *value, struct notify_message *m)
{
	m->reloading = is_one(value);
}

static void read_barrier(const char *value, struct notify_message *m)
{
	m->barrier = is_one(value);
}

static void read_fd_store(const char *value, struct notify_message *m)
{
	m->fd_store = is_one(value);
}

static void read_fd_store_remove(const char *value, struct notify_message *m)
{
	m->fd_store_remove = is_one(value);
}

static void read_fd_poll(const char *value, struct notify_message *m)
{
	m->fd_poll = strcmp(value, "0") != 0;
}

static void read_fd_name(const char *value, struct notify_message *m)
{
	if (fd_name_is_valid(value))
		(void)snprintf(m->fd_name, sizeof(m->fd_name), "%s", value);
}

static void read_watchdog(const char *value, struct notify_message *m)
{
	if (is_one(value))
		m->watchdog = NOTIFY_WATCHDOG_PING;
	else if (strcmp(value, "trigger") == 0)
		m->watchdog = NOTIFY_WATCHDOG_TRIGGER;
}

static void read_status(const char *value, struct notify_message *m)
{
	char text[NOTIFY_STATUS_MAX];
	size_t used = 0;

	while (*value) {
		size_t n = utf8_len(value, strnlen(value, 4));

		if (n == 0)
			return;
		if (used + n < sizeof(text)) {
			memcpy(text + used, value, n);
			if (n == 1 && (*value < ' ' || *value == 127))
				text[used] = '?';
			used += n;
		}
		value += n;
	}
	text[used] = '\0';
	memcpy(m->status, text, used + 1);
	m->has_status = true;
}

static void read_main_pid(const char *value, struct notify_message *m)
{
	uint64_t pid;

	if (parse_uint(value, INT32_MAX, &pid) == 0)
		m->main_pid = (pid_t)pid;
}

static void read_errno(const char *value, struct notify_message *m)
{
	uint64_t number;

	if (parse_uint(value, 4095, &number) < 0)
		return;
	m->error = (int)number;
	m->has_errno = true;
}

static void read_bus_error(const char *value, struct notify_message *m)
{
	size_t len = strspn(value, "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._");

	if (len && len <= NOTIFY_BUS_ERROR_MAX && !value[len])
		memcpy(m->bus_error, value, len + 1);
}

static void read_exit_status(const char *value, struct notify_message *m)
{
	uint64_t number;

	if (parse_uint(value, 255, &number) < 0)
		return;
	m->exit_status = (int)number;
	m->has_exit_status = true;
}

static void read_usec(const char *value, uint64_t *ret)
{
	uint64_t usec;

	/* Times beyond this overflow when they are added or scaled. */
	if (parse_uint(value, UINT64_MAX / 2000, &usec) == 0)
		*ret = usec;
}

static void read_watchdog_usec(const char *value, struct notify_message *m)
{
	read_usec(value, &m->watchdog_usec);
}

static void read_extend_usec(const char *value, struct notify_message *m)
{
	read_usec(value, &m->extend_usec);
}

static void read_monotonic_usec(const char *value, struct notify_message *m)
{
	read_usec(value, &m->monotonic_usec);
}

static const struct {
	const char *name;
	void (*read)(const char *value, struct notify_message *m);
} fields[] = {
	{"READY", read_ready},
	{"STATUS", read_status},
	{"MAINPID", read_main_pid},
	{"STOPPING", read_stopping},
	{"RELOADING", read_reloading},
	{"MONOTONIC_USEC", read_monotonic_usec},
	{"ERRNO", read_errno},
	{"BUSERROR", read_bus_error},
	{"EXIT_STATUS", read_exit_status},
	{"WATCHDOG", read_watchdog},
	{"WATCHDOG_USEC", read_watchdog_usec},
	{"EXTEND_TIMEOUT_USEC", read_extend_usec},
	{"FDSTORE", read_fd_store},
	{"FDSTOREREMOVE", read_fd_store_remove},
	{"FDNAME", read_fd_name},
	{"FDPOLL", read_fd_poll},
	{"BARRIER", read_barrier},
};

#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

/* --- lines -----------------------------------------------------------------
 */

static void read_line(char *line, bool seen[N_FIELDS], struct notify_message *m)
{
	char *value = strchr(line, '=');

	if (!value)
		return;
	*value++ = '\0';
	for (size_t i = 0; i < N_FIELDS; i++) {
		if (strcmp(line, fields[i].name) != 0)
			continue;
		if (!seen[i])
			fields[i].read(value, m);
		seen[i] = true;
		return;
	}
}

int notify_message_parse(const char *text, size_t len,
			 struct notify_message *ret)
{
	bool seen[N_FIELDS] = {false};
	char copy[NOTIFY_MESSAGE_MAX + 1];
	char *next = copy, *line;

	/* Some senders count the end of their string in. */
	if (len && len <= NOTIFY_MESSAGE_MAX && text[len - 1] == '\0')
		len--;
	if (len == 0 || len > NOTIFY_MESSAGE_MAX || memchr(text, '\0', len))
		return -EBADMSG;
	memcpy(copy, text, len);
	copy[len] = '\0';
	*ret = (struct notify_message){.fd_poll = true};
	while ((line = strsep(&next, "\n")))
		read_line(line, seen, ret);
	return 0;
}

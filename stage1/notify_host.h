/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_NOTIFY_HOST_H
#define STAGE1_NOTIFY_HOST_H

/*
 * The pod to the service manager of its host, sd_notify(3): `rkt run` in a
 * unit of Type=notify.
 */

#include <stdint.h>

/* NOTIFY_SOCKET of the environment, malloc'ed, or NULL; takes it out of
 * there. */
char *notify_host_take(void);

/* How often the service manager wants to hear from this process (WatchdogSec=
 * of the unit), in microseconds, 0: never.  Takes it out of the environment:
 * WATCHDOG_USEC is for the process WATCHDOG_PID, or who finds it. */
uint64_t notify_host_take_watchdog(void);

/* Sends TEXT to SOCKET; NULL: to nobody. */
void notify_host_send(const char *socket_name, const char *text);
/* The same with a descriptor, which stays the caller's. */
void notify_host_send_fd(const char *socket_name, const char *text, int fd);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_NOTIFY_HOST_H
#define STAGE1_NOTIFY_HOST_H

/*
 * The pod to the service manager of its host, sd_notify(3): `rkt run` in a
 * unit of Type=notify.
 */

/* NOTIFY_SOCKET of the environment, malloc'ed, or NULL; takes it out of
 * there. */
char *notify_host_take(void);

/* Sends TEXT to SOCKET; NULL: to nobody. */
void notify_host_send(const char *socket_name, const char *text);

#endif

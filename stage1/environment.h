/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_ENVIRONMENT_H
#define STAGE1_ENVIRONMENT_H

/*
 * The environment of an app's main process and of its event handlers (appc
 * D10), pure.  Later wins:
 *   1 defaults: PATH, SHELL=/bin/sh, USER=root, LOGNAME=root, HOME=/root
 *     (constant as in rkt, not from the image's passwd), container=rkt
 *   2 the app's environment (stage0 has merged the command line into it)
 *   3 what the app must not fake: AC_APP_NAME, AC_METADATA_URL, and EXTRA
 *     (NOTIFY_SOCKET).  LISTEN_* and WATCHDOG_* are left out of 2: they are
 *     added with the descriptors (stage1/listen_fds.h)
 */

#include "base/strv.h"

struct name_values;

/* Where its notify socket is in every app: stage1/notify.h. */
#define NOTIFY_SOCKET_PATH "/dev/notify"

struct environment_request {
	const struct name_values *app; /* or NULL */
	const char *app_name;	       /* name of the app in the pod */
	const char *metadata_url;      /* NULL: not served */
	const struct strv *extra;      /* NAME=VALUE, or NULL */
};

/* Puts NAME=VALUE strings into RET (empty before); every name is there once. */
void environment_make(const struct environment_request *req, struct strv *ret);

#endif

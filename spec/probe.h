/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_PROBE_H
#define SPEC_PROBE_H

/*
 * How to ask an app whether it is well, as a text.  Pure.
 *
 *	probe = "tcp" [":" port]
 *	      | "http:" [port] path		"http:/live", "http:8080/live"
 *	      | "exec:" word *(blank word)
 *
 * A word of exec may hold "...", '...' and backslashes as in a shell;
 * nothing is expanded.  Where no port is given it is the app's to know:
 * stage1/probe.h.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"

struct error;

/* Of images, apps and pods: the probe of an update. */
#define PROBE_ANNOTATION "rkt.io/update/probe"

#define PROBE_TEXT_MAX 1024 /* bytes, with the final NUL */

enum probe_kind {
	PROBE_NONE,
	PROBE_TCP,  /* a connection is accepted */
	PROBE_HTTP, /* GET path is answered with 200 to 399 */
	PROBE_EXEC, /* the program exits with 0 */
};

struct probe {
	enum probe_kind kind;
	uint16_t port;	  /* 0 = not given */
	char *path;	  /* PROBE_HTTP; begins with "/" */
	struct strv exec; /* PROBE_EXEC */
};

#define PROBE_INIT                                                             \
	{                                                                      \
		.kind = PROBE_NONE                                             \
	}

/* -EINVAL says what is wrong; *RET (PROBE_INIT) is set on success only. */
int probe_parse(const char *text, struct probe *ret, struct error *err);
void probe_copy(struct probe *ret, const struct probe *probe);
void probe_release(struct probe *probe);
#define cleanup_probe __attribute__((__cleanup__(probe_release)))

/*
 * What the first LEN bytes of an answer to our GET say: the status (100 to
 * 599) once its head is whole, 0 as long as more is to come, -EBADMSG if it
 * is no HTTP/1.x answer or longer than PROBE_ANSWER_MAX.
 */
#define PROBE_ANSWER_MAX 16384
int probe_answer_parse(const char *buf, size_t len);

#endif

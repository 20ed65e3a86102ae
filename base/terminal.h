/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TERMINAL_H
#define BASE_TERMINAL_H

/*
 * The caller's terminal while it belongs to a program in a pod: what is typed
 * goes there as it is, but for the escape, ^] three times within a second.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

struct error;

struct terminal {
	int fd; /* borrowed */
	bool is_raw;
	struct termios saved;
};

/* Nothing if FD is no terminal. */
int terminal_make_raw(struct terminal *terminal, int fd, struct error *err);
/* As it was before; nothing if it is not raw. */
void terminal_restore(struct terminal *terminal);

/* How much of the escape has been typed; zero at first. */
struct escape {
	unsigned int n; /* ^] in a row */
	uint64_t first_ns;
};

/* True if BUF, typed at NOW_NS (CLOCK_MONOTONIC), completes it.  Pure. */
bool escape_seen(struct escape *escape, const char *buf, size_t n,
		 uint64_t now_ns);

/*
 * Replaces what could drive a terminal by '?', in place: control characters but
 * line ends and tabs, those of UTF-8 (U+0080 to U+009F) too.  LAST is the byte
 * before BUF, 0 at first, and is kept there for what follows.  Pure.
 */
void terminal_tame(char *buf, size_t n, unsigned char *last);

#endif

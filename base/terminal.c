/* SPDX-License-Identifier: Apache-2.0 */
#include "base/terminal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

#define ESCAPE_CHAR '\x1d' /* ^] */
#define ESCAPE_COUNT 3
#define ESCAPE_WINDOW_NS 1000000000ULL

int terminal_make_raw(struct terminal *terminal, int fd, struct error *err)
{
	struct termios raw;

	*terminal = (struct terminal){.fd = fd};
	if (!isatty(fd))
		return 0;
	if (tcgetattr(fd, &terminal->saved) < 0)
		return error_sys(err, errno, "read the terminal's settings");
	raw = terminal->saved;
	cfmakeraw(&raw);
	if (tcsetattr(fd, TCSADRAIN, &raw) < 0)
		return error_sys(err, errno, "set the terminal to raw mode");
	terminal->is_raw = true;
	return 0;
}

void terminal_restore(struct terminal *terminal)
{
	if (terminal->is_raw)
		(void)tcsetattr(terminal->fd, TCSADRAIN, &terminal->saved);
	terminal->is_raw = false;
}

bool escape_seen(struct escape *escape, const char *buf, size_t n,
		 uint64_t now_ns)
{
	for (size_t i = 0; i < n; i++) {
		if (buf[i] != ESCAPE_CHAR) {
			escape->n = 0;
			continue;
		}
		if (escape->n == 0 ||
		    now_ns - escape->first_ns > ESCAPE_WINDOW_NS) {
			escape->n = 0;
			escape->first_ns = now_ns;
		}
		if (++escape->n == ESCAPE_COUNT) {
			escape->n = 0;
			return true;
		}
	}
	return false;
}

static bool drives_terminal(unsigned char c, unsigned char before)
{
	if (c < ' ')
		return !strchr("\n\r\t", c) || c == '\0';
	return c == 0x7f || (before == 0xc2 && c >= 0x80 && c < 0xa0);
}

void terminal_tame(char *buf, size_t n, unsigned char *last)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)buf[i];

		if (drives_terminal(c, *last))
			buf[i] = '?';
		*last = c;
	}
}

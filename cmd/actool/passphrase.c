/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/actool/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"

static int line_from_file(const char *path, char *buf, size_t size,
			  struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return error_sys(err, errno, "open %s", path);
	n = read_full(fd, buf, size);
	if (n < 0)
		return error_sys(err, (int)-n, "read %s", path);
	buf[(size_t)n < size ? (size_t)n : size - 1] = '\0';
	if (strcspn(buf, "\r\n") == size - 1)
		return error_set(err, EINVAL, "%s: the first line is too long",
				 path);
	buf[strcspn(buf, "\r\n")] = '\0';
	return 0;
}

/* Reads a line that the terminal does not show. */
static int line_from_tty(int tty, const char *fingerprint, char *buf,
			 size_t size, struct error *err)
{
	struct termios shown, hidden;
	ssize_t n;

	if (tcgetattr(tty, &shown) < 0)
		return error_sys(err, errno, "ask on the terminal");
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
	hidden.c_lflag |= ICANON | ECHONL;
	/* Drops what was typed before the question, so the question is last. */
	(void)tcsetattr(tty, TCSAFLUSH, &hidden);
	(void)dprintf(tty, "passphrase of key %s: ", fingerprint);
	n = read(tty, buf, size - 1);
	(void)tcsetattr(tty, TCSAFLUSH, &shown);
	if (n < 0)
		return error_sys(err, errno, "read from the terminal");
	buf[n] = '\0';
	buf[strcspn(buf, "\r\n")] = '\0';
	return 0;
}

int passphrase_get(void *arg, const char *fingerprint, char *buf, size_t size,
		   struct error *err)
{
	cleanup_fd int tty = -EBADF;

	if (arg)
		return line_from_file(arg, buf, size, err);
	tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (tty < 0)
		return error_set(err, EACCES,
				 "key %s has a passphrase and there is no "
				 "terminal to ask (use --passphrase-file)",
				 fingerprint);
	return line_from_tty(tty, fingerprint, buf, size, err);
}

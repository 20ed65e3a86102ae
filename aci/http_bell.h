/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_HTTP_BELL_H
#define ACI_HTTP_BELL_H

/*
 * How a reader follows a file that another process still writes: a pipe on
 * which the writer rings after it wrote, at least once a second while it
 * waits itself, and says when the file is whole.  End of file without that
 * word means that the writer failed.
 */

#include <stdbool.h>

#define HTTP_BELL_MORE 'm'
#define HTTP_BELL_WHOLE 'w'

/* FD is the pipe's non-blocking write end.  A reader that has gone is not
 * the writer's business. */
void http_bell_ring(int fd);
/* Waits until the reader has room for it. */
void http_bell_end(int fd);

/* Waits on the pipe's read end.  1 look again, 0 the file is whole, -EPIPE
 * the writer failed, or another -errno. */
int http_bell_wait(int fd);

#endif

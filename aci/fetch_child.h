/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_FETCH_CHILD_H
#define ACI_FETCH_CHILD_H

/*
 * One run of rkt-fetch or rkt-http, seen from the trusted side: started with
 * a socket, sent one request with descriptors (fetch_protocol.h), heard until
 * its reply, waited for.
 */

#include <stdint.h>
#include <sys/types.h>

struct error;
struct fetch_reply;
struct fetch_request;

struct fetch_child {
	const char *program; /* static */
	int pidfd;
	int sock; /* readable: a record or the end */
};

#define FETCH_CHILD_INIT                                                       \
	{                                                                      \
		.pidfd = -1, .sock = -1                                        \
	}

/* Killed, if it still runs, and reaped. */
void fetch_child_release(struct fetch_child *c);
#define cleanup_fetch_child __attribute__((__cleanup__(fetch_child_release)))

/* Starts LIBEXEC_DIR/PROGRAM MODE with the environment ENVP alone. */
int fetch_child_start(const char *libexec_dir, const char *program,
		      const char *mode, char *const envp[],
		      struct fetch_child *ret, struct error *err);

/* Fills in REQUEST's head. */
int fetch_child_send(const struct fetch_child *c, struct fetch_request *request,
		     const int *fds, struct error *err);

/* Until the next record: 1, -ETIMEDOUT after SECONDS (negative: never). */
int fetch_child_wait(const struct fetch_child *c, int seconds,
		     struct error *err);

/*
 * Takes the record that waits, SIZE bytes at most; returns its whole length,
 * 0 if the child ended without one.
 */
ssize_t fetch_child_receive(const struct fetch_child *c, void *ret,
			    size_t size);

/* After the record of N bytes in REPLY: waits for the end and judges both. */
int fetch_child_finish(struct fetch_child *c, uint32_t job,
		       struct fetch_reply *reply, ssize_t n, struct error *err);

/* Wait, receive and finish. */
int fetch_child_reply(struct fetch_child *c, uint32_t job, int seconds,
		      struct fetch_reply *ret, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_FETCH_SERVER_H
#define ACI_FETCH_SERVER_H

/*
 * What rkt-fetch and rkt-http have in common: take one request on descriptor
 * 3, go into the cage of its kind, do it, answer and end (fetch_protocol.h).
 */

#include <stdint.h>

#include "aci/fetch_protocol.h"

struct error;
struct sandbox;

/* A request with the descriptors that came along. */
struct fetch_job {
	struct fetch_request request;
	int fds[FETCH_FDS_MAX];
};

struct fetch_job_kind {
	enum fetch_job_id job;
	const char *mode;
	uint32_t min_fds;
	uint64_t max_memory, max_cpu;	   /* bytes, seconds */
	int (*prepare)(struct error *err); /* before the cage */
	int (*lock_in)(const struct sandbox *s, const struct fetch_job *job,
		       struct error *err);
	int (*run)(struct fetch_job *job, struct fetch_reply *reply,
		   struct error *err);
};

/* The lock_in of jobs that only read what they were given. */
int fetch_lock_in_parse(const struct sandbox *s, const struct fetch_job *job,
			struct error *err);

/* main() of a program that does the KINDS, which end with an empty row. */
void fetch_serve(const char *program, const struct fetch_job_kind *kinds,
		 int argc, char **argv) __attribute__((__noreturn__));

#endif

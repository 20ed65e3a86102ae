/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_PROBE_H
#define STAGE1_PROBE_H

/*
 * Asks one generation of an app whether it is well (spec/probe.h), driven by
 * the event loop.
 *
 * tcp and http connect from inside the pod's network namespace, with the
 * socket's sign (stage1/steer.h) set before connect, so that a program on the
 * reuseport group can choose by it which generation gets the connection (veth
 * and DNAT would clear a mark on their way).  exec runs a process of the
 * generation in a control group of its own, whose sockets are marked in the
 * same way (stage1/probe_mark.h).
 *
 * One run is one attempt: who waits for readiness begins another one.
 */

#include <stdint.h>
#include <sys/socket.h>

#include "spec/probe.h"
#include "stage1/steer.h"

struct error;
struct generation;
struct probe_run;

#define PROBE_ADDRESSES_MAX 16

struct probe_request {
	const struct probe *probe; /* copied */
	struct generation *g;	   /* must outlive the run */
	struct steer_sign sign;	   /* of its sockets; of a program a mark */
	uint64_t timeout_ms;	   /* of the whole attempt; 0 = 5 s */
	/*
	 * Where G listens (TCP); NULL = found out when the run begins.  Those
	 * of the probe's port are tried, all of them if it has none: each
	 * must answer to tcp, the first one that is to http.  An address of
	 * all interfaces is asked at its loopback.
	 */
	const struct sockaddr_storage *addresses;
	size_t n_addresses;
	/* Called once, from the event loop and never from probe_start(); ERR
	 * is NULL if the app is well, else why not.  The run is gone. */
	void (*done)(void *data, const struct error *err);
	void *data;
};

/* Fails only if an attempt cannot be made at all; what the app answers comes
 * to done(). */
int probe_start(const struct probe_request *request, struct probe_run **ret,
		struct error *err);
/* Ends it; done() is not called. */
void probe_cancel(struct probe_run *run);

#endif

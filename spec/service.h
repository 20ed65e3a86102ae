/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_SERVICE_H
#define SPEC_SERVICE_H

/*
 * How an app is kept running, as annotations say it: when it is started
 * again, how it is asked whether it is well, and how a new version of it is.
 * Pure.
 *
 *	rkt.io/restart			no | on-failure | always
 *	rkt.io/restart/delay		first pause, doubled each time (100ms)
 *	rkt.io/restart/max-delay	longest pause (30s)
 *	rkt.io/health/probe		spec/probe.h
 *	rkt.io/health/interval		from one answer to the next (10s)
 *	rkt.io/health/timeout		of one answer (5s)
 *	rkt.io/health/retries		failures in a row that count (3)
 *	rkt.io/health/start-period	failures do not count so long (0s)
 *	rkt.io/update/probe		spec/probe.h
 *	rkt.io/update/retries		HTTP answers in a row, but 503, that
 *					count where it alone serves (10)
 *	rkt.io/stop-signal		what it is to end at, as "QUIT" or "3"
 *					(the image's StopSignal, else TERM)
 */

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include "spec/probe.h"

struct error;
struct name_values;

#define RESTART_ANNOTATION "rkt.io/restart"
#define STOP_SIGNAL_ANNOTATION "rkt.io/stop-signal"
/* Of an image that was docker's; what is wrong there is not ours to refuse. */
#define DOCKER_STOP_SIGNAL_ANNOTATION "appc.io/docker/stopsignal"

enum restart_policy {
	RESTART_NO,
	RESTART_ON_FAILURE, /* exit status not 0, or not well */
	RESTART_ALWAYS,
};

struct service {
	enum restart_policy restart;
	uint64_t delay_ms, max_delay_ms;
	struct probe health; /* PROBE_NONE: it is not asked */
	uint64_t interval_ms, timeout_ms, start_period_ms;
	unsigned int retries;	     /* at least 1 */
	struct probe update;	     /* PROBE_NONE: not said */
	unsigned int update_retries; /* at least 1 */
	int stop_signal;
};

#define SERVICE_INIT                                                           \
	{                                                                      \
		.restart = RESTART_NO, .stop_signal = SIGTERM                  \
	}

int restart_policy_parse(const char *text, enum restart_policy *ret,
			 struct error *err);

/*
 * What N lists of annotations say, the first one that has a name counts: the
 * app's, the pod's, the image's.  -EINVAL names the annotation; *RET
 * (SERVICE_INIT) is set on success only.
 */
int service_make(const struct name_values *const lists[], size_t n,
		 struct service *ret, struct error *err);
void service_release(struct service *service);
#define cleanup_service __attribute__((__cleanup__(service_release)))

/* The pause before the next start after N ones that did not last. */
uint64_t service_delay_ms(const struct service *service, unsigned int n);

#endif

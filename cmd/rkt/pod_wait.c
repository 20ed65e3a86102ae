/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/pod_wait.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/option.h"
#include "base/parse.h"
#include "stage0/pod.h"
#include "stage0/pod_info.h"

#define SECOND INT64_C(1000000000)
#define POLL_NS (SECOND / 20)
#define FOREVER (-1)

int pod_wait_parse(const struct option_row *row, void *target,
		   const char *value, struct error *err)
{
	int64_t ns;
	bool b;

	(void)row;
	if (parse_bool(value, &b) == 0)
		ns = b ? FOREVER : 0;
	else if (parse_duration(value, &ns) < 0)
		return error_set(err, EINVAL,
				 "must be a boolean or a duration");
	*(int64_t *)target = ns < 0 ? FOREVER : ns;
	return 0;
}

static int64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

static bool has_exited(const struct pod *pod)
{
	return pod->dir >= POD_RUN && pod_state(pod) != POD_STATE_RUNNING;
}

/* Looks again under the same UUID: the pod moves while we wait. */
static int look_again(struct pod *pod, struct error *err)
{
	const struct pods *pods = pod->pods;
	char uuid[UUID_TEXT_LEN + 1];

	memcpy(uuid, pod->uuid, sizeof(uuid));
	pod_close(pod);
	return pod_open(pods, uuid, pod, err);
}

static int wait_until(struct pod *pod, bool (*done)(const struct pod *),
		      bool fail_if_exited, int64_t timeout, struct error *err)
{
	const struct timespec pause = {.tv_nsec = POLL_NS};
	int64_t end = timeout == FOREVER ? INT64_MAX : now_ns() + timeout;

	while (!done(pod)) {
		int r;

		if (fail_if_exited && has_exited(pod))
			return error_set(err, ESRCH,
					 "pod \"%s\" exited before it was "
					 "ready",
					 pod->uuid);
		if (now_ns() >= end)
			return error_set(err, ETIMEDOUT,
					 "timed out waiting for pod \"%s\"",
					 pod->uuid);
		(void)nanosleep(&pause, NULL);
		r = look_again(pod, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int pod_wait_exited(struct pod *pod, int64_t timeout, struct error *err)
{
	return wait_until(pod, has_exited, false, timeout, err);
}

int pod_wait_ready(struct pod *pod, int64_t timeout, struct error *err)
{
	return wait_until(pod, pod_is_ready, true, timeout, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/service.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/parse.h"
#include "spec/name_value.h"

/* An app that cannot start must not take a processor for itself. */
#define DELAY_MIN_MS 10
/* A week: what is longer is a mistake. */
#define DURATION_MAX_MS (UINT64_C(7) * 24 * 3600 * 1000)
#define RETRIES_MAX 1000

int restart_policy_parse(const char *text, enum restart_policy *ret,
			 struct error *err)
{
	static const char *const names[] = {
		[RESTART_NO] = "no",
		[RESTART_ON_FAILURE] = "on-failure",
		[RESTART_ALWAYS] = "always",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum restart_policy)i;
			return 0;
		}
	return error_set(err, EINVAL, "must be no, on-failure or always");
}

/* --- annotations -----------------------------------------------------------
 */

struct row {
	const char *name;
	int (*parse)(const struct row *row, const char *text,
		     struct service *service, struct error *err);
	size_t offset; /* in struct service */
	uint64_t min;
};

static int parse_policy(const struct row *row, const char *text,
			struct service *service, struct error *err)
{
	(void)row;
	return restart_policy_parse(text, &service->restart, err);
}

static int parse_time(const struct row *row, const char *text,
		      struct service *service, struct error *err)
{
	uint64_t *target = (void *)((char *)service + row->offset);
	int64_t ns;

	if (parse_duration(text, &ns) < 0 || ns < 0 ||
	    (uint64_t)ns / 1000000 < row->min ||
	    (uint64_t)ns / 1000000 > DURATION_MAX_MS)
		return error_set(err, EINVAL,
				 "must be a duration of %llums to a week, as "
				 "500ms or 1m30s",
				 (unsigned long long)row->min);
	*target = (uint64_t)ns / 1000000;
	return 0;
}

static int parse_retries(const struct row *row, const char *text,
			 struct service *service, struct error *err)
{
	uint64_t n;

	if (parse_uint(text, RETRIES_MAX, &n) < 0 || n == 0)
		return error_set(err, EINVAL, "must be a number, 1 to %d",
				 RETRIES_MAX);
	*(unsigned int *)(void *)((char *)service + row->offset) =
		(unsigned int)n;
	return 0;
}

static int parse_probe(const struct row *row, const char *text,
		       struct service *service, struct error *err)
{
	return probe_parse(text, (void *)((char *)service + row->offset), err);
}

static int parse_stop_signal(const struct row *row, const char *text,
			     struct service *service, struct error *err)
{
	(void)row;
	if (parse_signal(text, &service->stop_signal) == 0)
		return 0;
	return error_set(err, EINVAL,
			 "must be a signal, as SIGQUIT, QUIT, 3 or SIGRTMIN+3");
}

static const struct row rows[] = {
	{RESTART_ANNOTATION, parse_policy, 0, 0},
	{"rkt.io/restart/delay", parse_time, offsetof(struct service, delay_ms),
	 DELAY_MIN_MS},
	{"rkt.io/restart/max-delay", parse_time,
	 offsetof(struct service, max_delay_ms), DELAY_MIN_MS},
	{"rkt.io/health/probe", parse_probe, offsetof(struct service, health),
	 0},
	{"rkt.io/health/interval", parse_time,
	 offsetof(struct service, interval_ms), 100},
	{"rkt.io/health/timeout", parse_time,
	 offsetof(struct service, timeout_ms), 1},
	{"rkt.io/health/retries", parse_retries,
	 offsetof(struct service, retries), 0},
	{"rkt.io/health/start-period", parse_time,
	 offsetof(struct service, start_period_ms), 0},
	{PROBE_ANNOTATION, parse_probe, offsetof(struct service, update), 0},
	{"rkt.io/update/retries", parse_retries,
	 offsetof(struct service, update_retries), 0},
	{STOP_SIGNAL_ANNOTATION, parse_stop_signal, 0, 0},
};

static const char *find(const struct name_values *const lists[], size_t n,
			const char *name)
{
	for (size_t i = 0; i < n; i++) {
		const char *value = name_values_get(lists[i], name);

		if (value)
			return value;
	}
	return NULL;
}

int service_make(const struct name_values *const lists[], size_t n,
		 struct service *ret, struct error *err)
{
	cleanup_service struct service service = {
		.delay_ms = 100,
		.max_delay_ms = 30000,
		.interval_ms = 10000,
		.timeout_ms = 5000,
		.retries = 3,
		.update_retries = 10,
		.stop_signal = SIGTERM,
	};
	const char *docker = find(lists, n, DOCKER_STOP_SIGNAL_ANNOTATION);

	if (docker)
		(void)parse_signal(docker, &service.stop_signal);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *text = find(lists, n, rows[i].name);
		int r = text ? rows[i].parse(&rows[i], text, &service, err) : 0;

		if (r < 0)
			return error_prefix(err, r, "annotation %s",
					    rows[i].name);
	}
	*ret = service;
	service = (struct service)SERVICE_INIT;
	return 0;
}

void service_release(struct service *service)
{
	probe_release(&service->health);
	probe_release(&service->update);
	*service = (struct service)SERVICE_INIT;
}

uint64_t service_delay_ms(const struct service *service, unsigned int n)
{
	uint64_t delay = service->delay_ms;

	while (n-- > 0 && delay < service->max_delay_ms)
		delay *= 2;
	return delay > service->max_delay_ms ? service->max_delay_ms : delay;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/error.h"
#include "spec/name_value.h"
#include "spec/service.h"

static int make_one(const char *name, const char *value, struct service *ret,
		    struct error *err)
{
	cleanup_name_values struct name_values app = NAME_VALUES_INIT;
	const struct name_values *lists[] = {&app};

	name_values_add(&app, name, value);
	return service_make(lists, 1, ret, err);
}

Test(service, nothing_said)
{
	cleanup_service struct service s = SERVICE_INIT;

	cr_assert_eq(service_make(NULL, 0, &s, NULL), 0);
	cr_expect_eq(s.restart, RESTART_NO);
	cr_expect_eq(s.health.kind, PROBE_NONE);
	cr_expect_eq(s.update.kind, PROBE_NONE);
	cr_expect_eq(s.delay_ms, 100);
	cr_expect_eq(s.max_delay_ms, 30000);
	cr_expect_eq(s.interval_ms, 10000);
	cr_expect_eq(s.timeout_ms, 5000);
	cr_expect_eq(s.start_period_ms, 0);
	cr_expect_eq(s.retries, 3);
	cr_expect_eq(s.update_retries, 10);
}

Test(service, first_list_counts)
{
	cleanup_name_values struct name_values app = NAME_VALUES_INIT;
	cleanup_name_values struct name_values pod = NAME_VALUES_INIT;
	cleanup_name_values struct name_values image = NAME_VALUES_INIT;
	const struct name_values *lists[] = {&app, &pod, &image};
	cleanup_service struct service s = SERVICE_INIT;

	name_values_add(&app, "rkt.io/restart", "no");
	name_values_add(&pod, "rkt.io/restart", "always");
	name_values_add(&pod, "rkt.io/health/retries", "7");
	name_values_add(&image, "rkt.io/update/retries", "2");
	name_values_add(&image, "rkt.io/health/retries", "x");
	name_values_add(&image, "rkt.io/health/probe", "http:/live");
	name_values_add(&image, "rkt.io/health/interval", "1m");
	name_values_add(&image, "rkt.io/update/probe", "tcp:80");
	cr_assert_eq(service_make(lists, 3, &s, NULL), 0);
	cr_expect_eq(s.restart, RESTART_NO);
	cr_expect_eq(s.retries, 7);
	cr_expect_eq(s.update_retries, 2);
	cr_expect_eq(s.health.kind, PROBE_HTTP);
	cr_expect_str_eq(s.health.path, "/live");
	cr_expect_eq(s.interval_ms, 60000);
	cr_expect_eq(s.update.port, 80);
}

Test(service, values)
{
	static const struct {
		const char *name, *value;
		int result;
	} rows[] = {
		{"rkt.io/restart", "no", 0},
		{"rkt.io/restart", "on-failure", 0},
		{"rkt.io/restart", "always", 0},
		{"rkt.io/restart", "", -EINVAL},
		{"rkt.io/restart", "Always", -EINVAL},
		{"rkt.io/restart/delay", "10ms", 0},
		{"rkt.io/restart/delay", "9ms", -EINVAL},
		{"rkt.io/restart/delay", "0", -EINVAL},
		{"rkt.io/restart/delay", "-1s", -EINVAL},
		{"rkt.io/restart/max-delay", "2m", 0},
		{"rkt.io/restart/max-delay", "1000h", -EINVAL},
		{"rkt.io/health/probe", "tcp", 0},
		{"rkt.io/health/probe", "ping", -EINVAL},
		{"rkt.io/health/interval", "100ms", 0},
		{"rkt.io/health/interval", "0s", -EINVAL},
		{"rkt.io/health/timeout", "5", -EINVAL},
		{"rkt.io/health/retries", "1", 0},
		{"rkt.io/update/retries", "1", 0},
		{"rkt.io/update/retries", "0", -EINVAL},
		{"rkt.io/health/retries", "0", -EINVAL},
		{"rkt.io/health/retries", "1001", -EINVAL},
		{"rkt.io/health/start-period", "0s", 0},
		{"rkt.io/update/probe", "http:8080/", 0},
		{"rkt.io/update/probe", "http:8080", -EINVAL},
		{"rkt.io/other", "whatever", 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct service s = SERVICE_INIT;
		struct error err = ERROR_INIT;
		int r = make_one(rows[i].name, rows[i].value, &s, &err);

		cr_expect_eq(r, rows[i].result, "%s=%s: %d %s", rows[i].name,
			     rows[i].value, r, err.msg);
		if (r < 0)
			cr_expect(strstr(err.msg, rows[i].name), "%s", err.msg);
		service_release(&s);
	}
}

Test(service, stop_signal)
{
	static const struct {
		const char *name, *value;
		int result, signal;
	} rows[] = {
		{"rkt.io/other", "3", 0, SIGTERM},
		{STOP_SIGNAL_ANNOTATION, "SIGQUIT", 0, SIGQUIT},
		{STOP_SIGNAL_ANNOTATION, "WINCH", 0, SIGWINCH},
		{STOP_SIGNAL_ANNOTATION, "3", 0, 3},
		{STOP_SIGNAL_ANNOTATION, "64", 0, 64},
		{STOP_SIGNAL_ANNOTATION, "SIGRTMIN+3", 0, 37},
		{STOP_SIGNAL_ANNOTATION, "RTMIN", 0, 34},
		{STOP_SIGNAL_ANNOTATION, "RTMAX-2", 0, 62},
		{STOP_SIGNAL_ANNOTATION, "RTMAX+1", -EINVAL, 0},
		{STOP_SIGNAL_ANNOTATION, "RTMIN+31", -EINVAL, 0},
		{STOP_SIGNAL_ANNOTATION, "RTMIN+", -EINVAL, 0},
		{STOP_SIGNAL_ANNOTATION, "0", -EINVAL, 0},
		{STOP_SIGNAL_ANNOTATION, "65", -EINVAL, 0},
		{STOP_SIGNAL_ANNOTATION, "-3", -EINVAL, 0},
		{STOP_SIGNAL_ANNOTATION, "", -EINVAL, 0},
		{STOP_SIGNAL_ANNOTATION, "SIG", -EINVAL, 0},
		{STOP_SIGNAL_ANNOTATION, "quit", -EINVAL, 0},
		{DOCKER_STOP_SIGNAL_ANNOTATION, "SIGQUIT", 0, SIGQUIT},
		{DOCKER_STOP_SIGNAL_ANNOTATION, "nonsense", 0, SIGTERM},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct service s = SERVICE_INIT;
		int r = make_one(rows[i].name, rows[i].value, &s, NULL);

		cr_expect_eq(r, rows[i].result, "%s", rows[i].value);
		if (r == 0)
			cr_expect_eq(s.stop_signal, rows[i].signal, "%s: %d",
				     rows[i].value, s.stop_signal);
		service_release(&s);
	}
}

/* Ours counts before docker's, wherever that stands. */
Test(service, stop_signal_of_both)
{
	cleanup_name_values struct name_values app = NAME_VALUES_INIT;
	cleanup_name_values struct name_values image = NAME_VALUES_INIT;
	const struct name_values *lists[] = {&app, &image};
	cleanup_service struct service s = SERVICE_INIT;

	name_values_add(&app, DOCKER_STOP_SIGNAL_ANNOTATION, "QUIT");
	name_values_add(&image, STOP_SIGNAL_ANNOTATION, "HUP");
	cr_assert_eq(service_make(lists, 2, &s, NULL), 0);
	cr_expect_eq(s.stop_signal, SIGHUP);
}

Test(service, delay_doubles_up_to_the_longest)
{
	const struct service s = {.delay_ms = 100, .max_delay_ms = 30000};
	const struct service odd = {.delay_ms = 500, .max_delay_ms = 100};
	static const uint64_t ms[] = {100,  200,   400,	  800,	 1600, 3200,
				      6400, 12800, 25600, 30000, 30000};

	for (unsigned int i = 0; i < sizeof(ms) / sizeof(ms[0]); i++)
		cr_expect_eq(service_delay_ms(&s, i), ms[i], "%u", i);
	cr_expect_eq(service_delay_ms(&s, 4000000000U), 30000);
	cr_expect_eq(service_delay_ms(&odd, 0), 100);
}

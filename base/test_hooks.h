/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TEST_HOOKS_H
#define BASE_TEST_HOOKS_H

/*
 * test_stop_at("point") ends the process as kill -9 would, if the
 * environment has RKT_TEST_STOP_AT=point; test_hang_at() waits for ever and
 * test_fails_at() is true, if it has RKT_TEST_HANG_AT and RKT_TEST_FAIL_AT.
 * Only in builds with -DRKT_TEST_HOOKS; nothing at all in others.
 */

#include <stdbool.h>

#ifdef RKT_TEST_HOOKS

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline bool test_is_at(const char *variable, const char *point)
{
	const char *wanted = getenv(variable);

	return wanted && strcmp(wanted, point) == 0;
}

static inline void test_stop_at(const char *point)
{
	if (test_is_at("RKT_TEST_STOP_AT", point))
		(void)kill(getpid(), SIGKILL);
}

static inline void test_hang_at(const char *point)
{
	while (test_is_at("RKT_TEST_HANG_AT", point))
		(void)pause();
}

static inline bool test_fails_at(const char *point)
{
	return test_is_at("RKT_TEST_FAIL_AT", point);
}

#else

#define test_stop_at(point) ((void)0)
#define test_hang_at(point) ((void)0)
#define test_fails_at(point) false

#endif

#endif

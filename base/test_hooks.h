/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TEST_HOOKS_H
#define BASE_TEST_HOOKS_H

/*
 * test_stop_at("point") ends the process as kill -9 would, if the
 * environment has RKT_TEST_STOP_AT=point.  Only in builds with
 * -DRKT_TEST_HOOKS; nothing at all in others.
 */

#ifdef RKT_TEST_HOOKS

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void test_stop_at(const char *point)
{
	const char *wanted = getenv("RKT_TEST_STOP_AT");

	if (wanted && strcmp(wanted, point) == 0)
		(void)kill(getpid(), SIGKILL);
}

#else

#define test_stop_at(point) ((void)0)

#endif

#endif

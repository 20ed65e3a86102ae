/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_TEST_STOP_H
#define BASE_TEST_STOP_H

/*
 * Named places where a crash test ends the program as kill -9 would: built
 * with -DRKT_TEST, RKT_TEST_STOP_AT=NAME dies at test_stop("NAME").  In
 * every other build it is nothing.
 */

#ifdef RKT_TEST
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void test_stop(const char *name)
{
	const char *want = getenv("RKT_TEST_STOP_AT");

	if (want && strcmp(want, name) == 0)
		(void)kill(getpid(), SIGKILL);
}
#else
static inline void test_stop(const char *name)
{
	(void)name;
}
#endif

#endif

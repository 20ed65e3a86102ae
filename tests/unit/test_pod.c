/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"
#include "stage0/pod.h"

static char dir[32];
static struct pods pods;

static void setup(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/rkt-pod-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(pods_open(&pods, dir, NULL), 0);
}

static void teardown(void)
{
	pods_close(&pods);
	cr_assert_eq(remove_tree_at(AT_FDCWD, dir, NULL), 0);
}

TestSuite(pod, .init = setup, .fini = teardown);

Test(pod, states)
{
	static const struct {
		enum pod_dir to;
		enum pod_state locked, unlocked;
	} tests[] = {
		{POD_PREPARE, POD_STATE_PREPARING, POD_STATE_ABORTED_PREPARE},
		{POD_PREPARED, POD_STATE_PREPARED, POD_STATE_PREPARED},
		{POD_RUN, POD_STATE_RUNNING, POD_STATE_EXITED},
		{POD_EXITED_GARBAGE, POD_STATE_EXITED_DELETING,
		 POD_STATE_EXITED_GARBAGE},
		{POD_GARBAGE, POD_STATE_DELETING, POD_STATE_GARBAGE},
	};
	cleanup_pod struct pod pod = POD_INIT;

	cr_assert_eq(pod_new(&pods, &pod, NULL), 0);
	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		cleanup_pod struct pod other = POD_INIT;

		if (pod.dir != tests[i].to)
			cr_assert_eq(pod_move(&pod, tests[i].to, true, NULL),
				     0);
		cr_assert_eq(
			pod_open_in(&pods, tests[i].to, pod.uuid, &other, NULL),
			0);
		cr_expect_eq(pod_state(&other), tests[i].locked);
		cr_expect_eq(pod_state(&pod), tests[i].locked);
		cr_assert_eq(flock(pod.fd, LOCK_UN), 0);
		cr_expect_eq(pod_state(&other), tests[i].unlocked);
		cr_assert_eq(flock(pod.fd, LOCK_EX), 0);
	}
}

Test(pod, find)
{
	cleanup_pod struct pod a = POD_INIT;
	struct pod found = POD_INIT;
	struct error err = ERROR_INIT;
	char prefix[9];

	cr_expect_eq(pod_open(&pods, "x", &found, &err), -ENOENT);
	cr_expect_str_eq(err.msg, "no matches found for \"x\"");
	cr_expect_eq(pod_open(&pods, "", &found, &err), -EINVAL);
	cr_assert_eq(pod_new(&pods, &a, NULL), 0);
	cr_assert_eq(pod_open(&pods, a.uuid, &found, NULL), 0);
	cr_expect_eq(found.dir, POD_PREPARE);
	pod_close(&found);
	memcpy(prefix, a.uuid, 8);
	prefix[8] = '\0';
	cr_assert_eq(pod_open(&pods, prefix, &found, NULL), 0);
	cr_expect_str_eq(found.uuid, a.uuid);
	pod_close(&found);
	/* Garbage is nobody's pod. */
	cr_assert_eq(pod_move(&a, POD_GARBAGE, false, NULL), 0);
	cr_expect_eq(pod_open(&pods, a.uuid, &found, NULL), -ENOENT);
}

Test(pod, ambiguous)
{
	struct pod found = POD_INIT;
	struct error err = ERROR_INIT;

	cr_assert_eq(mkdirat(pods.data_fd, "pods", 0755), 0);
	cr_assert_eq(mkdirat(pods.data_fd, "pods/run", 0755), 0);
	cr_assert_eq(mkdirat(pods.data_fd,
			     "pods/run/aaaaaaaa-0000-4000-8000-000000000000",
			     0755),
		     0);
	cr_assert_eq(mkdirat(pods.data_fd,
			     "pods/run/aaaaaaab-0000-4000-8000-000000000000",
			     0755),
		     0);
	cr_expect_eq(pod_open(&pods, "AAAA", &found, &err), -EINVAL);
	cr_expect_str_eq(err.msg, "ambiguous uuid, 2 matches");
	cr_assert_eq(pod_open(&pods, "AAAAAAAB", &found, &err), 0);
	cr_expect_eq(pod_state(&found), POD_STATE_EXITED);
	pod_close(&found);
}

Test(pod, lock)
{
	cleanup_pod struct pod a = POD_INIT;
	cleanup_pod struct pod b = POD_INIT;

	cr_assert_eq(pod_new(&pods, &a, NULL), 0);
	cr_assert_eq(pod_open(&pods, a.uuid, &b, NULL), 0);
	cr_expect_eq(pod_lock(&b, NULL), -EBUSY);
	/* Moved behind b's back. */
	cr_assert_eq(pod_move(&a, POD_RUN, false, NULL), 0);
	pod_close(&a);
	cr_expect_eq(pod_lock(&b, NULL), -ESTALE);
}

Test(pod, names)
{
	cleanup_pod struct pod a = POD_INIT;
	cleanup_pod struct pod b = POD_INIT;
	struct pod found = POD_INIT;
	cleanup_free char *name = NULL;
	char uuid[UUID_TEXT_LEN + 1];

	cr_assert_eq(pod_new(&pods, &a, NULL), 0);
	cr_assert_eq(pod_new(&pods, &b, NULL), 0);
	cr_expect_eq(pod_name_set(&a, "../x", NULL), -EINVAL);
	cr_expect_eq(pod_name_set(&a, a.uuid, NULL), -EINVAL);
	cr_assert_eq(pod_name_set(&a, "web", NULL), 0);
	cr_expect_eq(pod_name_set(&b, "web", NULL), -EEXIST);
	cr_assert_eq(pod_open(&pods, "web", &found, NULL), 0);
	cr_expect_str_eq(found.uuid, a.uuid);
	pod_close(&found);
	name = pod_name_get(&a);
	cr_expect_str_eq(name, "web");
	cr_assert_eq(pod_name_clear(&a, NULL), 0);
	cr_expect_eq(pod_name_lookup(&pods, "web", uuid, NULL), -ENOENT);
	/* A name whose pod is gone is free. */
	cr_assert_eq(symlinkat("aaaaaaaa-0000-4000-8000-000000000000",
			       pods.data_fd, "names/old"),
		     0);
	cr_expect_eq(pod_name_set(&b, "old", NULL), 0);
}

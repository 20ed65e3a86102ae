/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/cgroup_limits.h"

#include <stdio.h>

#define CPU_PERIOD_US 100000ULL
#define CPU_PERIOD_MAX_US 1000000ULL
#define CPU_QUOTA_MIN_US 1000ULL /* kernel/sched/core.c: 1 ms */

static struct cgroup_setting *add(struct cgroup_setting *at,
				  enum cgroup_controller which,
				  const char *isolator, const char *file)
{
	*at = (struct cgroup_setting){
		.which = which,
		.isolator = isolator,
		.file = file,
	};
	return at;
}

static size_t memory_make(uint64_t max, int version, struct cgroup_setting *ret)
{
	static const char isolator[] = "resource/memory";
	static const char *const files[][2] = {
		[1] = {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"},
		[2] = {"memory.max", "memory.swap.max"},
	};

	add(&ret[0], CGROUP_MEMORY, isolator, files[version][0]);
	(void)snprintf(ret[0].value, sizeof(ret[0].value), "%llu",
		       (unsigned long long)max);
	if (!version)
		return 1;
	/* Memory and swap together (v1), no swap (v2): the limit is one of
	 * all memory.  Kernels without swap accounting lack the file. */
	add(&ret[1], CGROUP_MEMORY, isolator, files[version][1]);
	ret[1].best_effort = true;
	(void)snprintf(ret[1].value, sizeof(ret[1].value), "%llu",
		       version == 1 ? (unsigned long long)max : 0ULL);
	return 2;
}

static size_t cpu_make(uint64_t millis, int version, struct cgroup_setting *ret)
{
	static const char isolator[] = "resource/cpu";
	unsigned long long period = CPU_PERIOD_US;
	unsigned long long quota;

	if (millis > UINT64_MAX / CPU_PERIOD_MAX_US)
		millis = UINT64_MAX / CPU_PERIOD_MAX_US;
	if (millis * period / 1000 < CPU_QUOTA_MIN_US)
		period = CPU_PERIOD_MAX_US;
	quota = millis * period / 1000;
	if (version == 1) {
		add(&ret[0], CGROUP_CPU, isolator, "cpu.cfs_period_us");
		(void)snprintf(ret[0].value, sizeof(ret[0].value), "%llu",
			       period);
		add(&ret[1], CGROUP_CPU, isolator, "cpu.cfs_quota_us");
		(void)snprintf(ret[1].value, sizeof(ret[1].value), "%llu",
			       quota);
		return 2;
	}
	add(&ret[0], CGROUP_CPU, isolator, version ? "cpu.max" : NULL);
	(void)snprintf(ret[0].value, sizeof(ret[0].value), "%llu %llu", quota,
		       period);
	return 1;
}

/* As systemd turns CPUShares= into a weight: 1024 is 100. */
static uint64_t weight_of_shares(uint64_t shares)
{
	uint64_t weight = shares > 102400 ? 10000 : shares * 100 / 1024;

	return weight < 1 ? 1 : weight;
}

static size_t shares_make(uint64_t shares, int version,
			  struct cgroup_setting *ret)
{
	static const char *const file[] = {NULL, "cpu.shares", "cpu.weight"};

	add(ret, CGROUP_CPU, "os/linux/cpu-shares", file[version]);
	(void)snprintf(ret->value, sizeof(ret->value), "%llu",
		       (unsigned long long)(version == 2
						    ? weight_of_shares(shares)
						    : shares));
	return 1;
}

static size_t pids_make(uint64_t max, int version, struct cgroup_setting *ret)
{
	add(ret, CGROUP_PIDS, "os/linux/pids", version ? "pids.max" : NULL);
	(void)snprintf(ret->value, sizeof(ret->value), "%llu",
		       (unsigned long long)max);
	return 1;
}

size_t cgroup_settings_make(const struct cgroup_limits *limits,
			    const int version[CGROUP_CONTROLLERS],
			    struct cgroup_setting ret[CGROUP_SETTINGS_MAX])
{
	size_t n = 0;

	if (limits->memory_max)
		n += memory_make(limits->memory_max, version[CGROUP_MEMORY],
				 ret + n);
	if (limits->cpu_millis)
		n += cpu_make(limits->cpu_millis, version[CGROUP_CPU], ret + n);
	if (limits->cpu_shares)
		n += shares_make(limits->cpu_shares, version[CGROUP_CPU],
				 ret + n);
	if (limits->pids_max)
		n += pids_make(limits->pids_max, version[CGROUP_PIDS], ret + n);
	return n;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_APP_STATS_H
#define STAGE0_APP_STATS_H

/*
 * What an app of a running pod uses: from its control groups, of whatever
 * version, and where the host counts something in none of them, from its
 * processes in /proc.  Nothing of the processes' memory is read, nor anything
 * of the pod's files opened: an app can make neither slow nor wait.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;
struct pod;

struct app_process_stats {
	pid_t pid, pod_pid;
	uint32_t uid; /* as the pod numbers it */
	uint64_t cpu_usec;
	uint64_t rss; /* bytes */
	uint64_t read_bytes, written_bytes;
	bool has_io; /* they are known: /proc tells them to few */
	uint64_t threads;
	char name[32]; /* of the program; printable */
};

struct app_stats {
	uint64_t cpu_usec; /* of processes that have ended, too */
	/* Bytes: without files that the kernel can forget; of the processes
	 * alone what they share counts for each. */
	uint64_t memory;
	uint64_t memory_limit; /* 0: none */
	/* Bytes of storage; of the processes alone those that still run. */
	uint64_t read_bytes, written_bytes;
	bool has_io;			     /* they are known */
	uint64_t tasks;			     /* processes and threads */
	struct app_process_stats *processes; /* by pid */
	size_t n_processes;
};

#define APP_STATS_INIT                                                         \
	{                                                                      \
		0                                                              \
	}

/* -EOPNOTSUPP if the pod's stage1 puts it into no control groups. */
int app_stats_check(const struct pod *pod, struct error *err);

/* Of all generations of APP that run, one unless it is being updated.  An app
 * that has ended uses nothing. */
int app_stats_read(const struct pod *pod, const char *app,
		   struct app_stats *ret, struct error *err);
void app_stats_release(struct app_stats *stats);
#define cleanup_app_stats __attribute__((__cleanup__(app_stats_release)))

/* --- pure ------------------------------------------------------------------
 */

/* The number behind KEY at the start of a line of TEXT, blanks between; false
 * if there is none. */
bool stats_find(const char *text, const char *key, uint64_t *ret);
/* The sum of all KEY=NUMBER words of TEXT (io.stat). */
uint64_t stats_sum(const char *text, const char *key);
/* utime and stime of /proc/PID/stat, in ticks, whatever the program calls
 * itself; -EINVAL. */
int stats_parse_ticks(const char *text, uint64_t *ret);
/* Name, Uid, NSpid, VmRSS and Threads of /proc/PID/status; -EINVAL without
 * them.  A zombie has no VmRSS. */
int stats_parse_status(const char *text, struct app_process_stats *ret);

#endif

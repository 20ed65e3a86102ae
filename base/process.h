/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

/* Child processes with an explicit set of descriptors. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

/* fd_from of the parent becomes fd_to in the child; all else is closed. */
struct fd_map {
	int fd_from;
	int fd_to;
};

/*
 * Starts the program PATH (absolute, or "/proc/self/fd/N"-free descriptor
 * EXEC_FD when PATH is NULL) with exactly ARGV, ENVP and the N descriptors
 * of MAP open.  Returns a pidfd; the pid is stored in *ret_pid if not NULL.
 * A failing exec is reported here, as an error.
 */
int process_spawn(const char *path, int exec_fd, char *const argv[],
		  char *const envp[], const struct fd_map *map, size_t n,
		  pid_t *ret_pid, struct error *err);

/*
 * Makes a process by clone3() with FLAGS (CLONE_NEW..., and the like) that
 * runs CHILD(ARG, TO_PARENT) and ends with 0 if that returns.  Returns its
 * pidfd; *ret_said is where the parent reads what it writes to TO_PARENT, to
 * the end of file when it is gone.  The child has all that the parent has
 * open.  With CLONE_FILES, pass CLONE_VFORK too: what closes TO_PARENT here
 * closes it there, and so may come only when the child has ended.
 */
int process_start(uint64_t flags, void (*child)(const void *arg, int to_parent),
		  const void *arg, int *ret_said, pid_t *ret_pid,
		  struct error *err);

/* Waits for the child behind PIDFD: returns its wait status (see wait(2)). */
int process_wait(int pidfd, int *ret_status);

/* The exit code a shell would give: code, or 128 + signal. */
int process_exit_code(int status);

/*
 * PID, by its number in this /proc, has begun to exit: its descriptors may be
 * closed already, and who waits for it hears of it next.  False if in doubt.
 */
bool process_is_ending(pid_t pid);

/* "exit code 3" or "signal 9 (Killed)" into BUF. */
const char *process_status_text(int status, char *buf, size_t size);

/*
 * Opens what is closed of descriptors 0, 1 and 2, so that no file opened
 * later becomes stdout or stderr.  Reading or writing them still fails.
 * First thing of a main(); aborts if it cannot.
 */
void process_open_standard_fds(void);

/* What this process does, and those it starts, matters less than what runs
 * besides (nice 5).  It stays as it was where it was so already. */
void process_be_nice(void);

/*
 * One that is nice (above) is so to other sessions, too: where the kernel
 * gives each session the same share (autogroup, sched(7)), nice values count
 * only within one.  Begins a session then, so a terminal's signals do not
 * come here any more.
 */
void process_be_nice_to_sessions(void);

/*
 * Permitted and effective are CAPS, bit N capability N, from now on; nothing is
 * inheritable.  Bounding set and no_new_privs are as they were.
 */
int process_set_capabilities(uint64_t caps, struct error *err);
/* None, and what is executed gets none back: no_new_privs. */
int process_drop_capabilities(struct error *err);

/* For a service: a descriptor, which does not block, that SIGTERM and SIGINT
 * make readable instead of ending the process.  SIGPIPE is ignored. */
int process_take_end_signals(struct error *err);

/* Closes every descriptor from FIRST up, except those listed in KEEP. */
int close_all_from(int first, const int *keep, size_t n_keep);

#endif

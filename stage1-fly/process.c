/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1-fly/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "spec/stage1_abi.h"

#define NUMBER_MAX 32	/* bytes */
#define START_WAITS 500 /* of 20 ms */

static int read_number(const char *name, pid_t *ret, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	uint64_t number;
	int r = read_file_at(AT_FDCWD, name, NUMBER_MAX, &text, err);

	if (r < 0)
		return r;
	if (parse_uint(text.buf, INT32_MAX, &number) < 0 || number < 2)
		return error_set(err, EINVAL, "%s has no number", name);
	*ret = (pid_t)number;
	return 0;
}

static int wait_for_pid(pid_t *ret, struct error *err)
{
	const struct timespec pause = {.tv_nsec = 20000000};
	int r = -ENOENT;

	for (int i = 0; i < START_WAITS && r == -ENOENT; i++) {
		if (i > 0)
			(void)nanosleep(&pause, NULL);
		r = read_number(POD_PID_FILE, ret, err);
	}
	return r;
}

static bool has_open(pid_t pid, const struct stat *wanted)
{
	cleanup_dir DIR *dir = NULL;
	struct dirent *de;
	struct stat st;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir && (de = readdir(dir)))
		if (fstatat(dirfd(dir), de->d_name, &st, 0) == 0 &&
		    st.st_dev == wanted->st_dev && st.st_ino == wanted->st_ino)
			return true;
	return false;
}

int fly_process_open(pid_t *ret_pid, struct error *err)
{
	cleanup_fd int pidfd = -EBADF;
	struct stat pod;
	int r = wait_for_pid(ret_pid, err);

	if (r < 0)
		return r;
	if (stat(".", &pod) < 0)
		return error_sys(err, errno, "look at the pod's directory");
	pidfd = pidfd_open(*ret_pid, 0);
	/* In this order: what is seen is of the process the pidfd holds. */
	if (pidfd < 0 || !has_open(*ret_pid, &pod))
		return error_set(err, ESRCH, "the app's process %d has ended",
				 (int)*ret_pid);
	return TAKE_FD(pidfd);
}

int fly_process_group(pid_t *ret, struct error *err)
{
	pid_t pid;
	int r = read_number(POD_PGID_FILE, ret, err);

	if (r == 0)
		r = read_number(POD_PID_FILE, &pid, err);
	if (r == 0 && pid != *ret)
		return error_set(err, ESRCH,
				 "the app's process %d has ended, and what it "
				 "started has the process group of who ran "
				 "rkt: find it with "
				 "fuser on the pod's directory",
				 (int)pid);
	return r;
}

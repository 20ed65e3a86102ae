/* SPDX-License-Identifier: Apache-2.0 */
/* Input: a program that could not be started, ELF or script. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "stage1/exec_lookup.h"
#include "tests/fuzz/fuzz.h"

/* An unlinked directory cannot hold files, so this one goes at exit. */
static char dir[] = "/tmp/rkt-fuzz-exec-XXXXXX";
static int dir_fd = -1;

static void remove_dir(void)
{
	unlinkat(dir_fd, "x", 0);
	rmdir(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error err = ERROR_INIT;
	int fd;

	if (dir_fd < 0) {
		fuzz_expect(mkdtemp(dir));
		dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		fuzz_expect(dir_fd >= 0 && atexit(remove_dir) == 0);
	}
	fd = openat(dir_fd, "x", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		    0700);
	fuzz_expect(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
	fuzz_expect(exec_diagnose(dir_fd, "/x", ENOENT, &err) == -ENOENT);
	fuzz_expect(*err.msg);
	return 0;
}

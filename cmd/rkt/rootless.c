/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/rootless.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/rootless.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/stage1_abi.h"

#define CMDLINE_MAX (8UL * 1024 * 1024)
#define PASSWD_MAX (4UL * 1024 * 1024)

/* Root of the host may have inherited the mark: it counts only where root is
 * somebody else outside. */
static bool is_mark_true(void)
{
	cleanup_strbuf struct strbuf map = STRBUF_INIT;
	unsigned int inside, outside, count;

	return read_file_path("/proc/self/uid_map", 4096, &map, NULL) == 0 &&
	       sscanf(map.buf, "%u %u %u", &inside, &outside, &count) == 3 &&
	       outside != 0;
}

/* No system call for root: the kernel says who it is at the start. */
bool rootless_is_user(void)
{
	if (getauxval(AT_EUID) != 0)
		return true;
	if (!getenv(STAGE1_ENV_ROOTLESS))
		return false;
	if (is_mark_true())
		return true;
	(void)unsetenv(STAGE1_ENV_ROOTLESS);
	return false;
}

char *rootless_user_name(void)
{
	const char *mark = getenv(STAGE1_ENV_ROOTLESS);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	char *name = NULL;
	uint64_t id;

	if (!mark || parse_uint(mark, UINT32_MAX, &id) < 0)
		return NULL;
	if (read_file_path("/etc/passwd", PASSWD_MAX, &text, NULL) == 0)
		name = rootless_name_find(text.buf, (uint32_t)id);
	return name ? name : xasprintf("user %u", (unsigned int)id);
}

static char *in_home(const char *variable, const char *otherwise)
{
	const char *given = getenv(variable);
	const char *home = getenv("HOME");

	if (given && path_is_absolute(given))
		return xasprintf("%s/rkt", given);
	if (home && path_is_absolute(home))
		return xasprintf("%s/%s/rkt", home, otherwise);
	return NULL;
}

char *rootless_data_dir(void)
{
	return in_home("XDG_DATA_HOME", ".local/share");
}

/* Not that of another user, whose HOME this one has kept. */
char *rootless_config_dir(void)
{
	cleanup_free char *dir = in_home("XDG_CONFIG_HOME", ".config");

	if (dir && access(dir, R_OK | X_OK) < 0 && errno != ENOENT)
		return NULL;
	return TAKE_PTR(dir);
}

bool rootless_owns(const char *dir)
{
	struct stat st;

	return stat(dir, &st) < 0 ? errno == ENOENT : st.st_uid == geteuid();
}

/* Nobody else looks into it: programs in it may have the set-user-ID bit of
 * this user. */
static int open_data_dir(const char *dir, struct error *err)
{
	cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int fd = -EBADF;
	struct stat st;
	int r = 0;

	if (root < 0)
		return error_sys(err, errno, "open /");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		r = mkdir_p_at(root, dir + 1, 0700);
		fd = r < 0 ? r : open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0)
		return error_sys(err, r < 0 ? -r : errno, "open %s", dir);
	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "look at %s", dir);
	if (st.st_uid != geteuid())
		return error_set(err, EPERM,
				 "%s is not yours: --dir names a directory of "
				 "your own",
				 dir);
	/* Where the directory is open to others, those of her group. */
	if ((mkdirat(fd, "pods", 0700) < 0 && errno != EEXIST) ||
	    fchmodat(fd, "pods", 0700, 0) < 0)
		return error_sys(err, errno, "keep %s/pods to yourself", dir);
	return TAKE_FD(fd);
}

/* The words as they were typed: ours have been moved about. */
static int read_words(struct strbuf *text, struct strv *ret, struct error *err)
{
	int r = read_file_path("/proc/self/cmdline", CMDLINE_MAX, text, err);

	for (size_t at = 0; r == 0 && at < text->len;
	     at += strlen(text->buf + at) + 1)
		strv_push(ret, text->buf + at);
	return r;
}

int rootless_become_root(const char *dir, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_strv struct strv words = STRV_INIT;
	cleanup_free char *mark = xasprintf("%u", geteuid());
	cleanup_fd int fd = open_data_dir(dir, err);
	int r = fd < 0 ? fd : read_words(&text, &words, err);

	if (r == 0)
		r = rootless_enter(fd, err);
	if (r < 0)
		return r;
	assert(words.n > 0 && words.v); /* the kernel sees to it */
	(void)setenv(STAGE1_ENV_ROOTLESS, mark, 1);
	(void)execv("/proc/self/exe", words.v);
	return error_sys(err, errno, "execute rkt again");
}

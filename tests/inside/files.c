/* SPDX-License-Identifier: Apache-2.0 */
/* What is there below "/", and what can be done to it. */
#include "tests/inside/inside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void cmd_read(char **args)
{
	static char buf[65536];
	ssize_t n = slurp(args[0], buf, sizeof(buf));

	if (n < 0) {
		report_error("read", errno);
		return;
	}
	printf("size=%zd\nread=%s%s", n, buf,
	       n > 0 && buf[n - 1] == '\n' ? "" : "\n");
}

static void write_with(const char *key, const char *path, const char *text,
		       int flags)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);

	if (fd < 0) {
		report_error(key, errno);
		return;
	}
	report_call(key, write(fd, text, strlen(text)));
	close(fd);
}

static void cmd_write(char **args)
{
	write_with("write", args[0], args[1], O_CREAT | O_TRUNC);
}

static void cmd_append(char **args)
{
	write_with("append", args[0], args[1], O_CREAT | O_APPEND);
}

/* Opens for writing what exists, writes nothing: is it writable at all? */
static void cmd_open_write(char **args)
{
	int fd = open(args[0], O_WRONLY | O_CLOEXEC | O_NONBLOCK);

	report_call("open-write", fd);
	if (fd >= 0)
		close(fd);
}

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFCHR:
		return "char";
	case S_IFBLK:
		return "block";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	default:
		return "unknown";
	}
}

static void cmd_stat(char **args)
{
	struct stat st;

	if (lstat(args[0], &st)) {
		report_error("stat", errno);
		return;
	}
	printf("type=%s\nmode=%04o\nowner=%u:%u\nsize=%lld\nrdev=%u:%u\n",
	       type_name(st.st_mode), st.st_mode & 07777, st.st_uid, st.st_gid,
	       (long long)st.st_size, major(st.st_rdev), minor(st.st_rdev));
}

static int name_cmp(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void cmd_ls(char **args)
{
	struct dirent **list;
	int n = scandir(args[0], &list, NULL, name_cmp);

	if (n < 0) {
		report_error("ls", errno);
		return;
	}
	printf("ls=");
	for (int i = 0, first = 1; i < n; i++) {
		if (strcmp(list[i]->d_name, ".") &&
		    strcmp(list[i]->d_name, "..")) {
			printf("%s%s", first ? "" : ",", list[i]->d_name);
			first = 0;
		}
		free(list[i]);
	}
	free(list);
	putchar('\n');
}

static void cmd_readlink(char **args)
{
	print_link("readlink", args[0]);
}

static void cmd_mkdir(char **args)
{
	report_call("mkdir", mkdir(args[0], 0755));
}

static void cmd_unlink(char **args)
{
	report_call("unlink", unlink(args[0]));
}

static void cmd_chown(char **args)
{
	report_call("chown", lchown(args[0], (uid_t)number(args[1]),
				    (gid_t)number(args[2])));
}

static void cmd_chmod(char **args)
{
	report_call("chmod", chmod(args[0], (mode_t)strtoul(args[1], NULL, 8)));
}

/* mknod PATH c|b MAJOR MINOR, then tries to open it. */
static void cmd_mknod(char **args)
{
	mode_t type = args[1][0] == 'b' ? S_IFBLK : S_IFCHR;
	dev_t dev = makedev((unsigned int)number(args[2]),
			    (unsigned int)number(args[3]));
	int r = mknod(args[0], type | 0666, dev);

	report_call("mknod", r);
	if (r)
		return;
	r = open(args[0], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	report_call("open", r);
	if (r >= 0)
		close(r);
}

static void cmd_open(char **args)
{
	int fd = open(args[0], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char c;

	report_call("open", fd);
	if (fd < 0)
		return;
	ssize_t n = read(fd, &c, 1);
	if (n < 0)
		report_error("open.read", errno);
	else
		printf("open.read=%zd\n", n);
	close(fd);
}

/* The device nodes every app may count on: type, numbers, mode, usable. */
static void cmd_check_dev(char **args)
{
	static const struct {
		const char *path;
		unsigned int major, minor;
	} rows[] = {
		{"/dev/null", 1, 3},	{"/dev/zero", 1, 5},
		{"/dev/full", 1, 7},	{"/dev/random", 1, 8},
		{"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
	};
	struct stat st;
	int bad = 0;

	(void)args;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		if (lstat(rows[i].path, &st) || !S_ISCHR(st.st_mode) ||
		    major(st.st_rdev) != rows[i].major ||
		    minor(st.st_rdev) != rows[i].minor ||
		    (st.st_mode & 0777) != 0666 || st.st_uid) {
			printf("dev.bad=%s\n", rows[i].path);
			bad = 1;
		}
	}
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) {
		report_error("dev.ptmx", errno);
		bad = 1;
	} else {
		char *name = unlockpt(fd) ? NULL : ptsname(fd);

		printf("dev.pts=%s\n", name ? name : "none");
		bad |= !name || access(name, R_OK | W_OK);
		close(fd);
	}
	fd = shm_open("/inside", O_RDWR | O_CREAT, 0600);
	if (fd < 0) {
		report_error("dev.shm", errno);
		bad = 1;
	} else {
		close(fd);
		shm_unlink("/inside");
	}
	print_link("dev.fd", "/dev/fd");
	print_link("dev.stdin", "/dev/stdin");
	print_link("dev.stdout", "/dev/stdout");
	print_link("dev.stderr", "/dev/stderr");
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	bad |= fd < 0 || write(fd, "x", 1) != 1;
	fd = open("/dev/full", O_RDWR | O_CLOEXEC);
	bad |= fd < 0 || write(fd, "x", 1) != -1 || errno != ENOSPC;
	printf("dev=%s\n", bad ? "bad" : "ok");
}

/* masked.PATH=yes if nothing can be read there, else what can. */
static void cmd_masked(char **args)
{
	char buf[64];
	struct stat st;

	for (; *args; args++) {
		if (lstat(*args, &st)) {
			printf("masked.%s=%s\n", *args,
			       errno == ENOENT ? "absent" : "yes");
			continue;
		}
		if (S_ISDIR(st.st_mode)) {
			struct dirent **list;
			int n = scandir(*args, &list, NULL, NULL);

			printf("masked.%s=%s\n", *args, n <= 2 ? "yes" : "no");
			continue;
		}
		ssize_t n = slurp(*args, buf, sizeof(buf));
		printf("masked.%s=%s\n", *args, n <= 0 ? "yes" : "no");
	}
}

const struct command file_commands[] = {
	{"append", 2, cmd_append}, {"check-dev", 0, cmd_check_dev},
	{"chmod", 2, cmd_chmod},   {"chown", 3, cmd_chown},
	{"ls", 1, cmd_ls},	   {"masked", 1, cmd_masked},
	{"mkdir", 1, cmd_mkdir},   {"mknod", 4, cmd_mknod},
	{"open", 1, cmd_open},	   {"open-write", 1, cmd_open_write},
	{"read", 1, cmd_read},	   {"readlink", 1, cmd_readlink},
	{"stat", 1, cmd_stat},	   {"unlink", 1, cmd_unlink},
	{"write", 2, cmd_write},   {0},
};

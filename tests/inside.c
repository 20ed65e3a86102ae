/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The app of the black-box tests: a static program that runs inside a pod
 * and reports what it sees, one KEY=VALUE a line, never failing because of
 * what it sees: an error is reported as KEY.error=ENAME.  Several commands
 * in one run are separated by the word "and":
 *
 *     inside print-ids and read /etc/greeting and exit-code 3
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define N_ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

extern char **environ;

static void report_error(const char *key, int e)
{
	printf("%s.error=%s\n", key, strerrorname_np(e));
}

/* "KEY=ok" or "KEY.error=ENAME" for a call that returned R and set errno. */
static void report_call(const char *key, long r)
{
	if (r < 0)
		report_error(key, errno);
	else
		printf("%s=ok\n", key);
}

static long number(const char *s)
{
	char *end;
	long n = strtol(s, &end, 0);

	if (!*s || *end) {
		fprintf(stderr, "inside: %s is not a number\n", s);
		exit(99);
	}
	return n;
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Reads up to SIZE - 1 bytes of PATH; the length or -1 with errno. */
static ssize_t slurp(const char *path, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -1;
	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = 0;
	int e = errno;
	close(fd);
	errno = e;
	return n < 0 ? -1 : (ssize_t)len;
}

/* --- what the process is -------------------------------------------------- */

static void cmd_print_env(char **args)
{
	for (char **e = environ; *e; e++)
		if (!*args)
			printf("env.%s\n", *e);
	for (; *args; args++) {
		const char *v = getenv(*args);

		printf("env.%s%s%s\n", *args, v ? "=" : ".unset=1", v ? v : "");
	}
}

static void cmd_print_ids(char **args)
{
	gid_t groups[256];
	int n = getgroups((int)N_ELEMENTS(groups), groups);

	(void)args;
	printf("uid=%u\neuid=%u\ngid=%u\negid=%u\ngroups=", getuid(), geteuid(),
	       getgid(), getegid());
	for (int i = 0; i < n; i++)
		printf("%s%u", i ? "," : "", groups[i]);
	printf("\npid=%d\nppid=%d\nsid=%d\n", getpid(), getppid(), getsid(0));
}

/* Lines of /proc/self/status, names in lower case: capbnd=..., seccomp=2. */
static void cmd_print_caps(char **args)
{
	static const char *const keys[] = {
		"CapInh", "CapPrm",	"CapEff",  "CapBnd",
		"CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters"};
	char line[512];
	FILE *f = fopen("/proc/self/status", "re");

	(void)args;
	if (!f) {
		report_error("caps", errno);
		return;
	}
	while (fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':');

		if (!colon)
			continue;
		*colon = 0;
		for (size_t i = 0; i < N_ELEMENTS(keys); i++) {
			if (strcmp(line, keys[i]))
				continue;
			for (char *p = line; *p; p++)
				putchar(tolower((unsigned char)*p));
			printf("=%s", colon + 1 + strspn(colon + 1, " \t"));
		}
	}
	fclose(f);
}

static void print_link(const char *key, const char *path)
{
	char buf[4096];
	ssize_t n = readlink(path, buf, sizeof(buf) - 1);

	if (n < 0) {
		report_error(key, errno);
		return;
	}
	buf[n] = 0;
	printf("%s=%s\n", key, buf);
}

static void cmd_print_cwd(char **args)
{
	char buf[4096];

	(void)args;
	if (getcwd(buf, sizeof(buf)))
		printf("cwd=%s\n", buf);
	else
		report_error("cwd", errno);
}

static void cmd_print_exe(char **args)
{
	(void)args;
	print_link("exe", "/proc/self/exe");
}

static void cmd_print_limits(char **args)
{
	static const struct {
		const char *name;
		int resource;
	} rows[] = {
		{"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC},
		{"core", RLIMIT_CORE},	   {"memlock", RLIMIT_MEMLOCK},
		{"as", RLIMIT_AS},	   {"stack", RLIMIT_STACK},
	};

	(void)args;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct rlimit l;

		if (!getrlimit((__rlimit_resource_t)rows[i].resource, &l))
			printf("limit.%s=%lld:%lld\n", rows[i].name,
			       (long long)l.rlim_cur, (long long)l.rlim_max);
	}
}

static void cmd_print_hostname(char **args)
{
	struct utsname u;

	(void)args;
	uname(&u);
	printf("hostname=%s\n", u.nodename);
}

static void cmd_print_ns(char **args)
{
	static const char *const names[] = {"pid", "mnt",    "uts", "ipc",
					    "net", "cgroup", "user"};
	char path[64], key[64];

	(void)args;
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
		snprintf(key, sizeof(key), "ns.%s", names[i]);
		print_link(key, path);
	}
}

static void cmd_print_fds(char **args)
{
	char path[64], key[64];

	(void)args;
	for (int fd = 0; fd < 1024; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		snprintf(key, sizeof(key), "fd.%d", fd);
		print_link(key, path);
	}
}

static void cmd_print_sched(char **args)
{
	char buf[64];

	(void)args;
	if (slurp("/proc/self/oom_score_adj", buf, sizeof(buf)) > 0)
		printf("oom_score_adj=%s", buf);
	printf("nice=%d\n", getpriority(PRIO_PROCESS, 0));
	printf("dumpable=%d\n", prctl(PR_GET_DUMPABLE));
}

static void print_lines(const char *key, const char *path)
{
	char line[4096];
	FILE *f = fopen(path, "re");

	if (!f) {
		report_error(key, errno);
		return;
	}
	while (fgets(line, sizeof(line), f))
		printf("%s=%s", key, line);
	fclose(f);
}

static void cmd_print_cgroup(char **args)
{
	(void)args;
	print_lines("cgroup", "/proc/self/cgroup");
}

/* mount.PATH=TYPE OPTIONS SUPEROPTIONS, one line a mount. */
static void cmd_print_mounts(char **args)
{
	char line[8192], point[4096], opts[1024], type[256], super[4096];
	FILE *f = fopen("/proc/self/mountinfo", "re");

	(void)args;
	if (!f) {
		report_error("mounts", errno);
		return;
	}
	while (fgets(line, sizeof(line), f)) {
		char *dash = strstr(line, " - ");

		if (dash &&
		    sscanf(line, "%*s %*s %*s %*s %4095s %1023s", point,
			   opts) == 2 &&
		    sscanf(dash, " - %255s %*s %4095s", type, super) == 2)
			printf("mount.%s=%s %s %s\n", point, type, opts, super);
	}
	fclose(f);
}

static void cmd_print_net(char **args)
{
	struct ifaddrs *list, *a;
	char text[INET6_ADDRSTRLEN];
	struct if_nameindex *names = if_nameindex();

	(void)args;
	for (struct if_nameindex *i = names; i && i->if_name; i++)
		printf("if=%s\n", i->if_name);
	if_freenameindex(names);
	if (getifaddrs(&list))
		return;
	for (a = list; a; a = a->ifa_next) {
		if (!a->ifa_addr || a->ifa_addr->sa_family != AF_INET)
			continue;
		struct sockaddr_in *in = (struct sockaddr_in *)a->ifa_addr;

		printf("ip.%s=%s\n", a->ifa_name,
		       inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)));
	}
	freeifaddrs(list);
	print_lines("route", "/proc/net/route");
}

static void cmd_print_tty(char **args)
{
	struct winsize w = {0};

	(void)args;
	for (int fd = 0; fd < 3; fd++)
		printf("isatty.%d=%d\n", fd, isatty(fd));
	if (!ioctl(0, TIOCGWINSZ, &w))
		printf("winsize=%dx%d\n", w.ws_row, w.ws_col);
	print_link("tty", "/proc/self/fd/0");
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
	report_call("devtty", fd);
	if (fd >= 0)
		close(fd);
}

/* --- files ---------------------------------------------------------------- */

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

/* --- processes and time --------------------------------------------------- */

static void cmd_echo(char **args)
{
	for (; *args; args++)
		printf("%s%s", *args, args[1] ? " " : "\n");
}

static void cmd_stderr(char **args)
{
	for (; *args; args++)
		fprintf(stderr, "%s%s", *args, args[1] ? " " : "\n");
}

static void cmd_exit_code(char **args)
{
	exit((int)number(args[0]));
}

static void cmd_kill_self(char **args)
{
	kill(getpid(), (int)number(args[0]));
}

static void cmd_kill(char **args)
{
	report_call("kill", kill((pid_t)number(args[0]), (int)number(args[1])));
}

static void sleep_ms(uint64_t ms)
{
	uint64_t end = now_ms() + ms, now;

	while ((now = now_ms()) < end) {
		uint64_t left = end - now;

		poll(NULL, 0, left > 1000 ? 1000 : (int)left);
	}
}

static void cmd_sleep(char **args)
{
	sleep_ms((uint64_t)(strtod(args[0], NULL) * 1000));
}

static void cmd_ready(char **args)
{
	(void)args;
	puts("ready=1");
}

static volatile sig_atomic_t last_signal;

static void remember_signal(int sig)
{
	last_signal = sig;
}

/* signals SECONDS: prints each signal it gets; TERM ends it with code 0. */
static void cmd_signals(char **args)
{
	uint64_t end = now_ms() + (uint64_t)number(args[0]) * 1000;
	static const int sigs[] = {SIGTERM, SIGINT,  SIGHUP,
				   SIGUSR1, SIGUSR2, SIGWINCH};

	for (size_t i = 0; i < N_ELEMENTS(sigs); i++)
		signal(sigs[i], remember_signal);
	puts("ready=1");
	while (now_ms() < end) {
		int sig = last_signal;

		if (!sig) {
			poll(NULL, 0, 20);
			continue;
		}
		last_signal = 0;
		printf("signal=%s\n", sigabbrev_np(sig));
		if (sig == SIGWINCH)
			cmd_print_tty(NULL);
		if (sig == SIGTERM)
			exit(0);
	}
}

static void cmd_ignore_term(char **args)
{
	(void)args;
	signal(SIGTERM, SIG_IGN);
	puts("ready=1");
}

/* oom MIB: touches that much memory; the last line tells how far it came. */
static void cmd_oom(char **args)
{
	long n = number(args[0]);

	for (long i = 1; i <= n; i++) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED) {
			report_error("oom", errno);
			return;
		}
		memset(p, 1, 1 << 20);
		if (i % 8 == 0)
			printf("allocated_mib=%ld\n", i);
	}
	puts("oom=survived");
}

/* burn SECONDS: spins; the share of a cpu it got, in percent. */
static void cmd_burn(char **args)
{
	uint64_t start = now_ms(), ms = (uint64_t)number(args[0]) * 1000;
	struct rusage u;

	while (now_ms() - start < ms)
		for (volatile int i = 0; i < 10000; i++)
			;
	getrusage(RUSAGE_SELF, &u);
	uint64_t cpu = (uint64_t)u.ru_utime.tv_sec * 1000 +
		       (uint64_t)u.ru_utime.tv_usec / 1000 +
		       (uint64_t)u.ru_stime.tv_sec * 1000 +
		       (uint64_t)u.ru_stime.tv_usec / 1000;
	printf("burn_percent=%llu\n",
	       (unsigned long long)(cpu * 100 / (now_ms() - start)));
}

/* fork-orphans N: N grandchildren lose their parent; does PID 1 reap them? */
static void cmd_fork_orphans(char **args)
{
	long n = number(args[0]);
	char path[64], buf[512];
	int zombies = 0;

	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (!pid) {
			if (!fork()) {
				sleep_ms(20);
				_exit(0);
			}
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	sleep_ms(500);
	for (int pid = 2; pid < 32768; pid++) {
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		if (slurp(path, buf, sizeof(buf)) > 0 && strstr(buf, ") Z "))
			zombies++;
	}
	printf("zombies=%d\n", zombies);
}

static void cmd_print_pids(char **args)
{
	char path[64], buf[512];

	(void)args;
	printf("pids=");
	for (int pid = 1; pid < 4096; pid++) {
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		ssize_t n = slurp(path, buf, sizeof(buf));
		if (n > 0)
			printf("%s%d:%.*s", pid == 1 ? "" : ",", pid,
			       (int)(n - 1), buf);
	}
	putchar('\n');
}

static void cmd_stdin(char **args)
{
	char buf[4096];

	(void)args;
	while (fgets(buf, sizeof(buf), stdin))
		printf("stdin=%s", buf);
	puts("stdin.end=1");
}

/* lines N TEXT: N numbered lines, for the log tests. */
static void cmd_lines(char **args)
{
	long n = number(args[0]);

	for (long i = 1; i <= n; i++)
		printf("%s %ld\n", args[1], i);
}

/* --- what should be refused ------------------------------------------------
 */

struct attempt {
	const char *name;
	long nr;
	long args[6];
};

#define P(s) ((long)(s))

/* Calls a contained app must not get through; arguments are harmless if it
 * does. */
static const struct attempt attempts[] = {
	{"mount", SYS_mount, {P("none"), P("/tmp"), P("tmpfs")}},
	{"umount", SYS_umount2, {P("/proc"), MNT_DETACH}},
	{"pivot_root", SYS_pivot_root, {P("/tmp"), P("/tmp")}},
	{"unshare-user", SYS_unshare, {CLONE_NEWUSER}},
	{"unshare-mount", SYS_unshare, {CLONE_NEWNS}},
	{"unshare-cgroup", SYS_unshare, {CLONE_NEWCGROUP}},
	{"setns", SYS_setns, {0, 0}},
	{"reboot", SYS_reboot, {0xfee1dead, 672274793, 0}},
	{"kexec_load", SYS_kexec_load, {0, 0, 0, 0}},
	{"init_module", SYS_init_module, {0, 0, P("")}},
	{"delete_module", SYS_delete_module, {P("inside"), 0}},
	{"swapon", SYS_swapon, {P("/inside-swap"), 0}},
	{"acct", SYS_acct, {0}},
	{"bpf", SYS_bpf, {0, 0, 0}},
	{"perf_event_open", SYS_perf_event_open, {0, 0, -1, -1, 0}},
	{"keyctl", SYS_keyctl, {0, -3, 0}},
	{"add_key", SYS_add_key, {P("user"), P("k"), P("v"), 1, -3}},
	{"sethostname", SYS_sethostname, {P("escaped"), 7}},
	{"setdomainname", SYS_setdomainname, {P("escaped"), 7}},
	{"iopl", SYS_iopl, {3}},
	{"ioperm", SYS_ioperm, {0x80, 1, 1}},
	{"open_by_handle_at", SYS_open_by_handle_at, {-1, P(""), 0}},
	{"ptrace-1", SYS_ptrace, {PTRACE_ATTACH, 1, 0, 0}},
	{"chroot", SYS_chroot, {P("/")}},
	{"chmod", SYS_chmod, {P("/inside-missing"), 0600}},
	{"clone3", SYS_clone3, {0, 0}},
	{"userfaultfd", SYS_userfaultfd, {0}},
	{"io_uring_setup", SYS_io_uring_setup, {1, 0}},
	{"fsopen", SYS_fsopen, {P("tmpfs"), 0}},
	{"open_tree", SYS_open_tree, {AT_FDCWD, P("/"), 1}},
	{"move_mount", SYS_move_mount, {-1, P(""), -1, P(""), 0}},
	{"syslog", SYS_syslog, {10, 0, 0}},
	{"settimeofday", SYS_settimeofday, {0, 0}},
	{"clock_settime", SYS_clock_settime, {99, 0}},
	{"newest", 9999, {0}},
};

static long attempt_call(const struct attempt *a)
{
	return syscall(a->nr, a->args[0], a->args[1], a->args[2], a->args[3],
		       a->args[4], a->args[5]);
}

/* Each attempt in a child, since a filter may kill: try.NAME=ok|ENAME|SIG. */
static void try_one(const struct attempt *a)
{
	int status;

	fflush(stdout);
	pid_t pid = fork();
	if (!pid)
		_exit(attempt_call(a) < 0 ? errno : 0);
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		printf("try.%s=SIG%s\n", a->name,
		       sigabbrev_np(WTERMSIG(status)));
	else
		printf("try.%s=%s\n", a->name,
		       WEXITSTATUS(status)
			       ? strerrorname_np(WEXITSTATUS(status))
			       : "ok");
}

/* On the host the attempts would succeed, and hurt. */
static void refuse_on_host(void)
{
	char ns[64] = "";

	if (readlink("/proc/self/ns/pid", ns, sizeof(ns) - 1) > 0 &&
	    strcmp(ns, "pid:[4026531836]"))
		return;
	fputs("inside: not on the host\n", stderr);
	exit(97);
}

static void cmd_try(char **args)
{
	refuse_on_host();
	for (size_t i = 0; i < N_ELEMENTS(attempts); i++) {
		bool wanted = !*args;

		for (char **a = args; *a; a++)
			wanted |= !strcmp(*a, attempts[i].name);
		if (wanted)
			try_one(&attempts[i]);
	}
}

/* syscall NUMBER [ARG...]: by number, in a child as above. */
static void cmd_syscall(char **args)
{
	struct attempt a = {.name = args[0], .nr = number(args[0])};

	for (int i = 0; i < 6 && args[1 + i]; i++)
		a.args[i] = number(args[1 + i]);
	try_one(&a);
}

/* --- sockets ----------------------------------------------------------------
 */

static int listen_on(long port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6,
				   .sin6_port = htons((uint16_t)port),
				   .sin6_addr = IN6ADDR_ANY_INIT};
	struct sockaddr_in any4 = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)port)};
	int one = 1, r;
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		r = bind(fd, (struct sockaddr *)&any, sizeof(any));
	} else {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		r = bind(fd, (struct sockaddr *)&any4, sizeof(any4));
	}
	if (r || listen(fd, 1024)) {
		report_error("listen", errno);
		exit(98);
	}
	printf("listen=%ld\n", port);
	return fd;
}

/* listen PORT TEXT: gives every connection TEXT, for ever. */
static void cmd_listen(char **args)
{
	int fd = listen_on(number(args[0]));

	for (;;) {
		int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (c < 0)
			continue;
		dprintf(c, "%s\n", args[1]);
		close(c);
	}
}

/* http PORT TEXT: one connection at a time, HTTP/1.0 answers, for ever. */
static void cmd_http(char **args)
{
	int fd = listen_on(number(args[0]));
	char buf[4096];

	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (c < 0)
			continue;
		if (read(c, buf, sizeof(buf)) > 0)
			dprintf(c,
				"HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n"
				"Connection: close\r\n\r\n%s\n",
				strlen(args[1]) + 1, args[1]);
		shutdown(c, SHUT_WR);
		close(c);
	}
}

/* connect ADDRESS PORT: prints the first line the peer sends. */
static void cmd_connect(char **args)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)number(args[1]))};
	char buf[1024];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = {.tv_sec = 3};

	inet_pton(AF_INET, args[0], &to.sin_addr);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		report_error("connect", errno);
	} else {
		puts("connect=ok");
		ssize_t n = read(fd, buf, sizeof(buf) - 1);
		if (n > 0)
			printf("received=%.*s", (int)n, buf);
	}
	close(fd);
}

/* connect-abstract NAME: an abstract unix socket of the host? */
static void cmd_connect_abstract(char **args)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = strlen(args[0]);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(to.sun_path + 1, args[0], len);
	report_call("connect-abstract",
		    connect(fd, (struct sockaddr *)&to,
			    (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
					1 + len)));
	close(fd);
}

/* --- table
 * -------------------------------------------------------------------- */

static const struct command {
	const char *name;
	int min_args;
	void (*run)(char **args); /* NULL-terminated */
} commands[] = {
	{"append", 2, cmd_append},
	{"burn", 1, cmd_burn},
	{"check-dev", 0, cmd_check_dev},
	{"chmod", 2, cmd_chmod},
	{"chown", 3, cmd_chown},
	{"connect", 2, cmd_connect},
	{"connect-abstract", 1, cmd_connect_abstract},
	{"echo", 0, cmd_echo},
	{"exit-code", 1, cmd_exit_code},
	{"fork-orphans", 1, cmd_fork_orphans},
	{"http", 2, cmd_http},
	{"ignore-term", 0, cmd_ignore_term},
	{"kill", 2, cmd_kill},
	{"kill-self", 1, cmd_kill_self},
	{"lines", 2, cmd_lines},
	{"listen", 2, cmd_listen},
	{"ls", 1, cmd_ls},
	{"masked", 1, cmd_masked},
	{"mkdir", 1, cmd_mkdir},
	{"mknod", 4, cmd_mknod},
	{"oom", 1, cmd_oom},
	{"open", 1, cmd_open},
	{"open-write", 1, cmd_open_write},
	{"print-caps", 0, cmd_print_caps},
	{"print-cgroup", 0, cmd_print_cgroup},
	{"print-cwd", 0, cmd_print_cwd},
	{"print-env", 0, cmd_print_env},
	{"print-exe", 0, cmd_print_exe},
	{"print-fds", 0, cmd_print_fds},
	{"print-hostname", 0, cmd_print_hostname},
	{"print-ids", 0, cmd_print_ids},
	{"print-limits", 0, cmd_print_limits},
	{"print-mounts", 0, cmd_print_mounts},
	{"print-net", 0, cmd_print_net},
	{"print-ns", 0, cmd_print_ns},
	{"print-pids", 0, cmd_print_pids},
	{"print-sched", 0, cmd_print_sched},
	{"print-tty", 0, cmd_print_tty},
	{"read", 1, cmd_read},
	{"readlink", 1, cmd_readlink},
	{"ready", 0, cmd_ready},
	{"signals", 1, cmd_signals},
	{"sleep", 1, cmd_sleep},
	{"stat", 1, cmd_stat},
	{"stderr", 0, cmd_stderr},
	{"stdin", 0, cmd_stdin},
	{"syscall", 1, cmd_syscall},
	{"try", 0, cmd_try},
	{"unlink", 1, cmd_unlink},
	{"write", 2, cmd_write},
};

static int run_command(char *name, char **args)
{
	int n = 0;

	while (args[n])
		n++;
	for (size_t i = 0; i < N_ELEMENTS(commands); i++) {
		if (strcmp(commands[i].name, name))
			continue;
		if (n < commands[i].min_args) {
			fprintf(stderr, "inside: %s needs %d arguments\n", name,
				commands[i].min_args);
			return 99;
		}
		commands[i].run(args);
		fflush(stdout);
		return 0;
	}
	fprintf(stderr, "inside: no command %s\n", name);
	return 99;
}

int main(int argc, char **argv)
{
	int r = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc && !r;) {
		int end = i + 1;

		while (end < argc && strcmp(argv[end], "and"))
			end++;
		argv[end] = NULL; /* argv[argc] or the "and" */
		r = run_command(argv[i], argv + i + 1);
		i = end + 1;
	}
	return r;
}

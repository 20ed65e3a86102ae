/* SPDX-License-Identifier: Apache-2.0 */
/* Who the process is and what it was given. */
#include "tests/inside/inside.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <termios.h>
#include <unistd.h>

extern char **environ;

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

void cmd_print_tty(char **args)
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

const struct command identity_commands[] = {
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
	{"print-sched", 0, cmd_print_sched},
	{"print-tty", 0, cmd_print_tty},
	{0},
};

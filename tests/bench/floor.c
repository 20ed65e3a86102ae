/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor under every container runtime: the system calls none of them can
 * leave out, and nothing else.
 *
 *     floor [-d] [-o UPPER:WORK] ROOT COMMAND [ARG...]
 *
 * clone3 with six new namespaces, bind ROOT (with -o an overlay over it),
 * mount /proc, pivot_root, exec, wait.  -d adds a tmpfs on /dev with the six
 * device nodes and a read-only sysfs.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

struct floor {
	const char *root;
	char *overlay; /* UPPER:WORK or NULL */
	bool devices;
	char **argv;
};

static void must(int r, const char *what)
{
	if (r < 0)
		err(1, "%s", what);
}

static void make_devices(void)
{
	static const struct {
		const char *name;
		unsigned int major, minor;
	} nodes[] = {
		{"dev/null", 1, 3},   {"dev/zero", 1, 5},    {"dev/full", 1, 7},
		{"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0},
	};

	must(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755"),
	     "mount dev");
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		must(mknod(nodes[i].name, S_IFCHR | 0666,
			   makedev(nodes[i].major, nodes[i].minor)),
		     nodes[i].name);
	must(mount("sysfs", "sys", "sysfs",
		   MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL),
	     "mount sys");
}

static void mount_root(const struct floor *f)
{
	char opts[8192];
	char *work;

	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL),
	     "mount private");
	if (!f->overlay) {
		must(mount(f->root, f->root, NULL, MS_BIND | MS_REC, NULL),
		     "bind root");
		must(chdir(f->root), f->root);
		return;
	}
	work = strchr(f->overlay, ':');
	if (!work)
		errx(1, "-o takes UPPER:WORK");
	snprintf(opts, sizeof(opts), "lowerdir=%s,upperdir=%.*s,workdir=%s",
		 f->root, (int)(work - f->overlay), f->overlay, work + 1);
	must(mount("overlay", f->root, "overlay", 0, opts), "overlay");
	must(chdir(f->root), f->root);
}

static void child(const struct floor *f)
{
	mount_root(f);
	must(mount("proc", "proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV,
		   NULL),
	     "mount proc");
	if (f->devices)
		make_devices();
	must((int)syscall(SYS_pivot_root, ".", "."), "pivot_root");
	must(umount2(".", MNT_DETACH), "umount old root");
	must(chdir("/"), "/");
	execv(f->argv[0], f->argv);
	err(1, "%s", f->argv[0]);
}

int main(int argc, char **argv)
{
	struct clone_args args = {
		.flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS |
			 CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP,
		.exit_signal = SIGCHLD,
	};
	struct floor f = {0};
	int c, status;

	while ((c = getopt(argc, argv, "+do:")) != -1) {
		if (c == 'd')
			f.devices = true;
		else if (c == 'o')
			f.overlay = optarg;
		else
			return 2;
	}
	if (argc - optind < 2)
		errx(2, "usage: floor [-d] [-o UPPER:WORK] ROOT COMMAND...");
	f.root = argv[optind];
	f.argv = argv + optind + 1;
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	must(pid, "clone3");
	if (!pid)
		child(&f);
	must(waitpid(pid, &status, 0), "wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a network plugin costs by itself: N network namespaces, and the plugin
 * executed once for each of them, WIDTH at a time, with nothing around it.
 *
 *     cni_floor add N WIDTH PLUGIN CONF   makes the namespaces, untimed
 *     cni_floor del N WIDTH PLUGIN CONF   removes them after, untimed
 *
 * The namespaces are bound in /run/netns.  Prints the milliseconds of all
 * plugins together; exit 1 if one of them failed.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NETNS_DIR "/run/netns"

static void netns_path(char *buf, size_t size, unsigned long i)
{
	(void)snprintf(buf, size, NETNS_DIR "/floor%lu", i);
}

static int wait_failed(void)
{
	int status;

	while (wait(&status) < 0)
		if (errno != EINTR)
			err(1, "wait");
	return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static void netns_make(unsigned long i)
{
	char path[64];
	pid_t pid = fork();
	int fd;

	if (pid < 0)
		err(1, "fork");
	if (pid > 0) {
		if (wait_failed())
			errx(1, "cannot make a network namespace");
		return;
	}
	netns_path(path, sizeof(path), i);
	fd = open(path, O_RDONLY | O_CREAT | O_EXCL, 0444);
	if (fd < 0 || unshare(CLONE_NEWNET) < 0 ||
	    mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) < 0)
		err(1, "%s", path);
	_exit(0);
}

static void netns_remove(unsigned long i)
{
	char path[64];

	netns_path(path, sizeof(path), i);
	if (umount2(path, MNT_DETACH) < 0 || unlink(path) < 0)
		warn("%s", path);
}

static void plugin_start(const char *plugin, const char *conf, bool add,
			 unsigned long i)
{
	char path[64], id[32];
	int in, null;
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid > 0)
		return;
	netns_path(path, sizeof(path), i);
	(void)snprintf(id, sizeof(id), "floor%lu", i);
	in = open(conf, O_RDONLY);
	null = open("/dev/null", O_WRONLY);
	if (in < 0 || null < 0 || dup2(in, 0) < 0 || dup2(null, 1) < 0)
		err(127, "%s", conf);
	setenv("CNI_COMMAND", add ? "ADD" : "DEL", 1);
	setenv("CNI_CONTAINERID", id, 1);
	setenv("CNI_NETNS", path, 1);
	setenv("CNI_IFNAME", "eth0", 1);
	setenv("CNI_PATH", "/usr/lib/cni", 1);
	execl(plugin, plugin, (char *)NULL);
	err(127, "%s", plugin);
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
	bool add = argc > 1 && !strcmp(argv[1], "add");
	unsigned long n, width, failed = 0;
	double start;

	if (argc != 6 || (!add && strcmp(argv[1], "del") != 0))
		errx(2, "usage: cni_floor add|del N WIDTH PLUGIN CONF");
	n = strtoul(argv[2], NULL, 10);
	width = strtoul(argv[3], NULL, 10);
	if (n == 0 || width == 0 || width > n)
		errx(2, "N and WIDTH are numbers, WIDTH the smaller");
	if (mkdir(NETNS_DIR, 0755) < 0 && errno != EEXIST)
		err(1, NETNS_DIR);
	for (unsigned long i = 0; add && i < n; i++)
		netns_make(i);
	start = now_ms();
	for (unsigned long i = 0; i < n; i++) {
		if (i >= width)
			failed += (unsigned long)wait_failed();
		plugin_start(argv[4], argv[5], add, i);
	}
	for (unsigned long i = 0; i < width; i++)
		failed += (unsigned long)wait_failed();
	printf("%.0f\n", now_ms() - start);
	for (unsigned long i = 0; !add && i < n; i++)
		netns_remove(i);
	if (failed)
		errx(1, "%lu of %lu failed", failed, n);
	return 0;
}

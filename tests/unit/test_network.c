/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Against real CNI plugins, in a network and a mount namespace of the test's
 * own: the machine it runs on keeps nothing and sees nothing of it.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "spec/net_info.h"
#include "stage1/netns.h"
#include "stage1/network.h"
#include "stage1/network_state.h"

#define UUID "c9000000-0000-4000-8000-00000000c0de"
#define NETNS "/run/netns/rkt-" UUID

struct pod {
	pid_t pid; /* sleeps in a network namespace of its own */
	int dirfd;
	char *config;
	char dir[64];
};

static int run(const char *fmt, ...)
	__attribute__((__format__(__printf__, 1, 2)));
static int run(const char *fmt, ...)
{
	char cmd[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	return system(cmd);
}

static void write_proc(const char *path, const char *text)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0, "%s", path);
	cr_assert_eq(write_full(fd, text, strlen(text)), 0, "%s", path);
}

/* A little host: tmpfs where CNI keeps things, lo up, sysfs of the netns. */
static void isolate(void)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	if (access("/usr/lib/cni/ptp", X_OK) < 0)
		cr_skip_test("needs /usr/lib/cni/ptp");
	cr_assert_eq(unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(run("mkdir -p /var/lib/cni /run/netns"), 0);
	cr_assert_eq(mount("t", "/var/lib/cni", "tmpfs", 0, NULL), 0);
	cr_assert_eq(mount("t", "/run/netns", "tmpfs", 0, NULL), 0);
	cr_assert_eq(netns_loopback_up(NULL), 0);
	write_proc("/proc/sys/net/ipv4/ip_forward", "1");
}

static void serve(int port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    listen(fd, 8) < 0)
		_exit(1);
	for (;;) {
		int c = accept(fd, NULL, NULL);

		(void)write_full(c, "pod\n", 4);
		(void)close(c);
	}
}

static void pod_child(int ready)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) < 0 || netns_loopback_up(NULL) < 0)
		_exit(1);
	(void)write_full(ready, "r", 1);
	serve(80);
}

static struct pod pod_new(void)
{
	struct pod pod = {.dir = "/tmp/rkt-test-netXXXXXX"};
	int ready[2];
	char c;

	cr_assert(mkdtemp(pod.dir));
	pod.dirfd = open(pod.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pod.config = xasprintf("%s/config", pod.dir);
	cr_assert_eq(run("mkdir -p %s/net.d", pod.config), 0);
	cr_assert_eq(pipe(ready), 0);
	pod.pid = fork();
	if (pod.pid == 0)
		pod_child(ready[1]);
	cr_assert_eq(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	(void)close(ready[1]);
	return pod;
}

static void pod_kill(struct pod *pod)
{
	if (pod->pid > 0) {
		(void)kill(pod->pid, SIGKILL);
		(void)waitpid(pod->pid, NULL, 0);
	}
	pod->pid = 0;
}

static void pod_free(struct pod *pod)
{
	pod_kill(pod);
	(void)close(pod->dirfd);
	(void)run("rm -rf %s", pod->dir);
	free(pod->config);
}

static void write_conf(const struct pod *pod, const char *name,
		       const char *text, mode_t mode)
{
	cleanup_free char *path = xasprintf("config/net.d/%s", name);
	struct error err = ERROR_INIT;

	cr_assert_eq(write_string_at(pod->dirfd, path, mode, text, &err), 0,
		     "%s", err.msg);
}

static int setup(const struct pod *pod, const char *nets,
		 const struct network_port *ports, size_t n_ports,
		 struct network **ret, struct error *err)
{
	cleanup_net_list struct net_list list = NET_LIST_INIT;
	struct network_request request = {
		.uuid = UUID,
		.nets = &list,
		.local_config = pod->config,
		.ports = ports,
		.n_ports = n_ports,
		.pod_dirfd = pod->dirfd,
	};
	int r;

	cr_assert_eq(net_list_add(&list, nets, NULL), 0);
	r = network_start(&request, pod->pid, ret, err);
	if (r < 0)
		return r;
	r = network_finish(*ret, err);
	if (r < 0)
		network_free(*ret);
	return r;
}

/* 1 if a connection to IP:PORT is answered "pod". */
static int answers(const char *ip, int port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
	};
	struct timeval timeout = {.tv_sec = 2};
	cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char buf[8] = "";

	(void)inet_pton(AF_INET, ip, &addr.sin_addr);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout,
			 sizeof(timeout));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout,
			 sizeof(timeout));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return read_full(fd, buf, 4) == 4 && memcmp(buf, "pod\n", 4) == 0;
}

static void expect_nothing_left(const struct pod *pod)
{
	static const char *const files[] = {"netns", "net-info.json", "net"};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		cr_expect_neq(faccessat(pod->dirfd, files[i], F_OK, 0), 0,
			      "%s is left", files[i]);
	cr_expect_neq(access(NETNS, F_OK), 0);
	cr_expect_eq(run("! iptables -t nat -S | grep -E 'CNI-[0-9a-f]'"), 0);
	cr_expect_eq(run("! ip -o link | grep veth"), 0);
	cr_expect_eq(run("! nft list tables 2>/dev/null | grep rkt-"), 0);
	cr_expect_eq(run("! ls /var/lib/cni/networks/*/*.*.*.* 2>/dev/null"),
		     0);
}

Test(network, default_network)
{
	cleanup_net_info struct net_info_list infos = NET_INFO_LIST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_strbuf struct strbuf netns = STRBUF_INIT;
	struct network *net = NULL;
	struct error err = ERROR_INIT;
	struct pod pod;

	isolate();
	pod = pod_new();
	cr_assert_eq(setup(&pod, "default", NULL, 0, &net, &err), 0, "%s",
		     err.msg);
	cr_expect_null(network_dns(net)->network);
	cr_expect_eq(answers("172.16.28.2", 80), 1);
	cr_assert_eq(
		read_file_at(pod.dirfd, "net-info.json", 65536, &text, NULL),
		0);
	cr_assert_eq(net_info_parse(text.buf, text.len, &infos, NULL), 0);
	cr_assert_eq(infos.n, 1);
	cr_expect_str_eq(infos.v[0].net_name, "default");
	cr_expect_str_eq(infos.v[0].if_name, "eth0");
	cr_expect_str_eq(infos.v[0].ip, "172.16.28.2");
	cr_expect_str_eq(infos.v[0].mask, "255.255.255.0");
	cr_expect_str_eq(infos.v[0].plugin_path, "/usr/lib/cni/ptp");
	cr_assert_eq(read_file_at(pod.dirfd, "netns", 4096, &netns, NULL), 0);
	cr_expect_str_eq(netns.buf, NETNS);
	network_free(net);
	/* As `stage1 gc` after the whole pod was killed. */
	pod_kill(&pod);
	cr_expect_eq(network_teardown(pod.dirfd, UUID, &err), 0, "%s", err.msg);
	expect_nothing_left(&pod);
	cr_expect_eq(network_teardown(pod.dirfd, UUID, &err), 0, "%s", err.msg);
	pod_free(&pod);
}

/* A "far" host that has no way back to 172.16.28.0/24. */
static void far_host(void)
{
	cr_assert_eq(run("ip netns add far && ip link add h0 type veth peer "
			 "name f0 netns far && ip addr add 10.9.9.1/30 dev h0 "
			 "&& ip link set h0 up && ip -n far addr add "
			 "10.9.9.2/30 dev f0 && ip -n far link set f0 up && "
			 "ip -n far link set lo up"),
		     0);
}

static pid_t serve_far(void)
{
	pid_t pid = fork();
	int fd;

	if (pid != 0) {
		(void)usleep(50000);
		return pid;
	}
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = open("/run/netns/far", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		_exit(1);
	serve(8080);
	_exit(1);
}

static int answers_in(pid_t pid, const char *ip, int port)
{
	cleanup_free char *path = xasprintf("/proc/%d/ns/net", (int)pid);
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (setns(fd, CLONE_NEWNET) < 0)
			_exit(3);
		_exit(answers(ip, port) == 1 ? 0 : 1);
	}
	(void)waitpid(child, &status, 0);
	return status == 0;
}

Test(network, default_network_is_masqueraded)
{
	struct network *net = NULL;
	struct error err = ERROR_INIT;
	struct pod pod;
	pid_t far;

	isolate();
	far_host();
	pod = pod_new();
	far = serve_far();
	cr_assert_eq(setup(&pod, "default", NULL, 0, &net, &err), 0, "%s",
		     err.msg);
	cr_expect_eq(answers_in(pod.pid, "10.9.9.2", 8080), 1);
	network_free(net);
	cr_expect_eq(network_teardown(pod.dirfd, UUID, &err), 0, "%s", err.msg);
	pod_free(&pod);
	pod = pod_new();
	cr_assert_eq(setup(&pod, "default-restricted", NULL, 0, &net, &err), 0,
		     "%s", err.msg);
	cr_expect_eq(answers("172.31.0.2", 80), 1);
	cr_expect_eq(answers_in(pod.pid, "10.9.9.2", 8080), 0);
	network_free(net);
	cr_expect_eq(network_teardown(pod.dirfd, UUID, &err), 0, "%s", err.msg);
	(void)kill(far, SIGKILL);
	(void)waitpid(far, NULL, 0);
	(void)run("ip netns del far; ip link del h0 2>/dev/null");
	pod_free(&pod);
}

Test(network, ports_are_forwarded)
{
	static const struct network_port ports[] = {
		{.protocol = "tcp", .host_port = 18080, .pod_port = 80},
		{.protocol = "tcp",
		 .host_ip = "127.0.0.1",
		 .host_port = 18081,
		 .pod_port = 80},
	};
	struct network *net = NULL;
	struct error err = ERROR_INIT;
	struct pod pod;

	isolate();
	if (access("/usr/lib/cni/portmap", X_OK) < 0)
		cr_skip_test("needs /usr/lib/cni/portmap");
	pod = pod_new();
	cr_assert_eq(setup(&pod, "default", ports, 2, &net, &err), 0, "%s",
		     err.msg);
	cr_expect_eq(answers("127.0.0.1", 18080), 1);
	cr_expect_eq(answers("127.0.0.1", 18081), 1);
	cr_expect_eq(answers("172.16.28.1", 18080), 1);
	cr_expect_neq(answers("172.16.28.1", 18081), 1);
	cr_expect_neq(answers("127.0.0.1", 18082), 1);
	network_free(net);
	pod_kill(&pod);
	cr_expect_eq(network_teardown(pod.dirfd, UUID, &err), 0, "%s", err.msg);
	cr_expect_eq(run("! iptables -t nat -S | grep -E '%s|1808'", UUID), 0);
	cr_expect_neq(answers("127.0.0.1", 18080), 1);
	pod_free(&pod);
}

static const char failing_plugin[] =
	"#!/bin/sh\n"
	"echo \"$CNI_COMMAND $CNI_IFNAME $CNI_ARGS\" >>\"${0%/*}/calls\"\n"
	"[ \"$CNI_COMMAND\" = DEL ] && exit 0\n"
	"echo '{\"code\":7,\"msg\":\"no luck\",\"details\":\"today\"}'\n"
	"exit 1\n";

Test(network, failure_undoes_everything)
{
	cleanup_strbuf struct strbuf calls = STRBUF_INIT;
	struct network *net = NULL;
	struct error err = ERROR_INIT;
	struct pod pod;

	isolate();
	pod = pod_new();
	write_conf(&pod, "failing", failing_plugin, 0755);
	write_conf(&pod, "zz.conf", "{\"name\":\"zz\",\"type\":\"failing\"}",
		   0644);
	cr_expect_eq(setup(&pod, "default,zz:A=b", NULL, 0, &net, &err), -EIO);
	cr_expect_str_eq(err.msg, "error adding network \"zz\": no luck; today",
			 "%s", err.msg);
	cr_assert_eq(read_file_at(pod.dirfd, "config/net.d/calls", 4096, &calls,
				  NULL),
		     0);
	cr_expect_str_eq(
		calls.buf,
		"ADD eth1 A=b;IgnoreUnknown=1\nDEL eth1 A=b;IgnoreUnknown=1\n",
		"%s", calls.buf);
	expect_nothing_left(&pod);
	pod_free(&pod);
}

struct refused_row {
	const char *nets;
	const char *file, *text; /* in net.d */
	const char *error;	 /* its beginning */
};

static const struct refused_row refused[] = {
	{"nowhere,default,gone", NULL, NULL,
	 "networks not found: nowhere, gone"},
	{"x", "x.conf", "{\"name\":\"x\",\"type\":\"nosuch\"}",
	 "network x: Could not find plugin \"nosuch\""},
	{"default", "a.conf", "{", "error loading "},
	{"all", "a.conflist", "{\"name\":\"a\",\"plugins\":[]}",
	 "error loading "},
};

Test(network, what_cannot_be_is_refused_first)
{
	isolate();
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		const struct refused_row *row = &refused[i];
		struct network *net = NULL;
		struct error err = ERROR_INIT;
		struct pod pod = pod_new();

		if (row->file)
			write_conf(&pod, row->file, row->text, 0644);
		cr_expect_lt(setup(&pod, row->nets, NULL, 0, &net, &err), 0);
		cr_expect_eq(strncmp(err.msg, row->error, strlen(row->error)),
			     0, "%s: %s", row->nets, err.msg);
		expect_nothing_left(&pod);
		pod_free(&pod);
	}
}

Test(network, own_networks_override_and_chain)
{
	cleanup_net_info struct net_info_list infos = NET_INFO_LIST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct network *net = NULL;
	struct error err = ERROR_INIT;
	struct pod pod;

	isolate();
	pod = pod_new();
	write_conf(&pod, "10-default.conf",
		   "{\"cniVersion\":\"0.4.0\",\"name\":\"default\",\"type\":"
		   "\"ptp\",\"ipMasq\":true,\"dns\":{\"nameservers\":["
		   "\"192.0.2.1\"]},\"ipam\":{\"type\":\"host-local\","
		   "\"subnet\":\"10.77.0.0/24\"}}",
		   0644);
	write_conf(&pod, "20-second.conflist",
		   "{\"cniVersion\":\"1.0.0\",\"name\":\"second\",\"plugins\":"
		   "[{\"type\":\"bridge\",\"isGateway\":true,\"bridge\":"
		   "\"br7\",\"ipam\":{"
		   "\"type\":\"host-local\",\"subnet\":\"10.78.0.0/24\"}},{"
		   "\"type\":\"tuning\",\"sysctl\":{"
		   "\"net.ipv4.conf.eth1.arp_filter\":\"1\"}}]}",
		   0644);
	cr_assert_eq(setup(&pod, "all", NULL, 0, &net, &err), 0, "%s", err.msg);
	cr_expect_str_eq(network_dns(net)->network, "default");
	cr_expect_str_eq(network_dns(net)->nameservers.v[0], "192.0.2.1");
	cr_assert_eq(
		read_file_at(pod.dirfd, "net-info.json", 65536, &text, NULL),
		0);
	cr_assert_eq(net_info_parse(text.buf, text.len, &infos, NULL), 0);
	cr_assert_eq(infos.n, 3);
	cr_expect_str_eq(infos.v[1].ip, "10.78.0.2");
	cr_expect_str_eq(infos.v[1].if_name, "eth1");
	cr_expect_str_eq(infos.v[2].net_name, "default-restricted");
	cr_expect_eq(answers("10.77.0.2", 80), 1);
	cr_expect_eq(answers("10.78.0.2", 80), 1);
	cr_expect_eq(run("nsenter --net=" NETNS " sh -c 'test $(cat "
			 "/proc/sys/net/ipv4/conf/eth1/arp_filter) = 1'"),
		     0);
	network_free(net);
	cr_expect_eq(network_teardown(pod.dirfd, UUID, &err), 0, "%s", err.msg);
	(void)run("ip link del br7");
	expect_nothing_left(&pod);
	pod_free(&pod);
}

Test(network, unfinished_is_undone)
{
	cleanup_net_list struct net_list list = NET_LIST_INIT;
	struct network *net = NULL;
	struct error err = ERROR_INIT;
	struct network_request request;
	struct pod pod;

	isolate();
	pod = pod_new();
	request = (struct network_request){
		.uuid = UUID,
		.nets = &list,
		.local_config = pod.config,
		.pod_dirfd = pod.dirfd,
	};
	cr_assert_eq(network_start(&request, pod.pid, &net, &err), 0, "%s",
		     err.msg);
	network_free(net);
	expect_nothing_left(&pod);
	/* The test's own network namespace stands for the host's. */
	cr_expect_eq(network_start(&request, getpid(), &net, &err), -EINVAL);
	expect_nothing_left(&pod);
	pod_free(&pod);
}

/* Says on the pipe `begun` that it works, and in the log when it has. */
static const char slow_plugin[] =
	"#!/bin/sh\n"
	"dir=${0%/config/*}\n"
	"if [ $CNI_COMMAND = ADD ]; then\n"
	"	echo >$dir/begun\n"
	"	(exec >&- && sleep 0.5 && echo ADD >>$dir/log) &\n"
	"else\n"
	"	echo DEL >>$dir/log\n"
	"fi\n"
	"echo '{\"cniVersion\":\"0.4.0\"}'\n";

static void start_and_be_killed(const struct network_request *request,
				pid_t pod)
{
	struct network *net;
	int begun;
	char c;

	if (network_start(request, pod, &net, NULL) < 0)
		_exit(1);
	begun = openat(request->pod_dirfd, "begun", O_RDONLY | O_CLOEXEC);
	if (read(begun, &c, 1) == 1)
		(void)raise(SIGKILL);
	_exit(1);
}

Test(network, a_plugin_that_outlives_stage1_is_undone_after_its_end)
{
	cleanup_net_list struct net_list list = NET_LIST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct network_request request = {.uuid = UUID, .nets = &list};
	struct error err = ERROR_INIT;
	struct pod pod;
	int status = 0;
	pid_t stage1;

	isolate();
	pod = pod_new();
	request.local_config = pod.config;
	request.pod_dirfd = pod.dirfd;
	write_conf(&pod, "10-slow.conf",
		   "{\"cniVersion\":\"0.4.0\",\"name\":\"slow\",\"type\":"
		   "\"slow\"}",
		   0644);
	write_conf(&pod, "slow", slow_plugin, 0755);
	cr_assert_eq(mkfifoat(pod.dirfd, "begun", 0600), 0);
	cr_assert_eq(net_list_add(&list, "slow", NULL), 0);
	stage1 = fork();
	if (stage1 == 0)
		start_and_be_killed(&request, pod.pid);
	(void)waitpid(stage1, &status, 0);
	cr_assert(WIFSIGNALED(status));
	cr_expect_eq(network_teardown(pod.dirfd, UUID, &err), 0, "%s", err.msg);
	cr_assert_eq(read_file_at(pod.dirfd, "log", 4096, &text, NULL), 0);
	cr_expect_str_eq(text.buf, "ADD\nDEL\n");
	expect_nothing_left(&pod);
	pod_free(&pod);
}

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Also prints what the default network costs; see RKT_TEST_ITERATIONS. */
Test(network, nothing_left_after_many, .timeout = 120)
{
	const char *n_text = getenv("RKT_TEST_ITERATIONS");
	int n = n_text ? (int)strtol(n_text, NULL, 10) : 10;
	double up = 0, down = 0;

	isolate();
	for (int i = 0; i < n; i++) {
		struct network *net = NULL;
		struct error err = ERROR_INIT;
		struct pod pod = pod_new();
		double start = now_ms(), mid;

		cr_assert_eq(setup(&pod, "default", NULL, 0, &net, &err), 0,
			     "%s", err.msg);
		mid = now_ms();
		network_free(net);
		cr_assert_eq(network_teardown(pod.dirfd, UUID, &err), 0, "%s",
			     err.msg);
		up += mid - start;
		down += now_ms() - mid;
		if (i == n - 1)
			expect_nothing_left(&pod);
		pod_free(&pod);
	}
	if (n_text)
		(void)fprintf(stderr, "up %.1f ms, down %.1f ms\n", up / n,
			      down / n);
}

Test(network, none_and_host_do_nothing)
{
	static const char *const nets[] = {"none", "host"};

	for (int i = 0; i < 2; i++) {
		cleanup_net_list struct net_list list = NET_LIST_INIT;
		struct network *net = NULL;
		struct network_request request = {
			.uuid = UUID,
			.nets = &list,
			.pod_dirfd = open("/tmp", O_RDONLY | O_DIRECTORY),
		};

		cr_assert_eq(net_list_add(&list, nets[i], NULL), 0);
		cr_assert_eq(network_start(&request, getpid(), &net, NULL), 0);
		cr_expect_eq(network_finish(net, NULL), 0);
		network_free(net);
		cr_expect_eq(network_teardown(request.pod_dirfd, UUID, NULL),
			     0);
		(void)close(request.pod_dirfd);
	}
}

Test(network, resolv_conf)
{
	char *words[] = {(char *)"a", (char *)"b", NULL};
	struct network_dns dns = {0};
	cleanup_free char *text = NULL;

	cr_expect_null(network_resolv_conf_make(&dns));
	dns.network = "web";
	dns.nameservers = dns.search = dns.options =
		(struct strv){.v = words, .n = 2};
	dns.domain = (char *)"d";
	text = network_resolv_conf_make(&dns);
	cr_expect_str_eq(text,
			 "# Generated by rkt from network web\n\nsearch a b\n"
			 "nameserver a\nnameserver b\noptions a b\ndomain d\n",
			 "%s", text);
}

Test(network_state, written_and_read)
{
	static const char *const bad[] = {
		"{}",
		"[]",
		"{\"netns\":\"/a\",\"cniPath\":\"/b\",\"networks\":[{}]}",
		"{\"netns\":\"/a\",\"cniPath\":\"/b\",\"networks\":[{\"name\":"
		"\"n\",\"file\":\"f\",\"ifName\":\"eth0\",\"args\":\"\","
		"\"plugins\":[{\"path\":\"ptp\",\"version\":\"1.0.0\","
		"\"conf\":{}}]}]}",
	};
	static const char good[] =
		"{\"netns\":\"/a\",\"cniPath\":\"/b\",\"ports\":[{\"protocol\":"
		"\"tcp\",\"hostIP\":\"1.2.3.4\",\"hostPort\":80,\"podPort\":81}"
		"],\"networks\":[{\"name\":\"n\",\"file\":\"f\",\"ifName\":"
		"\"eth0\",\"args\":\"\",\"ipMasq\":true,\"ownMasq\":false,"
		"\"ip\":\"1.1.1.1\",\"mask\":\"255.0.0.0\",\"result\":{},"
		"\"plugins\":[{\"path\":\"/p\",\"version\":\"1.0.0\","
		"\"ports\":true,\"conf\":{\"type\":\"p\"}}]}]}";
	cleanup_network_state struct network_state state = {0};
	cleanup_strbuf struct strbuf again = STRBUF_INIT;
	struct error err = ERROR_INIT;

	cr_assert_eq(network_state_parse(good, strlen(good), &state, &err), 0,
		     "%s", err.msg);
	network_state_write(&state, &again);
	cr_expect_str_eq(again.buf, good, "%s", again.buf);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct network_state none;

		cr_expect_eq(network_state_parse(bad[i], strlen(bad[i]), &none,
						 &err),
			     -EINVAL, "%s", bad[i]);
	}
}

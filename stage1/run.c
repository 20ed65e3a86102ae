/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "spec/json_write.h"
#include "spec/stage1_abi.h"
#include "stage1/control.h"
#include "stage1/journal.h"
#include "stage1/machine.h"
#include "stage1/memory_volumes.h"
#include "stage1/metadata.h"
#include "stage1/network.h"
#include "stage1/plan.h"
#include "stage1/pod.h"
#include "stage1/reexec.h"
#include "stage1/supervise.h"

/* --- steps, in order -------------------------------------------------------
 */

int run_harden(struct error *err)
{
	sigset_t all;

	/* Handled by signalfd, or not at all: SIGPIPE of a closed terminal
	 * is an error of write(2) here.  By SIGABRT systemd's watchdog ends
	 * one that stands. */
	(void)sigfillset(&all);
	(void)sigdelset(&all, SIGABRT);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		return error_sys(err, errno, "block signals");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0) < 0)
		return error_sys(err, errno, "make stage1 unreadable");
	(void)umask(022);
	return 0;
}

static int harden(struct pod *pod, struct error *err)
{
	(void)pod;
	return run_harden(err);
}

/* For `rkt enter`, which has to hold its command to the same rules. */
static int save_options(struct pod *pod, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	int r;

	json_strv_write(&pod->run_args, &text);
	r = write_new_file_at(pod->dirfd, POD_RUNTIME_CONFIG_FILE, 0640,
			      text.buf, text.len, err);
	return r < 0 ? r
		     : write_new_file_at(pod->dirfd, POD_RUNTIME_VERSION_FILE,
					 0644, RKT_VERSION, strlen(RKT_VERSION),
					 err);
}

static int recover(struct pod *pod, struct error *err)
{
	return journal_recover(pod->dirfd, true, err);
}

static int open_loop(struct pod *pod, struct error *err)
{
	return event_loop_init(&pod->loop, err);
}

/* Filters compiled before; without it every start compiles anew. */
static int open_seccomp_cache(struct pod *pod, struct error *err)
{
	(void)err;
	pod->seccomp_cache =
		open(SECCOMP_CACHE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pod->seccomp_cache >= 0)
		return 0;
	(void)mkdir("/run/rkt", 0755);
	(void)mkdir(SECCOMP_CACHE_DIR, 0700);
	pod->seccomp_cache =
		open(SECCOMP_CACHE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return 0;
}

static int open_cgroup(struct pod *pod, struct error *err)
{
	cleanup_strv struct strv dirs = STRV_INIT;
	cleanup_strv struct strv ignored = STRV_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct cgroup_limits limits = {0};
	int r;

	r = cgroup_open(pod->options.uuid, &pod->cgroup, err);
	if (r < 0)
		return r;
	cgroup_dirs(pod->cgroup, &dirs);
	for (size_t i = 0; i < dirs.n; i++)
		strbuf_addf(&text, "%s\n", dirs.v[i]);
	r = write_new_file_at(pod->dirfd, POD_CGROUP_FILE, 0644, text.buf,
			      text.len, err);
	if (r == 0)
		r = pod_limits_make(&pod->manifest, &limits, &ignored, err);
	if (r == 0)
		r = cgroup_limit_pod(pod->cgroup, &limits, &ignored, err);
	pod_note_ignored(pod, "pod", &ignored);
	return r;
}

static bool is_host_net(const struct pod *pod)
{
	return net_list_kind(&pod->options.nets) == NET_KIND_HOST;
}

/* Not if the pod is to have another network now, or other users. */
static int adopt_network(struct pod *pod, struct error *err)
{
	cleanup_fd int netns = -EBADF;

	(void)err;
	if (!is_host_net(pod))
		netns = host_store_take_netns(&pod->host_store);
	if (netns < 0)
		return 0;
	if (users_adopt(&pod->options.private_users, netns, &pod->users))
		pod->adopted_netns = TAKE_FD(netns);
	else
		host_store_drop_netns(&pod->host_store);
	return 0;
}

static int make_users(struct pod *pod, struct error *err)
{
	return users_make(&pod->options.private_users, &pod->users, err);
}

static int start_init(struct pod *pod, struct error *err)
{
	const struct pod_init_plan plan = {
		.hostname = pod->hostname,
		.host_net = is_host_net(pod),
		.netns = pod->adopted_netns,
		.host_ipc = pod->options.host_ipc,
		.insecure_paths = pod->options.plan.insecure_paths,
		.users = &pod->users,
		.passes_end = machine_is_wanted(&pod->machine),
		.selffd = pod->selffd,
	};

	return pod_init_start(&plan, &pod->init, err);
}

static int set_sysctls(struct pod *pod, struct error *err)
{
	cleanup_strv struct strv sysctls = STRV_INIT;
	cleanup_strv struct strv ignored = STRV_INIT;

	sysctl_plan_make(&pod->manifest, is_host_net(pod), &sysctls, &ignored);
	pod_note_ignored(pod, "pod", &ignored);
	/* Nobody would read them: the host's are left as they are. */
	if (is_host_net(pod))
		return 0;
	return pod_init_send_sysctls(&pod->init, &sysctls, err);
}

static int make_memory_volumes(struct pod *pod, struct error *err)
{
	return memory_volumes_make(&pod->manifest, &pod->init, &pod->users,
				   err);
}

static const struct port *find_port(const struct pod_manifest *pm,
				    const char *name)
{
	for (size_t i = 0; i < pm->n_apps; i++) {
		const struct app *app = &pm->apps[i].app;

		for (size_t j = 0; j < app->n_ports; j++)
			if (strcmp(app->ports[j].name, name) == 0)
				return &app->ports[j];
	}
	return NULL;
}

/* The pod's forwarded ports, matched to the ports of its apps. */
static size_t make_ports(const struct pod *pod, struct network_port **ret)
{
	const struct pod_manifest *pm = &pod->manifest;
	struct network_port *ports = xcalloc(pm->n_ports, sizeof(*ports));
	size_t n = 0;

	for (size_t i = 0; i < pm->n_ports; i++) {
		const struct exposed_port *exposed = &pm->ports[i];
		const struct port *port =
			exposed->has_pod_port ? &exposed->pod_port
					      : find_port(pm, exposed->name);

		if (!port || exposed->host_port > UINT16_MAX)
			continue;
		ports[n++] = (struct network_port){
			.protocol = port->protocol,
			.host_ip = exposed->host_ip,
			.host_port = (uint16_t)exposed->host_port,
			.pod_port = port->port,
		};
	}
	*ret = ports;
	return n;
}

static int claim_ports(struct pod *pod, struct error *err)
{
	cleanup_free struct network_port *ports = NULL;
	size_t n;

	if (net_list_kind(&pod->options.nets) != NET_KIND_CNI)
		return 0;
	n = make_ports(pod, &ports);
	return host_ports_claim(&pod->host_ports, pod->options.uuid, ports, n,
				&pod->host_sockets, err);
}

static int set_up_network(struct pod *pod, struct error *err)
{
	cleanup_free struct network_port *ports = NULL;
	struct network_request request = {
		.uuid = pod->options.uuid,
		.nets = &pod->options.nets,
		.local_config = pod->options.local_config,
		.pod_dirfd = pod->dirfd,
	};
	int r;

	/* What a stage1 that was killed left is used, or undone. */
	if (net_list_kind(&pod->options.nets) != NET_KIND_CNI)
		return network_teardown(pod->dirfd, pod->options.uuid, err);
	request.n_ports = make_ports(pod, &ports);
	request.ports = ports;
	/* The plugins find lo and the sysctls as pod init leaves them. */
	r = pod_init_wait_ready(&pod->init, err);
	if (r == 0 && pod->adopted_netns >= 0)
		pod->network = network_adopt(&request, pod->adopted_netns);
	pod->has_network = pod->network != NULL;
	if (r < 0 || pod->network)
		return r;
	r = network_teardown(pod->dirfd, pod->options.uuid, err);
	if (r == 0)
		r = network_start(&request, pod->init.pid, &pod->network, err);
	pod->has_network = pod->network != NULL;
	if (r == 0)
		r = network_finish(pod->network, err);
	return r;
}

static int forward_ports(struct pod *pod, struct error *err)
{
	cleanup_free char *address = NULL;
	bool has_ipv6 = false;

	if (!pod->host_ports.n)
		return 0;
	address = network_forward_address(pod->network, &has_ipv6);
	host_ports_forward(&pod->host_ports, &pod->loop, address);
	return has_ipv6 ? host_ports_spare(&pod->host_ports, pod->options.uuid,
					   err)
			: 0;
}

static int read_pod_file(struct pod *pod, const char *name, char **ret,
			 struct error *err)
{
	struct strbuf text = STRBUF_INIT;
	int r = read_file_at(pod->dirfd, name, MANIFEST_MAX, &text, err);

	if (r < 0) {
		strbuf_release(&text);
		return r;
	}
	*ret = strbuf_detach(&text);
	return 0;
}

static int make_files(struct pod *pod, struct error *err)
{
	struct rootfs_files *files = &pod->files;
	int r = 0;

	files->hostname = pod->hostname;
	files->host_resolv_conf = pod->options.resolv_mode == DNS_HOST;
	files->host_hosts = pod->options.hosts_mode == DNS_HOST;
	if (pod->options.resolv_mode == DNS_STAGE0)
		r = read_pod_file(pod, POD_RESOLV_CONF_FILE,
				  &files->resolv_conf, err);
	else if (pod->options.resolv_mode == DNS_DEFAULT && pod->network)
		files->resolv_conf =
			network_resolv_conf_make(network_dns(pod->network));
	if (r == 0 && pod->options.hosts_mode == DNS_STAGE0)
		r = read_pod_file(pod, POD_HOSTS_FILE, &files->hosts, err);
	return r;
}

static int open_control(struct pod *pod, struct error *err)
{
	pod->on_runtime = reexec_request;
	return control_open(pod, err);
}

static const struct {
	const char *name;
	int (*apply)(struct pod *, struct error *);
} steps[] = {
	{"prepare stage1", harden},
	{"look for the pod's network", adopt_network},
	{"make the pod's users", make_users},
	/* Makes its namespaces while the next steps are done. */
	{"start pod init", start_init},
	{"settle an interrupted update", recover},
	{"read the pod", pod_load},
	{"take the host's ports", claim_ports},
	{"set the sysctls", set_sysctls},
	{"make the volumes in memory", make_memory_volumes},
	{"save the options", save_options},
	{"open the event loop", open_loop},
	{"find the cgroups", open_cgroup},
	{"open the filter cache", open_seccomp_cache},
	{"set up the network", set_up_network},
	{"forward the host's ports", forward_ports},
	{"register with the metadata service", metadata_register},
	{"make the pod's files", make_files},
	{"open the control socket", open_control},
};

/* Everything the steps made, in whatever state they left it. */
static void tear_down(struct pod *pod)
{
	struct error err = ERROR_INIT;

	reexec_drop(pod);
	control_close(pod);
	metadata_unregister(pod->dirfd, pod->options.uuid);
	host_ports_stop(&pod->host_ports);
	host_store_clear(&pod->host_store);
	machine_unregister_begin(&pod->machine, pod->options.uuid);
	pod_init_doom(&pod->init);
	if (pod->cgroup && cgroup_remove(pod->cgroup, &err) < 0)
		log_failure(&err, NULL);
	pod_init_kill(&pod->init);
	if (pod->network)
		network_free(pod->network);
	if (pod->has_network &&
	    network_teardown(pod->dirfd, pod->options.uuid, &err) < 0)
		log_failure(&err, NULL);
	machine_unregister_end(&pod->machine);
	if (pod->cgroup)
		cgroup_free(pod->cgroup);
	fd_close(&pod->signals.fd);
	event_loop_release(&pod->loop);
}

static int run_pod(struct pod *pod, struct error *err)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int r;

		log_debug("%s", steps[i].name);
		r = steps[i].apply(pod, err);
		if (r < 0)
			return error_wrap(err, r, "%s", steps[i].name);
	}
	return supervise(pod, err);
}

int run_end(struct pod *pod, int r, const struct error *err)
{
	if (r < 0)
		log_failure(err, NULL);
	tear_down(pod);
	pod_release(pod);
	return r < 0 ? RKT_EXIT_FAILURE : r;
}

int run_main(int argc, char *const argv[])
{
	struct error err = ERROR_INIT;
	struct pod pod;
	int r;

	r = pod_take(&pod, argc, argv, &err);
	if (pod.options.debug)
		log_init("stage1", true);
	if (r == 0)
		r = run_pod(&pod, &err);
	return run_end(&pod, r, &err);
}

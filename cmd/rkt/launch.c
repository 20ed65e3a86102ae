/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aci/treestore.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
#include "spec/metadata.h"
#include "spec/net_list.h"
#include "spec/pod_manifest.h"
#include "stage0/app_files.h"
#include "stage0/pod.h"
#include "stage0/pod_stage1.h"
#include "stage0/prepare.h"
#include "stage0/run.h"

#define LIST_ROW(row_name, field, row_help)                                    \
	{                                                                      \
		.name = (row_name), .kind = OPTION_LIST,                       \
		.offset = offsetof(struct launch_opts, field),                 \
		.help = (row_help)                                             \
	}

const struct option_row launch_rows[] = {
	{.name = "net",
	 .values = "default|host|none",
	 .kind = OPTION_LIST,
	 .implied = "default",
	 .shown = "default",
	 .offset = offsetof(struct launch_opts, net),
	 .help = "networks of the pod: NAME[:ARGS],... or none or host"},
	LIST_ROW("dns", dns.servers,
		 "name servers for resolv.conf, or \"host\" or \"none\""),
	LIST_ROW("dns-search", dns.search, "search domains for resolv.conf"),
	LIST_ROW("dns-opt", dns.options, "options for resolv.conf"),
	{.name = "dns-domain",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct launch_opts, dns.domain),
	 .help = "domain for resolv.conf"},
	LIST_ROW("hosts-entry", dns.hosts,
		 "IP=NAME lines for /etc/hosts, or \"host\""),
	{.name = "hostname",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct launch_opts, hostname),
	 .help = "host name of the pod (default rkt-$PODUUID)"},
	{.name = "ipc",
	 .values = "auto|private|parent",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct launch_opts, ipc),
	 .help = "IPC namespace: \"auto\", \"private\" or \"parent\""},
	{.name = "log",
	 .values = "all|file|journal",
	 .kind = OPTION_STRING,
	 .shown = "all",
	 .offset = offsetof(struct launch_opts, log),
	 .help = "where lines of apps are kept: \"file\", the pod's log; "
		 "\"journal\", the host's; or \"all\": the pod's log, and "
		 "the journal if rkt's output goes there"},
	{.name = "mds-register",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct launch_opts, mds_register),
	 .help = "register the pod with the metadata service"},
	{.name = "detach",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct launch_opts, detach),
	 .help = "print the pod's UUID once it runs and leave it in the "
		 "background"},
	{.name = NULL},
};

void launch_release(struct launch *l)
{
	strv_release(&l->args);
	dns_files_release(&l->dns);
}

/* --- deciding --------------------------------------------------------------
 */

static int check_nets(const struct launch_opts *o, bool has_ports, bool is_user,
		      char **ret, struct error *err)
{
	cleanup_net_list struct net_list nets = NET_LIST_INIT;

	for (size_t i = 0; i < o->net.n; i++) {
		int r = net_list_add(&nets, o->net.v[i], err);

		if (r < 0)
			return r;
	}
	if (has_ports && net_list_kind(&nets) == NET_KIND_NONE)
		return error_set(err, EINVAL,
				 "--port flag does not work with "
				 "'none' networking");
	if (has_ports && net_list_kind(&nets) == NET_KIND_HOST)
		return error_set(err, EINVAL,
				 "--port flag does not work with "
				 "'host' networking");
	if (o->mds_register && net_list_kind(&nets) == NET_KIND_NONE)
		return error_set(err, EINVAL,
				 "--mds-register flag does not work with "
				 "--net=none: use \"default\", "
				 "\"default-restricted\" or \"host\"");
	if (is_user && net_list_kind(&nets) == NET_KIND_CNI)
		return error_set(err, EPERM,
				 "networks of pods need root: without, use "
				 "--net=host (the host's network) or "
				 "--net=none");
	*ret = net_list_text(&nets);
	return 0;
}

/* It becomes the name of the UTS namespace and a word of /etc/hosts. */
static bool is_hostname(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz"
			     "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");

	return !s[n] && n <= HOST_NAME_MAX && *s != '-' && *s != '.';
}

static int check_opts(const struct launch_opts *o, size_t n_apps,
		      struct error *err)
{
	static const char *const ipcs[] = {"", "auto", "private", "parent"};
	size_t i = 0;

	while (i < 4 && o->ipc && strcmp(o->ipc, ipcs[i]) != 0)
		i++;
	if (i == 4)
		return error_set(err, EINVAL,
				 "invalid --ipc \"%s\": must be auto, private "
				 "or parent",
				 o->ipc);
	if (o->log && strcmp(o->log, "all") != 0 &&
	    strcmp(o->log, "file") != 0 && strcmp(o->log, "journal") != 0)
		return error_set(err, EINVAL,
				 "invalid --log \"%s\": must be all, file or "
				 "journal",
				 o->log);
	if (o->hostname && !is_hostname(o->hostname))
		return error_set(
			err, EINVAL,
			"invalid --hostname \"%s\": must be at most %d "
			"letters, digits, \"-\" and \".\"",
			o->hostname, HOST_NAME_MAX);
	if (o->interactive && n_apps != 1)
		return error_set(err, EINVAL,
				 "interactive option only supports one image");
	if (o->mds_register && access(METADATA_SOCKET, F_OK) < 0)
		return error_set(err, errno,
				 "--mds-register: there is no metadata service "
				 "at " METADATA_SOCKET
				 ": start it with \"rkt metadata-service\"");
	if (o->interactive && o->detach)
		return error_set(err, EINVAL,
				 "--interactive and --detach exclude each "
				 "other");
	return 0;
}

int launch_make(const struct cmd_call *call, const struct launch_opts *o,
		const struct pod_manifest *pm, struct launch *ret,
		struct error *err)
{
	unsigned int insecure = call->rkt->insecure;
	cleanup_free char *net = NULL;
	int r = check_opts(o, pm->n_apps, err);

	if (r == 0)
		r = check_nets(o, pm->n_ports > 0, call->rkt->is_user, &net,
			       err);
	if (r == 0)
		r = dns_files_make(&o->dns, &ret->dns, err);
	if (r < 0)
		return r;
	ret->detach = o->detach;
	pod_run_args_make(
		&(const struct pod_run_options){
			.net = net,
			.hostname = o->hostname,
			.ipc = o->ipc,
			.dns_mode = ret->dns.mode,
			.log = o->log,
			.local_config = call->rkt->local_config,
			.system_config = call->rkt->system_config,
			.is_mutable = pod_manifest_is_mutable(pm),
			.mds_register = o->mds_register,
			.interactive = o->interactive,
			.insecure_capabilities =
				insecure & INSECURE_CAPABILITIES,
			.insecure_paths = insecure & INSECURE_PATHS,
			.insecure_seccomp = insecure & INSECURE_SECCOMP,
		},
		&ret->args);
	return 0;
}

/* --- doing -----------------------------------------------------------------
 */

int launch_save_uuid(const char *file, const struct pod *pod, struct error *err)
{
	cleanup_fd int fd = -EBADF;

	if (!file)
		return 0;
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write_full(fd, pod->uuid, strlen(pod->uuid)) < 0)
		return error_sys(err, errno, "save UUID in %s", file);
	return 0;
}

int launch_save(const struct pod *pod, const struct launch *l,
		struct error *err)
{
	int r = 0;

	if (l->dns.resolv)
		r = write_string_at(pod->fd, POD_RESOLV_CONF_FILE, 0644,
				    l->dns.resolv, err);
	if (r == 0 && l->dns.hosts)
		r = write_string_at(pod->fd, POD_HOSTS_FILE, 0644, l->dns.hosts,
				    err);
	return r;
}

int launch_check_stage1(const struct pod *pod, const struct pod_manifest *pm,
			bool detach, struct error *err)
{
	cleanup_pod_stage1 struct pod_stage1 stage1 = POD_STAGE1_INIT;
	int r = pod_stage1_load(pod->fd, &stage1, err);

	return r < 0 ? r : pod_stage1_check(&stage1, pm, detach, err);
}

static int start_pod(const struct cmd_call *call, struct pod *pod,
		     const struct strv *args, const struct pod_trees *trees,
		     bool detach, struct error *err)
{
	cleanup_pod_stage1 struct pod_stage1 stage1 = POD_STAGE1_INIT;
	cleanup_strv struct strv warnings = STRV_INIT;
	cleanup_strv struct strv known = STRV_INIT;
	int r = pod_stage1_load(pod->fd, &stage1, err);

	if (r == 0)
		r = pod_stage1_run_args(&stage1, args, &known, &warnings, err);
	for (size_t i = 0; r == 0 && i < warnings.n; i++)
		log_warning("%s", warnings.v[i]);
	return r < 0 ? r
		     : pod_start(pod,
				 &(const struct pod_start){
					 .libexec_dir = call->rkt->libexec,
					 .stage1 = &stage1,
					 .args = args,
					 .known_args = &known,
					 .trees = trees,
					 .debug = call->rkt->debug,
					 .detach = detach,
				 },
				 err);
}

int launch_pod(const struct cmd_call *call, struct pod *pod,
	       const struct strv *args, const struct pod_trees *trees,
	       bool detach)
{
	struct error err = ERROR_INIT;
	int r = start_pod(call, pod, args, trees, detach, &err);

	if (r < 0) {
		/* stage1 has said why a pod that died did. */
		if (r != -ECHILD || call->rkt->debug)
			log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	puts(pod->uuid);
	return 0;
}

static int prepare_again(const struct cmd_call *call, struct images *im,
			 struct pod *pod, bool detach, struct pod_trees *trees,
			 struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	int r = pod_manifest_load(pod->fd, &pm, err);

	if (r == 0)
		r = launch_check_stage1(pod, &pm, detach, err);
	if (r == 0 && pod->dir != POD_RUN)
		r = pod_move(pod, POD_RUN, false, err);
	if (r == 0)
		r = pod_reset(pod, call->rkt->libexec, err);
	/* What a killed rkt app left. */
	if (r == 0 && pod_manifest_is_mutable(&pm))
		r = app_files_sweep(pod->fd, &pm, err);
	if (r == 0)
		r = pod_trees_open(pod->fd, &pm, &im->trees, trees, err);
	return r;
}

int launch_again(const struct cmd_call *call, struct images *im,
		 struct pod *pod, const struct strv *args, bool detach)
{
	cleanup_pod_trees struct pod_trees trees = POD_TREES_INIT;
	struct error err = ERROR_INIT;

	if (prepare_again(call, im, pod, detach, &trees, &err) < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	return launch_pod(call, pod, args, &trees, detach);
}

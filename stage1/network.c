/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/network.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "spec/cni.h"
#include "spec/json_write.h"
#include "spec/net_info.h"
#include "spec/stage1_abi.h"
#include "stage1/cni_exec.h"
#include "stage1/masquerade.h"
#include "stage1/netns.h"
#include "stage1/network_conf.h"
#include "stage1/network_state.h"
#include "stage1/port_claims.h"

#define STATE_DIR "net"
#define STATE_FILE STATE_DIR "/state.json"
#define STATE_MAX (4UL * 1024 * 1024)
#define LOCAL_CONFIG "/etc/rkt"
/* The built-in default network, see network_conf.c. */
#define DEFAULT_SUBNET 0xac101c00U /* 172.16.28.0 */
#define DEFAULT_BITS 24

struct network {
	char *uuid;
	int pod_dirfd;
	int lock; /* of STATE_DIR, until all is up: plugins hold it, too */
	struct network_state state;
	/* The plugin running, if run.pidfd is open: v[at].plugins[plugin]. */
	size_t at;
	size_t plugin;
	struct cni_run run;
	struct cni_result last; /* of the plugin before it in its chain */
	struct network_dns dns;
};

/* --- files ----------------------------------------------------------------
 */

static int open_lock(int pod_dirfd)
{
	return openat(pod_dirfd, STATE_DIR,
		      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* A plugin that runs when stage1 is killed goes on: whoever undoes what it
 * does waits for its end. */
static void wait_for_plugins(int pod_dirfd)
{
	cleanup_fd int fd = open_lock(pod_dirfd);

	if (fd >= 0 && cni_lock(fd, CNI_TIMEOUT_MS) < 0)
		log_warning("a network plugin does not end: what it does is "
			    "undone meanwhile");
}

/* Also in what a plugin has left behind. */
static void unlock(struct network *net)
{
	if (net->lock >= 0)
		(void)flock(net->lock, LOCK_UN);
	fd_close(&net->lock);
}

static int state_save(const struct network *net, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	network_state_write(&net->state, &text);
	return write_file_at(net->pod_dirfd, STATE_FILE, 0600, text.buf,
			     text.len, err);
}

/* For `rkt list` and `rkt status`: the networks that are up. */
static int info_save(const struct network *net, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct net_info_list list = NET_INFO_LIST_INIT;
	struct json_writer w;

	for (size_t i = 0; i < net->at; i++) {
		const struct network_attachment *at = &net->state.v[i];
		/* Borrowed strings: only the array is freed. */
		struct net_info *info = net_info_add(&list);

		info->net_name = at->name;
		info->net_conf = at->file;
		info->plugin_path = at->plugins[0].path;
		info->if_name = at->ifname;
		info->ip = at->ip;
		info->args = at->args;
		info->mask = at->mask;
	}
	json_writer_init(&w, &text, JSON_COMPACT_STYLE);
	net_info_write(&list, NULL, &w);
	free(list.v);
	return write_file_at(net->pod_dirfd, POD_NET_INFO_FILE, 0644, text.buf,
			     text.len, err);
}

static int files_make(struct network *net, struct error *err)
{
	int r = write_string_at(net->pod_dirfd, POD_NETNS_FILE, 0644,
				net->state.netns, err);

	if (r < 0)
		return r;
	if (mkdirat(net->pod_dirfd, STATE_DIR, 0700) < 0 && errno != EEXIST)
		return error_sys(err, errno, "make " STATE_DIR);
	net->lock = open_lock(net->pod_dirfd);
	if (net->lock < 0)
		return error_sys(err, errno, "open " STATE_DIR);
	r = lock_try(net->lock, LOCK_EX);
	r = r < 0 ? error_sys(err, -r, "lock " STATE_DIR)
		  : state_save(net, err);
	if (r == 0)
		port_claims_add(net->uuid, net->pod_dirfd, &net->state);
	return r;
}

/* `netns` last: it says that there may be something to undo. */
static void files_remove(int pod_dirfd, const char *uuid,
			 const struct network_state *state)
{
	port_claims_remove(uuid, state);
	(void)unlinkat(pod_dirfd, STATE_FILE, 0);
	(void)unlinkat(pod_dirfd, STATE_DIR, AT_REMOVEDIR);
	(void)unlinkat(pod_dirfd, POD_NET_INFO_FILE, 0);
	(void)unlinkat(pod_dirfd, POD_NETNS_FILE, 0);
}

/* --- calling plugins -------------------------------------------------------
 */

static int plugin_start(const struct network_state *state, const char *uuid,
			int lock, const char *command,
			const struct network_attachment *at,
			const struct network_plugin *plugin, const char *prev,
			struct cni_run *run, struct error *err)
{
	cleanup_free struct cni_port_mapping *ports =
		xcalloc(state->n_ports + 1, sizeof(*ports));
	cleanup_strbuf struct strbuf conf = STRBUF_INIT;
	const struct cni_stdin in = {
		.name = at->name,
		.version = plugin->version,
		.prev_result = prev,
		.ports = ports,
		.n_ports = plugin->ports ? state->n_ports : 0,
		.no_masq = at->own_masq,
	};
	struct cni_call call = {
		.command = command,
		.path = plugin->path,
		.container_id = uuid,
		.netns = state->netns,
		.ifname = at->ifname,
		.args = at->args,
		.cni_path = state->cni_path,
		.lock = lock,
	};
	int r;

	for (size_t i = 0; i < state->n_ports; i++)
		ports[i] = (struct cni_port_mapping){
			.host_port = state->ports[i].host_port,
			.container_port = state->ports[i].pod_port,
			.protocol = state->ports[i].protocol,
			.host_ip = state->ports[i].host_ip,
		};
	r = cni_stdin_make(plugin->conf, &in, &conf, err);
	if (r < 0)
		return r;
	call.conf = conf.buf;
	log_debug("network %s: %s %s", at->name, command, plugin->path);
	return cni_run_start(&call, run, err);
}

/* The last result as a plugin of VERSION after PLUGIN is given it. */
static char *prev_result_make(const struct network *net,
			      const struct network_attachment *at,
			      const struct network_plugin *plugin)
{
	struct strbuf text = STRBUF_INIT;

	if (!net->last.json)
		return NULL;
	if (cni_version_has_chains(plugin->version))
		return xstrdup(net->last.json);
	cni_result_upgrade(&net->last, at->ifname, net->state.netns, &text);
	return strbuf_detach(&text);
}

static int add_start(struct network *net, struct error *err)
{
	const struct network_attachment *at = &net->state.v[net->at];
	const struct network_plugin *plugin = &at->plugins[net->plugin];
	cleanup_free char *prev = NULL;
	int r;

	if (net->plugin)
		prev = prev_result_make(net, at, plugin - 1);
	r = plugin_start(&net->state, net->uuid, net->lock, "ADD", at, plugin,
			 prev, &net->run, err);
	return r < 0 ? error_prefix(err, r, "error adding network \"%s\"",
				    at->name)
		     : 0;
}

/* --- undoing --------------------------------------------------------------
 */

/* Remembers only the first failure: the rest is tried all the same. */
static int keep_first(int r, int step, const struct error *why,
		      struct error *err)
{
	if (r < 0 || step >= 0)
		return r;
	if (err)
		*err = *why;
	return step;
}

static int del_one(const struct network_state *state, const char *uuid,
		   const struct network_attachment *at,
		   const struct network_plugin *plugin, bool *masq,
		   struct error *err)
{
	bool chains = cni_version_has_chains(plugin->version);
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct cni_run run = CNI_RUN_INIT;
	struct error masq_err = ERROR_INIT;
	int masq_r = 0;
	int r = plugin_start(state, uuid, -EBADF, "DEL", at, plugin,
			     chains ? at->result : NULL, &run, err);

	/* While the plugin works: both mostly wait for the kernel. */
	if (*masq)
		masq_r = masquerade_remove(uuid, &masq_err);
	*masq = false;
	if (r == 0)
		r = cni_run_finish(&run, CNI_TIMEOUT_MS, &out, err);
	if (r < 0)
		return error_prefix(err, r, "error deleting network \"%s\"",
				    at->name);
	return keep_first(0, masq_r, &masq_err, err);
}

/* DEL for what ran of the first N networks, the last only up to plugin N. */
static int undo(const struct network_state *state, const char *uuid, size_t n,
		size_t n_plugins, struct error *err)
{
	struct error why = ERROR_INIT;
	bool masq = false;
	int r = 0;

	for (size_t i = 0; i < n; i++)
		masq |= state->v[i].own_masq;
	netns_check(state->netns);
	for (size_t i = n; i-- > 0;) {
		const struct network_attachment *at = &state->v[i];
		size_t k = i == n - 1 && n_plugins < at->n ? n_plugins : at->n;

		while (k-- > 0) {
			int step = del_one(state, uuid, at, &at->plugins[k],
					   &masq, &why);

			r = keep_first(r, step, &why, err);
		}
	}
	if (masq)
		r = keep_first(r, masquerade_remove(uuid, &why), &why, err);
	if (state->n_ports)
		r = keep_first(r, loopback_spare_remove(uuid, &why), &why, err);
	netns_unbind(state->netns);
	return r;
}

/* After a failure: everything that may have run, as if nothing had been
 * asked for. */
static void roll_back(struct network *net)
{
	bool all = net->at == net->state.n;
	struct error why = ERROR_INIT;

	if (undo(&net->state, net->uuid, all ? net->at : net->at + 1,
		 all ? SIZE_MAX : net->plugin + 1, &why) < 0)
		log_warning("%s", why.msg);
	files_remove(net->pod_dirfd, net->uuid, &net->state);
	net->at = net->state.n;
}

/* --- setting up -----------------------------------------------------------
 */

static void take_ports(struct network_state *state,
		       const struct network_request *request)
{
	state->ports = xcalloc(request->n_ports + 1, sizeof(*state->ports));
	state->n_ports = request->n_ports;
	for (size_t i = 0; i < request->n_ports; i++) {
		const struct network_port *p = &request->ports[i];

		state->ports[i] = (struct network_mapping){
			.protocol = xstrdup(p->protocol),
			.host_ip = p->host_ip ? xstrdup(p->host_ip) : NULL,
			.host_port = p->host_port,
			.pod_port = p->pod_port,
		};
	}
}

static int plan(struct network *net, const struct network_request *request,
		struct error *err)
{
	const char *config = request->local_config;
	int r = network_conf_load(request->nets, config ? config : LOCAL_CONFIG,
				  &net->state, err);
	bool own_masq;

	if (r < 0)
		return r;
	take_ports(&net->state, request);
	r = network_conf_add_portmap(&net->state, err);
	if (r < 0)
		return r;
	own_masq = masquerade_available();
	for (size_t i = 0; i < net->state.n; i++)
		net->state.v[i].own_masq &= own_masq;
	net->state.netns = xasprintf(NETNS_DIR "/rkt-%s", request->uuid);
	return 0;
}

static void nothing_started(struct network *net)
{
	netns_unbind(net->state.netns);
	files_remove(net->pod_dirfd, net->uuid, &net->state);
}

static struct network *network_new(const struct network_request *request)
{
	struct network *net = xcalloc(1, sizeof(*net));

	net->run = (struct cni_run)CNI_RUN_INIT;
	net->lock = -EBADF;
	net->uuid = xstrdup(request->uuid);
	net->pod_dirfd = fcntl(request->pod_dirfd, F_DUPFD_CLOEXEC, 3);
	return net;
}

int network_start(const struct network_request *request, pid_t init_pid,
		  struct network **ret, struct error *err)
{
	struct network *net = network_new(request);
	int r = 0;

	if (net->pod_dirfd < 0)
		r = error_sys(err, errno, "duplicate the pod directory");
	if (r == 0 && net_list_kind(request->nets) == NET_KIND_CNI) {
		r = plan(net, request, err);
		if (r == 0) {
			r = files_make(net, err);
			if (r == 0)
				r = netns_bind(net->state.netns, init_pid, err);
			if (r == 0)
				r = add_start(net, err);
			if (r < 0)
				nothing_started(net);
		}
	}
	if (r < 0) {
		net->at = net->state.n;
		network_free(net);
		return r;
	}
	*ret = net;
	return 0;
}

static void take_dns(struct network *net, const char *name)
{
	struct cni_dns *dns = &net->last.dns;

	if (net->dns.network || cni_dns_is_empty(dns))
		return;
	net->dns = (struct network_dns){
		.network = name,
		.nameservers = dns->nameservers,
		.search = dns->search,
		.options = dns->options,
		.domain = dns->domain,
	};
	*dns = (struct cni_dns){0};
}

/* All plugins of a network have run. */
static int attachment_done(struct network *net, struct error *err)
{
	struct network_attachment *at = &net->state.v[net->at];
	int r;

	if (net->last.address) {
		free(at->ip);
		at->ip = NULL;
		cni_address_split(net->last.address, &at->ip, &at->mask);
	}
	at->result = prev_result_make(net, at, &at->plugins[at->n - 1]);
	take_dns(net, at->name);
	r = state_save(net, err);
	if (r < 0)
		return r;
	net->at++;
	net->plugin = 0;
	cni_result_release(&net->last);
	return info_save(net, err);
}

static int add_finish(struct network *net, struct error *err)
{
	const char *name = net->state.v[net->at].name;
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct cni_result result;
	int r = cni_run_finish(&net->run, CNI_TIMEOUT_MS, &out, err);

	if (r < 0)
		return error_prefix(err, r, "error adding network \"%s\"",
				    name);
	r = cni_result_parse(out.buf, out.len, &result, err);
	if (r < 0)
		return error_prefix(err, r, "error parsing \"%s\" result",
				    name);
	cni_result_release(&net->last);
	net->last = result;
	return 0;
}

static int step(struct network *net, struct error *err)
{
	int r = add_finish(net, err);

	if (r < 0)
		return r;
	if (++net->plugin == net->state.v[net->at].n)
		r = attachment_done(net, err);
	if (r == 0 && net->at < net->state.n)
		r = add_start(net, err);
	return r;
}

static int masquerade_start(const struct network *net, struct error *err)
{
	for (size_t i = 0; i < net->state.n; i++)
		if (net->state.v[i].own_masq)
			return masquerade_add(net->uuid, DEFAULT_SUBNET,
					      DEFAULT_BITS, err);
	return 0;
}

int network_finish(struct network *net, struct error *err)
{
	int r;

	if (net->at == net->state.n)
		return 0;
	r = masquerade_start(net, err);
	while (r == 0 && net->at < net->state.n)
		r = step(net, err);
	if (r < 0) {
		if (net->run.pidfd >= 0) {
			cleanup_strbuf struct strbuf out = STRBUF_INIT;

			(void)cni_run_finish(&net->run, CNI_TIMEOUT_MS, &out,
					     NULL);
		}
		roll_back(net);
	}
	unlock(net);
	return r;
}

char *network_host_ip(const struct network *net)
{
	char *ip = NULL;

	for (size_t i = net->state.n; i-- > 0 && !ip;) {
		const char *text = net->state.v[i].result;
		struct cni_result result;

		if (!text ||
		    cni_result_parse(text, strlen(text), &result, NULL) < 0)
			continue;
		ip = result.gateway ? xstrdup(result.gateway) : NULL;
		cni_result_release(&result);
	}
	return ip;
}

static bool forwards_ports(const struct network_attachment *at)
{
	for (size_t i = 0; i < at->n; i++)
		if (at->plugins[i].ports)
			return true;
	return false;
}

char *network_forward_address(const struct network *net, bool *ret_ipv6)
{
	for (size_t i = 0; i < net->state.n; i++) {
		const struct network_attachment *at = &net->state.v[i];
		struct cni_result result;

		if (!forwards_ports(at) || !at->ip || !*at->ip || !at->result ||
		    cni_result_parse(at->result, strlen(at->result), &result,
				     NULL) < 0)
			continue;
		*ret_ipv6 = result.has_ipv6;
		cni_result_release(&result);
		return xstrdup(at->ip);
	}
	return NULL;
}

const struct network_dns *network_dns(const struct network *net)
{
	return &net->dns;
}

/* --- adopting -------------------------------------------------------------
 */

static int state_load(int pod_dirfd, struct network_state *ret,
		      struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = read_file_at(pod_dirfd, STATE_FILE, STATE_MAX, &text, err);

	return r < 0 ? r : network_state_parse(text.buf, text.len, ret, err);
}

static int adopt(struct network *net, const struct network_request *request,
		 int netns_fd, struct error *err)
{
	cleanup_network_state struct network_state old = {0};
	int r = plan(net, request, err);

	if (r == 0)
		r = state_load(net->pod_dirfd, &old, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < old.n; i++)
		if (!old.v[i].result)
			return error_set(err, ENODATA, "it is not complete");
	if (!netns_is_bound(net->state.netns, netns_fd))
		return error_set(err, ESTALE, "it is in another namespace");
	network_state_take_results(&net->state, &old);
	if (!network_state_same(&old, &net->state))
		return error_set(err, ESTALE, "another one is configured");
	return 0;
}

struct network *network_adopt(const struct network_request *request,
			      int netns_fd)
{
	struct network *net = network_new(request);
	struct error err = ERROR_INIT;
	int r = adopt(net, request, netns_fd, &err);

	net->at = net->state.n;
	for (size_t i = 0; r == 0 && i < net->state.n; i++) {
		const struct network_attachment *at = &net->state.v[i];

		r = cni_result_parse(at->result, strlen(at->result), &net->last,
				     &err);
		if (r == 0)
			take_dns(net, at->name);
		cni_result_release(&net->last);
	}
	if (r == 0)
		return net;
	log_info("the network that is left is not taken over: %s", err.msg);
	network_free(net);
	return NULL;
}

static void add_words(struct strbuf *sb, const char *keyword,
		      const struct strv *words)
{
	if (words->n)
		strbuf_addstr(sb, keyword);
	for (size_t i = 0; i < words->n; i++)
		strbuf_addf(sb, " %s", words->v[i]);
	if (words->n)
		strbuf_addch(sb, '\n');
}

char *network_resolv_conf_make(const struct network_dns *dns)
{
	struct strbuf sb = STRBUF_INIT;

	if (!dns->network)
		return NULL;
	strbuf_addf(&sb, "# Generated by rkt from network %s\n\n",
		    dns->network);
	add_words(&sb, "search", &dns->search);
	for (size_t i = 0; i < dns->nameservers.n; i++)
		strbuf_addf(&sb, "nameserver %s\n", dns->nameservers.v[i]);
	add_words(&sb, "options", &dns->options);
	if (dns->domain && *dns->domain)
		strbuf_addf(&sb, "domain %s\n", dns->domain);
	return strbuf_detach(&sb);
}

void network_free(struct network *net)
{
	if (net->run.pidfd >= 0) {
		cleanup_strbuf struct strbuf out = STRBUF_INIT;

		(void)cni_run_finish(&net->run, CNI_TIMEOUT_MS, &out, NULL);
		roll_back(net);
	}
	unlock(net);
	cni_result_release(&net->last);
	strv_release(&net->dns.nameservers);
	strv_release(&net->dns.search);
	strv_release(&net->dns.options);
	free(net->dns.domain);
	network_state_release(&net->state);
	free(net->uuid);
	fd_close(&net->pod_dirfd);
	free(net);
}

/* Without the state file no plugin can have run. */
static int teardown_early(int pod_dirfd, const char *netns, const char *uuid,
			  struct error *err)
{
	const struct network_state none = {0};
	int r = masquerade_remove(uuid, err);

	netns_unbind(netns);
	files_remove(pod_dirfd, uuid, &none);
	return r;
}

int network_teardown(int pod_dirfd, const char *uuid, struct error *err)
{
	cleanup_network_state struct network_state state = {0};
	cleanup_free char *netns = xasprintf(NETNS_DIR "/rkt-%s", uuid);
	int r;

	if (faccessat(pod_dirfd, POD_NETNS_FILE, F_OK, AT_SYMLINK_NOFOLLOW) <
		    0 &&
	    errno == ENOENT)
		return 0;
	wait_for_plugins(pod_dirfd);
	r = state_load(pod_dirfd, &state, err);
	if (r == -ENOENT)
		return teardown_early(pod_dirfd, netns, uuid, err);
	if (r == 0 && strcmp(state.netns, netns) != 0)
		r = error_set(err, EINVAL, "%s names another namespace, %s",
			      STATE_FILE, state.netns);
	if (r != 0) {
		netns_unbind(netns);
		(void)masquerade_remove(uuid, NULL);
		return error_wrap(err, r, "tear down the networks of pod %s",
				  uuid);
	}
	r = undo(&state, uuid, state.n, SIZE_MAX, err);
	if (r == 0)
		files_remove(pod_dirfd, uuid, &state);
	return r;
}

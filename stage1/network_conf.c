/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/network_conf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/cni.h"

#define NET_DIR "net.d"
#define NET_FILES_MAX 1024

/* rkt's stage1 image had these in etc/rkt/net.d. */
static const struct builtin {
	const char *file;
	const char *text;
} builtins[] = {
	{
		"99-default-restricted.conf",
		"{\"cniVersion\":\"0.1.0\",\"name\":\"default-restricted\","
		"\"type\":\"ptp\",\"ipMasq\":false,\"ipam\":{\"type\":"
		"\"host-local\",\"subnet\":\"172.31.0.0/16\"}}",
	},
	{
		"99-default.conf",
		"{\"cniVersion\":\"0.1.0\",\"name\":\"default\",\"type\":"
		"\"ptp\",\"ipMasq\":true,\"ipam\":{\"type\":\"host-local\","
		"\"subnet\":\"172.16.28.0/24\",\"routes\":[{\"dst\":"
		"\"0.0.0.0/0\"}]}}",
	},
};

static const char portmap_conf[] =
	"{\"type\":\"portmap\",\"capabilities\":{\"portMappings\":true},"
	"\"snat\":true}";

/* --- which networks -------------------------------------------------------
 */

/* A configuration found, in a list sorted by file name. */
struct found {
	char *file;
	bool is_builtin;
	struct cni_network net;
};

struct found_list {
	struct found *v;
	size_t n;
};

static void found_release(struct found_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->v[i].file);
		cni_network_release(&list->v[i].net);
	}
	free(list->v);
}

static bool is_wanted(const struct net_list *list, const char *name)
{
	if (!list->n)
		return strcmp(name, "default") == 0;
	return net_list_find(list, "all") || net_list_find(list, name);
}

static struct found *found_find(const struct found_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->v[i].net.name, name) == 0)
			return &list->v[i];
	return NULL;
}

/* Takes what NET holds, or releases it when somebody defined it before. */
static void found_take(struct found_list *list, struct cni_network *net,
		       const char *file, const char *dir)
{
	struct found *old = found_find(list, net->name);

	if (old && !old->is_builtin) {
		log_info("networking: \"%s\" network already defined, "
			 "ignoring %s",
			 net->name, file);
		cni_network_release(net);
		return;
	}
	if (old) {
		log_info("networking: overriding \"%s\" network with one "
			 "from %s",
			 net->name, dir);
		free(old->file);
		cni_network_release(&old->net);
	} else {
		list->v = xreallocarray(list->v, list->n + 1, sizeof(*list->v));
		old = &list->v[list->n++];
	}
	old->file = xstrdup(file);
	old->is_builtin = !dir;
	old->net = *net;
}

static int load_text(const struct net_list *wanted, const char *text,
		     size_t len, const char *file, const char *dir,
		     struct found_list *ret, struct error *err)
{
	struct cni_network net;
	int r = cni_network_parse(text, len, &net, err);

	if (r < 0)
		return error_prefix(err, r, "error loading %s%s%s",
				    dir ? dir : "", dir ? "/" : "", file);
	if (is_wanted(wanted, net.name))
		found_take(ret, &net, file, dir);
	else
		cni_network_release(&net);
	return 0;
}

static bool is_conf_name(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot &&
	       (strcmp(dot, ".conf") == 0 || strcmp(dot, ".conflist") == 0);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted names of the configurations in the directory FD. */
static int list_dir(int fd, struct strv *names)
{
	cleanup_fd int copy =
		openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;

	if (!dir)
		return -errno;
	(void)TAKE_FD(copy);
	while ((e = readdir(dir))) {
		struct stat st;

		if (!is_conf_name(e->d_name) ||
		    fstatat(fd, e->d_name, &st, 0) < 0 || !S_ISREG(st.st_mode))
			continue;
		if (names->n == NET_FILES_MAX)
			return -E2BIG;
		strv_push(names, e->d_name);
	}
	if (names->n)
		qsort(names->v, names->n, sizeof(*names->v), compare_names);
	return 0;
}

/* Unlike read_file_at(): a configuration may be a symlink. */
static int read_conf(int dirfd, const char *name, struct strbuf *sb)
{
	cleanup_fd int fd =
		openat(dirfd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : strbuf_read_fd(sb, fd, CNI_TEXT_MAX);
}

static int load_dir(const struct net_list *wanted, const char *local_config,
		    struct found_list *ret, struct error *err)
{
	cleanup_free char *path = xasprintf("%s/" NET_DIR, local_config);
	cleanup_fd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_strv struct strv names = STRV_INIT;
	int r = fd < 0 ? -errno : list_dir(fd, &names);

	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		return error_sys(err, -r, "read %s", path);
	for (size_t i = 0; i < names.n && r == 0; i++) {
		cleanup_strbuf struct strbuf text = STRBUF_INIT;

		r = read_conf(fd, names.v[i], &text);
		if (r < 0)
			return error_sys(err, -r, "error loading %s/%s", path,
					 names.v[i]);
		r = load_text(wanted, text.buf, text.len, names.v[i], path, ret,
			      err);
	}
	return r;
}

static int missing_check(const struct net_list *wanted,
			 const struct found_list *found, struct error *err)
{
	cleanup_strbuf struct strbuf names = STRBUF_INIT;

	for (size_t i = 0; i < wanted->n; i++) {
		const char *name = wanted->v[i].name;

		if (strcmp(name, "all") != 0 && !found_find(found, name))
			strbuf_addf(&names, "%s%s", names.len ? ", " : "",
				    name);
	}
	if (names.len)
		return error_set(err, ENOENT, "networks not found: %s",
				 names.buf);
	return 0;
}

static int compare_found(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return strcmp(x->file, y->file);
}

/* --- which plugins --------------------------------------------------------
 */

static char *plugin_find(const char *cni_path, const char *type)
{
	cleanup_strv struct strv dirs = STRV_INIT;

	strv_split(&dirs, cni_path, ':');
	for (size_t i = 0; i < dirs.n; i++) {
		cleanup_free char *path = xasprintf("%s/%s", dirs.v[i], type);
		struct stat st;

		if (stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
		    access(path, X_OK) == 0)
			return TAKE_PTR(path);
	}
	return NULL;
}

static int plugin_add(struct network_attachment *at, const char *cni_path,
		      const char *type, const char *conf, const char *version,
		      struct error *err)
{
	char *path = plugin_find(cni_path, type);
	struct network_plugin *plugin;

	if (!path)
		return error_set(err, ENOENT, "Could not find plugin \"%s\"",
				 type);
	plugin = network_attachment_add(at);
	plugin->path = path;
	plugin->conf = xstrdup(conf);
	plugin->version = xstrdup(version);
	return 0;
}

static int attach(struct network_state *state, const struct net_list *wanted,
		  const struct found *found, struct error *err)
{
	const struct net_list_entry *entry =
		net_list_find(wanted, found->net.name);
	size_t index = state->n;
	struct network_attachment *at = network_state_add(state);
	int r = 0;

	at->name = xstrdup(found->net.name);
	at->file = xstrdup(found->file);
	at->ifname = xasprintf("eth%zu", index);
	at->args = xstrdup(entry ? entry->args : "");
	at->ip = xstrdup("");
	for (size_t i = 0; i < found->net.n && r == 0; i++) {
		const struct cni_plugin_conf *p = &found->net.plugins[i];

		at->ip_masq |= p->ip_masq;
		r = plugin_add(at, state->cni_path, p->type, p->json,
			       found->net.version, err);
		if (r == 0)
			at->plugins[i].can_map_ports = p->port_mappings;
	}
	at->own_masq = at->ip_masq && found->is_builtin;
	return r < 0 ? error_wrap(err, r, "network %s", at->name) : 0;
}

int network_conf_load(const struct net_list *list, const char *local_config,
		      struct network_state *state, struct error *err)
{
	cleanup_with(found_release) struct found_list found = {NULL, 0};
	int r = 0;

	state->cni_path = xasprintf("%s/" NET_DIR ":/usr/lib/rkt/plugins/net:"
				    "/usr/lib/cni:/opt/cni/bin",
				    local_config);
	for (size_t i = 0; i < sizeof(builtins) / sizeof(builtins[0]); i++) {
		r = load_text(list, builtins[i].text, strlen(builtins[i].text),
			      builtins[i].file, NULL, &found, err);
		if (r < 0)
			return r;
	}
	r = load_dir(list, local_config, &found, err);
	if (r == 0)
		r = missing_check(list, &found, err);
	if (r < 0)
		return r;
	if (found.n)
		qsort(found.v, found.n, sizeof(*found.v), compare_found);
	for (size_t i = 0; i < found.n && r == 0; i++)
		r = attach(state, list, &found.v[i], err);
	return r;
}

int network_conf_add_portmap(struct network_state *state, struct error *err)
{
	struct network_attachment *at;
	const char *version;
	int r;

	if (!state->n_ports || !state->n)
		return 0;
	at = &state->v[state->n - 1];
	for (size_t i = state->n; i-- > 0;)
		if (state->v[i].ip_masq)
			at = &state->v[i];
	for (size_t i = 0; i < at->n; i++) {
		at->plugins[i].ports = at->plugins[i].can_map_ports;
		if (at->plugins[i].ports)
			return 0;
	}
	version = at->plugins[0].version;
	if (!cni_version_has_chains(version))
		version = "0.4.0";
	r = plugin_add(at, state->cni_path, "portmap", portmap_conf, version,
		       err);
	if (r < 0)
		return error_wrap(err, r, "forward ports of network %s",
				  at->name);
	at->plugins[at->n - 1].ports = true;
	return 0;
}

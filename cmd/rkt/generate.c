/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/format.h"
#include "cmd/rkt/globals.h"
#include "cmd/rkt/pod_arg.h"
#include "spec/pod_manifest.h"
#include "stage0/pod.h"
#include "stage0/prepare.h"

/* One word of a command line of systemd.service(5), quoted. */
static void add_word(struct strbuf *sb, const char *word)
{
	strbuf_addch(sb, '"');
	for (; *word; word++) {
		unsigned char c = (unsigned char)*word;

		if (c == '%' || c == '$')
			strbuf_addf(sb, "%c%c", c, c);
		else if (c == '"' || c == '\\')
			strbuf_addf(sb, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			strbuf_addf(sb, "\\x%02x", c);
		else
			strbuf_addch(sb, (char)c);
	}
	strbuf_addch(sb, '"');
}

/* This program, with the data directory it was told. */
static void add_rkt(struct strbuf *sb, const struct rkt *rkt, const char *self)
{
	const struct {
		const char *flag, *value, *usual;
	} dirs[] = {
		{"--dir=", rkt->dir, GLOBALS_DEFAULT_DIR},
		{"--local-config=", rkt->local_config,
		 GLOBALS_DEFAULT_LOCAL_CONFIG},
		{"--system-config=", rkt->system_config,
		 GLOBALS_DEFAULT_SYSTEM_CONFIG},
	};

	add_word(sb, self);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		cleanup_free char *word =
			xasprintf("%s%s", dirs[i].flag, dirs[i].value);

		if (strcmp(dirs[i].value, dirs[i].usual) == 0)
			continue;
		strbuf_addch(sb, ' ');
		add_word(sb, word);
	}
}

/* What is different in the service manager of an ordinary user. */
struct manager {
	const char *dir, *systemctl, *order, *slice, *target;
};

static const struct manager managers[] = {
	{"/etc/systemd/system", "systemctl",
	 "Wants=network-online.target\nAfter=network-online.target\n",
	 "Slice=machine.slice\n", "multi-user.target"},
	{"~/.config/systemd/user", "systemctl --user", "", "",
	 "default.target"},
};

static void add_head(struct strbuf *sb, const struct pod_manifest *pm,
		     const char *name, const struct manager *m)
{
	strbuf_addf(sb, "# %s/rkt-%s.service, by rkt %s\n", m->dir, name,
		    RKT_VERSION);
	strbuf_addf(sb,
		    "#\n# The pod %s as it is, with its volumes, networks and "
		    "history.  One that runs\n# is stopped first:\n#\n",
		    name);
	strbuf_addf(sb,
		    "#\trkt stop %s; %s daemon-reload; %s "
		    "enable --now rkt-%s\n#\n# Apps:",
		    name, m->systemctl, m->systemctl, name);
	for (size_t i = 0; i < pm->n_apps; i++)
		strbuf_addf(sb, " %s", pm->apps[i].name);
	strbuf_addf(sb,
		    "\n\n[Unit]\nDescription=rkt pod %s\n"
		    "Documentation=man:rkt(1)\n%s\n",
		    name, m->order);
}

static void add_service(struct strbuf *sb, const struct rkt *rkt,
			const char *self, const char *name,
			const struct manager *m)
{
	strbuf_addstr(sb, "[Service]\nType=notify\nExecStart=");
	add_rkt(sb, rkt, self);
	strbuf_addf(sb, " start %s\nExecReload=", name);
	add_rkt(sb, rkt, self);
	strbuf_addf(sb, " update --latest --wait=switched %s\n", name);
	strbuf_addf(sb,
		    "Restart=always\n"
		    "RestartSec=100ms\n"
		    "TimeoutStartSec=5min\n"
		    "TimeoutStopSec=20\n"
		    "KillMode=mixed\n"
		    "%s"
		    "Delegate=yes\n"
		    "FileDescriptorStoreMax=512\n"
		    "Environment=FDSTORE=512\n"
		    "OOMPolicy=continue\n\n"
		    "[Install]\nWantedBy=%s\n",
		    m->slice, m->target);
}

static int print_unit(struct cmd_call *call, struct pod *pod, struct error *err)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	cleanup_free char *name = pod_name_get(pod);
	cleanup_free char *self = realpath("/proc/self/exe", NULL);
	const struct manager *m = &managers[call->rkt->is_user];
	int r;

	if (!name)
		return error_set(err, EINVAL,
				 "pod \"%s\" has no name: rkt gc removes it "
				 "when it has ended, so it cannot be a unit "
				 "(rkt run --pod-name=NAME makes one that can)",
				 pod->uuid);
	if (pod->dir != POD_RUN && pod->dir != POD_EXITED_GARBAGE)
		return error_set(err, EINVAL, "pod %s has not run yet", name);
	if (!self)
		return error_sys(err, errno, "find this program");
	r = pod_manifest_load_committed(pod->fd, &pm, err);
	if (r < 0)
		return r;
	add_head(&out, &pm, name, m);
	add_service(&out, call->rkt, self, name, m);
	return print_all(&out);
}

static int run_systemd(struct cmd_call *call)
{
	return pod_arg_only(call, NULL, print_unit);
}

static const struct command cmd_generate_systemd = {
	.name = "systemd",
	.summary = "Print a unit of systemd for a pod",
	.usage = "POD",
	.description =
		"The unit starts the pod NAME that was made by `rkt run "
		"--pod-name=NAME`, again and as it was: same volumes, networks "
		"and arguments, each app in its last committed generation. "
		"`systemctl reload` is a live update to the highest version in "
		"the store. The pod stays one for `rkt status`, `update` and "
		"`rollback`; `rkt@.service` is the way to describe a pod by a "
		"file instead. Of a user's pod it is a unit of her own "
		"service manager (`systemctl --user`).",
	.words = CMD_WORDS_PODS,
	.run = run_systemd,
};

static const struct command *const subcommands[] = {
	&cmd_generate_systemd,
	NULL,
};

const struct command cmd_generate = {
	.name = "generate",
	.summary = "Print what other programs need to know of a pod",
	.usage = "[command]",
	.subcommands = subcommands,
};

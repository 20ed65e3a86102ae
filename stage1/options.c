/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/parse.h"

static int parse_net(struct run_options *o, const char *value,
		     struct error *err)
{
	return net_list_add(&o->nets, value, err);
}

static int parse_ipc(struct run_options *o, const char *value,
		     struct error *err)
{
	if (strcmp(value, "parent") == 0)
		o->host_ipc = true;
	else if (strcmp(value, "auto") != 0 && strcmp(value, "private") != 0 &&
		 *value)
		return error_set(err, EINVAL,
				 "--ipc must be auto, private or parent");
	return 0;
}

static int parse_dns_file(const char *value, enum dns_mode *ret,
			  struct error *err)
{
	static const struct {
		const char *name;
		enum dns_mode mode;
	} modes[] = {
		{"default", DNS_DEFAULT},
		{"host", DNS_HOST},
		{"stage0", DNS_STAGE0},
		{"none", DNS_NONE},
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(value, modes[i].name) == 0) {
			*ret = modes[i].mode;
			return 0;
		}
	return error_set(err, EINVAL, "unknown dns mode %s", value);
}

static int parse_dns_mode(struct run_options *o, const char *value,
			  struct error *err)
{
	struct strv parts = STRV_INIT;
	int r = 0;

	strv_split(&parts, value, ',');
	for (size_t i = 0; i < parts.n && r == 0; i++) {
		if (strncmp(parts.v[i], "resolv=", 7) == 0)
			r = parse_dns_file(parts.v[i] + 7, &o->resolv_mode,
					   err);
		else if (strncmp(parts.v[i], "hosts=", 6) == 0)
			r = parse_dns_file(parts.v[i] + 6, &o->hosts_mode, err);
		else
			r = error_set(err, EINVAL, "unknown dns mode %s",
				      parts.v[i]);
	}
	strv_release(&parts);
	return r;
}

static int parse_hostname(struct run_options *o, const char *value,
			  struct error *err)
{
	if (strlen(value) > 64)
		return error_set(err, EINVAL,
				 "host name %s is longer than 64 bytes", value);
	o->hostname = *value ? value : NULL;
	return 0;
}

static int parse_local_config(struct run_options *o, const char *value,
			      struct error *err)
{
	(void)err;
	o->local_config = value;
	return 0;
}

static int parse_system_config(struct run_options *o, const char *value,
			       struct error *err)
{
	(void)err;
	o->system_config = value;
	return 0;
}

static int parse_log(struct run_options *o, const char *value,
		     struct error *err)
{
	if (strcmp(value, "file") == 0)
		o->log = OUTPUT_KEPT_FILE;
	else if (strcmp(value, "journal") == 0)
		o->log = OUTPUT_KEPT_JOURNAL;
	else if (strcmp(value, "all") != 0)
		return error_set(err, EINVAL,
				 "--log must be all, file or journal");
	return 0;
}

static int parse_ready_fd(struct run_options *o, const char *value,
			  struct error *err)
{
	uint64_t fd;

	if (parse_uint(value, 1 << 20, &fd) < 0)
		return error_set(err, EINVAL, "--ready-fd %s is no descriptor",
				 value);
	o->ready_fd = (int)fd;
	return 0;
}

static int parse_private_users(struct run_options *o, const char *value,
			       struct error *err)
{
	return user_range_parse(value, &o->private_users, err);
}

static const struct {
	const char *name;
	size_t flag; /* offset of a bool, or 0 */
	int (*parse)(struct run_options *, const char *, struct error *);
} rows[] = {
	{"--debug", offsetof(struct run_options, debug), NULL},
	{"--interactive", offsetof(struct run_options, interactive), NULL},
	{"--disable-capabilities-restriction",
	 offsetof(struct run_options, plan.insecure_capabilities), NULL},
	{"--disable-paths", offsetof(struct run_options, plan.insecure_paths),
	 NULL},
	{"--disable-seccomp",
	 offsetof(struct run_options, plan.insecure_seccomp), NULL},
	{"--mutable", offsetof(struct run_options, is_mutable), NULL},
	{"--mds-register", offsetof(struct run_options, mds_register), NULL},
	{"--net", 0, parse_net},
	{"--ipc", 0, parse_ipc},
	{"--hostname", 0, parse_hostname},
	{"--dns-conf-mode", 0, parse_dns_mode},
	{"--local-config", 0, parse_local_config},
	{"--system-config", 0, parse_system_config},
	{"--log", 0, parse_log},
	{"--ready-fd", 0, parse_ready_fd},
	{"--private-users", 0, parse_private_users},
};

static int parse_one(struct run_options *o, const char *arg, struct error *err)
{
	size_t len = strcspn(arg, "=");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strlen(rows[i].name) != len ||
		    strncmp(rows[i].name, arg, len) != 0)
			continue;
		if (rows[i].parse && arg[len] == '=')
			return rows[i].parse(o, arg + len + 1, err);
		if (!rows[i].parse && !arg[len]) {
			*(bool *)((char *)o + rows[i].flag) = true;
			return 0;
		}
	}
	return error_set(err, EINVAL, "unknown argument %s", arg);
}

int run_options_parse(int argc, char *const argv[], struct run_options *ret,
		      struct error *err)
{
	*ret = (struct run_options){.ready_fd = -EBADF};
	if (argc < 1)
		return error_set(err, EINVAL, "the pod's UUID is missing");
	for (int i = 0; i < argc - 1; i++) {
		int r = parse_one(ret, argv[i], err);

		if (r < 0)
			return r;
	}
	ret->uuid = argv[argc - 1];
	return 0;
}

void run_options_release(struct run_options *options)
{
	net_list_release(&options->nets);
	free(options->plan.metadata_url);
}

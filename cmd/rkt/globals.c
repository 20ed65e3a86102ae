/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/globals.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "aci/config_load.h"
#include "aci/treestore.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/rootless.h"

#define INSECURE_ALL_FETCH                                                     \
	(INSECURE_IMAGE | INSECURE_TLS | INSECURE_HTTP | INSECURE_PUBKEY)
#define INSECURE_ALL_RUN                                                       \
	(INSECURE_CAPABILITIES | INSECURE_PATHS | INSECURE_SECCOMP)

static const struct {
	const char *name;
	unsigned int bits;
} insecure_names[] = {
	{"none", 0},
	{"image", INSECURE_IMAGE},
	{"tls", INSECURE_TLS},
	{"ondisk", INSECURE_ONDISK},
	{"http", INSECURE_HTTP},
	{"pubkey", INSECURE_PUBKEY},
	{"capabilities", INSECURE_CAPABILITIES},
	{"paths", INSECURE_PATHS},
	{"seccomp", INSECURE_SECCOMP},
	{"all-fetch", INSECURE_ALL_FETCH},
	{"all-run", INSECURE_ALL_RUN},
	{"all", INSECURE_ALL_FETCH | INSECURE_ALL_RUN | INSECURE_ONDISK},
};

static int insecure_name(struct globals *g, const char *name, struct error *err)
{
	for (size_t i = 0; i < sizeof(insecure_names) / sizeof(*insecure_names);
	     i++) {
		if (strcasecmp(name, insecure_names[i].name) != 0)
			continue;
		if (g->insecure_seen & (1U << i))
			return error_set(err, EINVAL,
					 "duplicated option \"%s\"", name);
		g->insecure_seen |= 1U << i;
		g->insecure |= insecure_names[i].bits;
		return 0;
	}
	return error_set(err, EINVAL, "unknown option \"%s\"", name);
}

void globals_insecure_text(unsigned int insecure, struct strbuf *out)
{
	size_t at = out->len;

	for (size_t i = 0; i < sizeof(insecure_names) / sizeof(*insecure_names);
	     i++) {
		unsigned int bits = insecure_names[i].bits;

		/* One bit each: "all" stands for all of them. */
		if (bits && (bits & (bits - 1)) == 0 && insecure & bits)
			strbuf_addf(out, "%s%s", out->len > at ? "," : "",
				    insecure_names[i].name);
	}
	if (out->len == at)
		strbuf_addstr(out, "none");
}

static int insecure_parse(const struct option_row *row, void *target,
			  const char *value, struct error *err)
{
	cleanup_strv struct strv names = STRV_INIT;

	(void)row;
	strv_split(&names, value, ',');
	for (size_t i = 0; i < names.n; i++) {
		int r = insecure_name(target, names.v[i], err);

		if (r < 0)
			return r;
	}
	return 0;
}

static int dir_parse(const struct option_row *row, void *target,
		     const char *value, struct error *err)
{
	(void)row;
	if (value[0] == '\0')
		return error_set(err, EINVAL, "\"\" is not a valid directory");
	*(const char **)target = value;
	return 0;
}

static int driver_parse(const struct option_row *row, void *target,
			const char *value, struct error *err)
{
	const char **driver = target;
	int r = 0;

	(void)row;
	*driver = NULL;
	if (strcmp(value, "auto") == 0)
		return 0;
	r = treestore_driver_check(value, err);
	if (r == 0)
		*driver = value;
	return r;
}

#define DIR_ROW(row_name, field, row_shown, row_help)                          \
	{                                                                      \
		.name = (row_name), .kind = OPTION_CALL, .parse = dir_parse,   \
		.values = OPTION_VALUES_DIRECTORIES,                           \
		.offset = offsetof(struct globals, field),                     \
		.shown = (row_shown), .help = (row_help)                       \
	}
#define BOOL_ROW(row_name, field, row_help)                                    \
	{                                                                      \
		.name = (row_name), .kind = OPTION_BOOL, .implied = "true",    \
		.offset = offsetof(struct globals, field), .help = (row_help)  \
	}

const struct option_row globals_rows[] = {
	BOOL_ROW("debug", debug, "print out more debug information to stderr"),
	DIR_ROW("dir", dir, GLOBALS_DEFAULT_DIR,
		"rkt data directory (without root ~/.local/share/rkt)"),
	DIR_ROW("system-config", system_config, "/usr/lib/rkt",
		"system configuration directory"),
	DIR_ROW("local-config", local_config, "/etc/rkt",
		"local configuration directory"),
	DIR_ROW("user-config", user_config, "",
		"user configuration directory (without root ~/.config/rkt)"),
	{.name = "image-driver",
	 .values = "auto|erofs|loop|tree",
	 .kind = OPTION_CALL,
	 .parse = driver_parse,
	 .offset = offsetof(struct globals, image_driver),
	 .shown = "auto",
	 .help = "how images become root file systems: \"erofs\" (an index "
		 "over the tar, mounted), \"loop\" (the same, through loop "
		 "devices), \"tree\" (unpacked), or \"auto\": the first of "
		 "these that works"},
	{.name = "insecure-options",
	 .values = "none|image|tls|ondisk|http|pubkey|capabilities|paths|"
		   "seccomp|all-fetch|all-run|all",
	 .kind = OPTION_CALL,
	 .parse = insecure_parse,
	 .shown = "none",
	 .help = "comma-separated list of security features to disable. "
		 "Allowed values: \"none\", \"image\", \"tls\", \"ondisk\", "
		 "\"http\", \"pubkey\", \"capabilities\", \"paths\", "
		 "\"seccomp\", \"all-fetch\", \"all-run\", \"all\""},
	BOOL_ROW("trust-keys-from-https", trust_keys_from_https,
		 "automatically trust gpg keys fetched from https"),
	{.name = "help",
	 .letter = 'h',
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .flags = OPTION_HIDDEN,
	 .offset = offsetof(struct globals, help)},
	{.name = NULL},
};

static const char default_dir[] = GLOBALS_DEFAULT_DIR;
static const char default_system_config[] = GLOBALS_DEFAULT_SYSTEM_CONFIG;
static const char default_local_config[] = GLOBALS_DEFAULT_LOCAL_CONFIG;

void globals_init(struct globals *g)
{
	*g = (struct globals){
		.system_config = default_system_config,
		.local_config = default_local_config,
	};
}

/* Nobody typed it: nothing to make absolute. */
static bool is_default(const char *path)
{
	return path == default_dir || path == default_system_config ||
	       path == default_local_config;
}

/* PATH absolute, with symlinks resolved as far as it exists. */
static int absolute(const char *path, const char **ret, struct error *err)
{
	cleanup_free char *joined = NULL;
	char cwd[PATH_MAX];
	char *real;

	if (is_default(path)) {
		*ret = path;
		return 0;
	}
	real = realpath(path, NULL);
	if (!real && path_is_absolute(path)) {
		real = path_clean(path);
	} else if (!real) {
		if (!getcwd(cwd, sizeof(cwd)))
			return error_sys(err, errno, "find current directory");
		joined = xasprintf("%s/%s", cwd, path);
		real = path_clean(joined);
	}
	*ret = real;
	return 0;
}

/* paths.d, or the default.  Only what is asked for is read: every command
 * pays for it. */
static int configured_dir(const struct rkt *rkt, const char **ret,
			  struct error *err)
{
	const struct config_dirs dirs = {rkt->system_config, rkt->local_config,
					 rkt->user_config};
	cleanup_config struct config config = CONFIG_INIT;
	int r = config_load(&dirs, CONFIG_BIT(CONFIG_PATHS_D), &config, err);

	if (r < 0)
		return r;
	*ret = default_dir;
	return config.data_dir ? absolute(config.data_dir, ret, err) : 0;
}

/* A member of rkt, usually. */
static bool may_read_images(const char *dir)
{
	cleanup_free char *cas = xasprintf("%s/cas", dir);

	return access(cas, R_OK | X_OK) == 0;
}

/* The system's configuration says nothing of a user's own directory. */
static int user_dir(const struct rkt *rkt, bool is_for_root, const char **ret,
		    struct error *err)
{
	const struct rkt own = {.user_config = rkt->user_config};
	cleanup_free char *home = rootless_data_dir();
	const char *dir = NULL;
	int r = configured_dir(&own, &dir, err);

	if (r == 0 && dir == default_dir)
		dir = home;
	if (r == 0 && (!dir || (!is_for_root && access(dir, X_OK) < 0))) {
		r = configured_dir(rkt, ret, err);
		if (r < 0 || !dir || may_read_images(*ret))
			return r;
	}
	return r < 0 ? r : absolute(dir, ret, err);
}

int globals_resolve(const struct globals *g, bool is_for_root, struct rkt *ret,
		    struct error *err)
{
	cleanup_free char *in_home = NULL;
	const char *user_config = g->user_config;
	char *libexec = NULL;
	int r;

	*ret = (struct rkt){
		.insecure = g->insecure,
		.trust_keys_from_https = g->trust_keys_from_https,
		.debug = g->debug,
		.image_driver = g->image_driver,
		.is_user = rootless_is_user(),
	};
	/* Nobody may mount images there. */
	if (ret->is_user && !ret->image_driver && getauxval(AT_EUID) == 0)
		ret->image_driver = "tree";
	if (!user_config && ret->is_user)
		user_config = in_home = rootless_config_dir();
	r = absolute(g->system_config, &ret->system_config, err);
	if (r == 0)
		r = absolute(g->local_config, &ret->local_config, err);
	if (r == 0 && user_config)
		r = absolute(user_config, &ret->user_config, err);
	if (r == 0 && g->dir)
		r = absolute(g->dir, &ret->dir, err);
	else if (r == 0 && ret->is_user)
		r = user_dir(ret, is_for_root, &ret->dir, err);
	else if (r == 0)
		r = configured_dir(ret, &ret->dir, err);
	if (r == 0)
		r = path_libexec(&libexec, err);
	ret->libexec = libexec;
	return r;
}

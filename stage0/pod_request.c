/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/pod_request.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "spec/name_value.h"
#include "spec/stage1_abi.h"

#define ENV_FILE_MAX (1024 * 1024)

/* --- rows ------------------------------------------------------------------
 */

static int parse_volume(const struct option_row *row, void *target,
			const char *value, struct error *err)
{
	struct pod_request *req = target;
	struct volume volume = {0};
	int r = volume_parse(value, &volume, err);

	(void)row;
	if (r < 0)
		return r;
	for (size_t i = 0; i < req->n_volumes; i++) {
		if (strcmp(req->volumes[i].name, volume.name) != 0)
			continue;
		r = error_set(err, EINVAL, "volume %s given twice",
			      volume.name);
		volume_release(&volume);
		return r;
	}
	req->volumes = xreallocarray(req->volumes, req->n_volumes + 1,
				     sizeof(*req->volumes));
	req->volumes[req->n_volumes++] = volume;
	return 0;
}

/* What a path is relative to is known here alone. */
static int make_absolute(struct secret *s, struct error *err)
{
	cleanup_free char *cwd = NULL;
	char *path;

	if (!s->source || path_is_absolute(s->source))
		return 0;
	cwd = getcwd(NULL, 0);
	if (!cwd)
		return error_sys(err, errno, "find the working directory");
	path = xasprintf("%s/%s", cwd, s->source);
	free(s->source);
	s->source = path;
	return strchr(path, ',')
		       ? error_set(err, EINVAL, "the path %s has a comma", path)
		       : 0;
}

static int parse_secret(const struct option_row *row, void *target,
			const char *value, struct error *err)
{
	struct pod_request *req = target;
	cleanup_secret struct secret secret = {0};
	int r = secret_parse(value, &secret, err);

	(void)row;
	if (r == 0)
		r = make_absolute(&secret, err);
	for (size_t i = 0; i < req->n_secrets && r == 0; i++)
		if (strcmp(req->secrets[i].name, secret.name) == 0)
			r = error_set(err, EINVAL, "secret %s given twice",
				      secret.name);
	if (r < 0)
		return r;
	req->secrets = xreallocarray(req->secrets, req->n_secrets + 1,
				     sizeof(*req->secrets));
	req->secrets[req->n_secrets++] = secret;
	secret = (struct secret){0};
	return 0;
}

void pod_request_add_port(struct pod_request *req,
			  const struct exposed_port *port)
{
	req->ports = xreallocarray(req->ports, req->n_ports + 1,
				   sizeof(*req->ports));
	req->ports[req->n_ports++] = *port;
}

static int parse_port(const struct option_row *row, void *target,
		      const char *value, struct error *err)
{
	struct exposed_port port = {0};
	int r = exposed_port_parse(value, &port, err);

	(void)row;
	if (r == 0)
		pod_request_add_port(target, &port);
	return r;
}

static int check_pair(const char *pair, struct error *err)
{
	const char *equals = strchr(pair, '=');
	cleanup_free char *name = NULL;

	if (!equals || equals == pair)
		return error_set(err, EINVAL, "must be given as NAME=VALUE");
	name = xstrndup(pair, (size_t)(equals - pair));
	return environment_name_check(name, err);
}

static size_t name_len(const char *pair)
{
	return strcspn(pair, "=");
}

static bool has_name(const struct strv *pairs, const char *pair)
{
	size_t len = name_len(pair) + 1;

	for (size_t i = 0; i < pairs->n; i++)
		if (strncmp(pairs->v[i], pair, len) == 0)
			return true;
	return false;
}

static int parse_set_env(const struct option_row *row, void *target,
			 const char *value, struct error *err)
{
	int r = check_pair(value, err);

	(void)row;
	if (r < 0)
		return r;
	if (has_name(target, value))
		return error_set(err, EINVAL,
				 "environment variable \"%.*s\" already set",
				 (int)name_len(value), value);
	strv_push(target, value);
	return 0;
}

const struct option_row pod_request_rows[] = {
	{.name = "volume",
	 .kind = OPTION_CALL,
	 .parse = parse_volume,
	 .help = "volume for the pod: NAME,kind=host,source=PATH"
		 "[,readOnly=BOOL][,recursive=BOOL] or NAME,kind=empty"
		 "[,readOnly=BOOL][,mode=MODE][,uid=UID][,gid=GID]"
		 " [,medium=memory][,size=64Mi] (a size makes it one in "
		 "memory, which is empty at each start of the pod); symbolic "
		 "links in "
		 "PATH are followed when the pod is prepared"},
	{.name = "mount", /* help shows the app's */
	 .kind = OPTION_LIST,
	 .flags = OPTION_HIDDEN,
	 .offset = offsetof(struct pod_request, mounts)},
	{.name = "port",
	 .kind = OPTION_CALL,
	 .parse = parse_port,
	 .help = "forward a host port to a named port of the image: "
		 "NAME:[HOSTIP:]HOSTPORT, or to any port of the pod: "
		 "[HOSTIP:]HOSTPORT:PODPORT/tcp or /udp (repeatable)"},
	{.name = "secret",
	 .kind = OPTION_CALL,
	 .parse = parse_secret,
	 .help = "file in memory for the pod's apps, made at each start: "
		 "NAME[,source=FILE|credential=NAME][,target=PATH]"
		 " [,mode=0400][,uid=UID][,gid=GID]; of FILE, or the systemd "
		 "credential "
		 "NAME; at /run/secrets/NAME"},
	{.name = "inherit-env",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct pod_request, inherit_env),
	 .help = "inherit all environment variables not set by the image"},
	{.name = "set-env",
	 .kind = OPTION_CALL,
	 .parse = parse_set_env,
	 .offset = offsetof(struct pod_request, set_env),
	 .help = "environment variable NAME=VALUE for all apps (repeatable)"},
	{.name = "set-env-file",
	 .values = OPTION_VALUES_FILES,
	 .kind = OPTION_LIST,
	 .offset = offsetof(struct pod_request, set_env_file),
	 .help = "file with environment variables for all apps, NAME=VALUE "
		 "lines (repeatable); of -FILE, if there is one"},
	{.name = NULL},
};

void pod_request_release(struct pod_request *req)
{
	for (size_t i = 0; i < req->n_apps; i++) {
		free(req->apps[i].image);
		app_options_release(&req->apps[i].options);
		strv_release(&req->apps[i].words);
	}
	free(req->apps);
	for (size_t i = 0; i < req->n_volumes; i++)
		volume_release(&req->volumes[i]);
	free(req->volumes);
	for (size_t i = 0; i < req->n_secrets; i++)
		secret_release(&req->secrets[i]);
	free(req->secrets);
	for (size_t i = 0; i < req->n_ports; i++)
		exposed_port_release(&req->ports[i]);
	free(req->ports);
	strv_release(&req->mounts);
	strv_release(&req->set_env);
	strv_release(&req->set_env_file);
	*req = (struct pod_request)POD_REQUEST_INIT;
}

/* --- grammar ---------------------------------------------------------------
 */

#define SETS_MAX 6

/* Flags of the pod and its apps; the last set is the app's. */
struct grammar {
	struct option_set sets[SETS_MAX];
	size_t n_sets;
};

static int add_image(struct pod_request *req, const char *image,
		     struct error *err)
{
	if (req->n_apps == POD_APPS_MAX)
		return error_set(err, EINVAL, "a pod has at most %d apps",
				 POD_APPS_MAX);
	req->apps =
		xreallocarray(req->apps, req->n_apps + 1, sizeof(*req->apps));
	req->apps[req->n_apps++] = (struct app_request){
		.image = xstrdup(image),
		.options = APP_OPTIONS_INIT,
	};
	return 0;
}

/* Of an app's flag: whether an image came before. */
static int check_place(const struct pod_request *req, const struct grammar *g,
		       const char *word, bool *ret_of_app, struct error *err)
{
	const struct option_set app = {.rows = app_option_rows};
	const char *name = word + 2;
	size_t len;

	*ret_of_app = false;
	if (strncmp(word, "--", 2) != 0)
		return 0;
	len = strcspn(name, "=");
	if (!option_find(&app, 1, name, len, NULL))
		return 0;
	*ret_of_app = req->n_apps > 0;
	if (req->n_apps == 0 &&
	    !option_find(g->sets, g->n_sets, name, len, NULL))
		return error_set(err, EINVAL, "--%.*s must follow an image",
				 (int)len, name);
	return 0;
}

static int read_flag(struct pod_request *req, const struct grammar *g,
		     char *const *argv, struct error *err)
{
	struct app_request *app;
	struct option_set set;
	bool of_app;
	int r = check_place(req, g, argv[0], &of_app, err);

	if (r < 0)
		return r;
	if (!of_app)
		return option_apply(g->sets, g->n_sets, argv, err);
	app = &req->apps[req->n_apps - 1];
	set = (struct option_set){app_option_rows, &app->options};
	r = option_apply(&set, 1, argv, err);
	for (int i = 0; i < r; i++)
		strv_push(&app->words, argv[i]);
	return r;
}

/* ARGV[0] is "--".  Returns how many words belong to it. */
static int read_args(struct pod_request *req, char *const *argv,
		     struct error *err)
{
	struct app_request *app;
	int i = 1;

	if (req->n_apps == 0)
		return error_set(err, EINVAL,
				 "an image is required before "
				 "any app arguments");
	app = &req->apps[req->n_apps - 1];
	if (app->options.has_args)
		return error_set(err, EINVAL,
				 "only one set of app arguments "
				 "allowed per image");
	app->options.has_args = true;
	for (; argv[i] && strcmp(argv[i], "---") != 0; i++)
		strv_push(&app->options.args, argv[i]);
	return argv[i] ? i + 1 : i;
}

/* Arguments come last, wherever flags stood ("-- a b --- --name=x"). */
static void append_args(struct app_request *app)
{
	if (!app->options.has_args)
		return;
	strv_push(&app->words, "--");
	strv_append(&app->words, &app->options.args);
}

int pod_request_parse(struct pod_request *req, char *const *argv,
		      const struct option_set *sets, size_t n_sets,
		      struct error *err)
{
	struct grammar g = {.n_sets = n_sets + 1};

	if (n_sets + 1 > SETS_MAX)
		return error_set(err, E2BIG, "too many option tables");
	for (size_t i = 0; i < n_sets; i++)
		g.sets[i] = sets[i];
	g.sets[n_sets] = (struct option_set){pod_request_rows, req};
	for (int i = 0; argv[i];) {
		int r = 1;

		if (strcmp(argv[i], "--") == 0)
			r = read_args(req, argv + i, err);
		else if (strcmp(argv[i], "---") == 0 || argv[i][0] == '\0')
			r = 1;
		else if (option_is_flag(argv[i]))
			r = read_flag(req, &g, argv + i, err);
		else
			r = add_image(req, argv[i], err) < 0 ? -EINVAL : 1;
		if (r < 0)
			return r;
		i += r;
	}
	for (size_t i = 0; i < req->n_apps; i++) {
		int r = app_options_check(&req->apps[i].options, err);

		if (r < 0)
			return r;
		append_args(&req->apps[i]);
	}
	return 0;
}

/* --- what was said for all -------------------------------------------------
 */

/* As in systemd, a file after "-" may be missing. */
static int read_env_file(const char *path, struct strv *ret, struct error *err)
{
	bool may_miss = *path == '-';
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_strv struct strv lines = STRV_INIT;
	cleanup_fd int fd = -EBADF;
	int r;

	path += may_miss;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && may_miss)
		return 0;
	if (fd < 0)
		return error_sys(err, errno, "open environment file %s", path);
	r = strbuf_read_fd(&text, fd, ENV_FILE_MAX);
	if (r < 0)
		return error_sys(err, -r, "read environment file %s", path);
	strv_split(&lines, text.buf, '\n');
	for (size_t i = 0; i < lines.n; i++) {
		char *line = lines.v[i] + strspn(lines.v[i], " \t\r");
		size_t len = strlen(line);

		if (len > 0 && line[len - 1] == '\r')
			line[--len] = '\0';
		if (len == 0 || line[0] == '#' || line[0] == ';')
			continue;
		r = check_pair(line, err);
		if (r < 0)
			return error_prefix(err, r, "%s: line %zu", path,
					    i + 1);
		strv_push(ret, line);
	}
	return 0;
}

/* What every app's words start with. */
static int common_words(const struct pod_request *req,
			const struct strv *environment, struct strv *ret,
			struct error *err)
{
	cleanup_strv struct strv env = STRV_INIT;

	for (size_t i = 0; i < req->mounts.n; i++)
		strv_pushf(ret, "--mount=%s", req->mounts.v[i]);
	for (size_t i = 0; req->inherit_env && i < environment->n; i++)
		/* A manifest cannot hold other names ("BASH_FUNC_x%%"). */
		if (check_pair(environment->v[i], NULL) == 0)
			strv_pushf(ret, "--inherited-environment=%s",
				   environment->v[i]);
	for (size_t i = 0; i < req->set_env_file.n; i++) {
		int r = read_env_file(req->set_env_file.v[i], &env, err);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < env.n; i++)
		if (!has_name(&req->set_env, env.v[i]))
			strv_pushf(ret, "--pod-environment=%s", env.v[i]);
	for (size_t i = 0; i < req->set_env.n; i++)
		strv_pushf(ret, "--pod-environment=%s", req->set_env.v[i]);
	return 0;
}

static bool has_volume(const struct pod_request *req, const char *name)
{
	for (size_t i = 0; i < req->n_volumes; i++)
		if (strcmp(req->volumes[i].name, name) == 0)
			return true;
	return false;
}

static int check_mounts(const struct pod_request *req,
			const struct app_options *o, struct error *err)
{
	for (size_t i = 0; i < o->n_mounts; i++)
		if (!o->mounts[i].has_app_volume &&
		    !has_volume(req, o->mounts[i].volume))
			return error_set(err, EINVAL,
					 "dangling mount point \"%s\": volume "
					 "\"%s\" not found",
					 o->mounts[i].path,
					 o->mounts[i].volume);
	return 0;
}

int pod_request_resolve(struct pod_request *req, const struct strv *environment,
			struct error *err)
{
	cleanup_strv struct strv common = STRV_INIT;
	int r = common_words(req, environment, &common, err);

	for (size_t i = 0; i < req->n_apps && r == 0; i++) {
		struct app_request *app = &req->apps[i];
		struct strv words = STRV_INIT;

		strv_append(&words, &common);
		strv_append(&words, &app->words);
		strv_release(&app->words);
		app->words = words;
		app_options_release(&app->options);
		r = app_options_parse(&app->words, &app->options, err);
		if (r == 0)
			r = check_mounts(req, &app->options, err);
	}
	return r;
}

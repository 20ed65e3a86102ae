/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "spec/json_read.h"

#define CONFIG_VERSION "v1"

/* --- memory -------------------------------------------------------------- */

static void secret_free(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

static void auth_release(struct config_auth *auth)
{
	free(auth->host);
	free(auth->user);
	secret_free(&auth->secret);
	free(auth->region);
	*auth = (struct config_auth){0};
}
#define cleanup_auth cleanup_with(auth_release)

static void auths_release(struct config_auths *auths)
{
	for (size_t i = 0; i < auths->n; i++)
		auth_release(&auths->v[i]);
	free(auths->v);
	*auths = (struct config_auths){0};
}

void config_release(struct config *config)
{
	auths_release(&config->auths);
	auths_release(&config->docker_auths);
	free(config->data_dir);
	free(config->stage1_images_dir);
	free(config->stage1_name);
	free(config->stage1_version);
	free(config->stage1_location);
	strv_release(&config->auto_update.windows);
	strv_release(&config->auto_update.unsigned_from);
	*config = (struct config)CONFIG_INIT;
}

/* --- credentials --------------------------------------------------------- */

/* Where HOST is, or belongs. */
static size_t auths_position(const struct config_auths *auths, const char *host,
			     bool *ret_found)
{
	size_t i = 0;
	int order = 1;

	while (i < auths->n) {
		order = strcasecmp(auths->v[i].host, host);
		if (order >= 0)
			break;
		i++;
	}
	*ret_found = i < auths->n && order == 0;
	return i;
}

/* Takes *AUTH; replaces what there was for its host. */
static void auths_put(struct config_auths *auths, struct config_auth *auth)
{
	bool found;
	size_t i = auths_position(auths, auth->host, &found);

	if (found) {
		assert(auths->v);
		auth_release(&auths->v[i]);
	} else {
		auths->v = xreallocarray(auths->v, auths->n + 1,
					 sizeof(*auths->v));
		memmove(auths->v + i + 1, auths->v + i,
			(auths->n - i) * sizeof(*auths->v));
		auths->n++;
	}
	auths->v[i] = *auth;
	*auth = (struct config_auth){0};
}

static const struct config_auth *auths_find(const struct config_auths *auths,
					    const char *host)
{
	bool found;
	size_t i = auths_position(auths, host, &found);

	return found ? &auths->v[i] : NULL;
}

const struct config_auth *config_auth_for_host(const struct config *config,
					       const char *host)
{
	return auths_find(&config->auths, host);
}

const struct config_auth *config_auth_for_registry(const struct config *config,
						   const char *registry)
{
	return auths_find(&config->docker_auths, registry);
}

/* --- reading: auth.d ----------------------------------------------------- */

/* The string KEY of OBJECT, which must be there: credentials go into HTTP
 * headers, so control characters never belong. */
static char *want_string(const struct json_node *object, const char *key)
{
	struct json_node node;
	const char *s;

	if (!json_member(object, key, &node)) {
		json_problem(object, "\"%s\" is missing", key);
		return NULL;
	}
	if (!json_read_string(&node, &s))
		return NULL;
	if (!*s) {
		json_problem(&node, "must not be empty");
		return NULL;
	}
	for (const char *p = s; *p; p++) {
		if ((unsigned char)*p >= 0x20 && *p != 0x7f)
			continue;
		json_problem(&node, "must not have control characters");
		return NULL;
	}
	return xstrdup(s);
}

static void read_basic(const struct json_node *credentials,
		       struct config_auth *auth)
{
	auth->user = want_string(credentials, "user");
	auth->secret = want_string(credentials, "password");
}

static void read_oauth(const struct json_node *credentials,
		       struct config_auth *auth)
{
	auth->secret = want_string(credentials, "token");
}

static void read_aws(const struct json_node *credentials,
		     struct config_auth *auth)
{
	struct json_node region;

	auth->user = want_string(credentials, "accessKeyID");
	auth->secret = want_string(credentials, "secretAccessKey");
	if (json_member(credentials, "awsRegion", &region))
		auth->region = want_string(credentials, "awsRegion");
}

static const struct auth_type {
	const char *name;
	void (*read)(const struct json_node *credentials,
		     struct config_auth *auth);
} auth_types[] = {
	[CONFIG_AUTH_BASIC] = {"basic", read_basic},
	[CONFIG_AUTH_OAUTH] = {"oauth", read_oauth},
	[CONFIG_AUTH_AWS] = {"aws", read_aws},
};
#define N_AUTH_TYPES (sizeof(auth_types) / sizeof(*auth_types))

static char *dup_or_null(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

static bool is_host(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || *s == 0x7f || strchr("/@", *s))
			return false;
	return true;
}

/* AUTH for each of the hosts in the array KEY. */
static void add_hosts(const struct json_node *file, const char *key,
		      const struct config_auth *auth,
		      struct config_auths *auths)
{
	struct json_node array, item;
	size_t n;

	if (!json_member(file, key, &array)) {
		json_problem(file, "\"%s\" is missing", key);
		return;
	}
	if (!json_want_array(&array))
		return;
	n = json_n_items(&array);
	if (n == 0)
		json_problem(&array, "must not be empty");
	for (size_t i = 0; i < n && json_item(&array, i, &item); i++) {
		struct config_auth one = {.type = auth->type};
		const char *host;

		if (!json_read_string(&item, &host))
			continue;
		if (!*host || !is_host(host)) {
			json_problem(&item, "\"%s\" is no HOST or HOST:PORT",
				     host);
			continue;
		}
		if (auths_find(auths, host)) {
			json_problem(&item,
				     "credentials for \"%s\" are already "
				     "specified in this directory",
				     host);
			continue;
		}
		one.host = xstrdup(host);
		one.user = dup_or_null(auth->user);
		one.secret = dup_or_null(auth->secret);
		one.region = dup_or_null(auth->region);
		auths_put(auths, &one);
	}
}

static bool want_object(const struct json_node *file, const char *key,
			struct json_node *ret)
{
	if (json_member(file, key, ret))
		return json_want_object(ret);
	json_problem(file, "\"%s\" is missing", key);
	return false;
}

static bool read_auth_type(const struct json_node *file,
			   enum config_auth_type *ret)
{
	cleanup_free char *name = want_string(file, "type");
	struct json_node node;

	for (size_t i = 0; name && i < N_AUTH_TYPES; i++)
		if (strcmp(name, auth_types[i].name) == 0) {
			*ret = (enum config_auth_type)i;
			return true;
		}
	if (name && json_member(file, "type", &node))
		json_problem(&node, "\"%s\" is none of basic, oauth, aws",
			     name);
	return false;
}

static void read_auth(const struct json_node *file, struct config *config)
{
	cleanup_auth struct config_auth auth = {0};
	struct json_node credentials;

	if (read_auth_type(file, &auth.type) &&
	    want_object(file, "credentials", &credentials))
		auth_types[auth.type].read(&credentials, &auth);
	add_hosts(file, "domains", &auth, &config->auths);
}

static void read_docker_auth(const struct json_node *file,
			     struct config *config)
{
	cleanup_auth struct config_auth auth = {.type = CONFIG_AUTH_BASIC};
	struct json_node credentials;

	if (want_object(file, "credentials", &credentials))
		read_basic(&credentials, &auth);
	add_hosts(file, "registries", &auth, &config->docker_auths);
}

/* --- reading: paths.d and stage1.d --------------------------------------- */

/* An empty string says as little as no string; said twice is a mistake. */
static void read_once(const struct json_node *file, const char *key, char **ret)
{
	cleanup_free char *s = NULL;
	struct json_node node;

	json_get_string(file, key, &s);
	if (!s || !*s || !json_member(file, key, &node))
		return;
	if (*ret)
		json_problem(&node, "is already specified in this directory");
	else
		*ret = TAKE_PTR(s);
}

static void read_dir(const struct json_node *file, const char *key, char **ret)
{
	struct json_node node;

	read_once(file, key, ret);
	if (*ret && **ret != '/' && json_member(file, key, &node))
		json_problem(&node, "must be an absolute path");
}

static void read_paths(const struct json_node *file, struct config *config)
{
	read_dir(file, "data", &config->data_dir);
	read_dir(file, "stage1-images", &config->stage1_images_dir);
}

static bool is_location(const char *s)
{
	static const char *const schemes[] = {
		"file:", "docker:", "http:", "https:"};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
		if (strncasecmp(s, schemes[i], strlen(schemes[i])) == 0)
			return true;
	return *s == '/';
}

static void read_stage1(const struct json_node *file, struct config *config)
{
	cleanup_free char *name = NULL;
	cleanup_free char *version = NULL;
	struct json_node node;

	json_get_string(file, "name", &name);
	json_get_string(file, "version", &version);
	if ((name && *name) != (version && *version))
		json_problem(file,
			     "name and version go together: \"%s\" is "
			     "missing",
			     name && *name ? "version" : "name");
	read_once(file, "name", &config->stage1_name);
	read_once(file, "version", &config->stage1_version);
	read_once(file, "location", &config->stage1_location);
	if (config->stage1_location && !is_location(config->stage1_location) &&
	    json_member(file, "location", &node))
		json_problem(&node, "must be an absolute path or a URL with "
				    "file, docker, http or https");
}

/* --- reading: auto-update.d ---------------------------------------------- */

static void read_auto_update(const struct json_node *file,
			     struct config *config)
{
	config_auto_update_read(file, &config->auto_update);
}

/* --- files --------------------------------------------------------------- */

static const char *const subdir_names[] = {
	[CONFIG_AUTH_D] = "auth.d",
	[CONFIG_PATHS_D] = "paths.d",
	[CONFIG_STAGE1_D] = "stage1.d",
	[CONFIG_AUTO_UPDATE_D] = "auto-update.d",
};

static const struct config_kind {
	const char *name;
	enum config_subdir subdir;
	void (*read)(const struct json_node *file, struct config *config);
} config_kinds[] = {
	{"auth", CONFIG_AUTH_D, read_auth},
	{"dockerAuth", CONFIG_AUTH_D, read_docker_auth},
	{"paths", CONFIG_PATHS_D, read_paths},
	{"stage1", CONFIG_STAGE1_D, read_stage1},
	{"auto-update", CONFIG_AUTO_UPDATE_D, read_auto_update},
};
#define N_KINDS (sizeof(config_kinds) / sizeof(*config_kinds))

static const char *const expected_kinds[] = {
	[CONFIG_AUTH_D] = "auth or dockerAuth",
	[CONFIG_PATHS_D] = "paths",
	[CONFIG_STAGE1_D] = "stage1",
	[CONFIG_AUTO_UPDATE_D] = "auto-update",
};

const char *config_subdir_name(enum config_subdir subdir)
{
	return subdir_names[subdir];
}

/* The row of KIND, which must belong to SUBDIR; NULL with the problem noted. */
static const struct config_kind *find_kind(const struct json_node *file,
					   enum config_subdir subdir,
					   const char *kind)
{
	struct json_node node;

	for (size_t i = 0; i < N_KINDS; i++)
		if (strcmp(config_kinds[i].name, kind) == 0 &&
		    config_kinds[i].subdir == subdir)
			return &config_kinds[i];
	if (json_member(file, "rktKind", &node))
		json_problem(&node, "\"%s\" does not belong in %s: expected %s",
			     kind, subdir_names[subdir],
			     expected_kinds[subdir]);
	return NULL;
}

static void read_config_file(const struct json_node *file,
			     enum config_subdir subdir, struct config *config)
{
	cleanup_free char *kind = NULL;
	cleanup_free char *version = NULL;
	const struct config_kind *found;
	struct json_node node;

	if (!json_want_object(file))
		return;
	kind = want_string(file, "rktKind");
	version = want_string(file, "rktVersion");
	if (!kind || !version)
		return;
	found = find_kind(file, subdir, kind);
	if (!found)
		return;
	if (strcmp(version, CONFIG_VERSION) != 0) {
		if (json_member(file, "rktVersion", &node))
			json_problem(&node,
				     "\"%s\" is not known: this rkt reads %s "
				     "of version " CONFIG_VERSION,
				     version, kind);
		return;
	}
	found->read(file, config);
}

int config_add_file(struct config *config, enum config_subdir subdir,
		    const char *buf, size_t len, struct error *err)
{
	cleanup_json_doc struct json_doc doc = {0};
	struct json_node root;
	int r;

	r = json_doc_parse(&doc, buf, len, NULL, err);
	if (r < 0)
		return r;
	root = json_root(&doc);
	read_config_file(&root, subdir, config);
	return json_doc_result(&doc);
}

static void override_auths(struct config_auths *auths,
			   struct config_auths *more)
{
	for (size_t i = 0; i < more->n; i++)
		auths_put(auths, &more->v[i]);
	auths_release(more);
}

static void override_string(char **s, char **more)
{
	if (!*more)
		return;
	free(*s);
	*s = TAKE_PTR(*more);
}

void config_override(struct config *config, struct config *more)
{
	override_auths(&config->auths, &more->auths);
	override_auths(&config->docker_auths, &more->docker_auths);
	override_string(&config->data_dir, &more->data_dir);
	override_string(&config->stage1_images_dir, &more->stage1_images_dir);
	override_string(&config->stage1_name, &more->stage1_name);
	override_string(&config->stage1_version, &more->stage1_version);
	override_string(&config->stage1_location, &more->stage1_location);
	config_auto_update_override(&config->auto_update, &more->auto_update);
}

/* --- writing ------------------------------------------------------------- */

static void open_entry(struct json_writer *w, const char *kind)
{
	json_open_object(w, NULL);
	json_add_string(w, "rktVersion", CONFIG_VERSION);
	json_add_string(w, "rktKind", kind);
}

static void write_credentials(const struct config_auth *auth,
			      struct json_writer *w)
{
	json_open_object(w, "credentials");
	switch (auth->type) {
	case CONFIG_AUTH_BASIC:
		json_add_string(w, "user", auth->user);
		json_add_string(w, "password", auth->secret);
		break;
	case CONFIG_AUTH_OAUTH:
		json_add_string(w, "token", auth->secret);
		break;
	case CONFIG_AUTH_AWS:
		json_add_string(w, "accessKeyID", auth->user);
		json_add_string(w, "secretAccessKey", auth->secret);
		json_add_string_if(w, "awsRegion", auth->region);
		break;
	}
	json_close_object(w);
}

static void write_host(const struct config_auth *auth, const char *key,
		       struct json_writer *w)
{
	json_open_array(w, key);
	json_add_string(w, NULL, auth->host);
	json_close_array(w);
}

static void write_auth(const struct config_auth *auth, struct json_writer *w)
{
	open_entry(w, "auth");
	write_host(auth, "domains", w);
	json_add_string(w, "type", auth_types[auth->type].name);
	write_credentials(auth, w);
	json_close_object(w);
}

static void write_docker_auth(const struct config_auth *auth,
			      struct json_writer *w)
{
	open_entry(w, "dockerAuth");
	write_host(auth, "registries", w);
	write_credentials(auth, w);
	json_close_object(w);
}

/* What rkt's own `rkt config` does not have is there only if it is said. */
static void write_auto_update(const struct config_auto_update *u,
			      struct json_writer *w)
{
	if (!config_auto_update_is_said(u))
		return;
	open_entry(w, "auto-update");
	config_auto_update_write(u, w);
	json_close_object(w);
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

void config_write(const struct config *config, enum json_style style,
		  struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out, style);
	json_open_object(&w, NULL);
	json_open_array(&w, "stage0");
	for (size_t i = 0; i < config->auths.n; i++)
		write_auth(&config->auths.v[i], &w);
	for (size_t i = 0; i < config->docker_auths.n; i++)
		write_docker_auth(&config->docker_auths.v[i], &w);
	open_entry(&w, "paths");
	json_add_string(&w, "data", or_empty(config->data_dir));
	json_add_string(&w, "stage1-images",
			or_empty(config->stage1_images_dir));
	json_close_object(&w);
	open_entry(&w, "stage1");
	json_add_string(&w, "name", or_empty(config->stage1_name));
	json_add_string(&w, "version", or_empty(config->stage1_version));
	json_add_string(&w, "location", or_empty(config->stage1_location));
	json_close_object(&w);
	write_auto_update(&config->auto_update, &w);
	json_close_array(&w);
	json_close_object(&w);
}

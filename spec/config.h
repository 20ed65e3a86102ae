/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_CONFIG_H
#define SPEC_CONFIG_H

/*
 * rkt's configuration: the JSON files that lie in auth.d, paths.d,
 * stage1.d and auto-update.d of the configuration directories.  Bytes in,
 * struct out; which files there are is aci/config_load.h's business.
 *
 *	auth.d    rktKind "auth": domains[], type, credentials
 *	          rktKind "dockerAuth": registries[], credentials
 *	paths.d   rktKind "paths": data, stage1-images
 *	stage1.d  rktKind "stage1": name and version, location
 *	auto-update.d  rktKind "auto-update": windows[], percent, tries,
 *	          successAfter, unsigned[] (all may be missing)
 *
 * Every file has rktKind and rktVersion ("v1").  Within one directory a thing
 * is said once; a later directory overrides an earlier one per domain, per
 * registry, per path, name and version together, and per member of
 * auto-update.  Members that nobody knows are ignored: a newer rkt may have
 * written them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"
#include "spec/config_auto_update.h"
#include "spec/json_write.h"

struct error;
struct strbuf;

enum config_subdir {
	CONFIG_AUTH_D,
	CONFIG_PATHS_D,
	CONFIG_STAGE1_D,
	CONFIG_AUTO_UPDATE_D,
	CONFIG_SUBDIR_MAX
};

enum config_auth_type {
	CONFIG_AUTH_BASIC, /* user, secret = password */
	CONFIG_AUTH_OAUTH, /* secret = bearer token */
	CONFIG_AUTH_AWS,   /* user = access key id, secret, region */
};

/* Credentials for one host.  Strings are never empty. */
struct config_auth {
	char *host; /* HOST or HOST:PORT as in URLs; of dockerAuth: a registry
		     */
	enum config_auth_type type;
	char *user; /* NULL for oauth */
	char *secret;
	char *region; /* aws: NULL if not given (us-east-1) */
};

struct config_auths {
	struct config_auth *v; /* sorted by host */
	size_t n;
};

struct config {
	struct config_auths auths;
	struct config_auths docker_auths; /* all CONFIG_AUTH_BASIC */
	char *data_dir;			  /* absolute, NULL = not said */
	char *stage1_images_dir;	  /* absolute, NULL = not said */
	char *stage1_name; /* together with the version, or NULL */
	char *stage1_version;
	char *stage1_location; /* absolute path or URL, or NULL */
	struct config_auto_update auto_update;
};

#define CONFIG_INIT                                                            \
	{                                                                      \
		.auto_update = CONFIG_AUTO_UPDATE_INIT                         \
	}

void config_release(struct config *config);
#define cleanup_config __attribute__((__cleanup__(config_release)))

/* "auth.d", "paths.d", "stage1.d", "auto-update.d" */
const char *config_subdir_name(enum config_subdir subdir);

/*
 * Adds one file of SUBDIR to what its directory said so far.  -EINVAL with
 * line and column or JSON path; *CONFIG is then worth nothing but its
 * release.
 */
int config_add_file(struct config *config, enum config_subdir subdir,
		    const char *buf, size_t len, struct error *err);

/* Takes what MORE says over CONFIG; MORE is empty afterwards. */
void config_override(struct config *config, struct config *more);

/*
 * Credentials for HOST ("example.com", "example.com:8443": the host part of
 * a URL as written, letters of any case); NULL if there are none.  Borrowed.
 */
const struct config_auth *config_auth_for_host(const struct config *config,
					       const char *host);
/* The same for a registry as dockerAuth names it ("index.docker.io"). */
const struct config_auth *config_auth_for_registry(const struct config *config,
						   const char *registry);

/* What `rkt config` prints, secrets included. */
void config_write(const struct config *config, enum json_style style,
		  struct strbuf *out);

#endif

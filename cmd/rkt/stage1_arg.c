/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/stage1_arg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "aci/imagestore.h"
#include "aci/render_load.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/say.h"
#include "spec/config.h"
#include "spec/image_ref.h"
#include "spec/stage1_abi.h"
#include "spec/stage1_image.h"
#include "stage0/pod_stage1.h"

int stage1_opt_parse(const struct option_row *row, void *target,
		     const char *value, struct error *err)
{
	struct stage1_opts *o = target;

	if (o->flag && o->kind == (enum stage1_arg_kind)row->tag)
		return error_set(err, EINVAL, "--%s already used", o->flag);
	if (o->flag)
		return error_set(err, EINVAL,
				 "flags --%s and --%s are mutually exclusive",
				 row->name, o->flag);
	if (!*value)
		return error_set(err, EINVAL, "it must not be empty");
	*o = (struct stage1_opts){
		.flag = row->name,
		.value = value,
		.kind = (enum stage1_arg_kind)row->tag,
	};
	return 0;
}

/* --- rkt's own -------------------------------------------------------------
 */

/* What old scripts name, by what does the same here. */
static const struct {
	const char *name;
	const char *flavour;
} old_names[] = {
	{"coreos", "native"},
	{"src", "native"},
	{"host", "native"},
};

/* 1 if NAME, a flavour's, is one of rkt's own or is taken for one. */
static int choose_flavour(const char *name, struct pod_stage1 *ret,
			  struct error *err)
{
	cleanup_strbuf struct strbuf names = STRBUF_INIT;
	const struct stage1_flavour *flavour = stage1_flavour_find(name);

	for (size_t i = 0; i < sizeof(old_names) / sizeof(*old_names); i++) {
		if (strcmp(name, old_names[i].name) != 0)
			continue;
		flavour = stage1_flavour_find(old_names[i].flavour);
		say_as("stage1",
		       STAGE1_IMAGE_PREFIX
		       "%s is taken for " STAGE1_IMAGE_PREFIX "%s:" RKT_VERSION,
		       name, flavour->name);
	}
	if (flavour) {
		ret->flavour = flavour;
		return 1;
	}
	if (strcmp(name, "kvm") != 0)
		return 0;
	stage1_flavour_names(&names);
	return error_set(err, EOPNOTSUPP,
			 "stage1 flavour \"%s\": there is none; this rkt has "
			 "%s",
			 name, names.buf);
}

/* The same for an image's name. */
static int choose_own(const char *name, const char *version,
		      struct pod_stage1 *ret, struct error *err)
{
	size_t len = strlen(STAGE1_IMAGE_PREFIX);
	int r;

	if (strncmp(name, STAGE1_IMAGE_PREFIX, len) != 0)
		return 0;
	r = choose_flavour(name + len, ret, err);
	if (r > 0 && version && strcmp(version, RKT_VERSION) != 0 &&
	    strcmp(name + len, ret->flavour->name) == 0)
		say_as("stage1",
		       "%s:%s is taken for the one of this rkt, "
		       "version " RKT_VERSION,
		       name, version);
	return r;
}

/* --- images ----------------------------------------------------------------
 */

static int use_image(struct images *im, const struct image_id *id,
		     struct pod_stage1 *ret, struct error *err)
{
	int r = pod_image_load(im->store, id, &ret->image, err);

	if (r == 0)
		r = stage1_image_check(&ret->image.manifest, err);
	if (r == 0)
		ret->flavour = NULL;
	return r;
}

static bool is_signed(const struct images *im, const struct image_id *id)
{
	cleanup_image_row struct image_row row = {0};

	return imagestore_get(im->store, id, &row, NULL) == 0 && row.signer &&
	       *row.signer;
}

/* An image in the store may have come unsigned, for a pod: a stage1, and what
 * it depends on, is root on the host. */
static int want_signers(const struct images *im, const struct pod_stage1 *s,
			struct error *err)
{
	cleanup_render_set struct render_set set = RENDER_SET_INIT;
	int r = 0;

	if (!im->fetcher.insecure)
		r = render_set_load(im->store, &s->image.id, &set, err);
	for (size_t i = 0; r == 0 && i < set.n; i++)
		if (!is_signed(im, &set.v[i].id))
			r = error_set(
				err, EPERM,
				"stage1 %s: the stored image %s was not "
				"signed by a trusted key: fetch it again "
				"without --insecure-options=image, or use "
				"--stage1-hash=%.*s",
				s->image.manifest.name, set.v[i].manifest.name,
				IMAGE_ID_SHORT_LEN, s->image.id.text);
	return r;
}

/* ARG as a command's image argument, whatever the pod's images are told.
 * TRUSTED: no signature is asked for. */
static int fetch(struct images *im, const char *arg, bool trusted,
		 struct pod_stage1 *ret, struct error *err)
{
	struct image_fetcher before = im->fetcher;
	struct image_id id;
	int r;

	im->fetcher.policy = PULL_NEW;
	im->fetcher.with_hash = true;
	if (trusted) {
		im->fetcher.insecure = true;
		im->fetcher.warned = true;
	}
	r = image_fetch(&im->fetcher, arg, NULL, &id, err);
	im->fetcher.policy = before.policy;
	im->fetcher.with_hash = before.with_hash;
	im->fetcher.insecure = before.insecure;
	im->fetcher.warned = before.warned || (im->fetcher.warned && !trusted);
	if (r == 0)
		r = use_image(im, &id, ret, err);
	if (r < 0)
		return error_prefix(err, r, "stage1");
	return trusted ? 0 : want_signers(im, ret, err);
}

static int choose_name(struct images *im, const char *arg,
		       struct pod_stage1 *ret, struct error *err)
{
	cleanup_image_ref struct image_ref ref = IMAGE_REF_INIT;
	int r = image_ref_parse(arg, &ref, err);

	if (r == 0)
		r = choose_own(ref.name,
			       name_values_get(&ref.labels, "version"), ret,
			       err);
	if (r != 0)
		return r < 0 ? r : 0;
	return fetch(im, arg, false, ret, err);
}

/* What lies beside rkt's own programs can be replaced only by who could
 * replace those. */
static bool is_trusted_place(const struct images *im, const char *path)
{
	cleanup_free char *dir = realpath(im->fetcher.libexec_dir, NULL);

	return dir && path_is_below(path, dir);
}

static int choose_path(struct images *im, const char *arg,
		       struct pod_stage1 *ret, struct error *err)
{
	cleanup_free char *path = realpath(arg, NULL);

	if (!path)
		return error_set(err, errno,
				 "open stage1 image %s: %s (rkt's own have "
				 "names: --stage1-name=" STAGE1_IMAGE_PREFIX
				 "fly)",
				 arg, strerrordesc_np(errno));
	return fetch(im, path, is_trusted_place(im, path), ret, err);
}

static int choose_url(struct images *im, const char *arg,
		      struct pod_stage1 *ret, struct error *err)
{
	static const char *const schemes[] = {
		"file:", "docker:", "http:", "https:"};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++)
		if (strncasecmp(arg, schemes[i], strlen(schemes[i])) == 0)
			return fetch(im, arg, false, ret, err);
	return error_set(err, EINVAL,
			 "stage1 %s is no URL with file, docker, http or https",
			 arg);
}

static int choose_hash(struct images *im, const char *arg,
		       struct pod_stage1 *ret, struct error *err)
{
	struct image_id id;
	int r = imagestore_find_id(im->store, arg, &id, err);

	if (r == 0)
		r = use_image(im, &id, ret, err);
	return r < 0 ? error_prefix(err, r, "stage1") : 0;
}

/* --- the directory of stage1 images ----------------------------------------
 */

static int images_dir(const struct images *im, char **ret, struct error *err)
{
	cleanup_config struct config config = CONFIG_INIT;
	int r = config_load(&im->config_dirs, CONFIG_BIT(CONFIG_PATHS_D),
			    &config, err);

	if (r == 0)
		*ret = xstrdup(config.stage1_images_dir
				       ? config.stage1_images_dir
				       : im->fetcher.libexec_dir);
	return r;
}

/* "stage1-fly.aci", as rkt calls its own: 1 if it is one here. */
static int choose_own_file(const char *file, struct pod_stage1 *ret,
			   struct error *err)
{
	cleanup_free char *name = NULL;
	size_t len = strlen(file);

	if (strncmp(file, "stage1-", 7) != 0 || len < 12 ||
	    strcmp(file + len - 4, ".aci") != 0)
		return 0;
	name = xstrndup(file + 7, len - 11);
	return choose_flavour(name, ret, err);
}

static int choose_from_dir(struct images *im, const char *arg,
			   struct pod_stage1 *ret, struct error *err)
{
	cleanup_free char *dir = NULL;
	cleanup_free char *path = NULL;
	int r;

	if (strchr(arg, '/'))
		return error_set(err, EINVAL,
				 "--stage1-from-dir takes the name of a file, "
				 "not \"%s\" (--stage1-path takes paths)",
				 arg);
	r = images_dir(im, &dir, err);
	if (r < 0)
		return r;
	path = xasprintf("%s/%s", dir, arg);
	if (access(path, F_OK) < 0) {
		r = choose_own_file(arg, ret, err);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return choose_path(im, path, ret, err);
}

/* --- configured ------------------------------------------------------------
 */

/* 1 if it is found, 0 if there is no such image. */
static int find_configured(struct images *im, const struct config *config,
			   struct pod_stage1 *ret, struct error *err)
{
	cleanup_free char *arg =
		xasprintf("%s:%s", config->stage1_name, config->stage1_version);
	cleanup_image_ref struct image_ref ref = IMAGE_REF_INIT;
	struct image_id id;
	int r = choose_own(config->stage1_name, config->stage1_version, ret,
			   err);

	if (r == 0)
		r = image_ref_parse(arg, &ref, err);
	else
		return r;
	if (r == 0)
		r = imagestore_find_name(im->store, &ref, &id, err);
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = use_image(im, &id, ret, err);
	if (r == 0)
		r = want_signers(im, ret, err);
	return r < 0 ? r : 1;
}

static int choose_location(struct images *im, const char *location,
			   struct pod_stage1 *ret, struct error *err)
{
	return *location == '/' ? choose_path(im, location, ret, err)
				: choose_url(im, location, ret, err);
}

static int choose_configured(struct images *im, struct pod_stage1 *ret,
			     struct error *err)
{
	cleanup_config struct config config = CONFIG_INIT;
	int r = config_load(&im->config_dirs, CONFIG_BIT(CONFIG_STAGE1_D),
			    &config, err);

	if (r < 0 || (!config.stage1_name && !config.stage1_location))
		return r;
	if (config.stage1_name)
		r = find_configured(im, &config, ret, err);
	if (r > 0)
		return 0;
	if (r == 0 && !config.stage1_location)
		r = error_set(err, ENOENT,
			      "%s:%s is not in the store, and no location is "
			      "given: fetch it",
			      config.stage1_name, config.stage1_version);
	if (r == 0)
		r = choose_location(im, config.stage1_location, ret, err);
	return r < 0 ? error_prefix(err, r, "configured stage1") : 0;
}

int stage1_choose(struct images *im, const struct stage1_opts *o,
		  struct pod_stage1 *ret, struct error *err)
{
	static int (*const choose[])(struct images *, const char *,
				     struct pod_stage1 *, struct error *) = {
		[STAGE1_ARG_URL] = choose_url,
		[STAGE1_ARG_PATH] = choose_path,
		[STAGE1_ARG_NAME] = choose_name,
		[STAGE1_ARG_HASH] = choose_hash,
		[STAGE1_ARG_FROM_DIR] = choose_from_dir,
	};

	return o->flag ? choose[o->kind](im, o->value, ret, err)
		       : choose_configured(im, ret, err);
}

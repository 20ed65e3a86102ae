/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/pod_stage1.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strv.h"
#include "spec/pod_manifest.h"
#include "spec/secret.h"
#include "spec/stage1_abi.h"
#include "spec/stage1_image.h"
#include "stage0/pod_files.h"

/* --- rkt's own -------------------------------------------------------------
 */

const struct stage1_flavour stage1_native = {"native", "stage1", false};
static const struct stage1_flavour stage1_fly = {"fly", "stage1-fly", true};

static const struct stage1_flavour *const flavours[] = {
	&stage1_native,
	&stage1_fly,
};

#define N_FLAVOURS (sizeof(flavours) / sizeof(*flavours))

const struct stage1_flavour *stage1_flavour_find(const char *name)
{
	for (size_t i = 0; i < N_FLAVOURS; i++)
		if (strcmp(flavours[i]->name, name) == 0)
			return flavours[i];
	return NULL;
}

void stage1_flavour_names(struct strbuf *out)
{
	for (size_t i = 0; i < N_FLAVOURS; i++)
		strbuf_addf(out, "%s%s", i ? ", " : "", flavours[i]->name);
}

/* --- what it is ------------------------------------------------------------
 */

void pod_stage1_release(struct pod_stage1 *s)
{
	pod_image_release(&s->image);
}

void pod_stage1_format(const struct pod_stage1 *s, struct strbuf *out)
{
	const struct image_manifest *im = &s->image.manifest;
	const char *version;

	if (s->flavour) {
		strbuf_addf(out, STAGE1_IMAGE_PREFIX "%s:" RKT_VERSION,
			    s->flavour->name);
		return;
	}
	version = name_values_get(&im->labels, "version");
	strbuf_addf(out, "%s%s%s", im->name, version ? ":" : "",
		    version ? version : "");
}

bool pod_stage1_equal(const struct pod_stage1 *a, const struct pod_stage1 *b)
{
	return a->flavour == b->flavour &&
	       (a->flavour || strcmp(a->image.id.text, b->image.id.text) == 0);
}

/* --- in the pod ------------------------------------------------------------
 */

static int load_image(int poddir_fd, struct pod_stage1 *ret, struct error *err)
{
	cleanup_strbuf struct strbuf id = STRBUF_INIT;
	struct pod_image *image = &ret->image;
	int r = read_file_at(poddir_fd, POD_STAGE1_ID_FILE, IMAGE_ID_LEN, &id,
			     err);

	if (r == -ENOENT)
		return 0;
	if (r == 0 && strncmp(id.buf, "deps-", 5) == 0)
		return error_set(err, EMEDIUMTYPE,
				 "the pod was made by CoreOS rkt: it can be "
				 "looked at and removed");
	if (r == 0)
		r = image_id_parse(id.buf, &image->id, err);
	if (r == 0)
		r = read_file_at(poddir_fd, POD_STAGE1_MANIFEST_FILE,
				 MANIFEST_MAX, &image->text, err);
	if (r == 0)
		r = image_manifest_parse(image->text.buf, image->text.len,
					 &image->manifest, err);
	if (r < 0)
		return error_prefix(err, r, "stage1 of the pod");
	ret->flavour = NULL;
	return 0;
}

int pod_stage1_load(int poddir_fd, struct pod_stage1 *ret, struct error *err)
{
	char name[64];
	ssize_t n =
		readlinkat(poddir_fd, POD_FLAVOR_LINK, name, sizeof(name) - 1);

	if (n < 0 && errno == ENOENT)
		return load_image(poddir_fd, ret, err);
	if (n < 0)
		return error_sys(err, errno, "read " POD_FLAVOR_LINK);
	name[n] = '\0';
	ret->flavour = stage1_flavour_find(name);
	if (ret->flavour)
		return 0;
	ret->flavour = &stage1_native;
	return error_set(err, EOPNOTSUPP,
			 "the pod has stage1 flavour \"%s\", which this rkt "
			 "does not have",
			 name);
}

static int save_image(int poddir_fd, const struct pod_image *image,
		      struct error *err)
{
	int r;

	if (mkdirat(poddir_fd, POD_STAGE1_DIR, 0750) < 0)
		return error_sys(err, errno, "make " POD_STAGE1_DIR);
	r = pod_file_new(poddir_fd, POD_STAGE1_MANIFEST_FILE, 0644,
			 image->text.buf, image->text.len, err);
	if (r < 0)
		return r;
	return pod_file_new(poddir_fd, POD_STAGE1_ID_FILE, 0644, image->id.text,
			    strlen(image->id.text), err);
}

int pod_stage1_save(int poddir_fd, const struct pod_stage1 *s,
		    struct error *err)
{
	if (pod_stage1_is_native(s))
		return 0;
	if (!s->flavour)
		return save_image(poddir_fd, &s->image, err);
	if (symlinkat(s->flavour->name, poddir_fd, POD_FLAVOR_LINK) < 0)
		return error_sys(err, errno, "make " POD_FLAVOR_LINK);
	return 0;
}

/* --- what it can do --------------------------------------------------------
 */

static int not_possible(const struct pod_stage1 *s, const char *what,
			const char *why, struct error *err)
{
	cleanup_strbuf struct strbuf name = STRBUF_INIT;

	pod_stage1_format(s, &name);
	return error_set(err, EOPNOTSUPP, "%s is not possible with stage1 %s%s",
			 what, name.buf, why);
}

static const struct name_value *find_prefix(const struct name_values *nv,
					    const char *prefix)
{
	for (size_t i = 0; i < nv->n; i++)
		if (strncmp(nv->v[i].name, prefix, strlen(prefix)) == 0)
			return &nv->v[i];
	return NULL;
}

/* Whoever does not know an annotation would start the app without what it
 * asks for: a volume on disk, a whole one, a writable one. */
static int check_annotations(const struct pod_stage1 *s,
			     const struct pod_manifest *pm, struct error *err)
{
	const char *why = ": only " STAGE1_IMAGE_PREFIX "native can";

	if (pod_stage1_is_native(s))
		return 0;
	if (find_prefix(&pm->annotations, VOLUME_ANNOTATION))
		return not_possible(s, "a volume in memory", why, err);
	if (find_prefix(&pm->annotations, SECRET_ANNOTATION))
		return not_possible(s, "a secret", why, err);
	for (size_t i = 0; i < pm->n_apps && !s->flavour; i++)
		if (find_prefix(&pm->apps[i].annotations, MOUNT_ANNOTATION))
			return not_possible(
				s,
				"subPath, readOnly or propagation of a mount",
				": only rkt's own can", err);
	return 0;
}

int pod_stage1_check(const struct pod_stage1 *s, const struct pod_manifest *pm,
		     bool detach, struct error *err)
{
	unsigned int version = STAGE1_INTERFACE_VERSION;
	int r = 0;

	if (s->flavour && s->flavour->one_app && pm->n_apps > 1)
		return not_possible(s, "a pod of several apps",
				    ": it runs one app, and a pod for each",
				    err);
	r = check_annotations(s, pm, err);
	if (r == 0 && !s->flavour)
		r = stage1_image_version(&s->image.manifest, &version, err);
	if (r == 0 && detach &&
	    ((s->flavour && s->flavour->one_app) ||
	     version < STAGE1_INTERFACE_VERSION))
		return not_possible(s, "--detach",
				    ": nobody would keep what the app prints; "
				    "start rkt in a unit (systemd-run)",
				    err);
	return r;
}

int pod_stage1_want_native(int poddir_fd, struct error *err)
{
	cleanup_pod_stage1 struct pod_stage1 s = POD_STAGE1_INIT;
	cleanup_strbuf struct strbuf name = STRBUF_INIT;

	if (pod_stage1_load(poddir_fd, &s, NULL) < 0 ||
	    pod_stage1_is_native(&s))
		return 0;
	pod_stage1_format(&s, &name);
	return error_set(err, EOPNOTSUPP,
			 "the pod was made with stage1 %s, which cannot do "
			 "this: only " STAGE1_IMAGE_PREFIX "native can",
			 name.buf);
}

int pod_stage1_run_args(const struct pod_stage1 *s, const struct strv *args,
			struct strv *ret, struct strv *warnings,
			struct error *err)
{
	unsigned int version = STAGE1_INTERFACE_VERSION;
	int r = 0;

	if (!s->flavour)
		r = stage1_image_version(&s->image.manifest, &version, err);
	if (r == 0)
		stage1_run_args_make(version, args, ret, warnings);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt-metadata/pods.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "spec/metadata.h"

#define PODS_MAX 4096
#define BYTES_MAX (128UL << 20) /* of manifests as text */

static struct served_pod *pods;
static size_t n_pods, n_bytes;

/* --- one -------------------------------------------------------------------
 */

static void app_clear(struct served_app *app)
{
	if (app->image)
		n_bytes -= strlen(app->image);
	free(app->image);
	app->image = NULL;
	image_manifest_release(&app->manifest);
	app->manifest = (struct image_manifest)IMAGE_MANIFEST_INIT;
}

static void apps_clear(struct served_pod *pod)
{
	for (size_t i = 0; i < pod->n_apps; i++) {
		app_clear(&pod->apps[i]);
		free(pod->apps[i].name);
	}
	free(pod->apps);
	pod->apps = NULL;
	pod->n_apps = 0;
}

static void manifest_clear(struct served_pod *pod)
{
	n_bytes -= pod->text.len;
	strbuf_release(&pod->text);
	pod_manifest_release(&pod->manifest);
	pod->manifest = (struct pod_manifest)POD_MANIFEST_INIT;
	free(pod->token);
	pod->token = NULL;
}

static struct served_app *find_app(const struct served_pod *pod,
				   const char *name)
{
	for (size_t i = 0; i < pod->n_apps; i++)
		if (strcmp(pod->apps[i].name, name) == 0)
			return &pod->apps[i];
	return NULL;
}

/* Those of the manifest; an image that is known stays until it is told anew. */
static void apps_fill(struct served_pod *pod)
{
	struct served_pod old = *pod;

	pod->n_apps = pod->manifest.n_apps;
	pod->apps = xcalloc(pod->n_apps, sizeof(*pod->apps));
	for (size_t i = 0; i < pod->n_apps; i++) {
		const char *name = pod->manifest.apps[i].name;
		struct served_app *known = find_app(&old, name);

		if (known) {
			pod->apps[i] = *known;
			*known = (struct served_app){0};
			known->name = xstrdup("");
		} else {
			pod->apps[i].name = xstrdup(name);
		}
	}
	apps_clear(&old);
}

static void manifest_fill(struct served_pod *pod, const char *token,
			  struct pod_manifest *manifest)
{
	pod->token = xstrdup(token);
	pod->manifest = *manifest;
	*manifest = (struct pod_manifest)POD_MANIFEST_INIT;
	metadata_pod_manifest_write(&pod->manifest, &pod->text);
	n_bytes += pod->text.len;
}

/* --- all -------------------------------------------------------------------
 */

static struct served_pod *find(const struct uuid *uuid)
{
	for (size_t i = 0; i < n_pods; i++)
		if (memcmp(&pods[i].uuid, uuid, sizeof(*uuid)) == 0)
			return &pods[i];
	return NULL;
}

static int check_room(size_t more, struct error *err)
{
	if (n_bytes + more > BYTES_MAX)
		return error_set(err, ENOSPC,
				 "there is no room for more manifests: %lu MiB "
				 "are used",
				 BYTES_MAX >> 20);
	return 0;
}

static struct served_pod *add(const struct uuid *uuid)
{
	pods = xreallocarray(pods, n_pods + 1, sizeof(*pods));
	pods[n_pods] = (struct served_pod){
		.uuid = *uuid,
		.text = STRBUF_INIT,
		.manifest = POD_MANIFEST_INIT,
	};
	return &pods[n_pods++];
}

int pods_put(const struct uuid *uuid, const char *token,
	     const struct strbuf *text, struct error *err)
{
	cleanup_pod_manifest struct pod_manifest manifest = POD_MANIFEST_INIT;
	const struct served_pod *other = pods_by_token(token);
	struct served_pod *pod = find(uuid);
	int r;

	if (other && other != pod)
		return error_set(err, EEXIST, "another pod has this token");
	if (!pod && n_pods == PODS_MAX)
		return error_set(err, ENOSPC, "%d pods are registered already",
				 PODS_MAX);
	r = check_room(text->len, err);
	if (r == 0)
		r = pod_manifest_parse(text->buf, text->len, &manifest, err);
	if (r == 0)
		r = pod_manifest_check_runnable(&manifest, err);
	if (r < 0)
		return r;
	if (!pod)
		pod = add(uuid);
	manifest_clear(pod);
	manifest_fill(pod, token, &manifest);
	apps_fill(pod);
	return 0;
}

int pods_put_app(const struct uuid *uuid, const char *name,
		 const struct strbuf *text, struct error *err)
{
	struct image_manifest manifest = IMAGE_MANIFEST_INIT;
	struct served_pod *pod = find(uuid);
	struct served_app *app = pod ? find_app(pod, name) : NULL;
	int r;

	if (!app)
		return error_set(err, ENOENT, "no such %s is registered",
				 pod ? "app of the pod" : "pod");
	r = check_room(text->len, err);
	if (r == 0)
		r = image_manifest_parse(text->buf, text->len, &manifest, err);
	if (r < 0)
		return r;
	app_clear(app);
	app->manifest = manifest;
	app->image = xstrndup(text->buf, text->len);
	n_bytes += strlen(app->image);
	return 0;
}

int pods_remove(const struct uuid *uuid)
{
	struct served_pod *pod = find(uuid);

	if (!pod)
		return -ENOENT;
	apps_clear(pod);
	manifest_clear(pod);
	*pod = pods[--n_pods];
	return 0;
}

const struct served_pod *pods_by_token(const char *token)
{
	if (strlen(token) != METADATA_TOKEN_LEN)
		return NULL;
	for (size_t i = 0; i < n_pods; i++)
		if (CRYPTO_memcmp(pods[i].token, token, METADATA_TOKEN_LEN) ==
		    0)
			return &pods[i];
	return NULL;
}

const struct served_app *pod_app(const struct served_pod *pod, const char *name)
{
	return find_app(pod, name);
}

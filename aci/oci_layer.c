/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/oci_layer.h"

#include <archive_entry.h>
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "aci/aci_check.h"
#include "aci/whiteout.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static int refuse(const char *path, const char *why, struct error *err)
{
	cleanup_free char *quoted = aci_quote(path);

	return error_set(err, EINVAL, "layer entry %s: %s", quoted, why);
}

/* A part of the clean PATH that is not the last one is a whiteout. */
static bool lies_below_whiteout(const char *path)
{
	const char *slash;

	for (; (slash = strchr(path, '/')); path = slash + 1)
		if (starts_with(path, WHITEOUT_PREFIX))
			return true;
	return false;
}

/* PATH is clean. */
static int check_whiteout(const char *path, struct archive_entry *entry,
			  struct error *err)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	const char *name = base + strlen(WHITEOUT_PREFIX);

	if (lies_below_whiteout(path))
		return refuse(path, "it lies below a whiteout", err);
	if (whiteout_of(base) == WHITEOUT_NONE)
		return 0;
	if (archive_entry_filetype(entry) != AE_IFREG ||
	    archive_entry_hardlink(entry))
		return refuse(path, "a whiteout is an empty file", err);
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return refuse(path, "a whiteout of nothing", err);
	return 0;
}

static int put_below_rootfs(const char *path, char **ret, struct error *err)
{
	cleanup_free char *clean = NULL;
	int r = aci_path_clean(path + strspn(path, "/"), &clean, err);

	if (r == 0)
		*ret = xasprintf("rootfs%s%s", *clean ? "/" : "", clean);
	return r;
}

static void note(struct oci_layer *layer, const char *path,
		 struct archive_entry *entry)
{
	if (strcmp(path, "manifest") == 0 &&
	    archive_entry_filetype(entry) == AE_IFREG)
		layer->has_manifest = true;
	else if (strcmp(path, "rootfs") == 0 || starts_with(path, "rootfs/"))
		layer->has_rootfs = true;
	else if (*path)
		layer->has_other = true;
}

static int move_target(struct archive_entry *entry, struct error *err)
{
	const char *target = archive_entry_hardlink(entry);
	cleanup_free char *moved = NULL;
	const char *slash;
	int r;

	if (!target)
		return 0;
	slash = strrchr(target, '/');
	if (whiteout_of(slash ? slash + 1 : target) != WHITEOUT_NONE)
		return refuse(target, "a hard link to a whiteout", err);
	r = put_below_rootfs(target, &moved, err);
	if (r == 0)
		archive_entry_copy_hardlink(entry, moved);
	return r;
}

int oci_layer_entry(struct oci_layer *layer, struct archive_entry *entry,
		    struct error *err)
{
	const char *path = archive_entry_pathname(entry);
	cleanup_free char *moved = NULL;
	const char *clean;
	int r;

	if (!path || !*path)
		return 0; /* refused by who makes something of it */
	r = put_below_rootfs(path, &moved, err);
	if (r < 0)
		return r;
	assert(moved);
	clean = moved + strlen("rootfs");
	clean += *clean == '/';
	note(layer, clean, entry);
	r = check_whiteout(clean, entry, err);
	if (r == 0)
		r = move_target(entry, err);
	if (r == 0)
		archive_entry_copy_pathname(entry, moved);
	return r;
}

int oci_layer_end(const struct oci_layer *layer, struct error *err)
{
	if (!layer->has_manifest || !layer->has_rootfs || layer->has_other)
		return 0;
	return error_set(err, EINVAL,
			 "the layer is an App Container Image, not a layer");
}

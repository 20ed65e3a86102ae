/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/fetch_client.h"
#include "aci/layout.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cmd/actool/actool.h"
#include "cmd/actool/image.h"
#include "cmd/actool/manifest.h"

enum file_type {
	TYPE_DETECT,
	TYPE_IMAGE,
	TYPE_LAYOUT,
	TYPE_MANIFEST,
};

struct opts {
	bool quiet;
	enum file_type type;
};

static const struct {
	const char *name;
	enum file_type type;
} types[] = {
	{"appimage", TYPE_IMAGE},
	{"layout", TYPE_LAYOUT},
	{"manifest", TYPE_MANIFEST},
};

static int type_parse(const struct option_row *row, void *target,
		      const char *value, struct error *err)
{
	(void)row;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (strcmp(types[i].name, value) != 0)
			continue;
		*(enum file_type *)target = types[i].type;
		return 0;
	}
	return error_set(err, EINVAL, "must be appimage, layout or manifest");
}

static const struct option_row rows[] = {
	{.name = "quiet",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, quiet),
	 .help = "say nothing about what is valid"},
	{.name = "type",
	 .kind = OPTION_CALL,
	 .offset = offsetof(struct opts, type),
	 .shown = "TYPE",
	 .parse = type_parse,
	 .help = "take files as appimage, layout or manifest, whatever they "
		 "look like"},
	{0}};

/* What an image may begin with (A11, and zstd). */
static const struct {
	size_t offset, len;
	const char *bytes;
} magics[] = {
	{0, 2, "\x1f\x8b"},
	{0, 3, "BZh"},
	{0, 6,
	 "\xfd"
	 "7zXZ\0"},
	{0, 4, "\x28\xb5\x2f\xfd"},
	{257, 5, "ustar"},
};

static enum file_type detect(int fd, const struct stat *st)
{
	char head[512] = "";
	ssize_t n;

	if (S_ISDIR(st->st_mode))
		return TYPE_LAYOUT;
	n = pread_full(fd, head, sizeof(head), 0);
	for (size_t i = 0; i < sizeof(magics) / sizeof(*magics); i++) {
		if (n >= (ssize_t)(magics[i].offset + magics[i].len) &&
		    !memcmp(head + magics[i].offset, magics[i].bytes,
			    magics[i].len))
			return TYPE_IMAGE;
	}
	head[sizeof(head) - 1] = '\0';
	return head[strspn(head, " \t\r\n")] == '{' ? TYPE_MANIFEST
						    : TYPE_DETECT;
}

/* Each check returns the name of what PATH validly is, or NULL: the reason is
 * printed, or in ERR. */

static const char *check_image(const char *path, int fd, struct error *err)
{
	cleanup_fetch_image struct fetch_image image = {0};
	int r = image_read(fd, &image, err);

	if (r < 0) {
		(void)error_wrap(err, r, "%s", path);
		return NULL;
	}
	/* For the warnings. */
	if (!manifest_report(path, MANIFEST_IMAGE, image.manifest,
			     image.manifest_len))
		return NULL;
	return "app container image";
}

static const char *check_layout(const char *path, int fd, struct error *err)
{
	cleanup_aci_layout struct aci_layout layout = ACI_LAYOUT_INIT;

	(void)fd;
	return layout_report(path, &layout, err) == 0 ? "image layout" : NULL;
}

static const char *check_manifest(const char *path, int fd, struct error *err)
{
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	int r = strbuf_read_fd(&sb, fd, ACI_MANIFEST_MAX);

	if (r < 0) {
		(void)error_sys(err, -r, "read %s", path);
		return NULL;
	}
	return manifest_report(path, MANIFEST_ANY, sb.buf, sb.len);
}

static const char *check_file(const char *path, enum file_type type,
			      struct error *err)
{
	static const char *(*const checks[])(const char *, int,
					     struct error *) = {
		[TYPE_IMAGE] = check_image,
		[TYPE_LAYOUT] = check_layout,
		[TYPE_MANIFEST] = check_manifest,
	};
	cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		(void)error_sys(err, errno, "open %s", path);
		return NULL;
	}
	if (type == TYPE_DETECT)
		type = detect(fd, &st);
	if (type == TYPE_DETECT) {
		(void)error_set(err, EINVAL,
				"%s: neither an image, a layout nor a manifest "
				"(try --type)",
				path);
		return NULL;
	}
	return checks[type](path, fd, err);
}

static int run(const struct actool_call *call)
{
	const struct opts *o = call->opts;
	int code = ACTOOL_OK;

	for (int i = 0; i < call->argc; i++) {
		struct error err = ERROR_INIT;
		const char *what = check_file(call->argv[i], o->type, &err);

		if (err.code)
			(void)actool_fail(&err);
		if (!what)
			code = ACTOOL_FAILED;
		else if (!o->quiet)
			printf("%s: valid %s\n", call->argv[i], what);
	}
	return code;
}

const struct actool_command actool_validate = {
	.name = "validate",
	.summary = "say what is wrong with images, layouts and manifests",
	.usage = "[--quiet] [--type=TYPE] FILE...",
	.description =
		"  FILE is an image, a layout (a directory) or an image or pod "
		"manifest: told by\n"
		"  content.  Problems go to stderr with line and column or "
		"with the JSON path.\n"
		"  What is valid and refused by `rkt run` is a warning.  "
		"Images "
		"are read in a\n"
		"  sandbox, so any file may be given.\n",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.min_args = 1,
	.max_args = INT_MAX,
	.run = run,
};

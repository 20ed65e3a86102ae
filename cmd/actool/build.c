/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "aci/aci_write.h"
#include "aci/layout.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strv.h"
#include "base/whole_file.h"
#include "cmd/actool/actool.h"
#include "cmd/actool/manifest.h"

struct opts {
	bool overwrite;
	struct aci_write_options write;
};

static const struct option_row rows[] = {
	{.name = "overwrite",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, overwrite),
	 .help = "replace OUTPUT.aci if it exists"},
	{.name = "owner-root",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, write.owner_root),
	 .help = "make every file of the image belong to root"},
	{.name = "no-compression",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, write.no_compression),
	 .help = "write a plain tar"},
	{0}};

static int check_name(const char *path, struct error *err)
{
	size_t len = strlen(path);

	if (len < 5 || strcmp(path + len - 4, ".aci") || path[len - 5] == '/')
		return error_set(err, EINVAL,
				 "the name of an image ends in .aci: %s", path);
	return 0;
}

static int image_make(const struct aci_layout *layout, const char *path,
		      const struct opts *o, struct error *err)
{
	cleanup_whole_file struct whole_file out = WHOLE_FILE_INIT;
	cleanup_strv struct strv warnings = STRV_INIT;
	int r = whole_file_open(path, 0644, o->overwrite, &out, err);

	if (r == -EEXIST)
		return error_set(err, EEXIST, "%s exists (try --overwrite)",
				 path);
	if (r == 0)
		r = aci_write(layout, out.fd, &o->write, &warnings, err);
	if (r == 0)
		r = whole_file_commit(&out, err);
	for (size_t i = 0; i < warnings.n; i++)
		log_warning("%s", warnings.v[i]);
	return r;
}

static int run(const struct actool_call *call)
{
	cleanup_aci_layout struct aci_layout layout = ACI_LAYOUT_INIT;
	struct error err = ERROR_INIT;
	int r = check_name(call->argv[1], &err);

	if (r == 0)
		r = layout_report(call->argv[0], &layout, &err);
	if (r > 0)
		return ACTOOL_FAILED;
	if (r == 0)
		r = image_make(&layout, call->argv[1], call->opts, &err);
	return r < 0 ? actool_fail(&err) : ACTOOL_OK;
}

const struct actool_command actool_build = {
	.name = "build",
	.summary = "make an image from a layout",
	.usage = "[FLAGS] LAYOUT OUTPUT.aci",
	.description =
		"  LAYOUT is a directory with a file `manifest`, the directory "
		"`rootfs` and\n"
		"  nothing else.  It is validated first.  The image keeps "
		"owners, modes, times,\n"
		"  hard links, devices and extended attributes; sockets are "
		"left out.  Equal\n"
		"  layouts give equal bytes, on any machine.\n",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.min_args = 2,
	.max_args = 2,
	.run = run,
};

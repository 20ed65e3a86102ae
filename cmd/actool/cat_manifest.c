/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "aci/fetch_client.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "cmd/actool/actool.h"
#include "cmd/actool/image.h"
#include "spec/image_manifest.h"

struct opts {
	bool pretty;
};

static const struct option_row rows[] = {
	{.name = "pretty-print",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, pretty),
	 .help = "one value a line, indented"},
	{0}};

static int print_manifest(const char *path, const struct opts *o,
			  struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cleanup_fetch_image struct fetch_image image = {0};
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r;

	if (fd < 0)
		return error_sys(err, errno, "open %s", path);
	r = image_read(fd, &image, err);
	if (r == 0)
		r = image_manifest_parse(image.manifest, image.manifest_len,
					 &im, err);
	if (r < 0)
		return error_wrap(err, r, "%s", path);
	image_manifest_write(
		&im, o->pretty ? JSON_PRETTY_STYLE : JSON_COMPACT_STYLE, &text);
	strbuf_addch(&text, '\n');
	(void)fwrite(text.buf, 1, text.len, stdout);
	return 0;
}

static int run(const struct actool_call *call)
{
	struct error err = ERROR_INIT;
	int r = print_manifest(call->argv[0], call->opts, &err);

	return r < 0 ? actool_fail(&err) : ACTOOL_OK;
}

const struct actool_command actool_cat_manifest = {
	.name = "cat-manifest",
	.summary = "print the manifest of an image",
	.usage = "[--pretty-print] IMAGE.aci",
	.description = "  The image is checked as `actool validate` does.  The "
		       "manifest is printed in\n"
		       "  its canonical form: unknown fields and empty lists "
		       "are left out.\n",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};

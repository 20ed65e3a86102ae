/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/image.h"

#include <stddef.h>

#include "cmd/rkt/cmd.h"

static const struct command *const subcommands[] = {
	&cmd_image_cat_manifest, &cmd_image_diff,   &cmd_image_export,
	&cmd_image_extract,	 &cmd_image_fetch,  &cmd_image_gc,
	&cmd_image_import,	 &cmd_image_list,   &cmd_image_render,
	&cmd_image_rm,		 &cmd_image_verify, NULL,
};

const struct command cmd_image = {
	.name = "image",
	.summary = "Operate on image(s) in the local store",
	.usage = "[command]",
	.subcommands = subcommands,
};

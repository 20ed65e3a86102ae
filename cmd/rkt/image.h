/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_IMAGE_H
#define CMD_RKT_IMAGE_H

/* The subcommands of `rkt image`, one file each. */

struct command;

extern const struct command cmd_image_cat_manifest;
extern const struct command cmd_image_diff;
extern const struct command cmd_image_export;
extern const struct command cmd_image_extract;
extern const struct command cmd_image_fetch;
extern const struct command cmd_image_gc;
extern const struct command cmd_image_import;
extern const struct command cmd_image_list;
extern const struct command cmd_image_render;
extern const struct command cmd_image_rm;
extern const struct command cmd_image_verify;

#endif

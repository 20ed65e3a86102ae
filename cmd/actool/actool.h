/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_ACTOOL_ACTOOL_H
#define CMD_ACTOOL_ACTOOL_H

/*
 * The commands of actool.  To add one: a file cmd/actool/NAME.c with its
 * option rows and `const struct actool_command actool_NAME`, a declaration
 * below, a line in the table of main.c, a test in tests/cli/05-actool.bats.
 * Commands print their own errors, prefixed with their name.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/option.h"

struct error;

enum actool_exit {
	ACTOOL_OK = 0,
	ACTOOL_FAILED = 1, /* also: something checked is not valid */
	ACTOOL_USAGE = 2,
};

struct actool_call {
	void *opts; /* command->opts_size bytes, zero but for the flags set */
	int argc;
	char **argv; /* the words that are not flags; NULL-terminated */
};

struct actool_command {
	const char *name;
	const char *summary;
	const char *usage; /* what follows the name */
	const char *description;
	const struct option_row *options;
	size_t opts_size;
	int min_args, max_args;
	int (*run)(const struct actool_call *call); /* enum actool_exit */
};

extern const struct actool_command actool_build;
extern const struct actool_command actool_cat_manifest;
extern const struct actool_command actool_discover;
extern const struct actool_command actool_genkey;
extern const struct actool_command actool_patch_manifest;
extern const struct actool_command actool_sign;
extern const struct actool_command actool_validate;

/* All of them, then NULL, and the flags each has. */
extern const struct actool_command *const actool_commands[];
extern const struct option_row actool_global_rows[];

/* Print, made from these tables, the manual page of COMMAND (of actool for
 * NULL), and which pages there are: its name, a tab, the command. */
int actool_manual(const struct actool_command *command);
int actool_list_pages(void);

/*
 * What the last word of ARGV ("--" and the words of a command line) may
 * become, for the scripts in dist/completion: one candidate a line, a tab,
 * what it is; ":files" for the shell's own.
 */
int actool_complete(int argc, char *const *argv);

/* Prints ERR, all levels of it, and returns ACTOOL_FAILED. */
int actool_fail(struct error *err);

#endif

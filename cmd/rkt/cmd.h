/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_CMD_H
#define CMD_RKT_CMD_H

/*
 * The commands of rkt.  To add one: a file cmd/rkt/NAME.c with its option
 * rows and `const struct command cmd_NAME`, a declaration below, a line in
 * the table of main.c, a test in tests/cli/.  Only files here print errors
 * and choose exit codes; a command's stdout is what scripts read.
 *
 *	static const struct option_row rows[] = {
 *		{.name = "full", .kind = OPTION_BOOL, .implied = "true",
 *		 .offset = offsetof(struct opts, full), .help = "..."},
 *		{0}};
 *	static int run(struct cmd_call *call)
 *	{
 *		const struct opts *o = call->opts;
 *		...
 *		if (r < 0) {
 *			log_failure(&err, "what went wrong");
 *			return RKT_EXIT_FAILURE;
 *		}
 *		return 0;
 *	}
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/option.h"
#include "spec/stage1_abi.h" /* RKT_EXIT_* */

/* --insecure-options, rkt's values. */
enum insecure {
	INSECURE_IMAGE = 1 << 0,
	INSECURE_TLS = 1 << 1,
	INSECURE_ONDISK = 1 << 2, /* accepted, without meaning */
	INSECURE_HTTP = 1 << 3,
	INSECURE_PUBKEY = 1 << 4,
	INSECURE_CAPABILITIES = 1 << 5,
	INSECURE_PATHS = 1 << 6,
	INSECURE_SECCOMP = 1 << 7,
};

/* The resolved global options; strings live as long as the program. */
struct rkt {
	const char *dir;	   /* absolute, symlinks resolved */
	const char *system_config; /* absolute */
	const char *local_config;  /* absolute */
	const char *user_config;   /* absolute, or NULL */
	const char *libexec;	  /* absolute: stage1 and rkt-fetch are there */
	const char *image_driver; /* of struct treestore */
	unsigned int insecure;	  /* enum insecure bits */
	bool trust_keys_from_https;
	bool debug;
	bool is_user; /* without root: rootless_is_user() */
};

enum command_flags {
	/* Needs root: that of a namespace of the user's own, without root. */
	CMD_ROOT = 1 << 0,
	CMD_HIDDEN = 1 << 1, /* not listed by help */
	/* Flags stop at the first word that is none: what follows belongs
	 * to another program or to the app grammar. */
	CMD_NON_INTERSPERSED = 1 << 2,
	/* parse() reads all words itself, flags included. */
	CMD_OWN_FLAGS = 1 << 3,
	/* rkt's exit code for a --uuid-file that cannot be read: 1. */
	CMD_UUID_FILE_1 = 1 << 4,
	/* With CMD_ROOT: refuses to run as another user than the host's. */
	CMD_HOST_ROOT = 1 << 5,
	/* Without root, root of the namespace if the data directory is the
	 * user's own: as the user where it is the system's. */
	CMD_OWN_ROOT = 1 << 6,
};

struct command;
struct error;

struct cmd_call {
	const struct rkt *rkt;
	const struct command *command;
	/* From cmd_root to command: how it was called.  NULL-terminated. */
	const struct command *const *path;
	void *opts; /* command->opts_size bytes, zero but for defaults */
	int argc;
	char **argv; /* the words that are not flags; NULL-terminated */
	/* The command's rows and the global ones, for flags among argv. */
	struct option_set sets[2];
	/* Where the words come from, if nobody typed them: who misuses the
	 * command there is told in one line, for a journal. */
	const char *file;
};

#define CMD_MORE_MAX 4

/* Of command.words, beside OPTION_VALUES_*. */
#define CMD_WORDS_PODS ":pods"
#define CMD_WORDS_IMAGES ":images"
#define CMD_WORDS_COMMANDS ":commands"

struct command {
	const char *name;
	const char *summary;		  /* one line, for lists of commands */
	const char *usage;		  /* "[flags] UUID" after the name */
	const char *description;	  /* may be NULL */
	unsigned int flags;		  /* enum command_flags */
	const struct option_row *options; /* may be NULL */
	/* More rows, NULL-terminated; may be NULL.  Their offsets are from
	 * the start of opts, except with CMD_OWN_FLAGS, where they are only
	 * for help. */
	const struct option_row *const *more_options;
	size_t opts_size;
	/* Sets defaults in call->opts before flags are read; may be NULL. */
	void (*init)(void *opts);
	/* Reads argv further before global options are resolved (the app
	 * grammar may hold some); prints nothing.  May be NULL. */
	int (*parse)(struct cmd_call *call, struct error *err);
	/* Returns rkt's exit code. */
	int (*run)(struct cmd_call *call);
	/* Prints why it failed (TEXT) on stdout, if the output was asked for
	 * in a form that has a place for that: true if so.  May be NULL. */
	bool (*failed)(const struct cmd_call *call, const char *text);
	const struct command *const *subcommands; /* NULL-terminated */
	/* For completion: what the words that are not flags mean, as in
	 * option_row.values; NULL: nothing to offer. */
	const char *words;
};

/* Misuse: the command's usage on stdout (or what its `failed` prints), and then
 * MESSAGE on stderr, where it is seen; returns RKT_EXIT_FAILURE. */
#define CMD_WRONG_NUMBER "wrong number of arguments"
int cmd_usage(const struct cmd_call *call, const char *message);
/* The usage alone. */
void cmd_print_usage(const struct cmd_call *call);

/* Failure: ERR on stderr as log_failure() does it, and what `failed` prints;
 * returns RKT_EXIT_FAILURE. */
int cmd_failure(const struct cmd_call *call, const struct error *err,
		const char *what);

/* Calls EACH for the commands below PARENT that are not hidden, and for those
 * below them, in order: NAME is PREFIX (may be "") and the words after it. */
typedef void cmd_each_fn(const char *name, const struct command *command,
			 struct strbuf *sb);
void cmd_each(const struct command *parent, const char *prefix,
	      cmd_each_fn *each, struct strbuf *sb);

/* Appends the help of the command PATH leads to (NULL-terminated from the
 * root; the root alone for `rkt help`). */
void cmd_help(const struct command *const *path, struct strbuf *sb);

/* The command WORDS lead to, as prefix matching allows; PATH gets at most
 * CMD_DEPTH_MAX commands and a NULL.  Returns how many words were used. */
#define CMD_DEPTH_MAX 4
int cmd_find(char *const *words, const struct command *path[CMD_DEPTH_MAX]);

/*
 * Flags may stand before the command: moves the words that name it out of
 * ARGV and into WORDS (at most CMD_DEPTH_MAX - 2 and a NULL), keeping the
 * order of the rest.
 */
void cmd_take_words(int *argc, char **argv, char *words[CMD_DEPTH_MAX]);

/* Appends the manual page of the command PATH leads to, or with NULL a line
 * for each page there is: its name, a tab, the command. */
void cmd_manual(const struct command *const *path, struct strbuf *sb);

extern const struct command cmd_root;

extern const struct command cmd_api_service;
extern const struct command cmd_app;
extern const struct command cmd_attach;
extern const struct command cmd_auto_update;
extern const struct command cmd_cat_manifest;
extern const struct command cmd_complete;
extern const struct command cmd_completion;
extern const struct command cmd_config;
extern const struct command cmd_cp;
extern const struct command cmd_enter;
extern const struct command cmd_exec;
extern const struct command cmd_export;
extern const struct command cmd_fetch;
extern const struct command cmd_gc;
extern const struct command cmd_generate;
extern const struct command cmd_help_command;
extern const struct command cmd_history;
extern const struct command cmd_image;
extern const struct command cmd_list;
extern const struct command cmd_logs;
extern const struct command cmd_metadata_service;
extern const struct command cmd_prepare;
extern const struct command cmd_push;
extern const struct command cmd_rm;
extern const struct command cmd_rollback;
extern const struct command cmd_run;
extern const struct command cmd_run_prepared;
extern const struct command cmd_start;
extern const struct command cmd_stats;
extern const struct command cmd_status;
extern const struct command cmd_stop;
extern const struct command cmd_top;
extern const struct command cmd_trust;
extern const struct command cmd_update;
extern const struct command cmd_version;

#endif

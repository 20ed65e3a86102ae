/* SPDX-License-Identifier: Apache-2.0 */

/*
 * `rkt __complete -- WORD...`: what the last word may become, for the
 * scripts in dist/completion.  One candidate a line, a tab, what it is; or
 * ":files" or ":directories" for the shell's own.  Reads only, fails silently.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/globals.h"
#include "cmd/rkt/images.h"
#include "spec/oci.h"
#include "stage0/pod.h"

struct completion {
	struct cmd_call *call;
	const struct command *command;
	const char *current;  /* the word to complete */
	struct strbuf prefix; /* of each candidate: "--flag=" */
	struct strbuf out;
};

static void offer(struct completion *c, const char *word, const char *what)
{
	if (strncmp(word, c->current, strlen(c->current)) != 0)
		return;
	/* Names are checked where they are made, but for a shell's sake. */
	if (strpbrk(word, "\t\n"))
		return;
	strbuf_addf(&c->out, "%s%s\t%s\n", c->prefix.buf, word, what);
}

static void offer_pods(struct completion *c)
{
	static const enum pod_dir dirs[] = {POD_RUN, POD_PREPARED,
					    POD_EXITED_GARBAGE};
	cleanup_pods struct pods pods = PODS_INIT;

	if (pods_open(&pods, c->call->rkt->dir, NULL) < 0)
		return;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		cleanup_strv struct strv uuids = STRV_INIT;

		(void)pods_list(&pods, dirs[i], &uuids, NULL);
		for (size_t j = 0; j < uuids.n; j++) {
			cleanup_pod struct pod pod = POD_INIT;
			cleanup_free char *name = NULL;
			const char *state;

			if (pod_open_in(&pods, dirs[i], uuids.v[j], &pod,
					NULL) < 0)
				continue;
			name = pod_name_get(&pod);
			state = pod_state_text(pod_state(&pod));
			if (name)
				offer(c, name, state);
			offer(c, pod.uuid, state);
		}
	}
}

static void offer_images(struct completion *c)
{
	cleanup_images struct images im = {0};
	cleanup_image_rows struct image_rows rows = IMAGE_ROWS_INIT;
	cleanup_strv struct strv names = STRV_INIT;

	if (images_open_existing(c->call->rkt, &im, NULL) < 0 || !im.store ||
	    imagestore_list(im.store, NULL, &rows, NULL) < 0)
		return;
	for (size_t i = 0; i < rows.n; i++) {
		const char *name = rows.v[i].name;

		if (oci_is_layer_name(name))
			continue;
		if (rows.v[i].version && *rows.v[i].version)
			strv_pushf(&names, "%s:%s", name, rows.v[i].version);
		else
			strv_push(&names, name);
		/* Ids only for who begins one: nobody reads a list of them. */
		if (strncmp(c->current, IMAGE_ID_PREFIX, 4) == 0)
			offer(c, rows.v[i].id, name);
	}
	strv_sort(&names);
	for (size_t i = 0; i < names.n; i++)
		if (i == 0 || strcmp(names.v[i], names.v[i - 1]) != 0)
			offer(c, names.v[i], "image");
}

static void offer_commands(struct completion *c, const struct command *of)
{
	for (const struct command *const *sub = of->subcommands; sub && *sub;
	     sub++)
		if (!((*sub)->flags & CMD_HIDDEN))
			offer(c, (*sub)->name, (*sub)->summary);
}

static void offer_all_commands(struct completion *c)
{
	offer_commands(c, &cmd_root);
}

static const struct {
	const char *kind;
	void (*offer)(struct completion *c);
} kinds[] = {
	{CMD_WORDS_PODS, offer_pods},
	{CMD_WORDS_IMAGES, offer_images},
	{CMD_WORDS_COMMANDS, offer_all_commands},
};

static void offer_kind(struct completion *c, const char *kind)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(kind, kinds[i].kind) == 0) {
			kinds[i].offer(c);
			return;
		}
	}
	/* :files, :directories: the shell's. */
	strbuf_addf(&c->out, "%s\n", kind);
}

/* VALUES: words and kinds, "|" between them; may be NULL. */
static void offer_values(struct completion *c, const char *values)
{
	cleanup_strv struct strv words = STRV_INIT;

	if (values)
		strv_split(&words, values, '|');
	for (size_t i = 0; i < words.n; i++) {
		if (words.v[i][0] == ':')
			offer_kind(c, words.v[i]);
		else
			offer(c, words.v[i], "");
	}
}

/* --- flags ---------------------------------------------------------------- */

static size_t flag_tables(const struct command *command,
			  const struct option_row *tables[2 + CMD_MORE_MAX])
{
	size_t n = 0;

	tables[n++] = command->options;
	for (const struct option_row *const *more = command->more_options;
	     more && *more && n < 1 + CMD_MORE_MAX; more++)
		tables[n++] = *more;
	tables[n++] = globals_rows;
	return n;
}

static const struct option_row *flag_find(const struct command *command,
					  const char *name, size_t len)
{
	const struct option_row *tables[2 + CMD_MORE_MAX];
	size_t n = flag_tables(command, tables);
	struct option_set sets[2 + CMD_MORE_MAX];

	for (size_t i = 0; i < n; i++)
		sets[i] = (struct option_set){.rows = tables[i]};
	return option_find(sets, n, name, len, NULL);
}

static void offer_flags(struct completion *c)
{
	const struct option_row *tables[2 + CMD_MORE_MAX];
	size_t n = flag_tables(c->command, tables);
	cleanup_free const struct option_row **rows =
		option_sorted(tables, n, &n);

	for (size_t i = 0; i < n; i++) {
		cleanup_free char *flag = xasprintf(
			"--%s%s", rows[i]->name, rows[i]->implied ? "" : "=");

		offer(c, flag, rows[i]->help);
	}
	offer(c, "--help", "show how to use the command");
}

/* True if the word to complete is the value of a flag: offers what it may
 * be. */
static bool complete_value(struct completion *c, const char *before)
{
	const struct option_row *row = NULL;
	size_t len;

	if (strncmp(c->current, "--", 2) == 0 && strchr(c->current, '=')) {
		len = strcspn(c->current + 2, "=");
		row = flag_find(c->command, c->current + 2, len);
		strbuf_add(&c->prefix, c->current, len + 3);
		c->current += len + 3;
	} else if (before && strncmp(before, "--", 2) == 0 &&
		   !strchr(before, '=')) {
		row = flag_find(c->command, before + 2, strlen(before + 2));
		if (!row || row->implied)
			return false;
	} else {
		return false;
	}
	if (row && row->kind == OPTION_BOOL)
		offer_values(c, "true|false");
	else if (row)
		offer_values(c, row->values);
	return true;
}

/* --- the command ---------------------------------------------------------- */

/* WORDS: all before the one to complete.  The command they lead to, or NULL:
 * there is none, or its words belong to another program. */
static const struct command *command_of(const struct strv *words)
{
	const struct command *path[CMD_DEPTH_MAX];
	char *names[CMD_DEPTH_MAX];
	cleanup_free char **argv = xcalloc(words->n + 2, sizeof(*argv));
	static char program[] = "rkt";
	int argc = 1;
	int used;

	argv[0] = program;
	for (size_t i = 0; i < words->n; i++)
		argv[argc++] = words->v[i];
	cmd_take_words(&argc, argv, names);
	used = cmd_find(names, path);
	if (names[used] && path[used]->subcommands)
		return NULL;
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--") == 0)
			return NULL;
	return path[used];
}

static void complete(struct completion *c, struct strv *words)
{
	cleanup_free char *current = NULL;

	if (words->n > 0)
		current = words->v[--words->n];
	c->current = current ? current : "";
	c->command = command_of(words);
	if (!c->command)
		return;
	if (complete_value(c, words->n > 0 ? words->v[words->n - 1] : NULL))
		return;
	if (c->current[0] == '-')
		offer_flags(c);
	else if (c->command->subcommands)
		offer_commands(c, c->command);
	else
		offer_values(c, c->command->words);
}

/* Pods and images are those of the line's own --dir. */
static int parse(struct cmd_call *call, struct error *err)
{
	static const char *const read[] = {"dir", "system-config",
					   "local-config", "user-config"};
	const struct option_set *globals = &call->sets[1];

	(void)err;
	for (int i = 0; i < call->argc; i++) {
		const char *word = call->argv[i];

		for (size_t j = 0; j < sizeof(read) / sizeof(*read); j++) {
			size_t len = strlen(read[j]);

			if (strncmp(word, "--", 2) == 0 &&
			    strncmp(word + 2, read[j], len) == 0 &&
			    (word[2 + len] == '=' || word[2 + len] == '\0'))
				(void)option_apply(globals, 1, call->argv + i,
						   NULL);
		}
	}
	return 0;
}

static int run(struct cmd_call *call)
{
	cleanup_strv struct strv words = STRV_INIT;
	struct completion c = {
		.call = call, .prefix = STRBUF_INIT, .out = STRBUF_INIT};

	for (int i = 0; i < call->argc; i++)
		if (i > 0 || strcmp(call->argv[i], "--") != 0)
			strv_push(&words, call->argv[i]);
	complete(&c, &words);
	(void)fwrite(c.out.buf, 1, c.out.len, stdout);
	strbuf_release(&c.prefix);
	strbuf_release(&c.out);
	return 0;
}

const struct command cmd_complete = {
	.name = "__complete",
	.summary = "Complete a command line, for the shells' scripts",
	.usage = "-- WORD...",
	.flags = CMD_HIDDEN | CMD_OWN_FLAGS,
	.parse = parse,
	.run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MANUAL_H
#define BASE_MANUAL_H

/*
 * Manual pages (man(7) markup) of commands, made from the tables that also
 * make their help, so the two cannot differ.
 */

#include <stddef.h>

#include "base/option.h"

struct strbuf;

#define MANUAL_TABLES_MAX 8

struct manual_page {
	const char *name;	 /* "rkt image list": what is typed */
	const char *summary;	 /* one line */
	const char *usage;	 /* after the name; may be "" */
	const char *description; /* may be NULL; lines that begin with four
				  * blanks are shown as they are */
	const char *version;	 /* of the program */
	const char *exit_status; /* what its exit codes mean; may be NULL */
	const struct option_row *tables[MANUAL_TABLES_MAX];
	size_t n_tables;
	/* Options of every command of the program, on the program's own page
	 * and named on the others; may be NULL. */
	const struct option_row *globals;
};

/* "rkt-image-list" for "rkt image list": the page's name. */
void manual_page_name(const char *name, struct strbuf *sb);

/*
 * Appends the page up to its commands.  A list of commands may follow, with
 * manual_command() for each; then manual_end(), which refers to other pages.
 */
void manual_begin(const struct manual_page *page, struct strbuf *sb);
void manual_commands(struct strbuf *sb);
void manual_command(const char *name, const char *summary, struct strbuf *sb);

/*
 * Appends the rest.  Before its last section is a line MANUAL_MORE: there
 * goes what a table cannot say.
 */
#define MANUAL_MORE ".\\\" more"
void manual_end(const struct manual_page *page, struct strbuf *sb);

#endif

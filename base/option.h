/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

/*
 * Command line options as tables: long flags, `--name=value` or
 * `--name value`; a row with an implied value takes a value only after "=",
 * and its one-letter form ("-f"), if it has one, means just that value; letters
 * of such rows may stand together ("-it").  A letter of another row takes what
 * follows it, or the next word.
 * A row says where its value goes (an offset into a struct of the caller's)
 * and how help shows it, so parsing and help cannot differ.
 */

#include <stdbool.h>
#include <stddef.h>

struct error;
struct strbuf;
struct option_row;

enum option_kind {
	OPTION_BOOL,	 /* bool */
	OPTION_STRING,	 /* const char *, borrowed from the argument */
	OPTION_LIST,	 /* struct strv, one element more for each use */
	OPTION_INT,	 /* int64_t */
	OPTION_DURATION, /* int64_t, nanoseconds */
	OPTION_CALL,	 /* what row->parse makes of it */
};

enum option_flags {
	OPTION_HIDDEN = 1 << 0,	    /* not in help */
	OPTION_DEPRECATED = 1 << 1, /* not in help; row->help: what to do */
};

/* Of row->values. */
#define OPTION_VALUES_FILES ":files"
#define OPTION_VALUES_DIRECTORIES ":directories"

/*
 * TARGET is the struct of the row's set plus row->offset.  On failure returns
 * -errno with the reason alone as message: the caller names the flag.
 */
typedef int (*option_parse_fn)(const struct option_row *row, void *target,
			       const char *value, struct error *err);

struct option_row {
	const char *name;
	enum option_kind kind;
	size_t offset;
	const char *help;
	const char *shown;   /* default as help shows it; NULL: by kind */
	const char *implied; /* value of a bare --name; NULL: needs one */
	char letter;	     /* 'f': "-f" is --name; 0 = none */
	unsigned int flags;
	/* For completion: words that "|" separates, or one of the
	 * OPTION_VALUES_ below; NULL: unknown. */
	const char *values;
	option_parse_fn parse; /* OPTION_CALL */
	long tag;	       /* for row->parse */
};

/* Rows and the struct their offsets are in; rows end with .name == NULL. */
struct option_set {
	const struct option_row *rows;
	void *target;
};

/* The row of NAME (without "--"), LEN bytes; the first set wins.  NULL if
 * there is none; *ret_set (may be NULL) is the set it belongs to. */
const struct option_row *option_find(const struct option_set *sets, size_t n,
				     const char *name, size_t len,
				     const struct option_set **ret_set);

/* True for "--x" and "-x", false for "-" and plain words. */
bool option_is_flag(const char *arg);

/*
 * Applies the flag at ARGV[0], with its value if that is ARGV[1].  Returns
 * how many elements it took (1 or 2), or -EINVAL: unknown flag, missing or
 * bad value.
 */
int option_apply(const struct option_set *sets, size_t n, char *const *argv,
		 struct error *err);
/* The same for words that were applied before: nobody is told twice that a flag
 * is deprecated. */
int option_apply_again(const struct option_set *sets, size_t n,
		       char *const *argv, struct error *err);

/* The rows of N tables that help shows, sorted by name; malloc'ed. */
const struct option_row **option_sorted(const struct option_row *const *tables,
					size_t n, size_t *ret_n);

/* Appends "      --name=shown<TAB>help" lines of N tables, sorted by name. */
void option_help(const struct option_row *const *tables, size_t n,
		 struct strbuf *sb);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/option.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "base/strv.h"

static const char *const shown_by_kind[] = {
	[OPTION_BOOL] = "false", [OPTION_STRING] = "",	   [OPTION_LIST] = "",
	[OPTION_INT] = "0",	 [OPTION_DURATION] = "0s", [OPTION_CALL] = "",
};

const struct option_row *option_find(const struct option_set *sets, size_t n,
				     const char *name, size_t len,
				     const struct option_set **ret_set)
{
	for (size_t i = 0; i < n; i++) {
		for (const struct option_row *row = sets[i].rows;
		     row && row->name; row++) {
			if (strlen(row->name) != len ||
			    memcmp(row->name, name, len) != 0)
				continue;
			if (ret_set)
				*ret_set = &sets[i];
			return row;
		}
	}
	return NULL;
}

bool option_is_flag(const char *arg)
{
	return arg[0] == '-' && arg[1] != '\0';
}

static int value_set(const struct option_row *row, void *target,
		     const char *value, struct error *err)
{
	int r = 0;

	switch (row->kind) {
	case OPTION_BOOL:
		r = parse_bool(value, target);
		break;
	case OPTION_STRING:
		*(const char **)target = value;
		break;
	case OPTION_LIST:
		strv_push(target, value);
		break;
	case OPTION_INT:
		r = parse_int(value, INT64_MIN, INT64_MAX, target);
		break;
	case OPTION_DURATION:
		r = parse_duration(value, target);
		break;
	case OPTION_CALL:
		return row->parse(row, target, value, err);
	}
	if (r < 0)
		return error_set(err, -r, "%s",
				 r == -ERANGE ? "value out of range"
					      : "invalid syntax");
	return 0;
}

static const struct option_row *letter_find(const struct option_set *sets,
					    size_t n, char letter,
					    void **ret_target)
{
	for (size_t i = 0; i < n; i++) {
		const struct option_row *row = sets[i].rows;

		for (; row && row->name; row++) {
			if (row->letter != letter)
				continue;
			*ret_target = (char *)sets[i].target + row->offset;
			return row;
		}
	}
	return NULL;
}

/* "-it", "-e VALUE", "-eVALUE". */
static int letters_apply(const struct option_set *sets, size_t n,
			 char *const *argv, struct error *err)
{
	for (const char *at = argv[0] + 1; *at; at++) {
		struct error reason = ERROR_INIT;
		const struct option_row *row;
		const char *value;
		void *target;
		int r;

		row = letter_find(sets, n, *at, &target);
		if (!row)
			return error_set(err, EINVAL,
					 "unknown shorthand flag: '%c' in %s",
					 *at, argv[0]);
		value = row->implied ? row->implied : at[1] ? at + 1 : argv[1];
		if (!value)
			return error_set(err, EINVAL,
					 "flag needs an argument: '%c' in %s",
					 *at, argv[0]);
		r = value_set(row, target, value, &reason);
		if (r < 0)
			return error_set(
				err, -r,
				"invalid argument \"%s\" for -%c, --%s: %s",
				value, *at, row->name, reason.msg);
		if (!row->implied)
			return at[1] ? 1 : 2;
	}
	return 1;
}

static int apply(const struct option_set *sets, size_t n, char *const *argv,
		 bool again, struct error *err)
{
	const char *arg = argv[0];
	const struct option_row *row;
	const struct option_set *set;
	struct error reason = ERROR_INIT;
	const char *value;
	const char *name;
	size_t len;
	int used = 1;
	int r;

	if (strncmp(arg, "--", 2) != 0)
		return letters_apply(sets, n, argv, err);
	name = arg + 2;
	len = strcspn(name, "=");
	row = option_find(sets, n, name, len, &set);
	if (!row)
		return error_set(err, EINVAL, "unknown flag: --%.*s", (int)len,
				 name);
	if (row->flags & OPTION_DEPRECATED && !again)
		log_info("flag --%s has been deprecated, %s", row->name,
			 row->help);
	if (name[len] == '=') {
		value = name + len + 1;
	} else if (row->implied) {
		value = row->implied;
	} else if (argv[1]) {
		value = argv[1];
		used = 2;
	} else {
		return error_set(err, EINVAL, "flag needs an argument: --%s",
				 row->name);
	}
	r = value_set(row, (char *)set->target + row->offset, value, &reason);
	if (r < 0)
		return error_set(err, -r,
				 "invalid argument \"%s\" for --%s: %s", value,
				 row->name, reason.msg);
	return used;
}

int option_apply(const struct option_set *sets, size_t n, char *const *argv,
		 struct error *err)
{
	return apply(sets, n, argv, false, err);
}

int option_apply_again(const struct option_set *sets, size_t n,
		       char *const *argv, struct error *err)
{
	return apply(sets, n, argv, true, err);
}

static int row_compare(const void *a, const void *b)
{
	const struct option_row *const *x = a;
	const struct option_row *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static void row_help(const struct option_row *row, struct strbuf *sb)
{
	const char *shown = row->shown ? row->shown : shown_by_kind[row->kind];
	const char *quote = row->kind == OPTION_STRING ? "\"" : "";
	size_t start = sb->len;

	if (row->letter)
		strbuf_addf(sb, "  -%c, ", row->letter);
	else
		strbuf_addstr(sb, "      ");
	strbuf_addf(sb, "--%s%s=%s%s%s%s\t", row->name, row->implied ? "[" : "",
		    quote, shown, quote, row->implied ? "]" : "");
	/* The tab counts as one byte and leads to the next stop. */
	format_wrapped(sb, row->help,
		       (unsigned int)(sb->len - start + 7) / 8 * 8, 2);
}

const struct option_row **option_sorted(const struct option_row *const *tables,
					size_t n, size_t *ret_n)
{
	const struct option_row **sorted = NULL;
	size_t n_sorted = 0;

	for (size_t i = 0; i < n; i++) {
		const struct option_row *row = tables[i];

		for (; row && row->name; row++) {
			if (row->flags & (OPTION_HIDDEN | OPTION_DEPRECATED))
				continue;
			sorted = xreallocarray(sorted, n_sorted + 1,
					       sizeof(row));
			sorted[n_sorted++] = row;
		}
	}
	if (n_sorted > 0)
		qsort(sorted, n_sorted, sizeof(*sorted), row_compare);
	*ret_n = n_sorted;
	return sorted;
}

void option_help(const struct option_row *const *tables, size_t n,
		 struct strbuf *sb)
{
	size_t n_sorted;
	cleanup_free const struct option_row **sorted =
		option_sorted(tables, n, &n_sorted);

	for (size_t i = 0; i < n_sorted; i++)
		row_help(sorted[i], sb);
}

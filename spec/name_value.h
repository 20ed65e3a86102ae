/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_NAME_VALUE_H
#define SPEC_NAME_VALUE_H

/*
 * Ordered lists of name and value: labels, annotations, environment (each an
 * array of {"name","value"} objects) and the user maps (objects).
 */

#include <stdbool.h>
#include <stddef.h>

struct error;
struct json_node;
struct json_writer;

struct name_value {
	char *name;
	char *value; /* never NULL */
};

/* Read as you like; changed only by the functions here. */
struct name_values {
	struct name_value *v;
	size_t n;
};

#define NAME_VALUES_INIT                                                       \
	{                                                                      \
		NULL, 0                                                        \
	}

void name_values_release(struct name_values *nv);
#define cleanup_name_values __attribute__((__cleanup__(name_values_release)))

/* The value, borrowed; NULL when there is none. */
const char *name_values_get(const struct name_values *nv, const char *name);
/* Appends without looking. */
void name_values_add(struct name_values *nv, const char *name,
		     const char *value);
/* Replaces in place or appends. */
void name_values_set(struct name_values *nv, const char *name,
		     const char *value);
void name_values_copy(struct name_values *ret, const struct name_values *nv);

/* A name that occurs twice, NULL if none does.  Sorts NAMES. */
const char *names_find_duplicate(const char **names, size_t n);

/* environment names: ^[A-Za-z_][A-Za-z_0-9.-]*$ */
int environment_name_check(const char *name, struct error *err);

/*
 * os must be known, and so must the pair if both are given (types.md,
 * labels).  OS NULL or ARCH NULL = not given.
 */
int labels_check_os_arch(const char *os, const char *arch, struct error *err);
/* labels_check_os_arch() of the labels "os" and "arch". */
int labels_check(const struct name_values *labels, struct error *err);
/* The appc os and arch of this machine; NULL arch if it has none. */
const char *labels_host_os(void);
const char *labels_host_arch(void);

/* Values of the annotations that have a form: "created", "homepage". */
int date_check(const char *s, struct error *err);
int url_check(const char *s, struct error *err);

enum name_values_kind {
	NAME_VALUES_LABELS,
	NAME_VALUES_ANNOTATIONS,
	NAME_VALUES_ENVIRONMENT,
};

/* Reader and writer used by the types around; problems go to the document. */
void name_values_read(const struct json_node *array, enum name_values_kind kind,
		      struct name_values *ret);
void name_values_read_map(const struct json_node *object,
			  struct name_values *ret);
/* Nothing is written for an empty list. */
void name_values_write(const struct name_values *nv, const char *key,
		       struct json_writer *w);
void name_values_write_map(const struct name_values *nv, const char *key,
			   struct json_writer *w);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONFORMANCE_VECTORS_H
#define CONFORMANCE_VECTORS_H

/*
 * The vectors of appc-vectors.json: inputs with the verdict the reference
 * implementation of appc 0.8.11 gave.  A group belongs to one test, which
 * states how many vectors it has; test_appc_vectors.c holds the list of all.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct vector {
	const char *group;
	size_t index;
	json_t *json;	/* the whole object */
	const char *in; /* NULL if the group has no "in" */
	bool accept;	/* the reference's verdict */
};

/* Calls RUN for every vector of GROUP; fails the test unless there are N. */
void vectors_run(const char *group, size_t n,
		 void (*run)(const struct vector *v));

/* Names and sizes of all groups, as an object; a new reference. */
json_t *vectors_load(void);

/* A string member or NULL. */
const char *vector_string(const struct vector *v, const char *key);

#endif

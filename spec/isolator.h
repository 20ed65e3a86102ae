/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_ISOLATOR_H
#define SPEC_ISOLATOR_H

/*
 * Isolators (ace.md, types.md): {"name", "value"} objects of apps and pods.
 * One that is not in the table below is kept as text (ISOLATOR_UNKNOWN) and
 * accepted: the executor must tell the user that it ignores it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"
#include "spec/name_value.h"
#include "spec/quantity.h"

struct error;
struct json_node;
struct json_writer;

enum isolator_kind {
	ISOLATOR_UNKNOWN = 0,	     /* u.raw */
	ISOLATOR_SECCOMP_REMOVE_SET, /* u.seccomp */
	ISOLATOR_SECCOMP_RETAIN_SET, /* u.seccomp */
	ISOLATOR_SELINUX_CONTEXT,    /* u.selinux */
	ISOLATOR_APPARMOR_PROFILE,   /* u.profile */
	ISOLATOR_CAPS_REMOVE_SET,    /* u.caps */
	ISOLATOR_CAPS_RETAIN_SET,    /* u.caps */
	ISOLATOR_NO_NEW_PRIVILEGES,  /* u.enabled */
	ISOLATOR_CPU_SHARES,	     /* u.number, 2..262144 */
	ISOLATOR_OOM_SCORE_ADJ,	     /* u.number, -1000..1000 */
	ISOLATOR_CPU,		     /* u.resource, 1 = one core */
	ISOLATOR_MEMORY,	     /* u.resource, bytes */
	ISOLATOR_BLOCK_BANDWIDTH,    /* u.resource, bytes per second */
	ISOLATOR_BLOCK_IOPS,	     /* u.resource, operations per second */
	ISOLATOR_NETWORK_BANDWIDTH,  /* u.resource, bytes per second */
	ISOLATOR_SYSCTL,	     /* u.sysctl */
	ISOLATOR_KIND_MAX
};

struct isolator_seccomp {
	struct strv set;  /* system calls, "@" wildcards; never empty */
	char *errno_name; /* "EPERM"; NULL = kill with SIGSYS */
};

struct isolator_selinux {
	char *user, *role, *type, *level;
};

struct isolator_resource {
	bool is_default; /* all devices, all interfaces but lo */
	bool has_request;
	bool has_limit;
	struct quantity request; /* = limit if not given but limit is */
	struct quantity limit;
};

struct isolator {
	enum isolator_kind kind;
	char *name;
	union {
		struct isolator_seccomp seccomp;
		struct strv caps; /* "CAP_KILL", names unchecked */
		struct isolator_selinux selinux;
		struct isolator_resource resource;
		struct name_values sysctl;
		char *profile;
		bool enabled;
		int64_t number;
		char *raw; /* the value as compact JSON */
	} u;
};

struct isolators {
	struct isolator *v;
	size_t n;
};

#define ISOLATORS_INIT                                                         \
	{                                                                      \
		NULL, 0                                                        \
	}

void isolator_release(struct isolator *isolator);
void isolators_release(struct isolators *list);
#define cleanup_isolator __attribute__((__cleanup__(isolator_release)))
#define cleanup_isolators __attribute__((__cleanup__(isolators_release)))

/* Deep copies; RET is overwritten, not released. */
void isolator_copy(struct isolator *ret, const struct isolator *isolator);
void isolators_copy(struct isolators *ret, const struct isolators *list);

/* The one that counts: the last of KIND; NULL if there is none. */
const struct isolator *isolators_find(const struct isolators *list,
				      enum isolator_kind kind);
/* Takes *ISOLATOR (leaves it empty); replaces all of the same kind. */
void isolators_set(struct isolators *list, struct isolator *isolator);
void isolators_remove(struct isolators *list, enum isolator_kind kind);
/* Takes *ISOLATOR, appends. */
void isolators_add(struct isolators *list, struct isolator *isolator);

/* "resource/cpu" -> ISOLATOR_CPU; ISOLATOR_UNKNOWN if not in the table. */
enum isolator_kind isolator_kind_from_name(const char *name);
const char *isolator_kind_name(enum isolator_kind kind);
/* At most one in the list of an app (reference code). */
bool isolator_kind_is_single(enum isolator_kind kind);

/*
 * One isolator from NAME and the JSON text of its value, as `actool` and
 * options like --memory build them.
 */
int isolator_parse(const char *name, const char *value, struct isolator *ret,
		   struct error *err);

/*
 * Constructors for options: --memory/--cpu (limit and request), --cpu-shares,
 * --oom-score-adj, --caps-retain and the like.
 */
int isolator_make_resource(enum isolator_kind kind, const char *limit,
			   struct isolator *ret, struct error *err);
int isolator_make_number(enum isolator_kind kind, int64_t number,
			 struct isolator *ret, struct error *err);
int isolator_make_caps(enum isolator_kind kind, const struct strv *set,
		       struct isolator *ret, struct error *err);
int isolator_make_seccomp(enum isolator_kind kind, const struct strv *set,
			  const char *errno_name, struct isolator *ret,
			  struct error *err);

/*
 * Rules of a whole list (ace.md): at most one of several kinds, remove and
 * retain sets exclude each other.  -EINVAL names the isolator.
 */
int isolators_check(const struct isolators *list, struct error *err);

/*
 * What parsing lets through and no executor can apply: amounts that are
 * negative, too large, or too small to run anything.
 */
int isolator_check_usable(const struct isolator *isolator, struct error *err);

/*
 * Names in it that nobody knows: capabilities, system calls and their sets,
 * error codes.  ace.md leaves them unchecked; stage1 refuses them.  For
 * programs with libcap and libseccomp.
 */
int isolator_check_names(const struct isolator *isolator, struct error *err);

bool isolator_read(const struct json_node *object, struct isolator *ret);
/* With isolators_check() if IS_APP. */
void isolators_read(const struct json_node *array, bool is_app,
		    struct isolators *ret);
void isolator_write(const struct isolator *isolator, const char *key,
		    struct json_writer *w);
/* Nothing is written for an empty list. */
void isolators_write(const struct isolators *list, const char *key,
		     struct json_writer *w);

#endif

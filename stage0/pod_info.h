/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_POD_INFO_H
#define STAGE0_POD_INFO_H

/* What list and status say about a pod, read from its directory. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"
#include "spec/history.h"
#include "spec/net_info.h"
#include "spec/pod_manifest.h"
#include "stage0/pod.h"

struct error;
struct json_writer;
struct strbuf;

struct app_info {
	const char *name;	      /* borrowed from the manifest */
	const struct runtime_app *ra; /* the same */
	unsigned int generation;      /* the committed one; 0 = unknown */
	const char *state;	      /* unknown, created, running, exited */
	int64_t created_ns; /* the pod's, or when it was added; 0 = never, here
			       and below */
	int64_t started_ns;
	int64_t finished_ns;
	bool has_exit_code;
	int exit_code;
	/* Its generation ended a run of the pod, not always the last one, that
	 * nobody had asked to stop. */
	bool has_failed;
	int failed_code;
	bool was_restarted; /* by its policy, in this run of the pod */
	unsigned int restarts;
	int last_exit_code; /* of the one before */
	char *health;	    /* "ok", "failing: REASON"; NULL = not asked */
	/* What it told its pod by sd_notify(3). */
	bool has_told;
	bool ready, reloading, stopping;
	int64_t error; /* errno(3); 0: none */
	char *bus_error;
	char *status; /* printable, as bus_error; NULL: nothing */
	/* Versions (NAME:VERSION, printable) above the one that runs which are
	 * not tried by themselves, and why: by pod_info_load_held(). */
	struct strv held, held_why;
};

struct pod_info {
	char uuid[UUID_TEXT_LEN + 1];
	char *name; /* NULL: anonymous */
	enum pod_state state;
	int64_t created_ns;
	int64_t started_ns;
	char *runtime_version; /* of its stage1; NULL: not told, or not running
				*/
	char *stage1;	       /* NAME:VERSION; NULL: native */
	int64_t pid;	       /* of pod init on the host; 0 = unknown */
	/* Of the update under way; app NULL if there is none. */
	struct history_entry update;
	/* Apps as committed; none if it cannot be read. */
	struct pod_manifest manifest;
	struct app_info *apps; /* one for each of the manifest */
	/* Since when rkt auto-update is held from it, seconds; 0 = it is not:
	 * by pod_info_load_held(). */
	int64_t held_since;
	struct net_info_list nets;
	struct strv isolators; /* "APP: NAME: REASON" */
};

#define POD_INFO_INIT                                                          \
	{                                                                      \
		.name = NULL                                                   \
	}

/* What is missing is left empty; fails only if the manifest of a pod that
 * must have one cannot be read. */
int pod_info_load(const struct pod *pod, struct pod_info *ret,
		  struct error *err);
/* What INFO, of POD, has of its apps' history besides. */
void pod_info_load_held(const struct pod *pod, struct pod_info *info);
void pod_info_release(struct pod_info *info);
#define cleanup_pod_info __attribute__((__cleanup__(pod_info_release)))

/* Appends "name:ip4=1.2.3.4, name2:ip4=...". */
void pod_info_networks(const struct pod_info *info, struct strbuf *out);
/* Appends "example.com/app:1.0"; "--" if it is not known. */
void app_info_image_name(const struct app_info *app, struct strbuf *out);

/* Of the app's mount M: true if it is read-only.  *RET_HOST, malloc'ed, is the
 * path on the host, NULL for an empty volume. */
bool app_info_mount(const struct pod_info *info, const struct app_info *app,
		    const struct mount *m, char **ret_host);
/* rkt's App object. */
void app_info_write(const struct pod_info *info, const struct app_info *app,
		    struct json_writer *w);
/* rkt's Pod object. */
void pod_info_write(const struct pod_info *info, const char *key,
		    struct json_writer *w);

/* 1 when stage1 has said that all apps run. */
bool pod_is_ready(const struct pod *pod);
/* The process to enter: the file `pid`, or the child of the one in `ppid`;
 * -ENOENT before it runs. */
int pod_pid(const struct pod *pod, int64_t *ret, struct error *err);

#endif

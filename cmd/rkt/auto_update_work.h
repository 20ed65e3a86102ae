/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_AUTO_UPDATE_WORK_H
#define CMD_RKT_AUTO_UPDATE_WORK_H

/* One pod of a run of `rkt auto-update`: what its parts know of it. */

#include "base/strbuf.h"
#include "cmd/rkt/auto_update.h"
#include "cmd/rkt/images.h"
#include "spec/auto_update.h"
#include "spec/docker_ref.h"
#include "spec/pod_manifest.h"
#include "stage0/generation.h"

struct error;
struct pod;
struct transact_report;

/* One labelled app. */
struct auto_update_app {
	size_t result; /* index: results move */
	const struct runtime_app *ra;
	struct pod_image image; /* that runs */
	/* The registry's reference that the image was one of. */
	bool has_ref;
	struct docker_ref ref;
	char *current; /* NAME:VERSION; with a reference the image's ID */
	char *chosen;  /* the same of what is to be tried; NULL = is not */
	char *id;
	/* How it is. */
	char *health;
	unsigned int restarts;
	bool has_failed;
	int exit_code;
	bool is_unwell; /* it is gone back */
};

struct auto_update_work {
	struct auto_update_run *run;
	struct pod *pod;
	struct pod_manifest pm; /* as committed */
	struct strbuf history;
	struct auto_update_record record;
	struct images im;
	struct auto_update_app v[POD_APPS_MAX];
	size_t n;
};

/* --- auto_update_pod.c ------------------------------------------------------
 */

struct auto_update_result *auto_update_result(const struct auto_update_work *w,
					      const struct auto_update_app *a);
/* REASON may be NULL. */
void auto_update_end(struct auto_update_result *r,
		     enum auto_update_outcome outcome, int code,
		     const char *reason);
struct auto_update_facts auto_update_facts(const struct auto_update_work *w,
					   const struct auto_update_app *a);
int64_t auto_update_now_ns(void);

/* For POD; release it with auto_update_work_free(). */
struct auto_update_work *auto_update_work_new(struct auto_update_run *run,
					      struct pod *pod);
void auto_update_work_free(struct auto_update_work **w);
#define cleanup_auto_update_work                                               \
	__attribute__((__cleanup__(auto_update_work_free)))

/* Finds the labelled apps, with a result for each; what is wrong is in those.
 */
void auto_update_find_apps(struct auto_update_work *w);
/* What APP is now, after something may have changed it. */
int auto_update_load_app(struct auto_update_work *w, struct auto_update_app *a,
			 struct error *err);
int auto_update_load_record(struct auto_update_work *w, struct error *err);
int auto_update_save_record(struct auto_update_work *w, struct error *err);
/* Takes note of what has become of tries, whoever made them end. */
int auto_update_settle_all(struct auto_update_work *w, struct error *err);
/* Version of A, for people. */
char *auto_update_version(const struct auto_update_app *a);

/* --- auto_update_look.c -----------------------------------------------------
 */

/* Looks for what each app could go to, and chooses it or ends its result. */
void auto_update_look(struct auto_update_work *w);

/* --- auto_update_trial.c ----------------------------------------------------
 */

/* Goes back from versions on trial that are not well. */
int auto_update_fall_back(struct auto_update_work *w, struct error *err);
/* Marks the results whose apps are still on trial. */
void auto_update_mark_trials(struct auto_update_work *w);

#endif

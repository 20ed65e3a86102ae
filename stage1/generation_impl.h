/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_GENERATION_IMPL_H
#define STAGE1_GENERATION_IMPL_H

/*
 * What the parts of a generation share: stage1/generation.c drives its
 * processes, stage1/generation_make.c makes what they run in,
 * stage1/generation_stdio.c what they read and print, and
 * stage1/generation_state.c goes on with those of another supervisor.  Nobody
 * else includes this.
 */

#include <linux/filter.h>
#include <stdbool.h>
#include <sys/types.h>

struct app_process_request;
struct error;
struct generation;
struct generation_ops;
struct pod;
struct pod_app;
struct strv;

/* An empty one, which is among the pod's generations.  Takes TREE_FD. */
struct generation *generation_alloc(struct pod_app *app, unsigned int number,
				    int tree_fd,
				    const struct generation_ops *ops);

/* Reads what G is and plans it: the first part of generation_make(). */
int generation_load(struct generation *g, struct error *err);

/* Loads and plans G, and makes its root, leaf, notify socket and filter. */
int generation_make(struct generation *g, struct error *err);

/*
 * Lets G's leaf, and with it the process PID in it (0: none yet), use the
 * devices of its policy alone; once.
 */
int generation_close_devices(struct generation *g, pid_t pid,
			     struct error *err);

/* NOTIFY: bind(2) is asked about.  NOTES (or NULL) gets what the filter
 * cannot do. */
int generation_make_filter(struct generation *g, bool notify,
			   struct sock_fprog *ret, struct strv *notes,
			   struct error *err);

/* Watches the processes of one that RUNS already. */
int generation_resume(struct generation *g, struct error *err);

/* --- stage1/generation_stdio.c ----------------------------------------------
 */

/* Its own terminal, if it is to have one: before its root is made, which has
 * it as /dev/console. */
int generation_open_tty(struct generation *g, struct error *err);

/* Gives REQUEST, of one of its processes, what it has as stdio. */
int generation_set_stdio(struct generation *g,
			 struct app_process_request *request,
			 struct error *err);

/* Of one that RUNS already. */
void generation_resume_stdio(struct generation *g);

/* What is in pipes and terminal still reaches the log. */
void generation_close_stdio(struct generation *g);

/* --- stage1/generation_tracers.c --------------------------------------------
 */

/*
 * Between clone and execve a process of ours has more than any app may have,
 * and an app with CAP_SYS_PTRACE could take it over there (CVE-2016-9962):
 * such apps stand still meanwhile.
 */
bool generation_freeze_tracers(struct pod *pod);
/* Lets them go on, if G was the last that wanted them to stand still. */
void generation_thaw_tracers(struct generation *g);

/*
 * A tracing pre-start cannot be frozen until a pod that starts lets its apps
 * go, because that waits for it.  So the processes that stand at barriers
 * come after such handlers, and such handlers never come upon one.
 */
bool generation_may_start(const struct generation *g, bool handler);

#endif

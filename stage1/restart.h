/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_RESTART_H
#define STAGE1_RESTART_H

/*
 * An app that ends by itself is started again, if its restart policy says so
 * (spec/service.h): in the same generation, as that always in a clean root,
 * after a pause that doubles each time and is short again after ten good
 * seconds.
 *
 *	serves -> (ends) -> waits -> starts -> takes over -> serves
 *
 * As long as an app with a policy serves, stage1 has duplicates of its
 * listening sockets (`kept`), so that they outlive even a kill -9: who
 * connects meanwhile queues, and the new process joins them at its bind as
 * in an update (stage1/held.h).  What the app itself closes is looked for
 * once a second, and before each bind that would meet it, and closed here,
 * too: a kept socket must never be a black hole.
 *
 * Apps with a health probe but no policy are watched here, too; nothing is
 * kept for them.  Where the host's service manager keeps descriptors
 * (stage1/host_store.h), it keeps those sockets of every app, too: they
 * outlive stage1.
 */

#include <stdbool.h>

struct bind_call;
struct error;
struct generation;
struct generation_ops;
struct json_node;
struct pod_app;
struct state_writer;

/* G serves from now on: every way a generation comes to that ends here.  What
 * was kept before is let go. */
void restart_serve(struct generation *g);

/* The first generation takes over what a stage1 that was killed left: until
 * then that is held for G. */
void restart_take_over(struct generation *g);

/* An update begins or ends.  Meanwhile its callbacks have the generations:
 * nothing new is kept and nobody asks how the app is. */
void restart_suspend(struct pod_app *app);
/* G is the one that stays: it is started again by its own policy from now on,
 * though the update may end much later. */
void restart_commit(const struct generation *g);
void restart_resume(struct pod_app *app);

/* Closes what is kept: the caller holds or serves those sockets himself. */
void restart_drop_kept(struct pod_app *app);

/*
 * Only from here: the service manager still has them, for the case that
 * stage1 is killed in the midst of an update.  It follows that by _store:
 * what is held for the app, or by _store_open: what G listens on now, is all
 * that it keeps.
 */
void restart_let_go(struct pod_app *app);
void restart_store(struct pod_app *app);
void restart_store_open(struct generation *g);

/* G asks for an address: lets go of sockets there that G has closed. */
void restart_on_bind(struct generation *g, const struct bind_call *call);

/* G has ended: it would be started again by restart_ended(). */
bool restart_is_due(const struct generation *g);

/* Its end need not be the app's. */
bool restart_possible(const struct pod_app *app);

/*
 * The callbacks of a generation that serves, once the pod runs.  _ended and
 * _failed: true if the app is started again later, and G is gone; else its
 * end is the app's.
 */
void restart_held(struct generation *g);
bool restart_ended(struct generation *g);
bool restart_failed(struct generation *g, const struct error *err);

/*
 * The app has no generation any more, because an update that went back could
 * not start the old one again.  Takes TREE_FD, the root of its committed one.
 * True if its policy tries that later; else its end is the app's.
 */
bool restart_lost(struct pod_app *app, int tree_fd, int exit_code);

/* It waits to be started again. */
bool restart_is_paused(const struct pod_app *app);
/* The root of what it waits to start, for who does that instead: its pause is
 * over.  The caller closes it. */
int restart_take_tree(struct pod_app *app);

/* The app is over, or stopped for good. */
void restart_forget(struct pod_app *app);

/* --- for another supervisor (stage1/state.h) --------------------------------
 */

/* What is under way and cannot be gone on with by another one begins anew. */
void restart_rewind(struct pod_app *app);
/* Nothing of an app that is not looked after. */
void restart_save(const struct pod_app *app, struct state_writer *w,
		  const char *key);
/* When the app's generation is there; it has none if it waits for one, which
 * is to have OPS. */
int restart_restore(struct pod_app *app, const struct generation_ops *ops,
		    const struct json_node *node, struct error *err);

#endif

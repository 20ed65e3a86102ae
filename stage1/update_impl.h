/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_UPDATE_IMPL_H
#define STAGE1_UPDATE_IMPL_H

/*
 * What the parts of an update transaction share: stage1/update.c has its
 * frame, stage1/update_restart.c and stage1/update_handover.c the tiers. Nobody
 * else includes this.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "spec/probe.h"
#include "spec/stage1_abi.h"
#include "stage1/event.h"
#include "stage1/held.h"

struct generation;
struct handover;
struct pod;
struct pod_app;
struct probe_run;
struct requests;
struct runtime_app;
struct update_part;

/* A transaction: of one app, or of several that switch together. */
struct update_group {
	struct pod *pod;
	struct update *first;
	size_t n, n_over;
	unsigned int pins; /* who looks at its members: it is not freed */
	int conn;	   /* -EBADF: nobody listens any more */
	uint64_t begun_ns;
	char who[CONTROL_WHO_MAX];
	bool is_failing, is_committed; /* for all of them */
	bool holds_on_fail;
	int keep; /* how many earlier generations from now on; -1 = as it is */
};

struct update {
	struct update_group *group;
	struct update *sibling;
	/* One that is verified waits for the others, and so does one that has
	 * been observed. */
	bool is_verified, is_observed, is_over;
	struct pod *pod;
	struct pod_app *app;
	struct generation *old; /* until it is over */
	struct generation *next;
	unsigned int from, to;
	char *from_image;    /* NAME:VERSION of what served; NULL */
	char *from_id;	     /* the same image's ID; NULL */
	bool is_interrupted; /* the pod went down meanwhile */
	bool was_paused;     /* nothing served: it waited to be started again */
	int old_tree;	     /* to start the old one again */
	int new_tree;	     /* and the new one */
	enum update_state state;
	enum update_strategy asked, tier; /* tier: AUTO = undecided */
	bool is_rollback; /* asked for: next has served before */
	uint64_t released_ns;
	uint64_t ready_ms, observe_ms, stop_ms;
	struct update_counts counts;
	struct requests *requests; /* of the one that is being stopped */
	struct event_timer tick;
	struct event_timer observe;
	struct event_timer abort;
	struct error why;  /* of a rollback */
	struct error note; /* what is to be known although it succeeds */

	/* restart */
	bool rolling_back; /* next is the old generation again */
	bool old_stopped;
	/* Another form of an address was bound while clients waited in the
	 * held one: the old one runs again to serve them, and then the new
	 * one begins again, with nobody waiting at these ports. */
	bool begins_again, has_begun_again;
	uint16_t odd_ports[HELD_PORTS_MAX];
	size_t n_odd_ports;
	uint64_t progress_ns; /* a socket more of the new one listened */
	size_t n_taken;
	uint64_t drain_ns, waiting_ns; /* quiet since; somebody waited last */
	bool is_well;		       /* the probe said so */
	unsigned int n_ill;	       /* answers in a row that it is not */
	void (*when_well)(struct update *u);

	/* handover */
	struct handover *handover;
	struct probe probe;
	struct probe_run *probing;
	struct error ill; /* what the last probe said */
	uint64_t canary_ms;
	unsigned int canary_share; /* of STEER_ALL */
	/* It failed: the old one serves, and the new one runs on (handover)
	 * or is put away, until somebody decides. */
	bool is_on_hold;
	/* Of two that run the one that goes; it has settled when that is
	 * decided. */
	struct generation *loser, *winner;
	int exit_code;
	bool is_noted;		     /* the state it is in */
	char text[CONTROL_TEXT_MAX]; /* the last word */
};

/* --- stage1/update_tell.c --------------------------------------------------
 */

/* Notes the state and tells the asker. */
void update_enter_state(struct update *u, enum update_state state,
			const char *text);
/*
 * The same on the way forward, where nothing goes on that is not noted: false
 * if it could not be, and then U is being rolled back, or gone.
 */
bool update_advance(struct update *u, enum update_state state,
		    const char *text);
/* Notes what has become known since in the state it is in; tells nobody. */
int update_note(struct update *u, const char *text, struct error *err);
/* Tells the asker only. */
void update_tell(struct update *u, const char *text);
/* The last records, an app each and one for all: everybody is over. */
void update_tell_end(struct update_group *g);
/* "NAME:VERSION", malloc'ed; NULL if it is not known. */
char *update_image_text(const struct runtime_app *ra);

/* --- stage1/update.c -------------------------------------------------------
 */

/* Closes the journal and frees U. */
void update_finish(struct update *u, int exit_code, const char *text);
/* The note of a rollback, with u->why; what was new is removed. */
void update_note_rolled_back(struct update *u, char text[CONTROL_TEXT_MAX]);
void update_end_rolled_back(struct update *u, int exit_code);
void update_roll_back(struct update *u, const struct error *why);
void update_drop_next(struct update *u);
/* The one that was watched has gone: what that cost is counted. */
void update_end_requests(struct update *u);
/* A failure of one is a failure of all. */
void update_fail_others(struct update *u, const struct error *why);
/* U has failed, because of WHY: true if the transaction is held, all of it. */
bool update_hold_all(struct update *u, const struct error *why);
/* The old one serves, and so it stays for a while. */
void update_tell_hold(struct update *u);
/* U may be switched, when the others may. */
void update_verified(struct update *u);
/* U may be committed, when the others may. */
void update_observed(struct update *u);
/* From here on the new ones are the apps. */
int update_commit_all(struct update_group *g, struct error *err);
/* Makes the new generation and goes on in its tier. */
void update_prepare_next(struct update *u);
/* The generation that served has ended by itself: so has the app. */
void update_on_old_left(struct update *u);
/* The signal a generation wants to hear when it is to finish what it has
 * begun, as its image says; that at which it ends if it does not. */
int update_drain_signal(const struct generation *g);
uint64_t update_since_ms(uint64_t ns);
uint64_t update_since_us(uint64_t ns);

extern const struct generation_ops update_old_ops, update_next_ops;

/* --- stage1/update_request.c -----------------------------------------------
 */

/* Nothing of the N parts forbids an update now. */
int update_check(struct pod *pod, const struct update_part *parts, size_t n,
		 struct error *err);
/* The highest that applies; WHY not a higher one.  Whether the old one's
 * sockets can be handed over is seen later. */
enum update_strategy update_choose_tier(const struct update *u,
					struct error *why);
bool update_writes_volume(const struct generation *g);

/* --- stage1/update_probe.c -------------------------------------------------
 */

/* True if the new generation, which alone serves, is well or nobody wants to
 * know; else it is asked until WHEN_WELL or a rollback. */
bool update_is_well(struct update *u, void (*when_well)(struct update *u));
/* Before the new generation goes. */
void update_stop_asking(struct update *u);

/* --- stage1/update_handover.c ----------------------------------------------
 */

/* The new generation is made: both are to run. */
void handover_run(struct update *u);
/* It stands at its barrier. */
void handover_on_held(struct update *u);
/* It failed, or ended. */
void handover_fail(struct update *u, const struct error *why);
/* The old one ended. */
void handover_on_old_ended(struct update *u, struct generation *old);
/* The pod goes down. */
void handover_on_stopping(struct update *u);
/* All are verified; all are committed. */
void handover_go(struct update *u);
void handover_committed(struct update *u);
void handover_hold(struct update *u, const struct error *why);
void handover_resume(struct update *u);

/* --- stage1/update_restart.c: the same of restart ---------------------------
 */

void update_restart_run(struct update *u);
void update_restart_on_held(struct update *u);
void update_restart_fail(struct update *u, const struct error *why);
void update_restart_on_old_ended(struct update *u, struct generation *old);
void update_restart_on_stopping(struct update *u);
void update_restart_go(struct update *u);
void update_restart_committed(struct update *u);
void update_restart_hold(struct update *u, const struct error *why);
void update_restart_resume(struct update *u);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/seccomp_plan.h"

#include <assert.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "spec/seccomp_sets.h"

#define ANSWER(e) (SECCOMP_RET_ERRNO | (e))
#define UNSET 0xffffffffU

/* What was decided for one table row, or for one name no table has. */
struct cell {
	const char *name;
	uint32_t action; /* UNSET: the default action */
	enum seccomp_match match;
};

struct builder {
	const struct seccomp_request *req;
	struct seccomp_plan *plan;
	uint32_t deny; /* the isolator's answer */
	struct cell *cells;
	size_t n_cells; /* rows first, then plan->names */
};

/* The default profile's answer, allow list side and deny list side. */
static const struct {
	uint32_t white;
	enum seccomp_match white_match;
	uint32_t black; /* UNSET: left alone */
	enum seccomp_match black_match;
} specials[SECCOMP_SPECIAL_MAX] = {
	[SECCOMP_ANY] = {SECCOMP_RET_ALLOW, SECCOMP_MATCH_ALWAYS, ANSWER(EPERM),
			 SECCOMP_MATCH_ALWAYS},
	[SECCOMP_CLONE] = {SECCOMP_RET_ALLOW, SECCOMP_MATCH_CLONE_PLAIN,
			   ANSWER(EPERM), SECCOMP_MATCH_CLONE_NAMESPACE},
	[SECCOMP_CLONE3] = {ANSWER(ENOSYS), SECCOMP_MATCH_ALWAYS,
			    ANSWER(ENOSYS), SECCOMP_MATCH_ALWAYS},
	[SECCOMP_UNSHARE] = {SECCOMP_RET_ALLOW, SECCOMP_MATCH_UNSHARE_PLAIN,
			     ANSWER(EPERM), SECCOMP_MATCH_UNSHARE_NAMESPACE},
	[SECCOMP_SOCKET] = {SECCOMP_RET_ALLOW, SECCOMP_MATCH_NOT_VSOCK,
			    ANSWER(EPERM), SECCOMP_MATCH_VSOCK},
	[SECCOMP_PERSONALITY] = {SECCOMP_RET_ALLOW, SECCOMP_MATCH_PERSONALITY,
				 UNSET, SECCOMP_MATCH_ALWAYS},
};

/* Without these an app could not start, end, or return from a handler; a
 * restarted sleep is the kernel's own call. */
static const char *const minimal[] = {
	"execve",	"exit",	     "exit_group",
	"rt_sigreturn", "sigreturn", "restart_syscall",
};

static bool is_minimal(const char *name)
{
	for (size_t i = 0; i < sizeof(minimal) / sizeof(minimal[0]); i++)
		if (strcmp(minimal[i], name) == 0)
			return true;
	return false;
}

static void set(struct cell *cell, uint32_t action, enum seccomp_match match)
{
	cell->action = action;
	cell->match = match;
}

/* The cell of NAME, made when there is none. */
static struct cell *cell_of(struct builder *b, const char *name)
{
	const struct seccomp_row *row = seccomp_row_find(name);
	struct strv *names = &b->plan->names;

	if (row)
		return &b->cells[row - seccomp_rows];
	for (size_t i = seccomp_n_rows; i < b->n_cells; i++)
		if (strcmp(b->cells[i].name, name) == 0)
			return &b->cells[i];
	strv_push(names, name);
	b->cells = xreallocarray(b->cells, b->n_cells + 1, sizeof(*b->cells));
	b->cells[b->n_cells] = (struct cell){
		.name = names->v[names->n - 1],
		.action = UNSET,
	};
	return &b->cells[b->n_cells++];
}

/* The default profile's rule for ROW, for calls in one of SETS; a retained
 * capability lifts the ban and the argument check. */
static void allow_row(struct builder *b, size_t i, uint32_t sets)
{
	const struct seccomp_row *row = &seccomp_rows[i];

	if (row->caps & b->req->caps)
		set(&b->cells[i], SECCOMP_RET_ALLOW, SECCOMP_MATCH_ALWAYS);
	else if (row->sets & sets)
		set(&b->cells[i], specials[row->special].white,
		    specials[row->special].white_match);
}

static void apply_default(struct builder *b)
{
	b->plan->default_action = ANSWER(EPERM);
	b->plan->newer_enosys = true;
	for (size_t i = 0; i < seccomp_n_rows; i++)
		allow_row(b, i, SECCOMP_SET_ALLOW);
}

static void apply_blacklist(struct builder *b)
{
	b->plan->default_action = SECCOMP_RET_ALLOW;
	b->plan->newer_enosys = true;
	for (size_t i = 0; i < seccomp_n_rows; i++) {
		const struct seccomp_row *row = &seccomp_rows[i];
		bool listed = (row->sets & SECCOMP_SET_BLACKLIST) &&
			      !(row->sets & SECCOMP_SET_ALLOW);

		if (row->caps & b->req->caps)
			listed = false;
		else if (row->special != SECCOMP_ANY)
			listed = true;
		if (listed)
			set(&b->cells[i], specials[row->special].black,
			    specials[row->special].black_match);
		else if (seccomp_modern_number(row->name) >= 0)
			/* Else newer_enosys would hide it. */
			set(&b->cells[i], SECCOMP_RET_ALLOW,
			    SECCOMP_MATCH_ALWAYS);
	}
}

static bool set_has(const struct builder *b, const char *name)
{
	return b->req->set && strv_has(b->req->set, name);
}

/* The names behind WILDCARD become ACTION, or the default profile's rules
 * where a default whitelist is retained. */
static void apply_wildcard(struct builder *b, const char *wildcard,
			   uint32_t action)
{
	uint32_t sets = seccomp_wildcard_sets(wildcard);
	bool profile =
		action == SECCOMP_RET_ALLOW && sets == SECCOMP_SET_WHITELIST;

	b->plan->newer_enosys |= profile;
	for (size_t i = 0; i < seccomp_n_rows; i++) {
		if (!(seccomp_rows[i].sets & sets))
			continue;
		if (profile)
			allow_row(b, i, sets);
		else if (action == SECCOMP_RET_ALLOW ||
			 !is_minimal(seccomp_rows[i].name))
			set(&b->cells[i], action, SECCOMP_MATCH_ALWAYS);
	}
}

/* Wildcards first, so that a call listed by name has the last word. */
static void apply_set(struct builder *b, uint32_t action)
{
	const struct strv *names = b->req->set;

	for (size_t i = 0; names && i < names->n; i++)
		if (names->v[i][0] == '@')
			apply_wildcard(b, names->v[i], action);
	for (size_t i = 0; names && i < names->n; i++) {
		const char *name = names->v[i];

		if (name[0] == '@')
			continue;
		if (action == SECCOMP_RET_ALLOW || !is_minimal(name))
			set(cell_of(b, name), action, SECCOMP_MATCH_ALWAYS);
		else
			strv_pushf(&b->plan->notes,
				   "%s cannot be removed: no app could start "
				   "or end without it",
				   name);
	}
}

static void apply_minimal(struct builder *b)
{
	for (size_t i = 0; i < sizeof(minimal) / sizeof(minimal[0]); i++)
		set(cell_of(b, minimal[i]), SECCOMP_RET_ALLOW,
		    SECCOMP_MATCH_ALWAYS);
}

static bool allows(struct builder *b, const char *name)
{
	uint32_t action = cell_of(b, name)->action;

	return (action == UNSET ? b->plan->default_action : action) ==
	       SECCOMP_RET_ALLOW;
}

static void apply_retain(struct builder *b)
{
	if (set_has(b, "@appc.io/all")) {
		b->plan->default_action = SECCOMP_RET_ALLOW;
	} else {
		b->plan->default_action = b->deny;
		apply_set(b, SECCOMP_RET_ALLOW);
		apply_minimal(b);
	}
	if (allows(b, "io_uring_setup"))
		strv_push(&b->plan->notes,
			  "io_uring_setup is retained: a socket bound through "
			  "io_uring is not seen by live updates");
}

static void apply_remove(struct builder *b)
{
	if (set_has(b, "@appc.io/all")) {
		b->plan->default_action = b->deny;
		apply_minimal(b);
		return;
	}
	if (set_has(b, "@appc.io/empty"))
		apply_default(b);
	else
		apply_blacklist(b);
	apply_set(b, b->deny);
}

static void push_rule(struct seccomp_plan *plan, const char *name,
		      uint32_t action, enum seccomp_match match)
{
	if (action == UNSET ||
	    (match == SECCOMP_MATCH_ALWAYS && action == plan->default_action &&
	     !plan->newer_enosys))
		return;
	plan->rules[plan->n_rules++] = (struct seccomp_rule){
		.name = name,
		.action = action,
		.match = match,
	};
}

/* Where the app may bind, stage1 is asked each time; where it may not, only
 * about the barrier, so that a denied bind stays denied. */
static void push_bind(struct seccomp_plan *plan, const struct cell *cell)
{
	uint32_t action =
		cell->action == UNSET ? plan->default_action : cell->action;

	if (!plan->notify_bind) {
		push_rule(plan, cell->name, cell->action, cell->match);
	} else if (action == SECCOMP_RET_ALLOW) {
		push_rule(plan, cell->name, SECCOMP_RET_USER_NOTIF,
			  SECCOMP_MATCH_ALWAYS);
	} else {
		push_rule(plan, cell->name, action, SECCOMP_MATCH_BARRIER);
	}
}

static void collect_rules(struct builder *b)
{
	struct seccomp_plan *plan = b->plan;

	plan->rules = xcalloc(b->n_cells + 1, sizeof(*plan->rules));
	for (size_t i = 0; i < b->n_cells; i++) {
		if (strcmp(b->cells[i].name, "bind") == 0)
			push_bind(plan, &b->cells[i]);
		else
			push_rule(plan, b->cells[i].name, b->cells[i].action,
				  b->cells[i].match);
	}
}

static int deny_action(const char *errno_name, uint32_t *ret, struct error *err)
{
	int code;

	if (!errno_name || !*errno_name) {
		*ret = SECCOMP_RET_KILL_PROCESS;
		return 0;
	}
	code = seccomp_errno_find(errno_name);
	if (code == 0)
		return error_set(err, EINVAL, "seccomp: unknown errno %s",
				 errno_name);
	*ret = ANSWER((uint32_t)code);
	return 0;
}

static void apply_policy(struct builder *b)
{
	switch (b->req->policy) {
	case SECCOMP_POLICY_DEFAULT:
		apply_default(b);
		break;
	case SECCOMP_POLICY_RETAIN:
		apply_retain(b);
		break;
	case SECCOMP_POLICY_REMOVE:
		apply_remove(b);
		break;
	case SECCOMP_POLICY_OFF:
		b->plan->default_action = SECCOMP_RET_ALLOW;
		break;
	}
}

int seccomp_plan_make(const struct seccomp_request *req,
		      struct seccomp_plan *ret, struct error *err)
{
	struct seccomp_plan plan cleanup_seccomp_plan = SECCOMP_PLAN_INIT;
	struct builder b = {.req = req, .plan = &plan};
	int r;

	if (req->set) {
		r = seccomp_set_check(req->set, err);
		if (r < 0)
			return r;
	}
	r = deny_action(req->errno_name, &b.deny, err);
	if (r < 0)
		return r;

	plan.notify_bind = req->notify_bind;
	b.n_cells = seccomp_n_rows;
	b.cells = xcalloc(b.n_cells, sizeof(*b.cells));
	for (size_t i = 0; i < seccomp_n_rows; i++) {
		b.cells[i].name = seccomp_rows[i].name;
		b.cells[i].action = UNSET;
	}
	apply_policy(&b);
	plan.allows_uring = allows(&b, "io_uring_setup");
	collect_rules(&b);
	free(b.cells);

	*ret = plan;
	plan = (struct seccomp_plan)SECCOMP_PLAN_INIT;
	return 0;
}

void seccomp_plan_release(struct seccomp_plan *plan)
{
	free(plan->rules);
	strv_release(&plan->names);
	strv_release(&plan->notes);
	*plan = (struct seccomp_plan)SECCOMP_PLAN_INIT;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/update_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "aci/image_labels.h"
#include "aci/imagestore.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/history.h"
#include "spec/image_manifest.h"
#include "spec/json_write.h"
#include "spec/pod_manifest.h"
#include "spec/semver.h"
#include "spec/user_range.h"
#include "stage0/generation.h"
#include "stage0/pod_build.h"

void update_plan_release(struct update_plan *plan)
{
	struct plan_image *images[] = {&plan->old_image, &plan->new_image};

	free(plan->app);
	for (size_t i = 0; i < 2; i++) {
		free(images[i]->name);
		free(images[i]->version);
		free(images[i]->signer);
	}
	for (size_t i = 0; i < plan->n_changes; i++) {
		free(plan->changes[i].name);
		free(plan->changes[i].from);
		free(plan->changes[i].to);
	}
	free(plan->changes);
	for (size_t i = 0; i < PLAN_TIERS; i++)
		free(plan->tiers[i].reason);
	strv_release(&plan->refusals);
	runtime_app_release(&plan->next);
	*plan = (struct update_plan)UPDATE_PLAN_INIT;
}

static void set_image(struct plan_image *ret, const struct pod_image *image,
		      const char *signer)
{
	const char *version =
		name_values_get(&image->manifest.labels, "version");

	ret->name = xstrdup(image->manifest.name);
	ret->version = version ? xstrdup(version) : NULL;
	ret->id = image->id;
	ret->signer = signer && *signer ? xstrdup(signer) : NULL;
}

/* --- what changes ----------------------------------------------------------
 */

static void add_change(struct update_plan *plan, const char *what,
		       const char *name, const char *from, const char *to)
{
	if (from && to ? strcmp(from, to) == 0 : from == to)
		return;
	plan->changes = xreallocarray(plan->changes, plan->n_changes + 1,
				      sizeof(*plan->changes));
	plan->changes[plan->n_changes++] = (struct plan_change){
		.what = what,
		.name = name ? xstrdup(name) : NULL,
		.from = from ? xstrdup(from) : NULL,
		.to = to ? xstrdup(to) : NULL,
	};
}

/* Those that are gone or another, then those that came. */
static void compare_lists(struct update_plan *plan, const char *what,
			  const struct name_values *a,
			  const struct name_values *b)
{
	for (size_t i = 0; i < a->n; i++)
		add_change(plan, what, a->v[i].name, a->v[i].value,
			   name_values_get(b, a->v[i].name));
	for (size_t i = 0; i < b->n; i++)
		if (!name_values_get(a, b->v[i].name))
			add_change(plan, what, b->v[i].name, NULL,
				   b->v[i].value);
}

static void list_ports(const struct app *app, struct name_values *ret)
{
	for (size_t i = 0; i < app->n_ports; i++) {
		const struct port *p = &app->ports[i];
		cleanup_strbuf struct strbuf text = STRBUF_INIT;

		strbuf_addf(&text, "%s %u", p->protocol ? p->protocol : "?",
			    (unsigned int)p->port);
		if (p->count > 1)
			strbuf_addf(&text, "-%u", p->port + p->count - 1);
		if (p->socket_activated)
			strbuf_addstr(&text, " socket-activated");
		name_values_add(ret, p->name ? p->name : "", text.buf);
	}
}

static void list_mount_points(const struct app *app, struct name_values *ret)
{
	for (size_t i = 0; i < app->n_mount_points; i++) {
		const struct mount_point *mp = &app->mount_points[i];
		cleanup_free char *text =
			xasprintf("%s%s", mp->path ? mp->path : "",
				  mp->read_only ? " read-only" : "");

		name_values_add(ret, mp->name ? mp->name : "", text);
	}
}

/* The value alone of {"name":...,"value":...}, as compact JSON. */
static void list_isolators(const struct app *app, struct name_values *ret)
{
	static const char key[] = ",\"value\":";

	for (size_t i = 0; i < app->isolators.n; i++) {
		const struct isolator *isolator = &app->isolators.v[i];
		cleanup_strbuf struct strbuf text = STRBUF_INIT;
		struct json_writer w;
		char *value;

		json_writer_init(&w, &text, JSON_COMPACT_STYLE);
		isolator_write(isolator, NULL, &w);
		value = strstr(text.buf, key);
		if (value && text.len > 0)
			strbuf_setlen(&text, text.len - 1);
		name_values_add(ret, isolator->name,
				value ? value + strlen(key) : text.buf);
	}
}

static void list_handlers(const struct app *app, struct name_values *ret)
{
	for (size_t i = 0; i < app->n_event_handlers; i++) {
		cleanup_strbuf struct strbuf text = STRBUF_INIT;

		json_strv_write(&app->event_handlers[i].exec, &text);
		name_values_add(ret, app->event_handlers[i].name, text.buf);
	}
}

static void list_environment(const struct app *app, struct name_values *ret)
{
	name_values_copy(ret, &app->environment);
}

static const struct {
	const char *what;
	void (*list)(const struct app *app, struct name_values *ret);
} lists[] = {
	{"environment", list_environment},  {"port", list_ports},
	{"mount point", list_mount_points}, {"isolator", list_isolators},
	{"event handler", list_handlers},
};

static void compare_exec(struct update_plan *plan, const struct app *a,
			 const struct app *b)
{
	cleanup_strbuf struct strbuf from = STRBUF_INIT;
	cleanup_strbuf struct strbuf to = STRBUF_INIT;

	json_strv_write(&a->exec, &from);
	json_strv_write(&b->exec, &to);
	add_change(plan, "exec", NULL, from.buf, to.buf);
}

static void compare_gids(struct update_plan *plan, const struct app *a,
			 const struct app *b)
{
	cleanup_strbuf struct strbuf from = STRBUF_INIT;
	cleanup_strbuf struct strbuf to = STRBUF_INIT;

	for (size_t i = 0; i < a->n_supplementary_gids; i++)
		strbuf_addf(&from, "%s%" PRId64, i ? "," : "",
			    a->supplementary_gids[i]);
	for (size_t i = 0; i < b->n_supplementary_gids; i++)
		strbuf_addf(&to, "%s%" PRId64, i ? "," : "",
			    b->supplementary_gids[i]);
	add_change(plan, "supplementary groups", NULL, from.buf, to.buf);
}

static void compare_apps(struct update_plan *plan, const struct app *a,
			 const struct app *b)
{
	compare_exec(plan, a, b);
	add_change(plan, "user", NULL, a->user, b->user);
	add_change(plan, "group", NULL, a->group, b->group);
	compare_gids(plan, a, b);
	add_change(plan, "working directory", NULL,
		   a->working_directory ? a->working_directory : "/",
		   b->working_directory ? b->working_directory : "/");
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		cleanup_name_values struct name_values x = NAME_VALUES_INIT;
		cleanup_name_values struct name_values y = NAME_VALUES_INIT;

		lists[i].list(a, &x);
		lists[i].list(b, &y);
		compare_lists(plan, lists[i].what, &x, &y);
	}
}

/* --- what forbids it -------------------------------------------------------
 */

static void check_version(const struct update_facts *f,
			  struct update_plan *plan)
{
	const char *a = plan->old_image.version, *b = plan->new_image.version;

	if (f->rules.allow_downgrade || (!a && !b) ||
	    (a && b && strcmp(a, b) == 0))
		return;
	if (!a || !b || !semver_check(a) || !semver_check(b))
		strv_pushf(&plan->refusals,
			   "cannot tell whether version %s is newer than %s: "
			   "they are not both SemVer (use --allow-downgrade to "
			   "go there anyway)",
			   b ? b : "(none)", a ? a : "(none)");
	else if (semver_compare(b, a) < 0)
		strv_pushf(&plan->refusals,
			   "version %s is older than %s, which runs (use "
			   "--allow-downgrade to go there anyway, or "
			   "`rkt rollback`)",
			   b, a);
}

static bool has_port(const struct runtime_app *ra, const char *name)
{
	for (size_t i = 0; i < ra->app.n_ports; i++)
		if (ra->app.ports[i].name &&
		    strcmp(ra->app.ports[i].name, name) == 0)
			return true;
	return false;
}

/* An exposed port of the pod that the old app had must be in the new one. */
static void check_ports(const struct update_facts *f,
			const struct runtime_app *old_app,
			struct update_plan *plan)
{
	for (size_t i = 0; i < f->pod->n_ports; i++) {
		const char *name = f->pod->ports[i].name;

		if (has_port(old_app, name) && !has_port(f->new_app, name))
			strv_pushf(&plan->refusals,
				   "the image has no port %s, which the pod "
				   "forwards",
				   name);
	}
}

/* Satisfies the mount points of the new image with the volumes there are. */
static void check_volumes(const struct update_facts *f,
			  struct update_plan *plan)
{
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_strv struct strv warnings = STRV_INIT;
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < f->pod->n_volumes; i++)
		volume_copy(pod_manifest_add_volume(&pm), &f->pod->volumes[i]);
	if (pod_app_reify(&plan->next, &pm, false, &warnings, &err) < 0)
		strv_push(&plan->refusals, err.msg);
}

static void check(const struct update_facts *f,
		  const struct runtime_app *old_app, struct update_plan *plan)
{
	struct error err = ERROR_INIT;

	if (f->not_updatable)
		strv_push(&plan->refusals, f->not_updatable);
	if (!f->rules.allow_rename &&
	    strcmp(plan->old_image.name, plan->new_image.name) != 0)
		strv_pushf(&plan->refusals,
			   "the image is %s, the app runs %s (use "
			   "--allow-rename if it takes its place)",
			   plan->new_image.name, plan->old_image.name);
	check_version(f, plan);
	if (pod_image_check_host(&f->new_image->manifest, &err) < 0)
		strv_push(&plan->refusals, err.msg);
	if (!f->new_app) {
		strv_push(&plan->refusals, f->cannot);
		return;
	}
	if (f->has_private_users &&
	    user_range_check_app(&f->new_app->app, &err) < 0)
		strv_push(&plan->refusals, err.msg);
	check_volumes(f, plan);
	if (old_app)
		check_ports(f, old_app, plan);
}

/* --- tiers -----------------------------------------------------------------
 */

static bool is_writable(const struct pod_manifest *pm,
			const struct runtime_app *ra, const struct mount *m)
{
	const struct volume *v =
		m->has_app_volume ? &m->app_volume
				  : pod_manifest_find_volume(pm, m->volume);

	return !v || !runtime_app_mounts_read_only(ra, m, v);
}

/* The path of a volume the app can write to; NULL if there is none. */
static const char *writable_mount(const struct pod_manifest *pm,
				  const struct runtime_app *ra)
{
	for (size_t i = 0; i < ra->n_mounts; i++)
		if (is_writable(pm, ra, &ra->mounts[i]))
			return ra->mounts[i].path;
	return NULL;
}

static char *why_no_patch(const struct update_facts *f,
			  const struct update_plan *plan)
{
	(void)plan;
	if (f->tiers & 1U << UPDATE_PATCH)
		return NULL;
	return xstrdup("this rkt does not patch running programs");
}

static char *why_no_state(const struct update_facts *f,
			  const struct update_plan *plan)
{
	(void)plan;
	if (f->tiers & 1U << UPDATE_STATE)
		return NULL;
	return xstrdup("this rkt does not carry connections and memory over");
}

static bool can_trace(const struct update_facts *f)
{
	const struct runtime_app *ra = pod_manifest_find_app(f->pod, f->app);
	const struct isolator *caps =
		ra ? isolators_find(&ra->app.isolators,
				    ISOLATOR_CAPS_RETAIN_SET)
		   : NULL;

	return f->has_all_caps ||
	       (caps && strv_has(&caps->u.caps, "CAP_SYS_PTRACE"));
}

/* Two that run at once must not get into each other's way. */
static char *why_no_handover(const struct update_facts *f,
			     const struct update_plan *plan)
{
	const char *overlap = name_values_get(
		&f->new_image->manifest.annotations, UPDATE_OVERLAP);
	const char *path;

	if (!(f->tiers & 1U << UPDATE_HANDOVER))
		return xstrdup("this rkt does not run two generations side by "
			       "side");
	if (can_trace(f))
		return xstrdup("the old one could take over the new one "
			       "(CAP_SYS_PTRACE)");
	if (overlap && strcmp(overlap, "forbidden") == 0)
		return xstrdup("the image says " UPDATE_OVERLAP "=forbidden");
	path = overlap && strcmp(overlap, "allowed") == 0
		       ? NULL
		       : writable_mount(f->pod, &plan->next);
	if (path)
		return xasprintf("it can write to the volume at %s and the "
				 "image does not say " UPDATE_OVERLAP
				 "=allowed",
				 path);
	return f->running_tier == UPDATE_RESTART ? xstrdup(f->running_why)
						 : NULL;
}

static char *why_no_restart(const struct update_facts *f,
			    const struct update_plan *plan)
{
	(void)plan;
	if (f->tiers & 1U << UPDATE_RESTART)
		return NULL;
	return xstrdup("this rkt does not restart apps");
}

static const struct {
	enum update_strategy tier;
	char *(*why_not)(const struct update_facts *f,
			 const struct update_plan *plan);
	const char *promise;
} tiers[PLAN_TIERS] = {
	{UPDATE_PATCH, why_no_patch,
	 "the running program gets the changed functions"},
	{UPDATE_STATE, why_no_state,
	 "connections and memory go to the new generation"},
	{UPDATE_HANDOVER, why_no_handover,
	 "both generations run, new connections go to the new one; restart if "
	 "the new one comes to listen at another form of an address"},
	{UPDATE_RESTART, why_no_restart,
	 "the old one stops, its listening sockets are held, then the new one "
	 "starts"},
};

/* The highest that applies, or the one that was asked for. */
static void choose_tier(const struct update_facts *f, struct update_plan *plan)
{
	for (size_t i = 0; i < PLAN_TIERS; i++) {
		struct plan_tier *t = &plan->tiers[i];

		t->tier = tiers[i].tier;
		t->reason = tiers[i].why_not(f, plan);
		if (t->reason && f->strategy == t->tier)
			strv_pushf(&plan->refusals,
				   "--strategy=%s does not apply: %s",
				   update_strategy_text(t->tier), t->reason);
		if (!t->reason && f->strategy > t->tier)
			t->reason =
				xasprintf("lower than --strategy=%s",
					  update_strategy_text(f->strategy));
		else if (!t->reason && f->strategy != UPDATE_AUTO &&
			 f->strategy != t->tier)
			t->reason =
				xasprintf("--strategy=%s asks for less",
					  update_strategy_text(f->strategy));
		t->applies = !t->reason;
		if (t->applies && plan->tier == UPDATE_AUTO)
			plan->tier = t->tier;
		if (t->applies)
			t->reason = xstrdup(tiers[i].promise);
	}
}

void update_plan_make(const struct update_facts *f, struct update_plan *plan)
{
	const struct runtime_app *old_app =
		pod_manifest_find_app(f->pod, f->app);

	plan->app = xstrdup(f->app);
	plan->from = f->from;
	plan->to = f->to;
	set_image(&plan->old_image, f->old_image, f->old_signer);
	set_image(&plan->new_image, f->new_image, f->new_signer);
	plan->is_same = !f->to && strcmp(f->old_image->id.text,
					 f->new_image->id.text) == 0;
	if (f->new_app)
		runtime_app_copy(&plan->next, f->new_app);
	check(f, old_app, plan);
	compare_lists(plan, "label", &f->old_image->manifest.labels,
		      &f->new_image->manifest.labels);
	if (f->new_app && old_app)
		compare_apps(plan, &old_app->app, &plan->next.app);
	compare_lists(plan, "annotation", &f->old_image->manifest.annotations,
		      &f->new_image->manifest.annotations);
	choose_tier(f, plan);
}

/* --- which image -----------------------------------------------------------
 */

static bool fits_host(const struct image_row *row,
		      const struct update_wanted *wanted)
{
	static const char *const names[] = {"os", "arch"};
	cleanup_name_values struct name_values want = NAME_VALUES_INIT;

	for (size_t i = 0; i < 2; i++) {
		const char *value = name_values_get(wanted->labels, names[i]);

		if (value)
			name_values_add(&want, names[i], value);
	}
	return image_labels_match(row->labels, &want);
}

/* By precedence, then by build; 0 where there is no order. */
static int compare(const char *a, const char *b)
{
	int r = semver_compare(a, b), builds = 0;

	if (r == 0 && semver_compare_builds(a, b, &builds))
		r = builds;
	return r;
}

/* What runs comes later in ROWS, or is not there any more. */
static bool is_imported_later(const struct image_rows *rows, size_t i,
			      const struct update_wanted *wanted)
{
	for (size_t j = 0; j < i; j++)
		if (wanted->id && strcmp(rows->v[j].id, wanted->id) == 0)
			return false;
	return true;
}

static bool is_higher(const struct image_rows *rows, size_t i,
		      const struct update_wanted *wanted)
{
	const char *version = rows->v[i].version;
	int builds;

	if (!semver_check(version) || strcmp(version, wanted->version) == 0)
		return false;
	if (semver_compare(version, wanted->version) == 0 &&
	    !semver_compare_builds(version, wanted->version, &builds))
		return is_imported_later(rows, i, wanted);
	return compare(version, wanted->version) > 0;
}

/* The first of several alike counts. */
static bool is_better(const struct image_rows *rows, size_t i,
		      const struct image_row *best,
		      const struct update_wanted *wanted)
{
	const char *version = rows->v[i].version;

	if (wanted->to)
		return strcmp(version, wanted->to) == 0 && !best;
	return is_higher(rows, i, wanted) &&
	       (!best || compare(version, best->version) > 0);
}

/* What the app has gone back from: who wants it all the same says so. */
static bool is_held(const struct image_row *row,
		    const struct update_wanted *wanted, struct error *why)
{
	cleanup_free char *image = xasprintf("%s:%s", row->name, row->version);
	cleanup_free char *since = NULL;

	if (wanted->skip && strv_has(wanted->skip, image))
		return true;
	if (wanted->to || !wanted->history ||
	    !history_is_held(wanted->history, wanted->app, image, &since))
		return false;
	if (!why->code)
		(void)error_set(why, EALREADY,
				"%s %s runs; %s is held since it was rolled "
				"back at %.19sZ (--to=%s tries it again)",
				wanted->name, wanted->version, row->version,
				since, row->version);
	return true;
}

static int none_found(const struct update_wanted *wanted, bool has_unsigned,
		      struct error *err)
{
	if (wanted->to && has_unsigned)
		return error_set(err, EPERM,
				 "version %s of %s is in the store, but not "
				 "signed (rkt fetch it with its signature)",
				 wanted->to, wanted->name);
	if (wanted->to)
		return error_set(err, ENOENT,
				 "no version %s of %s is in the store (rkt "
				 "fetch it first)",
				 wanted->to, wanted->name);
	return error_set(err, EALREADY,
			 "%s %s runs, and no higher version is in the store%s",
			 wanted->name, wanted->version,
			 has_unsigned ? " that is signed" : "");
}

int update_choose(const struct image_rows *rows,
		  const struct update_wanted *wanted, struct error *err)
{
	const struct image_row *best = NULL;
	struct error held = ERROR_INIT;
	bool has_unsigned = false;

	if (!wanted->to && (!wanted->version || !semver_check(wanted->version)))
		return error_set(err, EPERM,
				 "version %s of %s has no order, because it is "
				 "not SemVer: say where to go with --image or "
				 "--to",
				 wanted->version ? wanted->version : "(none)",
				 wanted->name);
	for (size_t i = 0; i < rows->n; i++) {
		const struct image_row *row = &rows->v[i];

		if (strcmp(row->name, wanted->name) != 0 ||
		    !fits_host(row, wanted) ||
		    !is_better(rows, i, best, wanted))
			continue;
		if (!*row->signer && !wanted->may_be_unsigned)
			has_unsigned = true;
		else if (!is_held(row, wanted, &held))
			best = row;
	}
	if (best)
		return (int)(best - rows->v);
	if (!held.code)
		return none_found(wanted, has_unsigned, err);
	*err = held;
	return -held.code;
}

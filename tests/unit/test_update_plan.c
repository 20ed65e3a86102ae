/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "aci/imagestore.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/history.h"
#include "spec/image_manifest.h"
#include "spec/pod_manifest.h"
#include "stage0/generation.h"
#include "stage0/update_plan.h"

/* Rows say what differs. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define N_OF(a) (sizeof(a) / sizeof(*(a)))
#define ALL_TIERS                                                              \
	(1U << UPDATE_RESTART | 1U << UPDATE_HANDOVER | 1U << UPDATE_STATE |   \
	 1U << UPDATE_PATCH)

/* MORE goes into the image manifest, APP into its app: with a comma. */
static void load_image(struct pod_image *ret, char digit, const char *name,
		       const char *version, const char *more, const char *app)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;

	memset(ret->id.text, digit, IMAGE_ID_LEN);
	memcpy(ret->id.text, IMAGE_ID_PREFIX, IMAGE_ID_PREFIX_LEN);
	strbuf_addf(&text,
		    "{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\","
		    "\"name\":\"%s\",\"labels\":[{\"name\":\"os\",\"value\":"
		    "\"linux\"},{\"name\":\"arch\",\"value\":\"%s\"}",
		    name, labels_host_arch());
	if (version)
		strbuf_addf(&text, ",{\"name\":\"version\",\"value\":\"%s\"}",
			    version);
	strbuf_addf(&text,
		    "]%s,\"app\":{\"exec\":[\"/x\"],\"user\":\"0\",\"group\":"
		    "\"0\"%s}}",
		    more, app);
	cr_assert_eq(
		image_manifest_parse(text.buf, text.len, &ret->manifest, &err),
		0, "%s: %s", err.msg, text.buf);
}

static void load_pod(struct pod_manifest *ret, const struct pod_image *image,
		     const char *more)
{
	cleanup_free char *text = xasprintf(
		"{\"acKind\":\"PodManifest\",\"acVersion\":\"0.8.11\","
		"\"apps\":[]%s}",
		more);
	struct error err = ERROR_INIT;
	struct runtime_app *ra;

	cr_assert_eq(pod_manifest_parse(text, strlen(text), ret, &err), 0, "%s",
		     err.msg);
	ra = pod_manifest_add_app(ret);
	ra->name = xstrdup("web");
	ra->has_app = true;
	app_copy(&ra->app, &image->manifest.app);
}

struct side {
	const char *name, *version, *more, *app;
};

struct setting {
	struct side from, to;
	const char *pod;
	struct update_rules rules;
	enum update_strategy strategy;
	unsigned int tiers;
};

static void make(const struct setting *s, struct update_plan *plan)
{
	cleanup_pod_image struct pod_image a = POD_IMAGE_INIT;
	cleanup_pod_image struct pod_image b = POD_IMAGE_INIT;
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_runtime_app struct runtime_app ra = RUNTIME_APP_INIT;
	struct update_facts facts = {
		.pod = &pm,
		.app = "web",
		.from = 3,
		.old_image = &a,
		.new_image = &b,
		.new_signer = "ABCD",
		.new_app = &ra,
		.rules = s->rules,
		.strategy = s->strategy,
		.tiers = s->tiers ? s->tiers : 1U << UPDATE_RESTART,
	};

	load_image(&a, 'a', s->from.name ? s->from.name : "a/x",
		   s->from.version, s->from.more ? s->from.more : "",
		   s->from.app ? s->from.app : "");
	load_image(&b, 'b', s->to.name ? s->to.name : "a/x", s->to.version,
		   s->to.more ? s->to.more : "", s->to.app ? s->to.app : "");
	load_pod(&pm, &a, s->pod ? s->pod : "");
	ra.name = xstrdup("web");
	ra.has_app = true;
	app_copy(&ra.app, &b.manifest.app);
	update_plan_make(&facts, plan);
}

/* --- refusals --------------------------------------------------------------
 */

#define PORTS                                                                  \
	",\"ports\":[{\"name\":\"http\",\"protocol\":\"tcp\",\"port\":80}]"
#define MOUNT_POINT ",\"mountPoints\":[{\"name\":\"data\",\"path\":\"/data\"}]"
#define MOUNT_POINT_RO                                                         \
	",\"mountPoints\":[{\"name\":\"data\",\"path\":\"/data\","             \
	"\"readOnly\":true}]"
#define VOLUME                                                                 \
	",\"volumes\":[{\"name\":\"data\",\"kind\":\"host\",\"source\":"       \
	"\"/srv\"}]"
#define VOLUME_RO                                                              \
	",\"volumes\":[{\"name\":\"data\",\"kind\":\"host\",\"source\":"       \
	"\"/srv\",\"readOnly\":true}]"
#define EXPOSED ",\"ports\":[{\"name\":\"http\",\"hostPort\":80}]"
#define OVERLAP(v)                                                             \
	",\"annotations\":[{\"name\":\"rkt.io/update/overlap\",\"value\":"     \
	"\"" v "\"}]"

Test(update_plan, refusals)
{
	static const struct {
		struct setting s;
		size_t n;
		const char *text;
	} rows[] = {
		{{{0, "1.0.0"}, {0, "1.0.1"}}, 0, NULL},
		{{{0, "1.9.0"}, {0, "1.10.0"}}, 0, NULL},
		{{{0, "1.0.0-rc.1"}, {0, "1.0.0"}}, 0, NULL},
		{{{0, "1.0.0"}, {0, "1.0.0"}}, 0, NULL},
		{{{0, "1.0.0+a"}, {0, "1.0.0+b"}}, 0, NULL},
		{{{0, "latest"}, {0, "latest"}}, 0, NULL},
		{{{0, NULL}, {0, NULL}}, 0, NULL},
		{{{0, NULL}, {0, "1.0.0"}}, 1, "SemVer"},
		{{{0, "1.0.0"}, {0, NULL}}, 1, "SemVer"},
		{{{0, "1.0.1"}, {0, "1.0.0"}}, 1, "--allow-downgrade"},
		{{{0, "1.10.0"}, {0, "1.9.0"}}, 1, "older"},
		{{{0, "1.0.0"}, {0, "1.0.0-rc.1"}}, 1, "older"},
		{{{0, "1.0.0"}, {0, "new"}}, 1, "SemVer"},
		{{{0, "1.0"}, {0, "1.1"}}, 1, "SemVer"},
		{{{0, "old"}, {0, "1.0.0"}}, 1, "--allow-downgrade"},
		{{{0, "1.0.1"}, {0, "1.0.0"}, .rules = {0, true}}, 0, NULL},
		{{{0, "old"}, {0, "1.0.0"}, .rules = {0, true}}, 0, NULL},
		{{{0, "1.0.0"}, {"a/y", "1.0.1"}}, 1, "--allow-rename"},
		{{{0, "1.0.0"}, {"a/y", "1.0.1"}, .rules = {true, 0}}, 0, NULL},
		/* All of them are said. */
		{{{0, "1.0.0"}, {"a/y", "0.9.0"}}, 2, "--allow-rename"},
		{{{0, "1.0.0"}, {"a/y", "0.9.0"}, .rules = {true, 0}},
		 1,
		 "older"},
		/* Ports. */
		{{{0, "1.0.0", "", PORTS}, {0, "1.0.1"}, EXPOSED},
		 1,
		 "no port http"},
		{{{0, "1.0.0", "", PORTS}, {0, "1.0.1"}}, 0, NULL},
		{{{0, "1.0.0", "", PORTS}, {0, "1.0.1", "", PORTS}, EXPOSED},
		 0,
		 NULL},
		{{{0, "1.0.0"}, {0, "1.0.1"}, EXPOSED}, 0, NULL},
		/* Volumes. */
		{{{0, "1.0.0"}, {0, "1.0.1", "", MOUNT_POINT}},
		 1,
		 "no volume for mount point \"data\""},
		{{{0, "1.0.0"}, {0, "1.0.1", "", MOUNT_POINT}, VOLUME},
		 0,
		 NULL},
		/* A tier that does not apply. */
		{{{0, "1.0.0"}, {0, "1.0.1"}, .strategy = UPDATE_HANDOVER},
		 1,
		 "--strategy=handover does not apply"},
		{{{0, "1.0.0"}, {0, "1.0.1"}, .strategy = UPDATE_RESTART},
		 0,
		 NULL},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		cleanup_update_plan struct update_plan plan = UPDATE_PLAN_INIT;

		make(&rows[i].s, &plan);
		cr_assert_eq(plan.refusals.n, rows[i].n, "row %zu: %zu (%s)", i,
			     plan.refusals.n,
			     plan.refusals.n ? plan.refusals.v[0] : "");
		if (rows[i].text)
			cr_expect(strstr(plan.refusals.v[0], rows[i].text),
				  "row %zu: %s", i, plan.refusals.v[0]);
		cr_expect_not(plan.is_same);
		cr_expect_eq(plan.from, 3);
		cr_expect_null(plan.old_image.signer);
		cr_expect_str_eq(plan.new_image.signer, "ABCD");
	}
}

/* --- tiers -----------------------------------------------------------------
 */

#define UP_TO_HANDOVER (1U << UPDATE_RESTART | 1U << UPDATE_HANDOVER)

Test(update_plan, tiers)
{
	static const struct {
		struct setting s;
		enum update_strategy tier;
		const char *why_no_handover; /* NULL = it applies */
	} rows[] = {
		{{{0}, {0}}, UPDATE_RESTART, "side by side"},
		{{{0}, {0}, .tiers = UP_TO_HANDOVER}, UPDATE_HANDOVER, NULL},
		{{{0}, {0}, .tiers = ALL_TIERS}, UPDATE_PATCH, NULL},
		{{{0}, {.more = OVERLAP("forbidden")}, .tiers = UP_TO_HANDOVER},
		 UPDATE_RESTART,
		 "overlap=forbidden"},
		{{{.more = OVERLAP("forbidden")}, {0}, .tiers = UP_TO_HANDOVER},
		 UPDATE_HANDOVER,
		 NULL},
		{{{0}, {.app = MOUNT_POINT}, VOLUME, .tiers = UP_TO_HANDOVER},
		 UPDATE_RESTART,
		 "/data"},
		{{{0},
		  {.app = MOUNT_POINT, .more = OVERLAP("allowed")},
		  VOLUME,
		  .tiers = UP_TO_HANDOVER},
		 UPDATE_HANDOVER,
		 NULL},
		{{{0},
		  {.app = MOUNT_POINT_RO},
		  VOLUME,
		  .tiers = UP_TO_HANDOVER},
		 UPDATE_HANDOVER,
		 NULL},
		{{{0},
		  {.app = MOUNT_POINT},
		  VOLUME_RO,
		  .tiers = UP_TO_HANDOVER},
		 UPDATE_HANDOVER,
		 NULL},
		{{{.app = ",\"isolators\":[{\"name\":\"os/linux/"
			  "capabilities-retain-set\",\"value\":{\"set\":"
			  "[\"CAP_SYS_PTRACE\"]}}]"},
		  {0},
		  .tiers = UP_TO_HANDOVER},
		 UPDATE_RESTART,
		 "CAP_SYS_PTRACE"},
		{{{0},
		  {0},
		  .tiers = UP_TO_HANDOVER,
		  .strategy = UPDATE_RESTART},
		 UPDATE_RESTART,
		 "--strategy=restart"},
		{{{0},
		  {.more = OVERLAP("forbidden")},
		  .tiers = UP_TO_HANDOVER,
		  .strategy = UPDATE_HANDOVER},
		 UPDATE_AUTO,
		 "overlap=forbidden"},
		{{{0}, {0}, .tiers = ALL_TIERS, .strategy = UPDATE_HANDOVER},
		 UPDATE_HANDOVER,
		 NULL},
	};
	static const enum update_strategy order[] = {
		UPDATE_PATCH, UPDATE_STATE, UPDATE_HANDOVER, UPDATE_RESTART};

	for (size_t i = 0; i < N_OF(rows); i++) {
		cleanup_update_plan struct update_plan plan = UPDATE_PLAN_INIT;
		const struct plan_tier *t;

		make(&rows[i].s, &plan);
		cr_expect_eq(plan.tier, rows[i].tier, "row %zu: %s", i,
			     update_strategy_text(plan.tier));
		for (size_t k = 0; k < PLAN_TIERS; k++) {
			cr_expect_eq(plan.tiers[k].tier, order[k]);
			cr_expect(plan.tiers[k].reason, "row %zu", i);
		}
		t = &plan.tiers[2];
		cr_expect_eq(t->applies, !rows[i].why_no_handover,
			     "row %zu: %s", i, t->reason);
		if (rows[i].why_no_handover)
			cr_expect(strstr(t->reason, rows[i].why_no_handover),
				  "row %zu: %s", i, t->reason);
	}
}

/* --- changes ---------------------------------------------------------------
 */

static void format_changes(const struct update_plan *plan, struct strbuf *out)
{
	for (size_t i = 0; i < plan->n_changes; i++) {
		const struct plan_change *c = &plan->changes[i];

		strbuf_addf(out, "%s%s%s:%s>%s\n", c->what, c->name ? " " : "",
			    c->name ? c->name : "", c->from ? c->from : "-",
			    c->to ? c->to : "-");
	}
}

Test(update_plan, changes)
{
	static const struct {
		struct setting s;
		const char *want;
	} rows[] = {
		{{{0, "1.0.0"}, {0, "1.0.0"}}, ""},
		{{{0, "1.0.0"}, {0, "1.0.1"}}, "label version:1.0.0>1.0.1\n"},
		{{{0, "1.0.0"}, {0, NULL}}, "label version:1.0.0>-\n"},
		{{{.app = ",\"environment\":[{\"name\":\"A\",\"value\":\"1\"},"
			  "{\"name\":\"B\",\"value\":\"2\"}]"},
		  {.app = ",\"environment\":[{\"name\":\"B\",\"value\":\"3\"},"
			  "{\"name\":\"C\",\"value\":\"\"}]"}},
		 "environment A:1>-\nenvironment B:2>3\nenvironment C:->\n"},
		{{{.app = PORTS}, {0}}, "port http:tcp 80>-\n"},
		{{{.app = PORTS},
		  {.app = ",\"ports\":[{\"name\":\"http\",\"protocol\":\"tcp\","
			  "\"port\":80,\"count\":3,\"socketActivated\":true}"
			  "]"}},
		 "port http:tcp 80>tcp 80-82 socket-activated\n"},
		{{{.app = MOUNT_POINT}, {.app = MOUNT_POINT_RO}, VOLUME},
		 "mount point data:/data>/data read-only\n"},
		{{{0},
		  {.app = ",\"isolators\":[{\"name\":\"os/linux/"
			  "no-new-privileges\",\"value\":true}]"}},
		 "isolator os/linux/no-new-privileges:->true\n"},
		{{{.app = ",\"isolators\":[{\"name\":\"resource/memory\","
			  "\"value\":{\"limit\":\"1G\"}}]"},
		  {.app = ",\"isolators\":[{\"name\":\"resource/memory\","
			  "\"value\":{\"limit\":\"2G\"}}]"}},
		 "isolator resource/memory:{\"limit\":\"1G\"}>{\"limit\":"
		 "\"2G\"}\n"},
		{{{0},
		  {.app = ",\"eventHandlers\":[{\"name\":\"pre-start\","
			  "\"exec\":[\"/p\",\"q\"]}],\"workingDirectory\":"
			  "\"/w\",\"supplementaryGIDs\":[4,5]"}},
		 "supplementary groups:>4,5\nworking directory:/>/w\n"
		 "event handler pre-start:->[\"/p\",\"q\"]\n"},
		{{{0}, {.more = OVERLAP("allowed")}},
		 "annotation rkt.io/update/overlap:->allowed\n"},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		cleanup_update_plan struct update_plan plan = UPDATE_PLAN_INIT;
		cleanup_strbuf struct strbuf text = STRBUF_INIT;

		make(&rows[i].s, &plan);
		format_changes(&plan, &text);
		cr_expect_str_eq(text.buf, rows[i].want, "row %zu: %s", i,
				 text.buf);
	}
}

/* --- which image -----------------------------------------------------------
 */

#define ROW(name_, version_, signer_, labels_)                                 \
	{                                                                      \
		.name = (char *)(name_), .version = (char *)(version_),        \
		.signer = (char *)(signer_), .labels = (char *)(labels_)       \
	}
#define AMD "arch=amd64,os=linux"

Test(update_plan, choose)
{
	static struct image_row stored[] = {
		ROW("a/x", "1.2.0", "K", AMD),	   /* 0 */
		ROW("a/x", "1.10.0", "K", AMD),	   /* 1: newer import */
		ROW("a/x", "1.10.0+b", "K", AMD),  /* 2 */
		ROW("a/x", "2.0.0-rc.1", "", AMD), /* 3: unsigned */
		ROW("a/y", "9.0.0", "K", AMD),	   /* 4 */
		ROW("a/x", "9.0.0", "K", "arch=aarch64,os=linux"), /* 5 */
		ROW("a/x", "latest", "K", AMD),			   /* 6 */
		ROW("a/x", "1.2.0", "K", AMD), /* 7: older import */
		ROW("a/x", "", "K", AMD),      /* 8 */
	};
	static const struct {
		const char *version, *to;
		bool may_be_unsigned;
		int result;
	} rows[] = {
		{"1.0.0", NULL, false, 2},
		{"1.0.0", NULL, true, 3},
		{"1.9.0", NULL, false, 2},
		{"1.10.0", NULL, false, 2},
		{"1.10.0+b", NULL, false, -EALREADY},
		{"1.10.0+b.1", NULL, false, -EALREADY},
		{"1.10.0+c", NULL, false, 2}, /* which is imported no more */
		{"1.10.0", NULL, true, 3},
		{"3.0.0", NULL, true, -EALREADY},
		{"latest", NULL, false, -EPERM},
		{NULL, NULL, false, -EPERM},
		{"1.10.0", "1.2.0", false, 0},
		{"1.0.0", "2.0.0-rc.1", false, -EPERM},
		{"1.0.0", "2.0.0-rc.1", true, 3},
		{"1.0.0", "latest", false, 6},
		{NULL, "latest", false, 6},
		{"1.0.0", "9.0.0", false, -ENOENT},
		{"1.0.0", "1.10", false, -ENOENT},
	};
	const struct image_rows images = {stored, N_OF(stored)};
	cleanup_name_values struct name_values labels = NAME_VALUES_INIT;

	name_values_add(&labels, "os", "linux");
	name_values_add(&labels, "arch", "amd64");
	name_values_add(&labels, "version", "1.0.0");
	for (size_t i = 0; i < N_OF(rows); i++) {
		const struct update_wanted wanted = {
			.name = "a/x",
			.labels = &labels,
			.version = rows[i].version,
			.to = rows[i].to,
			.may_be_unsigned = rows[i].may_be_unsigned,
		};
		struct error err = ERROR_INIT;
		int r = update_choose(&images, &wanted, &err);

		cr_expect_eq(r, rows[i].result, "row %zu: %d %s", i, r,
			     err.msg);
		cr_expect_eq(r < 0, err.msg[0] != '\0', "row %zu", i);
	}
}

#define BUILD(id_, version_)                                                   \
	{                                                                      \
		.id = (char *)id_, .name = (char *)"a/x",                      \
		.version = (char *)version_, .signer = (char *)"K",            \
		.labels = (char *)AMD                                          \
	}

/* What the build says counts where precedence says nothing; where that has no
 * order, the later import does. */
Test(update_plan, choose_build)
{
	static struct image_row stored[] = {
		BUILD("4", "1.0.0+gfff"),    BUILD("3", "1.0.0+gaaa"),
		BUILD("2", "1.2.3+deb12u9"), BUILD("1", "1.2.3+deb12u10"),
		BUILD("0", "1.0.0+gccc"),
	};
	static const struct {
		const char *id, *version;
		size_t first;
		int result;
	} rows[] = {
		{"2", "1.2.3+deb12u9", 0, 3},
		{"1", "1.2.3+deb12u10", 0, -EALREADY},
		{"3", "1.0.0+gaaa", 0, 3},
	};
	const struct image_rows images = {stored, N_OF(stored)};
	struct image_row hashes[] = {stored[0], stored[1], stored[4]};
	const struct image_rows unordered = {hashes, N_OF(hashes)};
	cleanup_name_values struct name_values labels = NAME_VALUES_INIT;
	struct update_wanted wanted = {.name = "a/x", .labels = &labels};
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < N_OF(rows); i++) {
		wanted.id = rows[i].id;
		wanted.version = rows[i].version;
		cr_expect_eq(update_choose(&images, &wanted, &err),
			     rows[i].result, "row %zu", i);
	}
	wanted.id = "3";
	wanted.version = "1.0.0+gaaa";
	cr_expect_eq(update_choose(&unordered, &wanted, &err), 0);
	wanted.id = "4";
	wanted.version = "1.0.0+gfff";
	cr_expect_eq(update_choose(&unordered, &wanted, &err), -EALREADY);
}

#define WENT(from_, to_, more)                                                 \
	"{\"time\":\"2026-01-02T03:04:05.000000Z\",\"app\":\"web\","           \
	"\"from\":1,\"to\":2,\"text\":\"\",\"from_image\":\"a/x:" from_ "\","  \
	"\"to_image\":\"a/x:" to_ "\"," more "}\n"
#define IS(state) "\"state\":\"" state "\""

Test(update_plan, choose_none_that_was_rolled_back)
{
	static struct image_row stored[] = {
		BUILD("3", "3.0.0"),
		BUILD("2", "2.0.0"),
		BUILD("1", "1.0.0"),
	};
	static const struct {
		const char *history, *to;
		int result;
	} rows[] = {
		{"", NULL, 0},
		{WENT("1.0.0", "3.0.0", IS("ROLLED_BACK")), NULL, 1},
		{WENT("1.0.0", "3.0.0", IS("ROLLED_BACK")), "3.0.0", 0},
		{WENT("1.0.0", "3.0.0",
		      IS("ROLLED_BACK") ",\"interrupted\":true"),
		 NULL, 0},
		{WENT("1.0.0", "3.0.0", IS("COMMITTED"))
			 WENT("3.0.0", "1.0.0",
			      IS("COMMITTED") ",\"rollback\":true"),
		 NULL, 1},
		{WENT("1.0.0", "3.0.0", IS("ROLLED_BACK"))
			 WENT("1.0.0", "3.0.0", IS("COMMITTED")),
		 NULL, 0},
		{WENT("1.0.0", "3.0.0", IS("ROLLED_BACK"))
			 WENT("1.0.0", "2.0.0", IS("ROLLED_BACK")),
		 NULL, -EALREADY},
	};
	const struct image_rows images = {stored, N_OF(stored)};
	cleanup_name_values struct name_values labels = NAME_VALUES_INIT;

	for (size_t i = 0; i < N_OF(rows); i++) {
		const struct update_wanted wanted = {
			.app = "web",
			.history = rows[i].history,
			.id = "1",
			.name = "a/x",
			.labels = &labels,
			.version = "1.0.0",
			.to = rows[i].to,
		};
		struct error err = ERROR_INIT;
		int r = update_choose(&images, &wanted, &err);

		cr_expect_eq(r, rows[i].result, "row %zu: %d %s", i, r,
			     err.msg);
		if (r == -EALREADY)
			cr_expect(strstr(err.msg,
					 "held since it was rolled "
					 "back at 2026-01-02T03:04:05Z"),
				  "%s", err.msg);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/auto_update.h"
#include "spec/name_value.h"

#define N_OF(a) (sizeof(a) / sizeof(*(a)))

Test(auto_update, mode)
{
	static const struct {
		const char *app, *pod, *image; /* NULL = does not say it */
		int result;
		enum auto_update_mode mode;
	} rows[] = {
		{NULL, NULL, NULL, 0, AUTO_UPDATE_NO},
		{"local", NULL, NULL, 0, AUTO_UPDATE_LOCAL},
		{NULL, NULL, "registry", 0, AUTO_UPDATE_REGISTRY},
		{"no", NULL, "registry", 0, AUTO_UPDATE_NO},
		{NULL, "local", "registry", 0, AUTO_UPDATE_LOCAL},
		{"registry", "local", "no", 0, AUTO_UPDATE_REGISTRY},
		{"yes", NULL, NULL, -EINVAL, AUTO_UPDATE_NO},
		{"", NULL, "local", -EINVAL, AUTO_UPDATE_NO},
		{"Local", NULL, NULL, -EINVAL, AUTO_UPDATE_NO},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		const char *const texts[] = {rows[i].app, rows[i].pod,
					     rows[i].image};
		struct name_values lists[3] = {
			NAME_VALUES_INIT, NAME_VALUES_INIT, NAME_VALUES_INIT};
		const struct name_values *const pointers[] = {
			&lists[0], &lists[1], &lists[2]};
		enum auto_update_mode mode = AUTO_UPDATE_NO;

		for (size_t j = 0; j < 3; j++)
			if (texts[j])
				name_values_add(&lists[j], AUTO_UPDATE_LABEL,
						texts[j]);
		cr_expect_eq(auto_update_mode_make(pointers, 3, &mode, NULL),
			     rows[i].result, "row %zu", i);
		cr_expect_eq(mode, rows[i].mode, "row %zu", i);
		for (size_t j = 0; j < 3; j++)
			name_values_release(&lists[j]);
	}
}

Test(auto_update, share)
{
	static const struct {
		const char *text;
		int result;
		uint32_t share;
	} rows[] = {
		{"0", 0, 0},	       {"100", 0, 10000},
		{"100%", 0, 10000},    {"12.5", 0, 1250},
		{"0.01%", 0, 1},       {"007", 0, 700},
		{"100.00", 0, 10000},  {"100.01", -EINVAL, 7},
		{"101", -EINVAL, 7},   {"", -EINVAL, 7},
		{"%", -EINVAL, 7},     {".5", -EINVAL, 7},
		{"5.", -EINVAL, 7},    {"0.001", -EINVAL, 7},
		{"1.1.1", -EINVAL, 7}, {"10%%", -EINVAL, 7},
		{"-1", -EINVAL, 7},    {"1e1", -EINVAL, 7},
		{" 1", -EINVAL, 7},    {"99999999999999999999", -EINVAL, 7},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		uint32_t share = 7;

		cr_expect_eq(
			auto_update_share_parse(rows[i].text, &share, NULL),
			rows[i].result, "\"%s\"", rows[i].text);
		cr_expect_eq(share, rows[i].share, "\"%s\": %u", rows[i].text,
			     share);
	}
}

/* Who is in the 10 % is in the 20 %; a tenth is about a tenth; and it is not
 * the same machines for each version. */
Test(auto_update, stages)
{
	static const uint32_t shares[] = {0, 1, 1000, 2000, 9999, 10000};
	size_t n[N_OF(shares)] = {0}, both = 0;

	for (unsigned int i = 0; i < 10000; i++) {
		char machine[40];
		bool before = false;

		(void)snprintf(machine, sizeof(machine),
			       "c0ffee00c0ffee00c0ffee00%08x", i);
		for (size_t j = 0; j < N_OF(shares); j++) {
			bool in = auto_update_is_in_stage(
				machine, "example.com/web:2.0.0", shares[j]);

			cr_assert(in || !before, "%s: %u", machine, shares[j]);
			before = in;
			n[j] += in;
		}
		both += auto_update_is_in_stage(
				machine, "example.com/web:2.0.0", 1000) &&
			auto_update_is_in_stage(machine,
						"example.com/web:2.0.1", 1000);
	}
	cr_expect_eq(n[0], 0);
	cr_expect(n[2] > 850 && n[2] < 1150, "%zu", n[2]);
	cr_expect(n[3] > 1800 && n[3] < 2200, "%zu", n[3]);
	cr_expect_eq(n[5], 10000);
	cr_expect(both > 50 && both < 150, "%zu", both);
	/* Machines of different versions of rkt agree on it. */
	cr_expect(auto_update_is_in_stage("a", "b:1", 4713) &&
		  !auto_update_is_in_stage("a", "b:1", 4712));
}

/* --- the record ------------------------------------------------------------
 */

#define ENTRY(to, state, more)                                                 \
	"{\"time\":\"2026-01-02T03:04:05.000000Z\",\"app\":\"web\","           \
	"\"from\":1,\"to\":2,\"state\":\"" state "\",\"text\":\"\","           \
	"\"from_image\":\"a:1.0.0\",\"to_image\":\"" to "\"" more "}\n"
#define FAILED ENTRY("a:2.0.0", "ROLLED_BACK", "")
#define BROKEN_OFF ENTRY("a:2.0.0", "ROLLED_BACK", ",\"interrupted\":true")
#define COMMITTED ENTRY("a:2.0.0", "COMMITTED", "")
#define WENT_BACK                                                              \
	"{\"time\":\"2026-01-02T03:04:06.000000Z\",\"app\":\"web\","           \
	"\"from\":2,\"to\":1,\"state\":\"COMMITTED\",\"text\":\"\","           \
	"\"from_image\":\"a:2.0.0\",\"to_image\":\"a:1.0.0\","                 \
	"\"rollback\":true}\n"

/* The same by rkt auto-update. */
#define BACK_BY_ITSELF                                                         \
	"{\"time\":\"2026-01-02T03:04:06.000000Z\",\"app\":\"web\","           \
	"\"from\":2,\"to\":1,\"state\":\"COMMITTED\",\"text\":\"\","           \
	"\"from_image\":\"a:2.0.0\",\"to_image\":\"a:1.0.0\","                 \
	"\"rollback\":true,\"who\":\"auto-update\"}\n"

/* One try of a:2.0.0, by what is known at the next run. */
Test(auto_update, what_becomes_of_a_try)
{
	static const struct {
		const char *name, *current, *before, *after, *boot;
		int64_t waited;
		const char *state; /* NULL: nothing is remembered */
		bool is_held;	   /* after one try */
		bool is_held_2;	   /* of two */
	} rows[] = {
		{"committed, too new", "a:2.0.0", "", COMMITTED, "x", 9,
		 "serving", false, false},
		{"committed", "a:2.0.0", "", COMMITTED, "x", 10, "successful",
		 false, false},
		{"failed", "a:1.0.0", "", FAILED, "x", 10, NULL, true, false},
		{"failed, host went down later", "a:1.0.0", "", FAILED, "y", 10,
		 NULL, true, false},
		{"failed twice", "a:1.0.0", FAILED, FAILED FAILED, "x", 10,
		 NULL, true, true},
		{"the pod was stopped", "a:1.0.0", "", BROKEN_OFF, "x", 10,
		 NULL, false, false},
		{"the host went down", "a:1.0.0", "", BROKEN_OFF, "y", 10,
		 "lost", true, false},
		{"the host went down the second time", "a:1.0.0", FAILED,
		 FAILED BROKEN_OFF, "y", 10, "lost", true, true},
		{"nothing was begun", "a:1.0.0", "", "", "x", 10, NULL, false,
		 false},
		{"somebody went back", "a:1.0.0", "", COMMITTED WENT_BACK, "x",
		 10, NULL, true, true},
		{"and there again", "a:2.0.0", "",
		 COMMITTED WENT_BACK COMMITTED, "x", 10, "successful", false,
		 false},
		{"a newer one runs", "a:3.0.0", "", FAILED, "x", 10, NULL, true,
		 false},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		cleanup_auto_update_record struct auto_update_record record =
			AUTO_UPDATE_RECORD_INIT;
		struct auto_update_facts facts = {
			.app = "web",
			.current = "a:1.0.0",
			.history = rows[i].before,
			.boot = "x",
			.now = 1000,
			.success_after = 10,
		};
		const struct auto_update_row *row;

		auto_update_begin(&record, &facts, "a:2.0.0");
		row = auto_update_find(&record, "web", "a:2.0.0");
		cr_assert(row && row->state == AUTO_UPDATE_TRYING);
		facts.current = rows[i].current;
		facts.history = rows[i].after;
		facts.boot = rows[i].boot;
		cr_expect(auto_update_settle(&record, &facts), "%s",
			  rows[i].name);
		facts.now += rows[i].waited;
		(void)auto_update_settle(&record, &facts);
		cr_expect(!auto_update_settle(&record, &facts), "%s",
			  rows[i].name);
		row = auto_update_find(&record, "web", "a:2.0.0");
		cr_expect_eq(row != NULL, rows[i].state != NULL, "%s",
			     rows[i].name);
		for (unsigned int tries = 1; tries <= 2; tries++) {
			cleanup_strv struct strv held = STRV_INIT;
			cleanup_strv struct strv why = STRV_INIT;

			auto_update_find_held(&record, &facts, tries, &held,
					      &why);
			cr_expect_eq(held.n, why.n);
			cr_expect_eq(strv_has(&held, "a:2.0.0"),
				     tries == 1 ? rows[i].is_held
						: rows[i].is_held_2,
				     "%s, %u tries", rows[i].name, tries);
		}
		if (row && rows[i].state) {
			cleanup_strbuf struct strbuf text = STRBUF_INIT;

			auto_update_record_write(&record, &text);
			cr_expect(strstr(text.buf, rows[i].state), "%s: %s",
				  rows[i].name, text.buf);
		}
	}
}

Test(auto_update, higher)
{
	static const struct {
		const char *image, *current;
		bool is_higher;
	} rows[] = {
		{"a:2.0.0", "a:1.0.0", true},  {"a:1.0.0", "a:1.0.0", false},
		{"a:1.0.0", "a:2.0.0", false}, {"a:10.0.0", "a:9.0.0", true},
		{"b:2.0.0", "a:1.0.0", false}, {"aa:2.0.0", "a:1.0.0", false},
		{"a", "a:1.0.0", false},       {"a:2.0.0", "a", false},
		{"a:latest", "a:1", false},
	};

	for (size_t i = 0; i < N_OF(rows); i++)
		cr_expect_eq(
			auto_update_is_higher(rows[i].image, rows[i].current),
			rows[i].is_higher, "%s %s", rows[i].image,
			rows[i].current);
}

Test(auto_update, the_last_success_is_kept)
{
	cleanup_auto_update_record struct auto_update_record record =
		AUTO_UPDATE_RECORD_INIT;
	struct auto_update_facts facts = {
		.app = "web", .current = "a:1.0.0", .history = "", .boot = "x"};

	auto_update_begin(&record, &facts, "a:2.0.0");
	facts.current = "a:2.0.0";
	(void)auto_update_settle(&record, &facts);
	auto_update_begin(&record, &facts, "a:3.0.0");
	(void)auto_update_settle(&record, &facts);
	/* Not begun, so nothing is known of 3.0.0. */
	cr_expect(!auto_update_find(&record, "web", "a:3.0.0"));
	auto_update_begin(&record, &facts, "a:3.0.0");
	facts.current = "a:3.0.0";
	facts.success_after = 10;
	(void)auto_update_settle(&record, &facts);
	cr_expect(auto_update_find(&record, "web", "a:2.0.0"));
	facts.now = 10;
	(void)auto_update_settle(&record, &facts);
	cr_expect(!auto_update_find(&record, "web", "a:2.0.0"));
	cr_expect_eq(auto_update_find(&record, "web", "a:3.0.0")->state,
		     AUTO_UPDATE_SUCCESSFUL);
}

Test(auto_update, record_text)
{
	static const char text[] =
		"{\"images\":[{\"app\":\"web\",\"image\":\"a:1\","
		"\"state\":\"lost\",\"since\":7,\"boot\":\"x\",\"failed\":1,"
		"\"lost\":2},{\"app\":\"db\",\"image\":\"b:1\","
		"\"state\":\"trying\",\"since\":8,\"failed\":0,\"lost\":0}]}\n";
	static const char *const bad[] = {
		"",
		"[]",
		"{\"images\":{}}",
		"{\"images\":[7]}",
		"{\"images\":[{}]}",
		"{\"images\":[{\"app\":\"..\",\"image\":\"a\","
		"\"state\":\"lost\"}]}",
		"{\"images\":[{\"app\":\"web\",\"image\":\"a\","
		"\"state\":\"gone\"}]}",
		"{\"images\":[{\"app\":\"web\",\"image\":\"a\","
		"\"state\":\"lost\",\"lost\":-1}]}",
	};
	cleanup_auto_update_record struct auto_update_record record =
		AUTO_UPDATE_RECORD_INIT;
	cleanup_strbuf struct strbuf out = STRBUF_INIT;

	cr_assert_eq(
		auto_update_record_parse(text, strlen(text), &record, NULL), 0);
	auto_update_record_write(&record, &out);
	cr_expect_str_eq(out.buf, text);
	for (size_t i = 0; i < N_OF(bad); i++) {
		struct auto_update_record none = AUTO_UPDATE_RECORD_INIT;

		cr_expect_lt(auto_update_record_parse(bad[i], strlen(bad[i]),
						      &none, NULL),
			     0, "%s", bad[i]);
		cr_expect_eq(none.n, 0);
	}
}

/* A version that was committed, and what is seen of it before it counts as
 * good. */
Test(auto_update, what_becomes_of_a_trial)
{
	static const struct {
		const char *name, *health;
		unsigned int restarts; /* 5 when it began to serve */
		int exit_code;	       /* 0: its end was not the pod's */
		int64_t waited;
		const char *why; /* NULL: it is well */
		bool is_good;
	} rows[] = {
		{"well", NULL, 5, 0, 9, NULL, false},
		{"well for long enough", "ok", 5, 0, 10, NULL, true},
		{"started again", NULL, 7, 0, 9, NULL, false},
		{"too often", NULL, 8, 0, 9, "started again 3 times", false},
		{"too often, seen late", NULL, 8, 0, 99,
		 "started again 3 times", false},
		{"in a new run of the pod", NULL, 2, 0, 9, NULL, false},
		{"too often there", NULL, 3, 0, 9, "started again 3 times",
		 false},
		{"health", "failing: connect: no", 5, 0, 9,
		 "its health probe fails: connect: no", false},
		{"it ended", "ok", 5, 3, 9, "it ended with exit code 3", false},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		cleanup_auto_update_record struct auto_update_record record =
			AUTO_UPDATE_RECORD_INIT;
		cleanup_strv struct strv held = STRV_INIT;
		cleanup_strv struct strv why = STRV_INIT;
		struct auto_update_facts facts = {
			.app = "web",
			.current = "a:1.0.0",
			.history = "",
			.now = 1000,
			.success_after = 10,
			.restarts = 5,
		};
		const struct auto_update_row *row;

		auto_update_begin(&record, &facts, "a:2.0.0");
		cr_expect(!auto_update_find_trial(&record, &facts));
		facts.current = "a:2.0.0";
		facts.history = COMMITTED;
		(void)auto_update_settle(&record, &facts);
		cr_assert(auto_update_find_trial(&record, &facts));
		facts.now += rows[i].waited;
		facts.health = rows[i].health;
		facts.restarts = rows[i].restarts;
		facts.has_failed = rows[i].exit_code != 0;
		facts.exit_code = rows[i].exit_code;
		(void)auto_update_settle(&record, &facts);
		cr_expect_eq(auto_update_find_trial(&record, &facts) == NULL,
			     rows[i].is_good, "%s", rows[i].name);
		cr_expect_eq(auto_update_judge(&record, &facts),
			     rows[i].why != NULL, "%s", rows[i].name);
		/* And again, when nobody went back: it counts but once. */
		cr_expect_eq(auto_update_judge(&record, &facts),
			     rows[i].why != NULL, "%s", rows[i].name);
		row = auto_update_find(&record, "web", "a:2.0.0");
		cr_assert(row);
		cr_expect_eq(row->unwell, rows[i].why ? 1 : 0);
		if (!rows[i].why)
			continue;
		cr_expect(strstr(row->why, rows[i].why), "%s: %s", rows[i].name,
			  row->why);
		facts.current = "a:1.0.0";
		facts.has_failed = false;
		facts.history = COMMITTED BACK_BY_ITSELF;
		(void)auto_update_settle(&record, &facts);
		auto_update_find_held(&record, &facts, 2, &held, &why);
		cr_expect_eq(held.n, 0, "%s", rows[i].name);
		auto_update_find_held(&record, &facts, 1, &held, &why);
		cr_assert_eq(held.n, 1, "%s", rows[i].name);
		cr_expect_str_eq(held.v[0], "a:2.0.0");
		cr_expect(strstr(why.v[0], rows[i].why), "%s", why.v[0]);
		/* Somebody puts it there himself: that lifts it. */
		facts.current = "a:2.0.0";
		(void)auto_update_settle(&record, &facts);
		cr_expect(!auto_update_find(&record, "web", "a:2.0.0"));
	}
}

/* Who asks for no trial gets none. */
Test(auto_update, no_trial)
{
	cleanup_auto_update_record struct auto_update_record record =
		AUTO_UPDATE_RECORD_INIT;
	struct auto_update_facts facts = {
		.app = "web",
		.current = "a:1.0.0",
		.history = "",
		.health = "failing: x",
	};

	auto_update_begin(&record, &facts, "a:2.0.0");
	facts.current = "a:2.0.0";
	(void)auto_update_settle(&record, &facts);
	cr_expect(!auto_update_judge(&record, &facts));
	cr_expect_eq(auto_update_find(&record, "web", "a:2.0.0")->state,
		     AUTO_UPDATE_SUCCESSFUL);
}

Test(auto_update, hold_and_release)
{
	cleanup_auto_update_record struct auto_update_record record =
		AUTO_UPDATE_RECORD_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct auto_update_record again = AUTO_UPDATE_RECORD_INIT;
	struct auto_update_facts facts = {
		.app = "web",
		.current = "a:1.0.0",
		.history = FAILED,
		.boot = "x",
	};
	cleanup_strv struct strv held = STRV_INIT;
	cleanup_strv struct strv why = STRV_INIT;

	cr_expect(auto_update_hold(&record, 7));
	cr_expect(!auto_update_hold(&record, 8));
	cr_expect_eq(record.held, 7);
	/* What failed before the release does not count, what does later
	 * does. */
	auto_update_release(&record, "2026-01-02T03:04:05.000000Z");
	cr_expect_eq(record.held, 0);
	auto_update_find_held(&record, &facts, 1, &held, &why);
	cr_expect_eq(held.n, 0);
	auto_update_release(&record, "2026-01-02T03:04:04.999999Z");
	auto_update_find_held(&record, &facts, 1, &held, &why);
	cr_expect_eq(held.n, 1);
	/* The same of what is only in the record. */
	strv_release(&held);
	facts.history = "";
	auto_update_begin(&record, &facts, "a:2.0.0");
	facts.boot = "y";
	(void)auto_update_settle(&record, &facts);
	auto_update_find_held(&record, &facts, 1, &held, &why);
	cr_expect_eq(held.n, 1);
	auto_update_release(&record, "2026-01-02T03:04:05.000000Z");
	strv_release(&held);
	auto_update_find_held(&record, &facts, 1, &held, &why);
	cr_expect_eq(held.n, 0);
	(void)auto_update_hold(&record, 9);
	auto_update_record_write(&record, &text);
	cr_expect_str_eq(text.buf,
			 "{\"held\":9,\"released\":\"2026-01-02T03:04:05."
			 "000000Z\",\"images\":[]}\n");
	cr_assert_eq(auto_update_record_parse(text.buf, text.len, &again, NULL),
		     0);
	cr_expect_eq(again.held, 9);
	cr_expect_str_eq(again.released, record.released);
	auto_update_record_release(&again);
}

/* Images that only their IDs tell apart. */
#define TAG(from, to, state, more)                                             \
	"{\"time\":\"2026-01-02T03:04:05.000000Z\",\"app\":\"web\","           \
	"\"from\":1,\"to\":2,\"state\":\"" state "\",\"text\":\"\","           \
	"\"from_image\":\"r/a:v1\",\"to_image\":\"r/a:v1\","                   \
	"\"from_id\":\"sha512-" from "\",\"to_id\":\"sha512-" to "\"" more     \
	"}\n"

Test(auto_update, a_tag_that_moves)
{
	static const struct {
		const char *name, *current, *history;
		const char *held; /* NULL: nothing is */
	} rows[] = {
		{"it failed", "sha512-a", TAG("a", "b", "ROLLED_BACK", ""),
		 "sha512-b"},
		{"it was committed", "sha512-b", TAG("a", "b", "COMMITTED", ""),
		 NULL},
		{"the tag went back", "sha512-a",
		 TAG("a", "b", "COMMITTED", "") TAG("b", "a", "COMMITTED", ""),
		 NULL},
		{"somebody went back", "sha512-a",
		 TAG("a", "b", "COMMITTED", "")
			 TAG("b", "a", "COMMITTED", ",\"rollback\":true"),
		 "sha512-b"},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		cleanup_auto_update_record struct auto_update_record record =
			AUTO_UPDATE_RECORD_INIT;
		cleanup_strv struct strv held = STRV_INIT;
		cleanup_strv struct strv why = STRV_INIT;
		const struct auto_update_facts facts = {
			.app = "web",
			.current = rows[i].current,
			.history = rows[i].history,
		};

		auto_update_find_held(&record, &facts, 1, &held, &why);
		for (size_t j = 0; j < held.n; j++)
			cr_expect(
				strncmp(held.v[j], "sha512-", 7) != 0 ||
					(rows[i].held &&
					 strcmp(held.v[j], rows[i].held) == 0),
				"%s: %s", rows[i].name, held.v[j]);
		cr_expect_eq(rows[i].held && strv_has(&held, rows[i].held),
			     rows[i].held != NULL, "%s", rows[i].name);
	}
}

Test(auto_update, unsigned_from)
{
	static const struct {
		const char *from, *name;
		bool may;
	} rows[] = {
		{"r.example.com", "r.example.com/a", true},
		{"r.example.com/", "r.example.com/a", true},
		{"r.example.com", "r.example.com.evil.org/a", false},
		{"r.example.com", "r.example.com:5000/a", false},
		{"r.example.com/team", "r.example.com/team/a", true},
		{"r.example.com/team", "r.example.com/team", true},
		{"r.example.com/team", "r.example.com/teams/a", false},
		{"r.example.com/team/a", "r.example.com/team", false},
		{"/", "r.example.com/team", false},
	};
	cleanup_free char *text =
		auto_update_tag_text("v1", "sha512-0123456789abcdef");

	for (size_t i = 0; i < N_OF(rows); i++) {
		cleanup_strv struct strv from = STRV_INIT;

		strv_push(&from, rows[i].from);
		cr_expect_eq(auto_update_may_be_unsigned(&from, rows[i].name),
			     rows[i].may, "%s %s", rows[i].from, rows[i].name);
	}
	cr_expect_str_eq(text, "v1@sha512-0123456789ab");
}

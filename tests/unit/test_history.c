/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "spec/history.h"
#include "stage0/update.h"
#include "stage1/journal.h"

#define LINE(app, from, to, state)                                             \
	"{\"time\":\"t\",\"app\":\"" app "\",\"from\":" #from ",\"to\":" #to   \
	",\"state\":\"" state "\",\"text\":\"x\"}\n"
#define CLOSED(app, from, to, final)                                           \
	"{\"time\":\"t\",\"app\":\"" app "\",\"from\":" #from ",\"to\":" #to   \
	",\"state\":\"" final                                                  \
	"\",\"text\":\"x\",\"states\":[{\"state\":\"" final "\",\"us\":0}]}\n"
#define BACK(app, from, to, state)                                             \
	"{\"time\":\"t\",\"app\":\"" app "\",\"from\":" #from ",\"to\":" #to   \
	",\"state\":\"" state "\",\"text\":\"x\",\"rollback\":true}\n"

static char dir_path[64];
static int dir;

static void make_dir(void)
{
	strcpy(dir_path, "/tmp/test-journal.XXXXXX");
	cr_assert(mkdtemp(dir_path));
	dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(dir, 0);
	cr_assert_eq(mkdirat(dir, "appsinfo", 0755), 0);
	cr_assert_eq(mkdirat(dir, "generations", 0755), 0);
	cr_assert_eq(mkdirat(dir, "generations/web", 0755), 0);
	cr_assert_eq(mkdirat(dir, "generations/web/1", 0755), 0);
	cr_assert_eq(mkdirat(dir, "generations/web/2", 0755), 0);
	cr_assert_eq(symlinkat("../generations/web/1", dir, "appsinfo/web"), 0);
}

static void remove_dir(void)
{
	cr_assert_eq(close(dir), 0);
	cr_assert_eq(remove_tree_at(AT_FDCWD, dir_path, NULL), 0);
}

TestSuite(journal, .init = make_dir, .fini = remove_dir);

static char *content(const char *name)
{
	struct strbuf text = STRBUF_INIT;

	if (read_file_at(dir, name, 1 << 20, &text, NULL) < 0) {
		strbuf_release(&text);
		return NULL;
	}
	return strbuf_detach(&text);
}

static void put(const char *name, const char *text)
{
	cr_assert_eq(write_string_at(dir, name, 0644, text, NULL), 0);
}

static unsigned int lines(const char *text)
{
	unsigned int n = 0;

	for (; text && *text; text++)
		n += *text == '\n';
	return n;
}

Test(history, parse)
{
	static const struct {
		const char *line;
		bool ok;
	} rows[] = {
		{LINE("web", 1, 2, "STAGED"), true},
		{LINE("web", 0, 1, "COMMITTED"), true},
		{LINE("web", 1, 4294967295, "ROLLED_BACK"), true},
		{"", false},
		{"\n", false},
		{"{}", false},
		{"[]", false},
		{"null", false},
		{LINE("web", 1, 2, "UNKNOWN"), false},
		{LINE("web", 1, 2, ""), false},
		{LINE("../x", 1, 2, "STAGED"), false},
		{LINE("", 1, 2, "STAGED"), false},
		{LINE("web", 1, -2, "STAGED"), false},
		{LINE("web", 1, 0, "STAGED"), false},
		{LINE("web", 1, 4294967296, "STAGED"), false},
		{LINE("web", 1, "2", "STAGED"), false},
		{"{\"time\":\"t\",\"app\":\"web\",\"from\":1,\"to\":2", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct history_entry e;
		bool ok = history_line_parse(rows[i].line, strlen(rows[i].line),
					     &e);

		cr_expect_eq(ok, rows[i].ok, "%s", rows[i].line);
		history_entry_release(&e);
	}
}

Test(history, a_line_reads_as_it_was_written)
{
	cleanup_strbuf struct strbuf line = STRBUF_INIT;
	cleanup_history_entry struct history_entry e = HISTORY_ENTRY_INIT;
	struct history_event event = {
		.app = "web", .text = "a \"b\"\n\033", .from = 7, .to = 8};

	for (unsigned int s = UPDATE_PLANNED; s <= UPDATE_ROLLED_BACK; s++) {
		strbuf_reset(&line);
		event.state = s;
		event.rollback = s % 2;
		history_line_make(&event, &line);
		cr_assert_eq(lines(line.buf), 1);
		cr_assert(history_line_parse(line.buf, line.len, &e));
		cr_assert_eq(e.state, s);
		cr_assert_eq(e.rollback, s % 2);
		cr_assert_eq(e.from, 7);
		cr_assert_eq(e.to, 8);
		cr_assert_str_eq(e.app, "web");
		cr_assert_str_eq(e.text, "a \"b\"\n\033");
		history_entry_release(&e);
	}
	cr_assert_str_eq(update_state_text(0), "UNKNOWN");
	cr_assert_str_eq(update_state_text(99), "UNKNOWN");
}

Test(history, the_line_of_a_closed_journal_says_all)
{
	static const char journal[] =
		"{\"time\":\"t1\",\"app\":\"web\",\"from\":1,\"to\":2,"
		"\"state\":"
		"\"PLANNED\",\"text\":\"x\",\"who\":\"root\",\"tier\":"
		"\"restart\",\"from_image\":\"a/w:1\",\"us\":10}\n"
		"{\"time\":\"t1\",\"app\":\"db\",\"from\":4,\"to\":5,\"state\":"
		"\"PLANNED\",\"text\":\"x\",\"us\":11}\n"
		"garbage\n"
		"{\"time\":\"t2\",\"app\":\"web\",\"from\":1,\"to\":2,"
		"\"state\":"
		"\"STAGED\",\"text\":\"y\",\"to_image\":\"a/w:2\",\"us\":20}\n"
		"{\"time\":\"t3\",\"app\":\"web\",\"from\":1,\"to\":2,"
		"\"state\":"
		"\"COMMITTED\",\"text\":\"z\",\"us\":30,\"switch_us\":7,"
		"\"lost\":0}\n"
		"{\"time\":\"t4\",\"app\":\"web\",\"from\":1,\"to\":2";
	static const char want[] =
		"{\"time\":\"t3\",\"app\":\"web\",\"from\":1,\"to\":2,"
		"\"state\":"
		"\"COMMITTED\",\"text\":\"z\",\"who\":\"root\",\"from_image\":"
		"\"a/w:1\",\"to_image\":\"a/"
		"w:2\",\"tier\":\"restart\",\"us\":30,"
		"\"switch_us\":7,\"lost\":0,\"states\":["
		"{\"state\":\"PLANNED\",\"us\":10},{\"state\":\"STAGED\","
		"\"us\":"
		"20},{\"state\":\"COMMITTED\",\"us\":30}]}\n"
		"{\"time\":\"t1\",\"app\":\"db\",\"from\":4,\"to\":5,\"state\":"
		"\"PLANNED\",\"text\":\"x\",\"us\":11,\"states\":[{\"state\":"
		"\"PLANNED\",\"us\":11}]}\n";
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	cleanup_history_entry struct history_entry e = HISTORY_ENTRY_INIT;

	history_close_make(journal, strlen(journal), &out);
	cr_assert_str_eq(out.buf, want);
	cr_assert(history_line_parse(out.buf, strcspn(out.buf, "\n"), &e));
	cr_expect_eq(e.n_steps, 3);
	cr_expect_eq(e.steps[1].state, UPDATE_STAGED);
	cr_expect_eq(e.steps[1].us, 20);
	cr_expect_eq(e.tier, UPDATE_RESTART);
	cr_expect_eq(e.counts.switch_us, 7);
	cr_expect_eq(e.counts.lost, 0);
	cr_expect_eq(e.counts.moved, UPDATE_NOT_COUNTED);
	strbuf_reset(&out);
	history_close_make("torn", 4, &out);
	cr_expect_eq(out.len, 0);
}

Test(history, who_ran_and_what_was_before)
{
	static const char text[] = LINE("web", 1, 2, "COMMITTED")
		LINE("web", 2, 3, "ROLLED_BACK") "garbage\n" LINE(
			"db", 1, 9, "COMMITTED") LINE("web", 2, 4, "COMMITTED")
			LINE("web", 4, 2, "COMMITTED");

	cr_expect(history_has_run(text, "web", 1));
	cr_expect(history_has_run(text, "web", 2));
	cr_expect_not(history_has_run(text, "web", 3));
	cr_expect(history_has_run(text, "web", 4));
	cr_expect_not(history_has_run(text, "web", 9));
	cr_expect(history_has_run(text, "db", 9));
	cr_expect_eq(history_previous(text, "web", 2), 4);
	cr_expect_eq(history_previous(text, "web", 4), 2);
	cr_expect_eq(history_previous(text, "web", 3), 0);
	cr_expect_eq(history_previous("", "web", 1), 0);
}

/* One goes back further each time, and there is no going round. */
Test(history, rollbacks_change_nothing_of_what_was_before)
{
	static const char text[] = LINE("web", 1, 2, "COMMITTED")
		LINE("web", 2, 3, "COMMITTED") BACK("web", 3, 2, "COMMITTED")
			BACK("web", 2, 1, "COMMITTED")
				BACK("web", 1, 3, "COMMITTED");

	cr_expect(history_has_run(text, "web", 3));
	cr_expect_eq(history_previous(text, "web", 3), 2);
	cr_expect_eq(history_previous(text, "web", 2), 1);
	cr_expect_eq(history_previous(text, "web", 1), 0);
}

Test(journal, committed)
{
	struct history_event event = {
		.app = "web", .text = "x", .from = 1, .to = 2};
	char *history, *journal;

	for (int s = UPDATE_PLANNED; s < UPDATE_COMMITTED; s++) {
		event.state = s;
		cr_assert_eq(journal_append(dir, &event, NULL), 0);
	}
	journal = content("update.journal");
	cr_assert(journal);
	cr_assert_eq(lines(journal), UPDATE_COMMITTED - UPDATE_PLANNED);
	cr_assert_eq(journal_committed(dir, "web"), 1);
	cr_assert_eq(journal_commit(dir, "web", 2, NULL), 0);
	cr_assert_eq(journal_committed(dir, "web"), 2);
	event.state = UPDATE_COMMITTED;
	cr_assert_eq(journal_append(dir, &event, NULL), 0);
	cr_assert_eq(journal_close(dir, NULL), 0);
	cr_assert_eq(faccessat(dir, "update.journal", F_OK, 0), -1);
	history = content("history");
	cr_assert(history);
	cr_assert_eq(lines(history), 1);
	cr_assert(strstr(history, "COMMITTED"));
	cr_assert(journal_has_run(dir, "web", 1));
	cr_assert(journal_has_run(dir, "web", 2));
	free(history);
	free(journal);
}

/* What a stage1 that was killed may have left, and what comes of it. */
Test(journal, recover)
{
	static const struct {
		const char *journal, *history;
		unsigned int link;
		const char *last; /* of the history; NULL = no history */
		unsigned int n;	  /* its lines */
		bool has_2;
	} rows[] = {
		{LINE("web", 1, 2, "PLANNED"), NULL, 1, "ROLLED_BACK", 1,
		 false},
		{LINE("web", 1, 2, "PLANNED") LINE("web", 1, 2, "OBSERVED"),
		 NULL, 1, "ROLLED_BACK", 1, false},
		/* Killed between the link and the line. */
		{LINE("web", 1, 2, "OBSERVED"), NULL, 2, "COMMITTED", 1, true},
		{LINE("web", 1, 2, "COMMITTED"), NULL, 2, "COMMITTED", 1, true},
		/* Killed between the history and the journal's end. */
		{LINE("web", 1, 2, "COMMITTED"),
		 CLOSED("web", 1, 2, "COMMITTED"), 2, "COMMITTED", 1, true},
		{LINE("web", 1, 2, "ROLLED_BACK"), NULL, 1, "ROLLED_BACK", 1,
		 true},
		/* A line that was not written whole. */
		{LINE("web", 1, 2, "STAGED") "{\"time\":\"t\",\"app\":\"we",
		 NULL, 1, "ROLLED_BACK", 1, false},
		{LINE("web", 1, 2, "STAGED") "{",
		 LINE("db", 1, 2, "COMMITTED") "{\"torn", 1, "ROLLED_BACK", 3,
		 false},
		{"{\"time\":\"t\",\"app\":\"we", NULL, 1, NULL, 0, true},
		{"", NULL, 1, NULL, 0, true},
		{"\n\n\n", NULL, 1, NULL, 0, true},
		{"garbage\n", NULL, 1, NULL, 0, true},
		{LINE("..", 1, 2, "STAGED"), NULL, 1, NULL, 0, true},
		/* Going back: 2 served before, so it stays. */
		{LINE("web", 1, 2, "STARTED"), LINE("web", 2, 1, "COMMITTED"),
		 1, "ROLLED_BACK", 2, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *history;
		const char *last = NULL;

		(void)mkdirat(dir, "generations/web/2", 0755);
		(void)unlinkat(dir, "history", 0);
		put("update.journal", rows[i].journal);
		if (rows[i].history)
			put("history", rows[i].history);
		cr_assert_eq(journal_commit(dir, "web", rows[i].link, NULL), 0);
		cr_assert_eq(journal_recover(dir, true, NULL), 0, "row %zu", i);
		cr_assert_eq(journal_recover(dir, true, NULL), 0, "row %zu", i);
		cr_expect_eq(faccessat(dir, "update.journal", F_OK, 0), -1);
		cr_expect_eq(faccessat(dir, "generations/web/2", F_OK, 0) == 0,
			     rows[i].has_2, "row %zu", i);
		cr_expect_eq(faccessat(dir, "generations/web/1", F_OK, 0), 0);
		history = content("history");
		if (history)
			last = strrchr(history, '{');
		if (!rows[i].last) {
			cr_expect_null(history, "row %zu", i);
		} else {
			cr_assert(last, "row %zu", i);
			cr_expect(strstr(last, rows[i].last), "row %zu: %s", i,
				  history);
			cr_expect_eq(lines(history), rows[i].n, "row %zu: %s",
				     i, history);
		}
		free(history);
	}
}

/* Of several apps all are committed, or none. */
Test(journal, recover_several)
{
	static const struct {
		const char *journal;
		unsigned int web, db; /* links, before and after */
		unsigned int web_after, db_after;
	} rows[] = {
		{LINE("web", 1, 2, "OBSERVED") LINE("db", 1, 2, "OBSERVED"), 1,
		 1, 1, 1},
		/* Killed between the two links. */
		{LINE("web", 1, 2, "OBSERVED") LINE("db", 1, 2, "OBSERVED"), 2,
		 1, 2, 2},
		{LINE("web", 1, 2, "OBSERVED") LINE("db", 1, 2, "OBSERVED"), 2,
		 2, 2, 2},
		{LINE("web", 1, 2, "OBSERVED") LINE("db", 1, 2, "OBSERVED")
			 LINE("web", 1, 2, "COMMITTED"),
		 2, 2, 2, 2},
		{LINE("web", 1, 2, "OBSERVED") LINE("db", 1, 2, "SWITCHED"), 1,
		 1, 1, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *history;

		(void)unlinkat(dir, "history", 0);
		put("update.journal", rows[i].journal);
		cr_assert_eq(journal_commit(dir, "web", rows[i].web, NULL), 0);
		cr_assert_eq(journal_commit(dir, "db", rows[i].db, NULL), 0);
		cr_assert_eq(journal_recover(dir, true, NULL), 0, "row %zu", i);
		cr_expect_eq(journal_committed(dir, "web"), rows[i].web_after,
			     "row %zu", i);
		cr_expect_eq(journal_committed(dir, "db"), rows[i].db_after,
			     "row %zu", i);
		history = content("history");
		cr_assert(history, "row %zu", i);
		cr_expect_eq(lines(history), 2, "row %zu: %s", i, history);
		free(history);
	}
}

Test(journal, stale_generations)
{
	unsigned int n;

	cr_assert_eq(mkdirat(dir, "generations/web/3", 0755), 0);
	put("history",
	    LINE("web", 2, 1, "COMMITTED") LINE("web", 1, 7, "ROLLED_BACK"));
	cr_assert_eq(update_next_number(dir, "web", &n, NULL), 0);
	cr_expect_eq(n, 8);
	cr_assert_eq(update_remove_stale(dir, "web", NULL), 0);
	cr_expect_eq(faccessat(dir, "generations/web/3", F_OK, 0), -1);
	cr_expect_eq(faccessat(dir, "generations/web/2", F_OK, 0), 0);
	cr_expect_eq(faccessat(dir, "generations/web/1", F_OK, 0), 0);
	cr_assert_eq(update_find_previous(dir, "web", &n, NULL), -ENOENT);
	cr_assert_eq(update_note_change(dir, "web", 1, 8, NULL), 0);
	cr_expect(journal_has_run(dir, "web", 8));
}

/* What is known only when the old one has gone is no state of its own. */
Test(history, a_state_noted_again)
{
	static const char journal[] = LINE("web", 1, 2, "OBSERVED")
		LINE("web", 1, 2, "COMMITTED") LINE("web", 1, 2, "COMMITTED");
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct history_entry e;
	char *next;

	history_close_make(journal, strlen(journal), &out);
	next = out.buf;
	cr_assert(history_next(&next, &e));
	cr_expect_eq(e.n_steps, 2);
	history_entry_release(&e);
}

Test(history, keep_parse)
{
	cr_expect_eq(history_keep_parse("0\n"), 0);
	cr_expect_eq(history_keep_parse("1000"), 1000);
	cr_expect_eq(history_keep_parse("1001\n"), UPDATE_KEEP);
	cr_expect_eq(history_keep_parse("-1\n"), UPDATE_KEEP);
	cr_expect_eq(history_keep_parse(""), UPDATE_KEEP);
	cr_expect_eq(history_keep_parse(NULL), UPDATE_KEEP);
}

/* One directory for each generation, and nothing kept but what the chain of
 * updates leads back to. */
Test(journal, collect)
{
	static const struct {
		unsigned int keep;
		const char *left;
	} rows[] = {
		{9, "12.4.6"}, {3, "12.4.6"}, {2, ".2.4.6"},
		{1, "...4.6"}, {0, ".....6"}, {5, ".....6"},
	};

	for (unsigned int n = 1; n <= 6; n++) {
		cleanup_free char *path = xasprintf("generations/web/%u", n);
		cleanup_free char *id = xasprintf("%s/treeStoreID", path);

		(void)mkdirat(dir, path, 0755);
		put(id, "sha512-x");
	}
	/* 3 and 5 were gone back from. */
	put("history",
	    LINE("web", 1, 2, "COMMITTED") LINE("web", 2, 3, "COMMITTED") BACK(
		    "web", 3, 2, "COMMITTED") LINE("web", 2, 4, "COMMITTED")
		    LINE("web", 4, 5, "COMMITTED")
			    BACK("web", 5, 4, "COMMITTED")
				    LINE("web", 4, 6, "COMMITTED"));
	cr_assert_eq(journal_commit(dir, "web", 6, NULL), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cr_assert_eq(journal_set_keep(dir, rows[i].keep, NULL), 0);
		cr_expect_eq(update_keep(dir), rows[i].keep);
		if (i % 2)
			cr_assert_eq(update_collect(dir, "web", NULL), 0);
		else
			cr_assert_eq(journal_collect(dir, "web", NULL), 0);
		for (unsigned int n = 1; n <= 6; n++) {
			cleanup_free char *path =
				xasprintf("generations/web/%u", n);

			cr_expect_eq(faccessat(dir, path, F_OK, 0) == 0,
				     rows[i].left[n - 1] != '.', "keep %u: %u",
				     rows[i].keep, n);
		}
	}
	cr_expect_eq(update_find_generation(dir, "web", 1, NULL), -ENOENT);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "stage0/logs.h"
#include "stage0/pod.h"

Test(logs, record)
{
	static const struct {
		const char *line;
		const char *text; /* NULL: none */
		bool is_partial;
	} tests[] = {
		{"2026-01-02T03:04:05.000000006Z stdout F a b ", "a b ", false},
		{"2026-01-02T03:04:05.000000006Z stderr P x", "x", true},
		{"2026-01-02T03:04:05.000000006Z stdout F ", "", false},
		{"2026-01-02T03:04:05.000000006Z stdout F", NULL, false},
		{"2026-01-02T03:04:05.000000006Z stdout X a", NULL, false},
		{"2026-01-02T03:04:05.000000006Z  F a", NULL, false},
		{"", NULL, false},
		{"   ", NULL, false},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		struct log_record record;
		int r = log_record_parse(tests[i].line, strlen(tests[i].line),
					 &record);

		cr_expect_eq(r, tests[i].text ? 0 : -EINVAL, "%s",
			     tests[i].line);
		if (r < 0 || !tests[i].text)
			continue;
		cr_expect_eq(record.text_len, strlen(tests[i].text));
		cr_expect_eq(
			memcmp(record.text, tests[i].text, record.text_len), 0);
		cr_expect_eq(record.is_partial, tests[i].is_partial);
	}
}

static char dir[32];
static struct pod pod;

static void setup(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/rkt-logs-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	pod = (struct pod){.fd = open(dir, O_RDONLY | O_DIRECTORY)};
	cr_assert_geq(pod.fd, 0);
	cr_assert_eq(mkdirat(pod.fd, "logs", 0755), 0);
}

static void teardown(void)
{
	pod_close(&pod);
	cr_assert_eq(remove_tree_at(AT_FDCWD, dir, NULL), 0);
}

/* Times are one digit here: only their order counts. */
static void append(const char *file, const char *text)
{
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/logs/%s", dir, file);
	f = fopen(path, "a");
	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

static void rotate(const char *from, const char *to)
{
	char a[64], b[64];

	(void)snprintf(a, sizeof(a), "%s/logs/%s", dir, from);
	(void)snprintf(b, sizeof(b), "%s/logs/%s", dir, to);
	cr_assert_eq(rename(a, b), 0);
}

static void expect_more(struct logs *logs, const char *text)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;

	cr_assert_eq(logs_read(logs, &out, NULL), 0);
	cr_expect_str_eq(out.buf, text);
}

Test(logs, rotated_and_merged, .init = setup, .fini = teardown)
{
	struct strv apps = STRV_INIT;
	struct logs *logs;

	strv_push(&apps, "a");
	strv_push(&apps, "b");
	append("a.2", "1 stdout F one\n2 stdout P two-\n");
	append("a.1", "3 stdout F and-a-half\nnonsense\n");
	append("a", "6 stdout F six\n");
	append("b", "4 stderr F four\n5 stdout F five\n");
	cr_assert_eq(logs_open(&pod, &apps, &logs, NULL), 0);
	expect_more(logs, "[1] a: one\n[3] a: two-and-a-half\n[4] b: four\n"
			  "[5] b: five\n[6] a: six\n");
	expect_more(logs, "");
	/* What comes later, over two rotations. */
	append("a", "7 stdout F seven\n8 stdout F eig");
	expect_more(logs, "[7] a: seven\n");
	append("a", "ht\n9 stdout F nine\n");
	rotate("a.1", "a.2");
	rotate("a", "a.1");
	append("a", "A stdout F ten\n");
	rotate("a.1", "a.2");
	rotate("a", "a.1");
	append("a", "B stdout F eleven\n");
	expect_more(logs, "[8] a: eight\n[9] a: nine\n[A] a: ten\n"
			  "[B] a: eleven\n");
	logs_free(logs);
	strv_release(&apps);
}

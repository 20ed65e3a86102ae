/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "spec/probe.h"

Test(probe, forms)
{
	static const struct {
		const char *text;
		enum probe_kind kind;
		uint16_t port;
		const char *path;
		const char *exec[4];
	} rows[] = {
		{"tcp", PROBE_TCP, 0, NULL, {0}},
		{"tcp:80", PROBE_TCP, 80, NULL, {0}},
		{"tcp:65535", PROBE_TCP, 65535, NULL, {0}},
		{"http:/", PROBE_HTTP, 0, "/", {0}},
		{"http:/a/b?c=d", PROBE_HTTP, 0, "/a/b?c=d", {0}},
		{"http:8080/live", PROBE_HTTP, 8080, "/live", {0}},
		{"exec:/bin/true", PROBE_EXEC, 0, NULL, {"/bin/true"}},
		{"exec: a  b\tc ", PROBE_EXEC, 0, NULL, {"a", "b", "c"}},
		{"exec:sh -c 'exit 3'",
		 PROBE_EXEC,
		 0,
		 NULL,
		 {"sh", "-c", "exit 3"}},
		{"exec:a \"b \\\" 'c'\" d\\ e",
		 PROBE_EXEC,
		 0,
		 NULL,
		 {"a", "b \" 'c'", "d e"}},
		{"exec:a '' x\"y\"'z'", PROBE_EXEC, 0, NULL, {"a", "", "xyz"}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct probe probe = PROBE_INIT;
		struct error err = ERROR_INIT;
		size_t n = 0;

		cr_expect_eq(probe_parse(rows[i].text, &probe, &err), 0,
			     "%s: %s", rows[i].text, err.msg);
		cr_expect_eq(probe.kind, rows[i].kind, "%s", rows[i].text);
		cr_expect_eq(probe.port, rows[i].port, "%s", rows[i].text);
		if (rows[i].path)
			cr_expect_str_eq(probe.path, rows[i].path);
		else
			cr_expect_null(probe.path, "%s", rows[i].text);
		while (n < 4 && rows[i].exec[n])
			n++;
		cr_assert_eq(probe.exec.n, n, "%s", rows[i].text);
		for (size_t k = 0; k < n; k++)
			cr_expect_str_eq(probe.exec.v[k], rows[i].exec[k]);
		probe_release(&probe);
	}
}

Test(probe, refused)
{
	static const char *const rows[] = {
		"",
		"udp",
		"TCP",
		"tcp ",
		"tcp:",
		"tcp:0",
		"tcp:65536",
		"tcp:80x",
		"tcp:-1",
		"http",
		"http:",
		"http:80",
		"http:0/",
		"http:x/",
		"http:/a b",
		"http:/a\r\nX: y",
		"http:/\xc3\xa4",
		"exec:",
		"exec:  ",
		"exec:''",
		"exec:a 'b",
		"exec:a \"b",
		"exec:a \\",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct probe probe = PROBE_INIT;
		struct error err = ERROR_INIT;

		cr_expect_eq(probe_parse(rows[i], &probe, &err), -EINVAL, "%s",
			     rows[i]);
		cr_expect_neq(err.msg[0], '\0', "%s", rows[i]);
		cr_expect_eq(probe.kind, PROBE_NONE, "%s", rows[i]);
	}
}

Test(probe, too_long)
{
	char text[PROBE_TEXT_MAX + 1];
	struct probe probe = PROBE_INIT;

	memset(text, 'a', sizeof(text));
	memcpy(text, "exec:", 5);
	text[PROBE_TEXT_MAX] = '\0';
	cr_expect_eq(probe_parse(text, &probe, NULL), -EINVAL);
	text[PROBE_TEXT_MAX - 1] = '\0';
	cr_expect_eq(probe_parse(text, &probe, NULL), 0);
	probe_release(&probe);
}

Test(probe, answers)
{
	static const struct {
		const char *text;
		int result;
	} rows[] = {
		{"", 0},
		{"H", 0},
		{"HTTP/1.1 200 OK", 0},
		{"HTTP/1.1 200 OK\r\n", 0},
		{"HTTP/1.1 200 OK\r\nA: b\r\n", 0},
		{"HTTP/1.1 200 OK\r\n\r\n", 200},
		{"HTTP/1.0 200 OK\r\nA: b\r\n\r\nbody", 200},
		{"HTTP/1.0 204\r\n\r\n", 204},
		{"HTTP/1.0 302 \n\n", 302},
		{"HTTP/1.1 500 Oh no\r\n\r\n", 500},
		{"HTTP/1.1 99 x\r\n\r\n", -EBADMSG},
		{"HTTP/1.1 600 x\r\n\r\n", -EBADMSG},
		{"HTTP/1.1 2000\r\n\r\n", -EBADMSG},
		{"HTTP/1.1 2x0 OK\r\n\r\n", -EBADMSG},
		{"HTTP/2 200 OK\r\n\r\n", -EBADMSG},
		{"HTTP/1.1\r\n\r\n", -EBADMSG},
		{"\n\n", -EBADMSG},
		{"SSH-2.0-OpenSSH", -EBADMSG},
		{"+PONG\r\n", -EBADMSG},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(
			probe_answer_parse(rows[i].text, strlen(rows[i].text)),
			rows[i].result, "row %zu: %s", i, rows[i].text);
}

Test(probe, answers_end)
{
	static char text[PROBE_ANSWER_MAX + 1] = "HTTP/1.1 200 OK\r\nA: ";

	memset(text + 20, 'a', sizeof(text) - 20);
	cr_expect_eq(probe_answer_parse(text, PROBE_ANSWER_MAX - 1), 0);
	cr_expect_eq(probe_answer_parse(text, PROBE_ANSWER_MAX), -EBADMSG);
	cr_expect_eq(probe_answer_parse(text, PROBE_ANSWER_MAX + 1), -EBADMSG);
}

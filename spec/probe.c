/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/probe.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strbuf.h"

static int parse_port(const char *text, uint16_t *ret, struct error *err)
{
	uint64_t port;

	if (parse_uint(text, UINT16_MAX, &port) < 0 || port == 0)
		return error_set(err, EINVAL, "%s is no port", text);
	*ret = (uint16_t)port;
	return 0;
}

static int parse_tcp(const char *rest, struct probe *probe, struct error *err)
{
	return parse_port(rest, &probe->port, err);
}

/* The path goes into a request line as it is. */
static int check_path(const char *path, struct error *err)
{
	for (const char *p = path; *p; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f)
			return error_set(err, EINVAL,
					 "the path may hold neither blanks nor "
					 "control characters nor bytes beyond "
					 "ASCII (write them as %%XX)");
	return 0;
}

static int parse_http(const char *rest, struct probe *probe, struct error *err)
{
	const char *slash = strchr(rest, '/');
	cleanup_free char *port = NULL;
	int r = 0;

	if (!slash)
		return error_set(err, EINVAL,
				 "http needs a path: http:/live or "
				 "http:8080/live");
	port = xstrndup(rest, (size_t)(slash - rest));
	if (*port)
		r = parse_port(port, &probe->port, err);
	if (r == 0)
		r = check_path(slash, err);
	if (r == 0)
		probe->path = xstrdup(slash);
	return r;
}

/* Up to the closing QUOTE; returns what is behind it, NULL if it is not
 * there. */
static const char *take_quoted(const char *p, char quote, struct strbuf *word)
{
	for (; *p && *p != quote; p++) {
		if (quote == '"' && *p == '\\' && p[1])
			p++;
		strbuf_addch(word, *p);
	}
	return *p ? p + 1 : NULL;
}

/* One word from P on; returns what is behind it, NULL at a bad one. */
static const char *take_word(const char *p, struct strbuf *word)
{
	while (p && *p && *p != ' ' && *p != '\t') {
		if (*p == '"' || *p == '\'') {
			p = take_quoted(p + 1, *p, word);
			continue;
		}
		if (*p == '\\' && *++p == '\0')
			return NULL;
		strbuf_addch(word, *p++);
	}
	return p;
}

static int parse_exec(const char *rest, struct probe *probe, struct error *err)
{
	while (*rest) {
		cleanup_strbuf struct strbuf word = STRBUF_INIT;

		if (*rest == ' ' || *rest == '\t') {
			rest++;
			continue;
		}
		rest = take_word(rest, &word);
		if (!rest)
			return error_set(err, EINVAL,
					 "a quote or a backslash is left open");
		strv_push(&probe->exec, word.buf);
	}
	if (probe->exec.n == 0 || probe->exec.v[0][0] == '\0')
		return error_set(err, EINVAL, "exec needs a program");
	return 0;
}

static const struct {
	const char *prefix;
	enum probe_kind kind;
	int (*parse)(const char *rest, struct probe *probe, struct error *err);
} forms[] = {
	{"tcp:", PROBE_TCP, parse_tcp},
	{"http:", PROBE_HTTP, parse_http},
	{"exec:", PROBE_EXEC, parse_exec},
};

static int parse(const char *text, struct probe *probe, struct error *err)
{
	if (strlen(text) >= PROBE_TEXT_MAX)
		return error_set(err, EINVAL, "longer than %d bytes",
				 PROBE_TEXT_MAX - 1);
	if (strcmp(text, "tcp") == 0) {
		probe->kind = PROBE_TCP;
		return 0;
	}
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		size_t len = strlen(forms[i].prefix);

		if (strncmp(text, forms[i].prefix, len) != 0)
			continue;
		probe->kind = forms[i].kind;
		return forms[i].parse(text + len, probe, err);
	}
	return error_set(err, EINVAL,
			 "must be tcp[:PORT], http:[PORT]/PATH or "
			 "exec:COMMAND");
}

int probe_parse(const char *text, struct probe *ret, struct error *err)
{
	cleanup_probe struct probe probe = PROBE_INIT;
	int r = parse(text, &probe, err);

	if (r < 0)
		return error_prefix(err, r, "probe \"%.100s\"", text);
	*ret = probe;
	probe = (struct probe)PROBE_INIT;
	return 0;
}

void probe_copy(struct probe *ret, const struct probe *probe)
{
	*ret = (struct probe){.kind = probe->kind, .port = probe->port};
	if (probe->path)
		ret->path = xstrdup(probe->path);
	strv_append(&ret->exec, &probe->exec);
}

void probe_release(struct probe *probe)
{
	free(probe->path);
	strv_release(&probe->exec);
	*probe = (struct probe)PROBE_INIT;
}

/* --- answers ---------------------------------------------------------------
 */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK": RFC 9112, section 4; the reason may be missing. */
static int parse_status_line(const char *line, size_t len)
{
	int status = 0;

	if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || !is_digit(line[7]) ||
	    line[8] != ' ' || (len > 12 && line[12] != ' '))
		return -EBADMSG;
	for (size_t i = 9; i < 12; i++) {
		if (!is_digit(line[i]))
			return -EBADMSG;
		status = status * 10 + (line[i] - '0');
	}
	return status < 100 || status > 599 ? -EBADMSG : status;
}

/* What is no HTTP need not be waited for. */
static bool may_become_http(const char *buf, size_t len)
{
	return memcmp(buf, "HTTP/1.", len < 7 ? len : 7) == 0;
}

int probe_answer_parse(const char *buf, size_t len)
{
	const char *end = memchr(buf, '\n', len);
	size_t n = end ? (size_t)(end - buf) : len;

	if (len == 0)
		return 0;
	if (len > PROBE_ANSWER_MAX || !may_become_http(buf, len))
		return -EBADMSG;
	/* A bare LF ends a line, too (RFC 9112, section 2.2). */
	if (!memmem(buf, len, "\r\n\r\n", 4) && !memmem(buf, len, "\n\n", 2))
		return len == PROBE_ANSWER_MAX ? -EBADMSG : 0;
	if (n && buf[n - 1] == '\r')
		n--;
	return parse_status_line(buf, n);
}

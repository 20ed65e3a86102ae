/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aci/discovery_html.h"
#include "aci/http_auth.h"
#include "aci/http_bell.h"
#include "aci/http_headers.h"
#include "aci/http_wire.h"
#include "aci/url_login.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/discovery.h"
#include "spec/image_ref.h"

Test(http, max_age)
{
	static const struct {
		const char *value;
		int64_t age;
	} rows[] = {
		{NULL, -1},
		{"", -1},
		{"public", -1},
		{"max-age=60", 60},
		{" Public , MAX-AGE=60 ", 60},
		{"max-age=\"60\"", 60},
		{"max-age=60, no-cache", 0},
		{"no-store", 0},
		{"max-age=60, max-age=5", 5},
		{"max-age=-1", 0},
		{"max-age=", 0},
		{"max-age=1e3", 0},
		{"max-age=99999999999999999999", 2147483648},
		{"s-maxage=60", -1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect_eq(http_max_age(rows[i].value), rows[i].age,
			     "%s: %lld", rows[i].value,
			     (long long)http_max_age(rows[i].value));
}

Test(http, content_range)
{
	static const struct {
		const char *value;
		int r;
		struct content_range range;
	} rows[] = {
		{"bytes 0-0/1", 0, {0, 0, 1, false}},
		{"bytes 10-99/100", 0, {10, 99, 100, false}},
		{"Bytes 10-99/*", 0, {10, 99, 0, false}},
		{"bytes */100", 0, {0, 0, 100, true}},
		{NULL, -EINVAL, {0}},
		{"", -EINVAL, {0}},
		{"bytes 10-100/100", -EINVAL, {0}},
		{"bytes 10-9/100", -EINVAL, {0}},
		{"bytes 10-/100", -EINVAL, {0}},
		{"bytes -10/100", -EINVAL, {0}},
		{"bytes 10/100", -EINVAL, {0}},
		{"bytes 10-99", -EINVAL, {0}},
		{"bytes 10-99/100/1", -EINVAL, {0}},
		{"lines 10-99/100", -EINVAL, {0}},
		{"bytes 1-99999999999999999999/*", -EINVAL, {0}},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct content_range got = {0};
		int r = http_content_range_parse(rows[i].value, &got);

		cr_expect_eq(r, rows[i].r, "%s", rows[i].value);
		cr_expect(got.first == rows[i].range.first &&
				  got.last == rows[i].range.last &&
				  got.total == rows[i].range.total &&
				  got.is_unsatisfied ==
					  rows[i].range.is_unsatisfied,
			  "%s", rows[i].value);
	}
}

Test(http, entity_tags_and_pauses)
{
	cr_expect(http_etag_is_strong("\"\""));
	cr_expect(http_etag_is_strong("\"a-b\""));
	cr_expect(!http_etag_is_strong("W/\"a\""));
	cr_expect(!http_etag_is_strong("\""));
	cr_expect(!http_etag_is_strong("\"a\"b\""));
	cr_expect(!http_etag_is_strong(NULL));
	cr_expect_eq(http_retry_after("7", 30), 7);
	cr_expect_eq(http_retry_after("700", 30), 30);
	cr_expect_eq(http_retry_after("99999999999999999999", 30), 30);
	cr_expect_eq(http_retry_after("Fri, 31 Dec 1999 23:59:59 GMT", 30), -1);
	cr_expect_eq(http_retry_after(NULL, 30), -1);
}

Test(http, hosts_of_urls)
{
	static const char *const rows[][2] = {
		{"https://Example.com/x", "example.com"},
		{"https://example.com:8443?x", "example.com:8443"},
		{"https://user:p@example.com/@x", "example.com"},
		{"https://[::1]:8/x", "[::1]:8"},
		{"https://", ""},
		{"example.com/x", ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cleanup_strbuf struct strbuf host = STRBUF_INIT;

		http_url_host(rows[i][0], &host);
		cr_expect_str_eq(host.buf, rows[i][1]);
	}
	cr_expect_null(http_auth_for_url(NULL, "https://example.com/"));
}

Test(http, lists_of_strings)
{
	cleanup_fd int fd = memfd_create("wire", MFD_CLOEXEC);
	cleanup_strv struct strv list = STRV_INIT;
	cleanup_strv struct strv got = STRV_INIT;
	size_t len = 0;

	strv_push(&list, "one");
	strv_push(&list, "");
	strv_push(&list, "x: y");
	cr_assert_eq(http_wire_write(fd, &list, &len, NULL), 0);
	cr_assert_eq(http_wire_read(fd, len, &got, NULL), 0);
	cr_assert_eq(got.n, 3);
	for (size_t i = 0; i < 3; i++)
		cr_expect_str_eq(got.v[i], list.v[i]);
	cr_expect(http_wire_read(fd, len - 1, &got, NULL) == -EPROTO);
	cr_expect(http_wire_read(fd, len + 1, &got, NULL) == -EPROTO);
	cr_expect(http_wire_read(fd, HTTP_WIRE_MAX + 1, &got, NULL) == -E2BIG);
	cr_expect(http_wire_read(fd, 0, &got, NULL) == 0);
}

Test(http, bell)
{
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	/* However often it rings, nobody waits. */
	for (size_t i = 0; i < 100000; i++)
		http_bell_ring(ends[1]);
	cr_expect_eq(http_bell_wait(ends[0]), 1);
	while (http_bell_wait(ends[0]) == 1)
		;
	http_bell_end(ends[1]);
	cr_expect_eq(http_bell_wait(ends[0]), 0);
	close(ends[1]);
	cr_expect_eq(http_bell_wait(ends[0]), -EPIPE);
	close(ends[0]);
}

Test(discovery, templates)
{
	static const struct {
		const char *template, *want; /* NULL: of no use */
	} rows[] = {
		{"https://x/{name}-{version}.{ext}",
		 "https://x/example.com/app-1.0.aci"},
		{"https://x/{ext}{ext}", "https://x/aciaci"},
		{"https://x/{name}", NULL},
		{"https://x/{unknown}.{ext}", NULL},
		{"https://x/{}.{ext}", NULL},
		{"https://x/{.{ext}", NULL},
		{"https://x/}{ext}", "https://x/}aci"},
		{"https://x/{ext}{", "https://x/aci{"},
		{"https://x/{odd}.{ext}", "https://x/{os}.aci"},
		{"https://x/ {ext}", NULL},
		{"https://x/\x01{ext}", NULL},
		{"", NULL},
	};
	cleanup_image_ref struct image_ref ref = IMAGE_REF_INIT;

	cr_assert_eq(image_ref_parse("example.com/app:1.0,odd={os},os=linux",
				     &ref, NULL),
		     0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cleanup_strbuf struct strbuf url = STRBUF_INIT;
		bool ok = discovery_expand(rows[i].template, &ref, "aci", &url);

		cr_expect_eq(ok, rows[i].want != NULL, "%s", rows[i].template);
		if (ok)
			cr_expect_str_eq(url.buf, rows[i].want);
	}
}

Test(discovery, contents)
{
	static const char *const rows[][3] = {
		{"a b", "a", "b"},	   {"  a   b c  ", "a", "b c"},
		{"a\tb c", "a\tb", "c"},   {"a", NULL, NULL},
		{"", NULL, NULL},	   {"   ", NULL, NULL},
		{"\n a \n b\n", "a", "b"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cleanup_strbuf struct strbuf prefix = STRBUF_INIT;
		cleanup_strbuf struct strbuf template = STRBUF_INIT;
		bool ok =
			discovery_content_split(rows[i][0], &prefix, &template);

		cr_expect_eq(ok, rows[i][1] != NULL, "'%s'", rows[i][0]);
		if (!ok)
			continue;
		cr_expect_str_eq(prefix.buf, rows[i][1]);
		cr_expect_str_eq(template.buf, rows[i][2]);
	}
}

static size_t n_tags(const char *page)
{
	cleanup_strv struct strv tags = STRV_INIT;

	discovery_html_parse(page, strlen(page), &tags);
	return tags.n / 3;
}

#define TAG "<meta name=\"ac-discovery\" content=\"a b\">"

Test(discovery, pages)
{
	cleanup_strv struct strv pages = STRV_INIT;

	cr_expect_eq(n_tags(TAG), 1);
	cr_expect_eq(n_tags("<html><body><p>" TAG TAG "</body>"), 2);
	cr_expect_eq(n_tags("<!-- " TAG " -->"), 0);
	cr_expect_eq(n_tags("<script>'" TAG "'</script>"), 0);
	cr_expect_eq(n_tags("<META NAME='ac-x' CONTENT='a&#32;b'/>"), 1);
	cr_expect_eq(n_tags("<meta name='AC-x' content='a b'>"), 0);
	cr_expect_eq(n_tags("<meta name='ac-x'><meta content='a b'>"), 0);
	cr_expect_eq(n_tags("<meta name content>"), 0);
	cr_expect_eq(n_tags("<meta charset=ebcdic-us>" TAG), 1);
	cr_expect_eq(n_tags("\xff\xfe\x01" TAG), 1);
	cr_expect_eq(n_tags("not HTML"), 0);
	discovery_pages_make("example.com/a/b", "https", 8443, &pages);
	cr_assert_eq(pages.n, 3);
	cr_expect_str_eq(pages.v[0],
			 "https://example.com:8443/a/b?ac-discovery=1");
	cr_expect_str_eq(pages.v[2], "https://example.com:8443?ac-discovery=1");
}

Test(http, login_of_a_url)
{
	static const struct {
		const char *text, *url, *user, *secret; /* user NULL: none */
	} rows[] = {
		{"https://a.com/i.aci", "https://a.com/i.aci", NULL, NULL},
		{"https://u:p@a.com/i", "https://a.com/i", "u", "p"},
		{"HTTP://u@a.com/i", "HTTP://a.com/i", "u", ""},
		{"https://u:@a.com", "https://a.com", "u", ""},
		{"https://me@b.com:p:q@a.com/", "https://a.com/", "me@b.com",
		 "p:q"},
		{"https://u:p%40%3a%@a.com/", "https://a.com/", "u", "p@:%"},
		{"https://u:p@x@a.com/", "https://a.com/", "u", "p@x"},
		{"https://a.com/u:p@b", "https://a.com/u:p@b", NULL, NULL},
		{"https://a.com?u:p@b", "https://a.com?u:p@b", NULL, NULL},
		{"docker://u:p@a.com/i", "docker://u:p@a.com/i", NULL, NULL},
		{"", "", NULL, NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cleanup_url_login struct url_login login = URL_LOGIN_INIT;

		url_login_make(rows[i].text, &login);
		cr_expect_str_eq(login.url, rows[i].url);
		cr_expect_eq(login.is_given, rows[i].user != NULL, "%s",
			     rows[i].text);
		if (!login.is_given || !rows[i].user)
			continue;
		cr_expect_str_eq(login.auth.user, rows[i].user);
		cr_expect_str_eq(login.auth.secret, rows[i].secret);
	}
}

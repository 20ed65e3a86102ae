/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "stage1/listen_form.h"

/* "ADDRESS", "ADDRESS!" for IPv6 alone; port 80, or 81 with "+". */
static struct listen_form form(const char *text)
{
	struct sockaddr_storage ss = {0};
	struct sockaddr_in *v4 = (void *)&ss;
	struct sockaddr_in6 *v6 = (void *)&ss;
	bool v6only = strchr(text, '!');
	in_port_t port = htons(strchr(text, '+') ? 81 : 80);
	char addr[64] = "";

	memcpy(addr, text, strcspn(text, "!+"));
	if (strchr(addr, ':')) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = port;
		cr_assert_eq(inet_pton(AF_INET6, addr, &v6->sin6_addr), 1);
	} else {
		v4->sin_family = AF_INET;
		v4->sin_port = port;
		cr_assert_eq(inet_pton(AF_INET, addr, &v4->sin_addr), 1);
	}
	return listen_form_make(&ss, v6only);
}

Test(listen_form, who_meets_whom)
{
	static const struct {
		const char *a, *b;
		bool overlaps;
		bool covers; /* every client of A reaches B */
	} rows[] = {
		{"0.0.0.0", "0.0.0.0", true, true},
		{"0.0.0.0", "0.0.0.0+", false, false},
		{"0.0.0.0", "127.0.0.1", true, false},
		{"127.0.0.1", "0.0.0.0", true, true},
		{"127.0.0.1", "127.0.0.2", false, false},
		{"127.0.0.1", "127.0.0.1", true, true},
		{"0.0.0.0", "::", true, true},
		{"0.0.0.0", "::!", false, false},
		{"127.0.0.1", "::", true, true},
		{"::", "0.0.0.0", true, false},
		{"::", "::!", true, false},
		{"::!", "::", true, true},
		{"::1", "::", true, true},
		{"::1", "::!", true, true},
		{"::1", "::2", false, false},
		{"::1", "::1+", false, false},
		{"::1", "::1", true, true},
		{"::", "::1", true, false},
		{"::ffff:127.0.0.1", "127.0.0.1", true, true},
		{"127.0.0.1", "::ffff:127.0.0.1", true, true},
		{"0.0.0.0", "::ffff:0.0.0.0", true, true},
		{"::ffff:0.0.0.0", "0.0.0.0", true, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct listen_form a = form(rows[i].a), b = form(rows[i].b);

		cr_expect_eq(listen_form_overlaps(&a, &b), rows[i].overlaps,
			     "%s %s", rows[i].a, rows[i].b);
		cr_expect_eq(listen_form_overlaps(&b, &a), rows[i].overlaps,
			     "%s %s", rows[i].b, rows[i].a);
		cr_expect_eq(listen_form_covered(&a, &b, 1), rows[i].covers,
			     "%s by %s", rows[i].a, rows[i].b);
	}
}

Test(listen_form, covered_by_several)
{
	struct listen_form dual = form("::"), none = {0};
	struct listen_form both[] = {form("0.0.0.0"), form("::!")};
	struct listen_form one[] = {form("127.0.0.1"), form("::!")};

	cr_expect(listen_form_covered(&dual, both, 2));
	cr_expect_not(listen_form_covered(&dual, both, 1));
	cr_expect_not(listen_form_covered(&dual, one, 2));
	cr_expect_not(listen_form_covered(&dual, NULL, 0));
	cr_expect_not(listen_form_overlaps(&none, &none));
}

Test(listen_form, text)
{
	static const char *const rows[][2] = {
		{"0.0.0.0", "0.0.0.0:80"},
		{"127.0.0.1+", "127.0.0.1:81"},
		{"::", "[::]:80"},
		{"::!", "[::]:80 for IPv6 alone"},
		{"fe80::1!", "[fe80::1]:80"},
		{"::ffff:10.0.0.1", "10.0.0.1:80"},
	};
	char buf[LISTEN_FORM_TEXT];

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct listen_form f = form(rows[i][0]);

		cr_expect_str_eq(listen_form_text(&f, buf), rows[i][1]);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

#include "stage1/host_ports.h"
#include "stage1/network.h"
#include "stage1/port_claims.h"

/* "0.0.0.0 :: +::1": + is one that forwards. */
static void list(const char *protocol, const char *ip, char *buf, size_t size)
{
	const struct network_port port = {.protocol = protocol,
					  .host_ip = ip,
					  .host_port = 8080,
					  .pod_port = 80};
	struct host_address v[HOST_ADDRESSES_MAX];
	size_t n = host_addresses_make(&port, v), len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		const struct sockaddr_in *v4 = (const void *)&v[i].addr;
		const struct sockaddr_in6 *v6 = (const void *)&v[i].addr;
		bool is_v4 = v[i].addr.ss_family == AF_INET;
		char text[INET6_ADDRSTRLEN];

		cr_assert(inet_ntop(v[i].addr.ss_family,
				    is_v4 ? (const void *)&v4->sin_addr
					  : (const void *)&v6->sin6_addr,
				    text, sizeof(text)));
		cr_assert_eq(ntohs(is_v4 ? v4->sin_port : v6->sin6_port), 8080);
		cr_assert_eq(v[i].len, is_v4 ? sizeof(*v4) : sizeof(*v6));
		len += (size_t)snprintf(buf + len, size - len, "%s%s%s",
					i ? " " : "", v[i].forwards ? "+" : "",
					text);
	}
}

Test(host_ports, addresses)
{
	static const struct {
		const char *protocol, *ip, *want;
	} rows[] = {
		{"tcp", NULL, "0.0.0.0 :: +::1"},
		{"udp", NULL, "0.0.0.0 :: +::1"},
		{"sctp", NULL, ""},
		{"tcp", "0.0.0.0", "0.0.0.0"},
		{"tcp", "127.0.0.1", "127.0.0.1"},
		{"tcp", "::", ":: +::1"},
		{"tcp", "::1", "+::1"},
		{"tcp", "0:0::0:1", "+::1"},
		{"tcp", "fd00::1", "fd00::1"},
		{"tcp", "nonsense", ""},
		{"tcp", "", ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char got[256];

		list(rows[i].protocol, rows[i].ip, got, sizeof(got));
		cr_expect_str_eq(got, rows[i].want, "%s %s: %s",
				 rows[i].protocol,
				 rows[i].ip ? rows[i].ip : "-", got);
	}
}

Test(port_claims, names)
{
	static const char uuid[] = "0f6b2f54-4d5b-4e0c-8f5c-1c5ae5f1a0a1";
	static const struct {
		const char *name;
		bool want;
	} rows[] = {
		{"tcp-8080-0f6b2f54-4d5b-4e0c-8f5c-1c5ae5f1a0a1", true},
		{"udp-8080-0f6b2f54-4d5b-4e0c-8f5c-1c5ae5f1a0a1", false},
		{"tcp-808-0f6b2f54-4d5b-4e0c-8f5c-1c5ae5f1a0a1", false},
		{"tcp-80801-0f6b2f54-4d5b-4e0c-8f5c-1c5ae5f1a0a1", false},
		{".", false},
		{"", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *got = NULL;

		cr_expect_eq(port_claim_is(rows[i].name, "tcp", 8080, &got),
			     rows[i].want, "%s", rows[i].name);
		cr_expect(!rows[i].want || strcmp(got, uuid) == 0);
	}
}

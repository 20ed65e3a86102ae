/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/acidentifier.h"
#include "spec/acname.h"
#include "spec/acversion.h"
#include "spec/image_id.h"
#include "spec/image_ref.h"
#include "spec/mount.h"
#include "spec/name_value.h"
#include "spec/port.h"
#include "spec/quantity.h"
#include "spec/runtime_app.h"
#include "spec/secret.h"
#include "spec/uuid.h"
#include "spec/volume.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))

/* --- names -----------------------------------------------------------------
 */

Test(spec_text, names_follow_the_character_and_edge_rule)
{
	/* Accepted by the reference code, not by the printed expression. */
	cr_expect(acname_check("a--b", NULL) == 0);
	cr_expect(acidentifier_check("a//b", NULL) == 0);
	cr_expect(acidentifier_check("a/../b", NULL) == 0);
	cr_expect(acname_check("a/b", NULL) == -EINVAL);
	cr_expect(acname_check("..", NULL) == -EINVAL);
}

Test(spec_text, sanitising_replaces_characters_not_bytes)
{
	char *name cleanup_free = NULL;
	char *identifier cleanup_free = NULL;

	cr_assert(acname_sanitize("a\xc3\xa4\xe2\x82\xac z", &name, NULL) == 0);
	cr_expect_str_eq(name, "a---z");
	cr_assert(acidentifier_sanitize("A\xc3\xa4:z", &identifier, NULL) == 0);
	cr_expect_str_eq(identifier, "a__z");
}

/* --- versions --------------------------------------------------------------
 */

Test(spec_text, versions)
{
	static const struct {
		const char *in;
		const char *out; /* NULL = rejected */
	} rows[] = {
		{"1.2.3", "1.2.3"},
		{"01.002.3", "1.2.3"},
		{"0.0.0", NULL},
		{"0.0.0-a", "0.0.0-a"},
		{"1.2.3-a.b+c+d-e", "1.2.3-a.b+c+d-e"},
		{"1.2.3+m-x", "1.2.3+m-x"},
		{"", NULL},
		{"1.2", NULL},
		{"1.2.", NULL},
		{"v1.2.3", NULL},
		{" 1.2.3", NULL},
		{"1.2.3 ", NULL},
		{"-1.2.3", NULL},
		{"1.2.9223372036854775807", "1.2.9223372036854775807"},
		{"1.2.9223372036854775808", NULL},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct acversion v cleanup_acversion = ACVERSION_INIT;
		struct strbuf out cleanup_strbuf = STRBUF_INIT;
		int r = acversion_parse(rows[i].in, &v, NULL);

		cr_expect((r == 0) == !!rows[i].out, "%s", rows[i].in);
		if (r < 0)
			continue;
		acversion_format(&v, &out);
		cr_expect_str_eq(out.buf, rows[i].out);
	}
}

/* --- ids -------------------------------------------------------------------
 */

#define HEX32 "0123456789abcdef0123456789abcdef"
#define FULL "sha512-" HEX32 HEX32 HEX32 HEX32

Test(spec_text, image_ids)
{
	char cut[IMAGE_ID_FULL_LEN + 1];
	struct image_id id, prefix;

	cr_assert(image_id_parse(FULL, &id, NULL) == 0);
	cr_expect_str_eq(id.text, FULL);
	image_id_short(&id, cut);
	cr_expect_str_eq(cut, "sha512-" HEX32);
	image_id_full(&id, cut);
	cr_expect_str_eq(cut, "sha512-" HEX32 HEX32);
	cr_expect(image_id_parse(FULL "0", &id, NULL) == -EINVAL);
	cr_expect(image_id_parse("sha512-" HEX32, &id, NULL) == -EINVAL);
	cr_expect(image_id_parse("sha256-" HEX32, &id, NULL) == -EINVAL);
	cr_expect(image_id_parse_prefix("sha512-ABC", &prefix, NULL) == 0);
	cr_expect_str_eq(prefix.text, "sha512-abc");
	cr_expect(image_id_parse_prefix("sha512-", &prefix, NULL) == -EINVAL);
	cr_expect(image_id_parse_prefix("sha512-xyz", &prefix, NULL) ==
		  -EINVAL);
	cr_expect(image_id_parse_prefix(FULL "0", &prefix, NULL) == -EINVAL);
	cr_expect(image_id_check_text("sha512-a/b", NULL) == 0,
		  "why whoever makes a path of it parses it");
}

Test(spec_text, image_id_of_a_digest)
{
	unsigned char digest[64];
	struct image_id id;

	for (size_t i = 0; i < sizeof(digest); i++)
		digest[i] = (unsigned char)i;
	image_id_from_digest(digest, &id);
	cr_expect(strlen(id.text) == IMAGE_ID_LEN);
	cr_expect(strncmp(id.text, "sha512-000102", 13) == 0);
	cr_expect(image_id_parse(id.text, &id, NULL) == 0);
}

Test(spec_text, uuids)
{
	char text[UUID_TEXT_LEN + 1];
	struct uuid a, b;

	cr_assert(uuid_random(&a, NULL) == 0);
	cr_assert(uuid_random(&b, NULL) == 0);
	cr_expect(memcmp(a.b, b.b, sizeof(a.b)) != 0);
	cr_expect((a.b[6] & 0xf0) == 0x40 && (a.b[8] & 0xc0) == 0x80);
	uuid_format(&a, text);
	cr_expect(strlen(text) == UUID_TEXT_LEN);
	cr_expect(uuid_parse(text, &b, NULL) == 0 &&
		  memcmp(a.b, b.b, sizeof(a.b)) == 0);
	cr_assert(uuid_parse("00000000-0000-0000-0000-000000000000", &a,
			     NULL) == 0);
	cr_expect(uuid_parse("0-0-0", &a, NULL) == -EINVAL);
	cr_expect(uuid_parse("6733c088a507xxxxaabfedbe4fc5266f", &a, NULL) ==
		  -EINVAL);
}

/* --- quantities ------------------------------------------------------------
 */

Test(spec_text, quantities_beyond_the_vectors)
{
	static const struct {
		const char *in;
		int r;
		const char *out;
	} rows[] = {
		{"1K", 0, "1k"},
		{"1KB", -EINVAL, NULL},
		{"1e", -EINVAL, NULL},
		{"1e+-3", -EINVAL, NULL},
		{"1e99999999999999999999", -EINVAL, NULL},
		{"1E400", 0, "10e399"},
		{"-1e400", 0, "-10e399"},
		{"1e-400", 0, "1e-9"},
		{"-1e-400", 0, "-1e-9"},
		{".", 0, "0"},
		{"-", 0, "0"},
		{"+", 0, "0"},
		{"0x10", -EINVAL, NULL},
		{"1_000", -EINVAL, NULL},
		{"1,5", -EINVAL, NULL},
		{"000000000000000000000000000000000000000000000001", 0, "1"},
		{"1000000000000000000000000000000000000000000000000", 0,
		 "1e48"},
		{"0.00000000000000000000000000000000000000000000001", 0, "1n"},
		{"1.000000000000000000000000000000000000000000000000Gi", 0,
		 "1Gi"},
		{"99999999999999999999999999999999999999", 0,
		 "99999999999999999999999999999999999999"},
		{"999999999999999999999999999999999999999", -ERANGE, NULL},
		{"99999999999999999999999999999999999999Ei", 0,
		 "9223372036854775807"},
		{"-9Ei", 0, "-9223372036854775807"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct strbuf out cleanup_strbuf = STRBUF_INIT;
		struct quantity q;
		int r = quantity_parse(rows[i].in, &q, NULL);

		cr_expect(r == rows[i].r, "%s: %d", rows[i].in, r);
		if (r < 0)
			continue;
		quantity_format(&q, &out);
		cr_expect_str_eq(out.buf, rows[i].out, "%s: %s", rows[i].in,
				 out.buf);
	}
}

Test(spec_text, quantities_are_ordered)
{
	static const char *const rows[] = {
		"-1e400", "-1Gi", "-1", "-1n", "0",  "1n",  "1u",
		"999m",	  "1",	  "1k", "1Ki", "1M", "9Ei", "1e400"};

	for (size_t i = 0; i < ROWS(rows); i++) {
		for (size_t k = 0; k < ROWS(rows); k++) {
			int want = (i > k) - (i < k);
			struct quantity a, b;

			cr_assert(quantity_parse(rows[i], &a, NULL) == 0);
			cr_assert(quantity_parse(rows[k], &b, NULL) == 0);
			cr_expect(quantity_compare(&a, &b) == want, "%s %s",
				  rows[i], rows[k]);
		}
	}
}

Test(spec_text, only_usable_quantities_become_limits)
{
	static const struct {
		const char *in;
		int r;
	} rows[] = {
		{"0", 0},	  {"1n", 0},	    {"8E", 0},
		{"10E", -ERANGE}, {"-1n", -ERANGE}, {"1e400", -ERANGE},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct quantity q;

		cr_assert(quantity_parse(rows[i].in, &q, NULL) == 0);
		cr_expect(quantity_check_usable(&q, "limit", NULL) == rows[i].r,
			  "%s", rows[i].in);
	}
}

/* --- dates, URLs, environment -----------------------------------------------
 */

Test(spec_text, dates)
{
	static const struct {
		const char *in;
		bool ok;
	} rows[] = {
		{"2024-02-29T00:00:00Z", true},
		{"2023-02-29T00:00:00Z", false},
		{"1900-02-29T00:00:00Z", false},
		{"2000-02-29T00:00:00Z", true},
		{"2024-04-31T00:00:00Z", false},
		{"2024-00-01T00:00:00Z", false},
		{"2024-13-01T00:00:00Z", false},
		{"2024-01-00T00:00:00Z", false},
		{"2024-01-01t00:00:00Z", false},
		{"2024-01-01 00:00:00Z", false},
		{"2024-01-01T00:00:00z", false},
		{"2024-01-01T24:00:00Z", false},
		{"2024-01-01T23:60:00Z", false},
		{"2024-01-01T23:59:60Z", false},
		{"2024-01-01T23:59:59", false},
		{"2024-01-01T23:59:59.Z", false},
		{"2024-01-01T23:59:59.123456789123Z", true},
		{"2024-01-01T23:59:59+0100", false},
		{"2024-01-01T23:59:59-01:30", true},
		{"2024-01-01T23:59:59Zx", false},
		{"24-01-01T23:59:59Z", false},
		{"", false},
	};

	for (size_t i = 0; i < ROWS(rows); i++)
		cr_expect((date_check(rows[i].in, NULL) == 0) == rows[i].ok,
			  "%s", rows[i].in);
}

Test(spec_text, urls)
{
	static const struct {
		const char *in;
		bool ok;
	} rows[] = {
		{"HTTP://x", true},	 {"http:", true},
		{"http//x", false},	 {"https://a/%2F", true},
		{"https://a/%2", false}, {"https://a/?%", true},
		{"http://a\nb", false},	 {"", false},
	};

	for (size_t i = 0; i < ROWS(rows); i++)
		cr_expect((url_check(rows[i].in, NULL) == 0) == rows[i].ok,
			  "%s", rows[i].in);
}

Test(spec_text, host_os_and_arch_are_known)
{
	cr_expect(labels_check_os_arch(labels_host_os(), labels_host_arch(),
				       NULL) == 0);
	/* arch without os means nothing and is not looked at. */
	cr_expect(labels_check_os_arch(NULL, "z80", NULL) == 0);
	cr_expect(labels_check_os_arch("linux", NULL, NULL) == 0);
	cr_expect(labels_check_os_arch("linux", "z80", NULL) == -EINVAL);
}

Test(spec_text, name_value_lists)
{
	struct name_values copy cleanup_name_values = NAME_VALUES_INIT;
	struct name_values nv cleanup_name_values = NAME_VALUES_INIT;

	name_values_set(&nv, "a", "1");
	name_values_set(&nv, "b", "2");
	name_values_set(&nv, "a", "3");
	cr_expect(nv.n == 2);
	cr_expect_str_eq(name_values_get(&nv, "a"), "3");
	cr_expect(!name_values_get(&nv, "c"));
	name_values_copy(&copy, &nv);
	cr_assert(copy.n == 2);
	cr_expect_str_eq(copy.v[0].value, "3");
	cr_expect_str_eq(copy.v[1].name, "b");
}

/* --- string forms ----------------------------------------------------------
 */

Test(spec_text, mounts)
{
	static const char *const bad[] = {
		"",
		"volume=v",
		"target=/x",
		"volume=v,target=",
		"volume=V,target=/x",
		"volume=v,target=/x,x=y",
		"volume=v,volume=v,target=/x",
		"volume=v,target=/x,",
		"v,target=/x",
		"volume=v,target=/x,subPath=",
		"volume=v,target=/x,subPath=.",
		"volume=v,target=/x,subPath=/a",
		"volume=v,target=/x,subPath=..",
		"volume=v,target=/x,subPath=a/../../b",
		"volume=v,target=/x,subPath=a,subPath=a",
		"volume=v,target=/x,readOnly=",
		"volume=v,target=/x,propagation=",
		"volume=v,target=/x,propagation=shared",
		"volume=v,target=/x,recursive=true",
	};
	struct mount m cleanup_mount = {0};

	cr_assert(mount_parse("target=/a=b c,volume=v-1", &m, NULL) == 0);
	cr_expect_str_eq(m.volume, "v-1");
	cr_expect_str_eq(m.path, "/a=b c");
	mount_release(&m);
	cr_assert(mount_parse("target=dir1,volume=v", &m, NULL) == 0);
	cr_expect_str_eq(m.path, "/dir1");
	cr_expect_not(mount_has_options(&m));
	for (size_t i = 0; i < ROWS(bad); i++) {
		struct mount other cleanup_mount = {0};
		struct error err = ERROR_INIT;

		cr_expect(mount_parse(bad[i], &other, &err) == -EINVAL, "%s",
			  bad[i]);
		cr_expect(*err.msg, "%s", bad[i]);
	}
}

/* In, what an annotation makes of it, and through one. */
Test(spec_text, mount_options)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"subPath=a", "target=/x,subPath=a"},
		{"subPath=./a//b/../..c", "target=/x,subPath=a/..c"},
		{"readOnly=true", "target=/x,readOnly=true"},
		{"readOnly=0", "target=/x,readOnly=false"},
		{"propagation=private", "target=/x,propagation=private"},
		{"propagation=rslave,readOnly=1,subPath=s",
		 "target=/x,subPath=s,readOnly=true,propagation=rslave"},
		{"propagation=rshared", "target=/x,propagation=rshared"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct mount m cleanup_mount = {0};
		struct mount options cleanup_mount = {0};
		struct mount other cleanup_mount = {0};
		struct strbuf out cleanup_strbuf = STRBUF_INIT;
		struct strbuf again cleanup_strbuf = STRBUF_INIT;
		char *text cleanup_free =
			xasprintf("volume=v,target=x,%s", rows[i].in);

		cr_assert_eq(mount_parse(text, &m, NULL), 0, "%s", text);
		cr_expect(mount_has_options(&m));
		mount_format_options(&m, &out);
		cr_expect_str_eq(out.buf, rows[i].out);
		cr_assert_eq(mount_parse_options(out.buf, &options, NULL), 0);
		other.path = xstrdup("/x");
		mount_take_options(&other, &options);
		mount_format_options(&other, &again);
		cr_expect_str_eq(again.buf, rows[i].out);
	}
}

/* Through the annotations of an app of a pod manifest. */
Test(spec_text, mount_annotations)
{
	static const struct {
		const char *value;
		bool ok;
	} rows[] = {
		{"target=/m/,subPath=s,readOnly=true", true},
		{"target=/n,subPath=s", false},
		{"subPath=s", false},
		{"target=/m,subPath=../s", false},
		{"target=/m,x=y", false},
		{"", false},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct runtime_app ra cleanup_runtime_app = RUNTIME_APP_INIT;
		struct runtime_app copy cleanup_runtime_app = RUNTIME_APP_INIT;
		char *text cleanup_free = xasprintf(
			"{\"name\":\"a\",\"image\":{},\"mounts\":["
			"{\"volume\":\"v\",\"path\":\"/m\"}],"
			"\"annotations\":[{\"name\":\"rkt.io/mount/any\","
			"\"value\":\"%s\"}]}",
			rows[i].value);
		struct error err = ERROR_INIT;

		cr_expect_eq(runtime_app_parse(text, strlen(text), &ra, &err),
			     rows[i].ok ? 0 : -EINVAL, "%s: %s", rows[i].value,
			     err.msg);
		if (!rows[i].ok) {
			cr_expect(*err.msg);
			continue;
		}
		runtime_app_copy(&copy, &ra);
		cr_assert_eq(copy.n_mounts, 1);
		cr_expect_str_eq(copy.mounts[0].sub_path, "s");
		cr_expect_eq(copy.mounts[0].read_only, TRISTATE_TRUE);
	}
}

Test(spec_text, exposed_ports)
{
	static const struct {
		const char *in;
		const char *ip; /* "" = none */
		uint32_t port;	/* 0 = rejected */
	} rows[] = {
		{"http:80", "", 80},
		{"http:127.0.0.1:80", "127.0.0.1", 80},
		{"http:[::1]:80", "::1", 80},
		{"http:::1:80", "::1", 80},
		{"http", NULL, 0},
		{"http:", NULL, 0},
		{"http:0", NULL, 0},
		{"http:65536", NULL, 0},
		{"http:x:80", NULL, 0},
		{"http::80", NULL, 0},
		{"http:[]:80", NULL, 0},
		{"HTTP:80", NULL, 0},
		{":80", NULL, 0},
		{"http:01.2.3.4:80", NULL, 0},
		{"http:80:", NULL, 0},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct exposed_port p cleanup_exposed_port = {0};
		struct error err = ERROR_INIT;
		int r = exposed_port_parse(rows[i].in, &p, &err);

		cr_expect((r == 0) == (rows[i].port != 0), "%s: %s", rows[i].in,
			  err.msg);
		if (r < 0)
			continue;
		cr_expect_str_eq(p.name, "http");
		cr_expect_str_eq(p.host_ip ? p.host_ip : "", rows[i].ip);
		cr_expect(p.host_port == rows[i].port);
	}
}

Test(spec_text, exposed_ports_by_number)
{
	static const struct {
		const char *in;
		const char *ip;		      /* "" = none */
		uint32_t host_port, pod_port; /* 0 = rejected */
		const char *protocol;
	} rows[] = {
		{"8080:80/tcp", "", 8080, 80, "tcp"},
		{"8080:80/udp", "", 8080, 80, "udp"},
		{"10.0.0.1:8080:80", "10.0.0.1", 8080, 80, "tcp"},
		{"10.0.0.1:8080:80/udp", "10.0.0.1", 8080, 80, "udp"},
		{"[::1]:8080:80", "::1", 8080, 80, "tcp"},
		{"[fe80::1]:8080:80/tcp", "fe80::1", 8080, 80, "tcp"},
		{"8080/tcp", NULL, 0, 0, NULL},
		{"8080:80/", NULL, 0, 0, NULL},
		{"8080:80/sctp", NULL, 0, 0, NULL},
		{"8080:80/TCP", NULL, 0, 0, NULL},
		{"8080:0/tcp", NULL, 0, 0, NULL},
		{"0:80/tcp", NULL, 0, 0, NULL},
		{"8080:65536/tcp", NULL, 0, 0, NULL},
		{"8080:80/tcp/udp", NULL, 0, 0, NULL},
		{"[::1:8080:80", NULL, 0, 0, NULL},
		{"[::1]:80", NULL, 0, 0, NULL},
		{"[]:8080:80", NULL, 0, 0, NULL},
		{"[x]:8080:80", NULL, 0, 0, NULL},
		{"10.0.0.1:80", NULL, 0, 0, NULL},
		{"10.0.0.1:http:80", NULL, 0, 0, NULL},
		{"/", NULL, 0, 0, NULL},
		{"[", NULL, 0, 0, NULL},
		{":/tcp", NULL, 0, 0, NULL},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct exposed_port p cleanup_exposed_port = {0};
		struct error err = ERROR_INIT;
		int r = exposed_port_parse(rows[i].in, &p, &err);

		cr_expect((r == 0) == (rows[i].host_port != 0), "%s: %s",
			  rows[i].in, err.msg);
		if (r < 0)
			continue;
		cr_expect_str_eq(p.host_ip ? p.host_ip : "", rows[i].ip);
		cr_expect(p.host_port == rows[i].host_port && p.has_pod_port);
		cr_expect(p.pod_port.port == rows[i].pod_port &&
			  p.pod_port.count == 1);
		cr_expect_str_eq(p.pod_port.protocol, rows[i].protocol);
		cr_expect_str_eq(p.name, p.pod_port.name);
	}
}

Test(spec_text, exposed_ports_direct)
{
	static const struct {
		const char *in;
		const char *ip; /* NULL = rejected */
		uint32_t host;
		uint16_t pod;
	} rows[] = {
		{"http:tcp:80:0.0.0.0:8080", "0.0.0.0", 8080, 80},
		{"http:udp:65535:127.0.0.1:1", "127.0.0.1", 1, 65535},
		{"http:tcp:80:[::1]:8080", "::1", 8080, 80},
		{"http:tcp:80:8080", NULL, 0, 0},
		{"http:tcp:80", NULL, 0, 0},
		{"http:tcp", NULL, 0, 0},
		{"http", NULL, 0, 0},
		{"", NULL, 0, 0},
		{"::::", NULL, 0, 0},
		{"http:sctp:80:0.0.0.0:80", NULL, 0, 0},
		{"http:tcp:0:0.0.0.0:80", NULL, 0, 0},
		{"http:tcp:65536:0.0.0.0:80", NULL, 0, 0},
		{"http:tcp:80:0.0.0.0:0", NULL, 0, 0},
		{"http:tcp:80:0.0.0.0:", NULL, 0, 0},
		{"http:tcp:80:host:80", NULL, 0, 0},
		{"HTTP:tcp:80:0.0.0.0:80", NULL, 0, 0},
		{":tcp:80:0.0.0.0:80", NULL, 0, 0},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct exposed_port p cleanup_exposed_port = {0};
		int r = exposed_port_parse_direct(rows[i].in, &p, NULL);

		cr_expect((r == 0) == (rows[i].ip != NULL), "%s", rows[i].in);
		if (r < 0 || !rows[i].ip)
			continue;
		cr_expect_str_eq(p.name, "http");
		cr_expect_str_eq(p.host_ip, rows[i].ip);
		cr_expect_eq(p.host_port, rows[i].host);
		cr_expect(p.has_pod_port);
		cr_expect_eq(p.pod_port.port, rows[i].pod);
		cr_expect_eq(p.pod_port.count, 1);
	}
}

Test(spec_text, mount_volumes)
{
	static const char *const bad[] = {
		"",
		"target=/a",
		"name=a,kind=empty",
		"target=/a,kind=empty",
		"target=/a,name=a",
		"target=/a,name=A,kind=empty",
		"target=,name=a,kind=empty",
		"target=/a,name=a,kind=host",
		"target=/a,name=a,kind=host,source=x",
		"target=/a,target=/b,name=a,kind=empty",
		"target=/a,name=a,name=b,kind=empty",
		"target=/a,name=a,kind=empty,nonsense=1",
		"target=/a,name=a,kind=empty,size=1Mi",
		"target=/a,name=a,kind=empty,subPath=/b",
		"target=/a,name=a,kind=empty,subPath=b,subPath=b",
		"target=/a,name=a,kind=empty,propagation=x",
	};
	struct mount m cleanup_mount = {0};

	for (size_t i = 0; i < ROWS(bad); i++) {
		struct mount none cleanup_mount = {0};

		cr_expect_eq(mount_volume_parse(bad[i], &none, NULL), -EINVAL,
			     "%s", bad[i]);
	}
	cr_assert_eq(mount_volume_parse("kind=host,target=a,readOnly=true,"
					"source=/srv,name=data,subPath=b/c,"
					"propagation=rslave",
					&m, NULL),
		     0);
	cr_expect_str_eq(m.path, "/a");
	cr_expect_str_eq(m.volume, "data");
	cr_expect(m.has_app_volume);
	cr_expect_str_eq(m.app_volume.name, "data");
	cr_expect_str_eq(m.app_volume.source, "/srv");
	cr_expect_str_eq(m.sub_path, "b/c");
	cr_expect_eq(m.propagation, PROPAGATION_SLAVE);
	cr_expect_eq(m.app_volume.read_only, TRISTATE_TRUE);
}

Test(spec_text, secrets)
{
	static const struct {
		const char *in;
		const char *out; /* NULL = rejected */
	} rows[] = {
		{"s",
		 "credential=s,target=/run/secrets/s,mode=0400,uid=0,gid=0"},
		{"s,source=/x/../y,target=/a//b,mode=444,uid=1,gid=2",
		 "source=/x/../y,target=/a/b,mode=0444,uid=1,gid=2"},
		{"s,credential=c.d",
		 "credential=c.d,target=/run/secrets/s,mode=0400,uid=0,gid=0"},
		{"", NULL},
		{"S", NULL},
		{"s,", NULL},
		{"s,source=", NULL},
		{"s,source=/a,credential=b", NULL},
		{"s,credential=../b", NULL},
		{"s,credential=.b", NULL},
		{"s,target=b", NULL},
		{"s,mode=1777", NULL},
		{"s,mode=9", NULL},
		{"s,uid=-1", NULL},
		{"s,uid=1,uid=1", NULL},
		{"s,size=1", NULL},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct secret secret cleanup_secret = {0};
		struct strbuf out cleanup_strbuf = STRBUF_INIT;
		struct error err = ERROR_INIT;
		int r = secret_parse(rows[i].in, &secret, &err);

		cr_expect((r == 0) == (rows[i].out != NULL), "%s: %s",
			  rows[i].in, err.msg);
		if (r < 0)
			continue;
		secret_format(&secret, &out);
		cr_expect_str_eq(out.buf, rows[i].out);
	}
}

Test(spec_text, volumes)
{
	static const char *const bad[] = {
		"foo",
		"foo,kind=host",
		"foo,kind=tmpfs",
		"foo,kind=empty,kind=empty",
		"foo,kind=host,source=/tmp,mode=0755",
		"foo,kind=host,source=/tmp,uid=0",
		"foo,kind=empty,uid=x",
		"foo,kind",
		"foo,,kind=empty",
		"foo,Kind=empty",
		"foo,kind=empty,size=8Ei",
		"foo,kind=empty,size=9999999Ei",
		"foo,kind=empty,size=1e30",
	};
	struct volume v cleanup_volume = {0};
	struct volume copy cleanup_volume = {0};
	mode_t mode = 0;
	uid_t uid = 0;
	gid_t gid = 0;

	for (size_t i = 0; i < ROWS(bad); i++) {
		struct volume other cleanup_volume = {0};

		cr_expect(volume_parse(bad[i], &other, NULL) == -EINVAL, "%s",
			  bad[i]);
	}
	cr_assert(volume_parse("foo,kind=empty,mode=1777,uid=5,gid=6", &v,
			       NULL) == 0);
	volume_copy(&copy, &v);
	cr_assert(volume_check_usable(&copy, &mode, &uid, &gid, NULL) == 0);
	cr_expect(mode == 01777 && uid == 5 && gid == 6);
	cr_expect(v.read_only == TRISTATE_UNSET);
}

Test(spec_text, image_refs)
{
	static const struct {
		const char *in;
		const char *out; /* NULL = rejected */
	} rows[] = {
		{"example.com/a", "example.com/a"},
		{"example.com/a:", "example.com/a:"},
		{"example.com/a,os=linux,version=2",
		 "example.com/a:2,os=linux"},
		{"a,x=", "a,x="},
		{"a,x=y=z", "a,x=y=z"},
		{"a,x", NULL},
		{"a,", NULL},
		{"a,=x", NULL},
		{"a,name=b", NULL},
		{"a,X=b", NULL},
		{"", NULL},
		{":1", NULL},
		/* Why URLs are told apart before. */
		{"https://x/y", "https://x/y"},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct image_ref ref cleanup_image_ref = IMAGE_REF_INIT;
		struct strbuf out cleanup_strbuf = STRBUF_INIT;
		int r = image_ref_parse(rows[i].in, &ref, NULL);

		cr_expect((r == 0) == !!rows[i].out, "%s", rows[i].in);
		if (r < 0)
			continue;
		image_ref_format(&ref, &out);
		cr_expect_str_eq(out.buf, rows[i].out);
	}
}

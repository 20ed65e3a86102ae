/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/cimd.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "base/error.h"
#include "base/strbuf.h"

Test(cimd, image_string)
{
	static const struct {
		const char *uri, *want;
		int code;
	} tests[] = {
		{"cimd:docker:v=0:busybox", "docker://busybox", 0},
		{"cimd:docker:v=0:example.com:5000/a/b:1",
		 "docker://example.com:5000/a/b:1", 0},
		{"cimd:appc:v=0:coreos.com/etcd", "coreos.com/etcd", 0},
		{"cimd:appc:v=0:coreos.com/etcd?", "coreos.com/etcd", 0},
		{"cimd:appc:v=0:coreos.com/etcd?version=v3.0.3&arch=amd64",
		 "coreos.com/etcd,version=v3.0.3,arch=amd64", 0},
		{"cimd:appc:v=0:a?x=b%3Dc+d", "a,x=b=c d", 0},
		{"cimd:aci-archive:v=0:file%3A%2F%2F%2Fa%2Fb.aci",
		 "file:///a/b.aci", 0},
		{"cimd:aci-archive:v=0:https%3A%2F%2Fexample.com%2Fb.aci",
		 "https://example.com/b.aci", 0},
		{"cimd:aci-archive:v=0:https://example.com/b.aci",
		 "https://example.com/b.aci", 0},
		{"cimd:aci-archive:v=0:b.aci", NULL, EINVAL},
		{"cimd:aci-archive:v=0:cimd%3Adocker%3Av=0%3Aa", NULL, EINVAL},
		{"cimd:aci-archive:v=0:file%3", NULL, EINVAL},
		{"cimd:aci-archive:v=0:file%", NULL, EINVAL},
		{"cimd:aci-archive:v=0:file%zz", NULL, EINVAL},
		{"cimd:aci-archive:v=0:file:///a%00.aci", NULL, EINVAL},
		{"cimd:appc:v=0:", NULL, EINVAL},
		{"cimd:appc:v=0:?version=1", NULL, EINVAL},
		{"cimd:appc:v=0:a,os=b", NULL, EINVAL},
		{"cimd:appc:v=0:a:1", NULL, EINVAL},
		{"cimd:appc:v=0:a?os=b%2Carch=c", NULL, EINVAL},
		{"cimd:docker:v=1:busybox", NULL, ENOTSUP},
		{"cimd:docker:busybox", NULL, ENOTSUP},
		{"cimd:oci:v=0:x", NULL, ENOTSUP},
		{"cimd:", NULL, ENOTSUP},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		cleanup_strbuf struct strbuf text = STRBUF_INIT;
		struct error err = ERROR_INIT;
		int r = cimd_to_image_string(tests[i].uri, &text, &err);

		cr_expect_eq(r, -tests[i].code, "%s: %d", tests[i].uri, r);
		if (tests[i].want)
			cr_expect_str_eq(text.buf, tests[i].want);
		else
			cr_expect_neq(err.msg[0], '\0', "%s", tests[i].uri);
	}
}

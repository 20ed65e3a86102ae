/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/image_manifest.h"
#include "spec/pod_manifest.h"
#include "spec/stage1_abi.h"
#include "spec/stage1_image.h"
#include "stage0/pod_stage1.h"

static void make(struct image_manifest *im, const char *run,
		 const char *version)
{
	*im = (struct image_manifest)IMAGE_MANIFEST_INIT;
	im->name = xstrdup("example.com/s");
	if (run)
		name_values_add(&im->annotations,
				STAGE1_ANNOTATION_PREFIX "run", run);
	if (version)
		name_values_add(&im->annotations, STAGE1_ANNOTATION_VERSION,
				version);
}

Test(stage1_image, version)
{
	static const struct {
		const char *text;
		int r;
		unsigned int version;
	} rows[] = {
		{NULL, 0, 1},
		{"1", 0, 1},
		{"6", 0, 6},
		{"7", 0, 7},
		{"8", -EOPNOTSUPP, 0},
		{"99", -EOPNOTSUPP, 0},
		{"4294967295", -EOPNOTSUPP, 0},
		{"4294967296", -EINVAL, 0},
		{"0", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"5x", -EINVAL, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cleanup_image_manifest struct image_manifest im;
		struct error err = ERROR_INIT;
		unsigned int version = 0;

		make(&im, "/run", rows[i].text);
		cr_expect_eq(stage1_image_version(&im, &version, &err),
			     rows[i].r, "row %zu: %s", i, err.msg);
		cr_expect_eq(version, rows[i].version, "row %zu", i);
		cr_expect_eq(stage1_image_check(&im, NULL), rows[i].r,
			     "row %zu", i);
	}
}

Test(stage1_image, entries)
{
	cleanup_image_manifest struct image_manifest im;
	cleanup_image_manifest struct image_manifest none;
	struct error err = ERROR_INIT;

	make(&im, "/a/b", NULL);
	make(&none, "", NULL);
	cr_expect_str_eq(stage1_image_entry(&im, STAGE1_RUN), "/a/b");
	cr_expect_null(stage1_image_entry(&im, STAGE1_STOP));
	cr_expect_str_eq(stage1_entry_name(STAGE1_STOP), "stop");
	cr_expect_eq(stage1_image_check(&none, &err), -EINVAL);
	cr_expect(strstr(err.msg, "coreos.com/rkt/stage1/run"), "%s", err.msg);
}

Test(stage1_image, arguments)
{
	static const struct {
		const char *arg;
		unsigned int version; /* the first that gets it */
		bool silent;
	} rows[] = {
		{"--net=default", 1, false},
		{"--debug", 1, false},
		{"--private-users=65536:65536", 1, false},
		{"--local-config=/etc/rkt", 1, false},
		{"--hostname=h", 2, false},
		{"--disable-paths", 3, false},
		{"--disable-pathsx", 7, false},
		{"--dns-conf-mode=resolv=host", 4, false},
		{"--mutable", 5, false},
		{"--ipc=parent", 6, false},
		{"--mds-register", 7, false},
		{"--ready-fd=4", 7, false},
		{"--system-config=/usr/lib/rkt", 7, true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (unsigned int v = 1; v <= STAGE1_INTERFACE_VERSION; v++) {
			bool known = v >= rows[i].version;
			cleanup_strv struct strv args = STRV_INIT;
			cleanup_strv struct strv got = STRV_INIT;
			cleanup_strv struct strv warnings = STRV_INIT;

			strv_push(&args, rows[i].arg);
			stage1_run_args_make(v, &args, &got, &warnings);
			cr_expect_eq(got.n, known, "%s in %u", rows[i].arg, v);
			cr_expect_eq(warnings.n, !known && !rows[i].silent,
				     "%s in %u", rows[i].arg, v);
		}
}

/* What an annotation asks for, and who does it: native, fly, an image. */
Test(stage1_image, annotations)
{
	static const struct {
		const char *pod, *app;
		bool fly, image;
	} rows[] = {
		{NULL, NULL, true, true},
		{"rkt.io/other", "rkt.io/other", true, true},
		{"rkt.io/volume/m", NULL, false, false},
		{"rkt.io/secret/s", NULL, false, false},
		{NULL, "rkt.io/mount/1", true, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
		cleanup_pod_stage1 struct pod_stage1 s = POD_STAGE1_INIT;
		struct runtime_app *ra = pod_manifest_add_app(&pm);

		if (rows[i].pod)
			name_values_add(&pm.annotations, rows[i].pod, "x");
		if (rows[i].app)
			name_values_add(&ra->annotations, rows[i].app, "x");
		cr_expect_eq(pod_stage1_check(&s, &pm, false, NULL), 0);
		s.flavour = stage1_flavour_find("fly");
		cr_expect_eq(pod_stage1_check(&s, &pm, false, NULL),
			     rows[i].fly ? 0 : -EOPNOTSUPP, "fly, row %zu", i);
		s.flavour = NULL;
		s.image.manifest.name = xstrdup("example.com/stage1");
		cr_expect_eq(pod_stage1_check(&s, &pm, false, NULL),
			     rows[i].image ? 0 : -EOPNOTSUPP, "image, row %zu",
			     i);
	}
}

Test(stage1_image, flavours)
{
	cleanup_pod_stage1 struct pod_stage1 native = POD_STAGE1_INIT;
	cleanup_pod_stage1 struct pod_stage1 fly = POD_STAGE1_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;

	fly.flavour = stage1_flavour_find("fly");
	cr_assert_not_null(fly.flavour);
	cr_expect_eq(stage1_flavour_find("native"), &stage1_native);
	cr_expect_null(stage1_flavour_find("kvm"));
	cr_expect_not(pod_stage1_equal(&native, &fly));
	(void)pod_manifest_add_app(&pm);
	cr_expect_eq(pod_stage1_check(&fly, &pm, false, NULL), 0);
	cr_expect_eq(pod_stage1_check(&fly, &pm, true, NULL), -EOPNOTSUPP);
	(void)pod_manifest_add_app(&pm);
	cr_expect_eq(pod_stage1_check(&native, &pm, true, NULL), 0);
	cr_expect_eq(pod_stage1_check(&fly, &pm, false, NULL), -EOPNOTSUPP);
	pod_stage1_format(&fly, &text);
	cr_expect_str_eq(text.buf, "coreos.com/rkt/stage1-fly:" RKT_VERSION);
}

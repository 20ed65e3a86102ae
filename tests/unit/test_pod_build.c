/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/image_manifest.h"
#include "spec/name_value.h"
#include "spec/pod_manifest.h"
#include "stage0/pod_build.h"
#include "stage0/pod_request.h"

#define ID                                                                     \
	"sha512-"                                                              \
	"00000000000000000000000000000000000000000000000000000000000000000000" \
	"000000000000000000000000000000000000000000000000000000000000"

/* APP is the JSON of the app section, NULL for none. */
static void make_image(struct image_manifest *im, const char *name,
		       const char *app)
{
	struct error err = ERROR_INIT;
	char *text = xasprintf(
		"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\","
		"\"name\":\"%s\",\"labels\":[{\"name\":\"os\",\"value\":"
		"\"linux\"},{\"name\":\"arch\",\"value\":\"%s\"}]%s%s}",
		name, labels_host_arch(), app ? ",\"app\":" : "",
		app ? app : "");
	int r = image_manifest_parse(text, strlen(text), im, &err);

	cr_assert_eq(r, 0, "%s: %s", text, err.msg);
	free(text);
}

static int build(const char *line, const struct image_manifest *images,
		 size_t n, struct pod_manifest *pm, struct strv *warnings,
		 struct error *err)
{
	cleanup_pod_request struct pod_request req = POD_REQUEST_INIT;
	cleanup_strv struct strv words = STRV_INIT;
	const struct image_manifest *ptrs[8];
	const char *ids[8];
	struct strv env = STRV_INIT;
	int r;

	strv_split(&words, line, '|');
	r = pod_request_parse(&req, words.v, NULL, 0, err);
	if (r == 0)
		r = pod_request_resolve(&req, &env, err);
	for (size_t i = 0; i < n; i++) {
		ptrs[i] = &images[i];
		ids[i] = ID;
	}
	if (r == 0)
		r = pod_manifest_make(&req, ptrs, ids, pm, warnings, err);
	return r;
}

#define APP                                                                    \
	"{\"exec\":[\"/bin/a\",\"one\"],\"user\":\"0\",\"group\":\"0\","       \
	"\"environment\":[{\"name\":\"A\",\"value\":\"image\"},"               \
	"{\"name\":\"B\",\"value\":\"image\"}],"                               \
	"\"mountPoints\":[{\"name\":\"data\",\"path\":\"/data\"}],"            \
	"\"ports\":[{\"name\":\"http\",\"protocol\":\"tcp\",\"port\":80}],"    \
	"\"isolators\":[{\"name\":\"os/linux/capabilities-remove-set\","       \
	"\"value\":{\"set\":[\"CAP_KILL\"]}}]}"

Test(pod_build, app_as_image_says)
{
	cleanup_image_manifest struct image_manifest im = {0};
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_strv struct strv warnings = STRV_INIT;
	struct error err = ERROR_INIT;

	make_image(&im, "example.com/web_app", APP);
	cr_assert_eq(build("x", &im, 1, &pm, &warnings, &err), 0, "%s",
		     err.msg);
	cr_assert_eq(pm.n_apps, 1);
	cr_expect_str_eq(pm.apps[0].name, "web-app");
	cr_expect_str_eq(pm.apps[0].image.id, ID);
	cr_expect_str_eq(pm.apps[0].app.exec.v[1], "one");
	/* The mount point got a volume of its own. */
	cr_assert_eq(pm.n_volumes, 1);
	cr_expect_str_eq(pm.volumes[0].name, "web-app-data");
	cr_assert_eq(warnings.n, 1);
	cr_expect_str_eq(
		warnings.v[0],
		"no volume specified for mount point \"data\", implicitly "
		"creating an \"empty\" volume. This volume will be removed "
		"when the pod is garbage-collected.");
	cr_expect_str_eq(name_values_get(&pm.annotations,
					 "coreos.com/rkt/stage1/mutable"),
			 "false");
}

Test(pod_build, overrides)
{
	cleanup_image_manifest struct image_manifest im = {0};
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_strv struct strv warnings = STRV_INIT;
	struct error err = ERROR_INIT;
	const struct runtime_app *ra;

	make_image(&im, "example.com/app", APP);
	cr_assert_eq(
		build("--volume=data,kind=host,source=/srv|--set-env=A=pod|"
		      "--set-env=C=pod|--port=http:8080|x|--name=web|"
		      "--exec=/bin/b|--user=7|--group=8|--working-dir=/w|"
		      "--supplementary-gids=1,2|--readonly-rootfs=true|"
		      "--environment=C=app|--memory=16Mi|--cpu=500m|"
		      "--caps-retain=CAP_CHOWN|--annotation=example.com/k=v|"
		      "--user-label=l=v|--|two",
		      &im, 1, &pm, &warnings, &err),
		0, "%s", err.msg);
	ra = &pm.apps[0];
	cr_expect_str_eq(ra->name, "web");
	cr_expect_eq(ra->app.exec.n, 2);
	cr_expect_str_eq(ra->app.exec.v[0], "/bin/b");
	cr_expect_str_eq(ra->app.exec.v[1], "two");
	cr_expect_str_eq(ra->app.user, "7");
	cr_expect_str_eq(ra->app.group, "8");
	cr_expect_str_eq(ra->app.working_directory, "/w");
	cr_expect_eq(ra->app.n_supplementary_gids, 2);
	cr_expect(ra->read_only_rootfs);
	cr_expect_str_eq(name_values_get(&ra->app.environment, "A"), "pod");
	cr_expect_str_eq(name_values_get(&ra->app.environment, "B"), "image");
	cr_expect_str_eq(name_values_get(&ra->app.environment, "C"), "app");
	cr_expect_null(
		isolators_find(&ra->app.isolators, ISOLATOR_CAPS_REMOVE_SET));
	cr_expect(isolators_find(&ra->app.isolators, ISOLATOR_CAPS_RETAIN_SET));
	cr_expect(isolators_find(&ra->app.isolators, ISOLATOR_MEMORY));
	cr_expect(isolators_find(&ra->app.isolators, ISOLATOR_CPU));
	cr_expect_str_eq(name_values_get(&ra->annotations, "example.com/k"),
			 "v");
	cr_assert_eq(ra->n_mounts, 1);
	cr_expect_str_eq(ra->mounts[0].volume, "data");
	cr_expect_str_eq(ra->mounts[0].path, "/data");
	cr_expect_eq(warnings.n, 0);
	cr_expect_eq(pm.n_ports, 1);
}

Test(pod_build, app_mount_wins)
{
	cleanup_image_manifest struct image_manifest im = {0};
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_strv struct strv warnings = STRV_INIT;
	struct error err = ERROR_INIT;

	make_image(&im, "example.com/app", APP);
	cr_assert_eq(build("--volume=v,kind=empty|--volume=w,kind=empty|"
			   "--mount=volume=v,target=/data|x|"
			   "--mount=volume=w,target=/data/.",
			   &im, 1, &pm, &warnings, &err),
		     0, "%s", err.msg);
	cr_assert_eq(pm.apps[0].n_mounts, 1);
	cr_expect_str_eq(pm.apps[0].mounts[0].volume, "w");
	cr_expect_str_eq(pm.apps[0].mounts[0].path, "/data");
}

Test(pod_build, refused)
{
	static const struct {
		const char *line;
		const char *app;
		const char *msg;
	} tests[] = {
		{"a|b", APP, "error: multiple apps with name app"},
		{"a", NULL,
		 "image example.com/app has no app section and --exec argument "
		 "is not provided"},
		{"--port=https:443|a", APP,
		 "port name \"https\" could not be found in any apps"},
		{"--port=http:1|a|b|--name=c", APP,
		 "ambiguous port name: \"http\" is in 2 apps"},
		{"--port=http:8080|--port=http:8080|a", APP,
		 "port tcp-0.0.0.0:8080 already mapped to pod port 80"},
		{"--port=http:1.2.3.4:80|--port=http:80|a", APP,
		 "port tcp-0.0.0.0:80 already mapped to pod port 80"},
		{"--port=http:80|--port=http:1.2.3.4:80|a", APP,
		 "port tcp-1.2.3.4:80 already mapped to pod port 80"},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		struct image_manifest im[2] = {{0}, {0}};
		cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
		cleanup_strv struct strv warnings = STRV_INIT;
		struct error err = ERROR_INIT;

		make_image(&im[0], "example.com/app", tests[i].app);
		make_image(&im[1], "example.com/app", tests[i].app);
		cr_expect_lt(build(tests[i].line, im, 2, &pm, &warnings, &err),
			     0);
		cr_expect_str_eq(err.msg, tests[i].msg, "%s: %s", tests[i].line,
				 err.msg);
		image_manifest_release(&im[0]);
		image_manifest_release(&im[1]);
	}
}

Test(pod_build, exec_without_app)
{
	cleanup_image_manifest struct image_manifest im = {0};
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_strv struct strv warnings = STRV_INIT;
	struct error err = ERROR_INIT;

	make_image(&im, "example.com/app", NULL);
	cr_assert_eq(
		build("x|--exec=/bin/sh|--|-c", &im, 1, &pm, &warnings, &err),
		0, "%s", err.msg);
	cr_expect_str_eq(pm.apps[0].app.user, "0");
	cr_expect_str_eq(pm.apps[0].app.exec.v[1], "-c");
}

/* What update does: the words of the first run on the next image. */
Test(pod_build, words_again)
{
	cleanup_image_manifest struct image_manifest im = {0};
	cleanup_runtime_app struct runtime_app ra = RUNTIME_APP_INIT;
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_strv struct strv warnings = STRV_INIT;
	cleanup_strv struct strv words = STRV_INIT;
	struct error err = ERROR_INIT;

	make_image(&im, "example.com/app", APP);
	strv_push(&words, "--pod-environment=A=pod");
	strv_push(&words, "--name=web");
	strv_push(&words, "--");
	strv_push(&words, "--two");
	cr_assert_eq(app_args_apply(&im, &words, &ra, &err), 0, "%s", err.msg);
	cr_expect_str_eq(ra.name, "web");
	cr_expect_eq(ra.app.exec.n, 3);
	cr_expect_str_eq(ra.app.exec.v[2], "--two");
	cr_expect_str_eq(name_values_get(&ra.app.environment, "A"), "pod");
	/* The pod has no volume for the mount point. */
	cr_expect_eq(pod_app_reify(&ra, &pm, false, &warnings, &err), -ENOENT);
}

Test(pod_build, host)
{
	static const struct {
		const char *labels;
		const char *msg;
	} tests[] = {
		{"", "missing os label in the image manifest"},
		{"{\"name\":\"os\",\"value\":\"linux\"}",
		 "missing arch label in the image manifest"},
		{"{\"name\":\"os\",\"value\":\"freebsd\"},"
		 "{\"name\":\"arch\",\"value\":\"amd64\"}",
		 "bad os \"freebsd\""},
		{"{\"name\":\"os\",\"value\":\"linux\"},"
		 "{\"name\":\"arch\",\"value\":\"ppc64le\"}",
		 "bad arch \"ppc64le\""},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		cleanup_image_manifest struct image_manifest im = {0};
		struct error err = ERROR_INIT;
		char *text = xasprintf("{\"acKind\":\"ImageManifest\","
				       "\"acVersion\":\"0.8.11\",\"name\":"
				       "\"a\",\"labels\":[%s]}",
				       tests[i].labels);

		cr_assert_eq(
			image_manifest_parse(text, strlen(text), &im, &err), 0,
			"%s", err.msg);
		cr_expect_eq(pod_image_check_host(&im, &err), -EINVAL);
		cr_expect(strncmp(err.msg, "image a: ", 9) == 0, "%s", err.msg);
		cr_expect_str_eq(err.msg + 9, tests[i].msg);
		free(text);
	}
}

/* --- mutable pods ----------------------------------------------------------
 */

static int extend(const char *line, struct pod_manifest *pm,
		  const struct image_manifest *im, struct strv *warnings,
		  struct error *err)
{
	cleanup_pod_request struct pod_request req = POD_REQUEST_INIT;
	cleanup_strv struct strv words = STRV_INIT;
	struct strv env = STRV_INIT;
	int r;

	strv_split(&words, line, '|');
	r = pod_request_parse(&req, words.v, NULL, 0, err);
	if (r == 0)
		r = pod_request_resolve(&req, &env, err);
	if (r == 0)
		r = pod_manifest_extend(pm, &req.apps[0], im, ID, warnings,
					err);
	return r;
}

Test(pod_build, empty)
{
	cleanup_pod_request struct pod_request req = POD_REQUEST_INIT;
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	struct error err = ERROR_INIT;

	cr_expect_eq(pod_manifest_make(&req, NULL, NULL, &pm, NULL, &err),
		     -EINVAL);
	cr_expect(strstr(err.msg, "there is no app"), "%s", err.msg);
	req.is_mutable = true;
	cr_assert_eq(pod_manifest_make(&req, NULL, NULL, &pm, NULL, NULL), 0);
	cr_expect(pod_manifest_is_mutable(&pm));
	cr_expect_eq(pm.n_apps, 0);
}

Test(pod_build, extend)
{
	cleanup_image_manifest struct image_manifest im = {0};
	cleanup_pod_request struct pod_request req = POD_REQUEST_INIT;
	cleanup_pod_manifest struct pod_manifest pm = POD_MANIFEST_INIT;
	cleanup_strv struct strv warnings = STRV_INIT;
	struct error err = ERROR_INIT;
	char line[32];

	make_image(&im, "example.com/app", APP);
	req.is_mutable = true;
	cr_assert_eq(pod_manifest_make(&req, NULL, NULL, &pm, NULL, NULL), 0);
	for (int i = 0; i < 64; i++) {
		(void)snprintf(line, sizeof(line), "x|--name=app%d", i);
		cr_assert_eq(extend(line, &pm, &im, &warnings, &err), 0, "%s",
			     err.msg);
	}
	cr_expect_eq(pm.n_apps, 64);
	cr_expect_eq(extend("x|--name=more", &pm, &im, &warnings, &err),
		     -E2BIG);
	pod_manifest_remove_app(&pm, "app7");
	cr_expect_eq(pm.n_apps, 63);
	cr_expect_null(pod_manifest_find_app(&pm, "app7"));
	cr_expect_str_eq(pm.apps[7].name, "app8");
	cr_expect_eq(extend("x|--name=app8", &pm, &im, &warnings, &err),
		     -EINVAL);
	cr_expect(strstr(err.msg, "already an app app8"), "%s", err.msg);
	pod_manifest_remove_app(&pm, "app63");
	cr_expect_eq(extend("x|--name=y|--mnt-volume=target=/y,"
			    "name=app0-data,kind=empty",
			    &pm, &im, &warnings, &err),
		     -EEXIST, "%s", err.msg);
}

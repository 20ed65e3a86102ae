/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "spec/pod_manifest.h"
#include "stage1/caps.h"
#include "stage1/plan.h"

#define ID                                                                     \
	"sha512-"                                                              \
	"00000000000000000000000000000000000000000000000000000000000000000000" \
	"000000000000000000000000000000000000000000000000000000000000"

/* APP is the inside of the app object, RA what stands beside it, POD the
 * rest of the pod; each begins with a comma or is empty. */
static int plan_with(const char *app, const char *ra, const char *pod,
		     const struct plan_options *options,
		     struct pod_manifest *pm, struct app_plan *plan,
		     struct error *err)
{
	char *text = xasprintf(
		"{\"acKind\":\"PodManifest\",\"acVersion\":\"0.8.11\","
		"\"apps\":[{\"name\":\"web\",\"image\":{\"id\":\"" ID "\"},"
		"\"app\":{\"exec\":[\"/web\"],\"user\":\"1\",\"group\":\"2\"%s}"
		"%s}]%s}",
		app, ra, pod);
	int r = pod_manifest_parse(text, strlen(text), pm, err);

	cr_assert_eq(r, 0, "%s: %s", text, err->msg);
	free(text);
	return app_plan_make(pm, &pm->apps[0], options, plan, err);
}

static int plan(const char *app, const char *ra, const char *pod,
		struct pod_manifest *pm, struct app_plan *ret,
		struct error *err)
{
	static const struct plan_options options;

	return plan_with(app, ra, pod, &options, pm, ret, err);
}

/* readOnly of volume, mount point: what the app gets. */
Test(plan, read_only)
{
	static const struct {
		const char *volume, *point;
		bool read_only;
	} rows[] = {
		{"", "", false},
		{"", ",\"readOnly\":false", false},
		{"", ",\"readOnly\":true", true},
		{",\"readOnly\":true", "", true},
		{",\"readOnly\":true", ",\"readOnly\":false", true},
		{",\"readOnly\":false", "", false},
		{",\"readOnly\":false", ",\"readOnly\":true", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (int by_mount = 0; by_mount < 2; by_mount++) {
			struct pod_manifest pm = POD_MANIFEST_INIT;
			struct app_plan p = APP_PLAN_INIT;
			struct error err = ERROR_INIT;
			char *app = xasprintf(
				",\"mountPoints\":[{\"name\":\"data\","
				"\"path\":\"/data/\"%s}]",
				rows[i].point);
			char *pod = xasprintf(
				",\"volumes\":[{\"name\":\"data\",\"kind\":"
				"\"host\",\"source\":\"/srv\"%s}]",
				rows[i].volume);

			cr_assert_eq(
				plan(app,
				     by_mount ? ",\"mounts\":[{\"volume\":"
						"\"data\",\"path\":\"/data\"}]"
					      : "",
				     pod, &pm, &p, &err),
				0, "row %zu: %s", i, err.msg);
			cr_assert_eq(p.n_mounts, 1);
			cr_expect_eq(p.mounts[0].read_only, rows[i].read_only,
				     "row %zu, %d", i, by_mount);
			cr_expect_str_eq(p.mounts[0].target, "/data");
			cr_expect_str_eq(p.mounts[0].source, "/srv");
			cr_expect(p.mounts[0].recursive);
			app_plan_release(&p);
			pod_manifest_release(&pm);
			free(app);
			free(pod);
		}
}

#define VOLUMES                                                                \
	",\"volumes\":["                                                       \
	"{\"name\":\"a\",\"kind\":\"empty\",\"mode\":\"0700\",\"uid\":7,"      \
	"\"gid\":8},"                                                          \
	"{\"name\":\"b\",\"kind\":\"host\",\"source\":\"/b\","                 \
	"\"recursive\":false}]"

Test(plan, mounts_parents_first)
{
	struct pod_manifest pm = POD_MANIFEST_INIT;
	struct app_plan p = APP_PLAN_INIT;
	struct error err = ERROR_INIT;

	cr_assert_eq(plan("",
			  ",\"mounts\":[{\"volume\":\"b\",\"path\":"
			  "\"/x/y/../z\"},{\"volume\":\"a\",\"path\":"
			  "\"/x\"}]",
			  VOLUMES, &pm, &p, &err),
		     0, "%s", err.msg);
	cr_assert_eq(p.n_mounts, 2);
	cr_expect_str_eq(p.mounts[0].target, "/x");
	cr_expect_str_eq(p.mounts[0].volume, "a");
	cr_expect_null(p.mounts[0].source);
	cr_expect_eq(p.mounts[0].mode, 0700);
	cr_expect_eq(p.mounts[0].uid, 7);
	cr_expect_eq(p.mounts[0].gid, 8);
	cr_expect_str_eq(p.mounts[1].target, "/x/z");
	cr_expect_not(p.mounts[1].recursive);
	app_plan_release(&p);
	pod_manifest_release(&pm);
}

Test(plan, refused)
{
	static const struct {
		const char *app, *ra, *says;
	} rows[] = {
		{"",
		 ",\"mounts\":[{\"volume\":\"a\",\"path\":\"/x\"},"
		 "{\"volume\":\"b\",\"path\":\"/x/\"}]",
		 "both mounted at /x"},
		{"", ",\"mounts\":[{\"volume\":\"none\",\"path\":\"/x\"}]",
		 "no volume none"},
		{"", ",\"mounts\":[{\"volume\":\"a\",\"path\":\"/\"}]",
		 "no path inside"},
		{"", ",\"mounts\":[{\"volume\":\"a\",\"path\":\"/..\"}]",
		 "no path inside"},
		{",\"mountPoints\":[{\"name\":\"none\",\"path\":\"/x\"}]", "",
		 "no volume for mount point none"},
		{",\"supplementaryGIDs\":[-1]", "", "no gid"},
		{",\"supplementaryGIDs\":[4294967295]", "", "no gid"},
		{",\"isolators\":[{\"name\":\"resource/memory\",\"value\":"
		 "{\"limit\":\"1\"}}]",
		 "", "at least"},
		{",\"isolators\":[{\"name\":\"os/linux/apparmor-profile\","
		 "\"value\":{\"profile\":\"p\"}}]",
		 "", "AppArmor"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct pod_manifest pm = POD_MANIFEST_INIT;
		struct app_plan p = APP_PLAN_INIT;
		struct error err = ERROR_INIT;

		cr_expect_lt(
			plan(rows[i].app, rows[i].ra, VOLUMES, &pm, &p, &err),
			0, "row %zu", i);
		cr_expect(strstr(err.msg, rows[i].says), "row %zu: %s", i,
			  err.msg);
		pod_manifest_release(&pm);
	}
}

#define ISOLATORS                                                              \
	",\"isolators\":["                                                     \
	"{\"name\":\"resource/memory\",\"value\":{\"limit\":\"64Mi\"}},"       \
	"{\"name\":\"resource/cpu\",\"value\":{\"limit\":\"250m\"}},"          \
	"{\"name\":\"resource/block-bandwidth\",\"value\":{\"default\":"       \
	"true,\"limit\":\"1M\"}},"                                             \
	"{\"name\":\"os/linux/oom-score-adj\",\"value\":500},"                 \
	"{\"name\":\"os/linux/no-new-privileges\",\"value\":true},"            \
	"{\"name\":\"os/linux/capabilities-retain-set\",\"value\":{\"set\":"   \
	"[\"CAP_NET_ADMIN\"]}},"                                               \
	"{\"name\":\"os/linux/seccomp-retain-set\",\"value\":{\"errno\":"      \
	"\"ENOSYS\",\"set\":[\"@appc.io/all\"]}},"                             \
	"{\"name\":\"example.com/unknown\",\"value\":{}}]"

Test(plan, isolators)
{
	struct pod_manifest pm = POD_MANIFEST_INIT;
	struct app_plan p = APP_PLAN_INIT;
	struct error err = ERROR_INIT;

	cr_assert_eq(plan(ISOLATORS, "", "", &pm, &p, &err), 0, "%s", err.msg);
	cr_expect_eq(p.limits.memory_max, 64UL << 20);
	cr_expect_eq(p.limits.cpu_millis, 250);
	cr_expect(p.has_oom_score_adj);
	cr_expect_eq(p.oom_score_adj, 500);
	cr_expect(p.no_new_privs);
	cr_expect_eq(p.caps, CAPS_BIT(CAP_NET_ADMIN));
	cr_expect_not(p.is_filtered, "@appc.io/all");
	cr_expect_eq(p.seccomp.policy, SECCOMP_POLICY_RETAIN);
	cr_expect_str_eq(p.seccomp.errno_name, "ENOSYS");
	cr_expect(p.seccomp.notify_bind);
	cr_assert_eq(p.ignored.n, 2);
	cr_expect(strstr(p.ignored.v[0], "block-bandwidth"));
	cr_expect(strstr(p.ignored.v[1], "example.com/unknown"));
	app_plan_release(&p);
	pod_manifest_release(&pm);
}

Test(plan, a_filter_there_is_by_default)
{
	const char *const filters[] = {
		"",
		",\"isolators\":[{\"name\":\"os/linux/"
		"seccomp-remove-set\",\"value\":"
		"{\"set\":[\"@appc.io/empty\"]}}]",
		",\"isolators\":[{\"name\":\"os/linux/"
		"seccomp-retain-set\",\"value\":"
		"{\"set\":[\"read\"]}}]",
	};

	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		struct pod_manifest pm = POD_MANIFEST_INIT;
		struct app_plan p = APP_PLAN_INIT;
		struct error err = ERROR_INIT;

		cr_assert_eq(plan(filters[i], "", "", &pm, &p, &err), 0, "%s",
			     err.msg);
		cr_expect(p.is_filtered, "%s", filters[i]);
		app_plan_release(&p);
		pod_manifest_release(&pm);
	}
}

Test(plan, insecure_options_switch_off)
{
	const struct plan_options options = {
		.insecure_capabilities = true,
		.insecure_seccomp = true,
	};
	struct pod_manifest pm = POD_MANIFEST_INIT;
	struct app_plan p = APP_PLAN_INIT;
	struct error err = ERROR_INIT;

	cr_assert_eq(plan_with(ISOLATORS, "", "", &options, &pm, &p, &err), 0,
		     "%s", err.msg);
	cr_expect_eq(p.seccomp.policy, SECCOMP_POLICY_OFF);
	cr_expect_not(p.is_filtered);
	/* An update needs it nevertheless. */
	cr_expect(p.seccomp.notify_bind);
	cr_expect(p.caps & CAPS_BIT(CAP_SYS_ADMIN));
	app_plan_release(&p);
	pod_manifest_release(&pm);
}

Test(plan, the_rest)
{
	struct pod_manifest pm = POD_MANIFEST_INIT;
	struct app_plan p = APP_PLAN_INIT;
	struct error err = ERROR_INIT;

	cr_assert_eq(
		plan(",\"workingDirectory\":\"/w\",\"supplementaryGIDs\":"
		     "[5,6],\"environment\":[{\"name\":\"A\",\"value\":\"b\"}],"
		     "\"eventHandlers\":[{\"name\":\"pre-start\",\"exec\":"
		     "[\"/pre\",\"x\"]},{\"name\":\"post-stop\",\"exec\":"
		     "[\"/post\"]}]",
		     ",\"readOnlyRootFS\":true", "", &pm, &p, &err),
		0, "%s", err.msg);
	cr_expect_str_eq(p.name, "web");
	cr_expect_str_eq(p.working_directory, "/w");
	cr_expect_str_eq(p.user, "1");
	cr_expect_str_eq(p.group, "2");
	cr_expect(p.read_only_rootfs);
	cr_assert_eq(p.n_gids, 2);
	cr_expect_eq(p.gids[1], 6);
	cr_assert_eq(p.pre_start.n, 2);
	cr_expect_str_eq(p.pre_start.v[1], "x");
	cr_assert_eq(p.post_stop.n, 1);
	cr_expect_str_eq(strv_env_get(&p.env, "A"), "b");
	cr_expect_str_eq(strv_env_get(&p.env, "AC_APP_NAME"), "web");
	cr_expect_eq(p.seccomp.policy, SECCOMP_POLICY_DEFAULT);
	app_plan_release(&p);
	pod_manifest_release(&pm);
}

Test(plan, sysctls)
{
	static const char pod[] =
		",\"isolators\":[{\"name\":\"os/unix/sysctl\",\"value\":{"
		"\"net.ipv4.ip_forward\":\"1\",\"kernel.panic\":\"1\","
		"\"net.ipv4/../../kernel.panic\":\"1\",\"net...x\":\"1\"}}]";

	for (int host = 0; host < 2; host++) {
		struct pod_manifest pm = POD_MANIFEST_INIT;
		struct app_plan p = APP_PLAN_INIT;
		struct error err = ERROR_INIT;
		struct strv set = STRV_INIT, ignored = STRV_INIT;

		cr_assert_eq(plan("", "", pod, &pm, &p, &err), 0, "%s",
			     err.msg);
		sysctl_plan_make(&pm, host, &set, &ignored);
		cr_expect_eq(set.n, host ? 0 : 1);
		cr_expect_eq(ignored.n, host ? 4 : 3);
		if (!host)
			cr_expect_str_eq(set.v[0], "net/ipv4/ip_forward=1");
		strv_release(&set);
		strv_release(&ignored);
		app_plan_release(&p);
		pod_manifest_release(&pm);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/image_manifest.h"
#include "spec/isolator.h"
#include "spec/json_read.h"
#include "spec/pod_manifest.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))

/* ' stands for " */
static void json_text(const char *in, struct strbuf *out)
{
	strbuf_reset(out);
	for (; *in; in++)
		strbuf_addch(out, *in == '\'' ? '"' : *in);
}

static const char full_image[] =
	"{'acKind':'ImageManifest','acVersion':'0.8.11','name':'example.com/a',"
	"'labels':[{'name':'version','value':'1'},{'name':'os','value':'linux'}"
	",{'name':'arch','value':'amd64'}],"
	"'app':{'exec':['/a','b c'],'eventHandlers':[{'name':'pre-start',"
	"'exec':['x']}],'user':'u','group':'/g','supplementaryGIDs':[1,-2],"
	"'workingDirectory':'/w','environment':[{'name':'A','value':'b'}],"
	"'mountPoints':[{'name':'m','path':'/m','readOnly':true}],"
	"'ports':[{'name':'p','protocol':'tcp','port':80,'count':2,"
	"'socketActivated':true}],"
	"'isolators':["
	"{'name':'os/linux/seccomp-remove-set','value':{'set':['reboot'],"
	"'errno':'EPERM'}},"
	"{'name':'os/linux/capabilities-retain-set','value':{'set':"
	"['CAP_KILL']}},"
	"{'name':'os/linux/no-new-privileges','value':true},"
	"{'name':'os/linux/cpu-shares','value':512},"
	"{'name':'os/linux/oom-score-adj','value':-5},"
	"{'name':'resource/cpu','value':{'request':'250m','limit':'2'}},"
	"{'name':'resource/memory','value':{'limit':'1Gi'}},"
	"{'name':'resource/block-iops','value':{'default':true,'limit':'1k'}},"
	"{'name':'os/linux/selinux-context','value':{'user':'u','role':'r',"
	"'type':'t','level':'s0:c1'}},"
	"{'name':'os/linux/apparmor-profile','value':{'profile':'p'}},"
	"{'name':'os/unix/sysctl','value':{'net.core.somaxconn':'1'}},"
	"{'name':'unknown/one','value':{'a':[1,null,'x']}}],"
	"'userAnnotations':{'x y':'z'},'userLabels':{'l':''}},"
	"'dependencies':[{'imageName':'b','imageID':'sha512-abc',"
	"'labels':[{'name':'version','value':'2'}],'size':7}],"
	"'pathWhitelist':['/a','/b'],"
	"'annotations':[{'name':'created','value':'2004-05-14T23:11:14Z'}]}";

Test(manifest, an_image_manifest_is_written_as_it_was_read)
{
	struct image_manifest im cleanup_image_manifest = IMAGE_MANIFEST_INIT;
	struct strbuf in cleanup_strbuf = STRBUF_INIT;
	struct strbuf out cleanup_strbuf = STRBUF_INIT;
	struct error err = ERROR_INIT;

	json_text(full_image, &in);
	cr_assert(image_manifest_parse(in.buf, in.len, &im, &err) == 0, "%s",
		  err.msg);
	image_manifest_write(&im, JSON_COMPACT_STYLE, &out);
	cr_expect_str_eq(out.buf, in.buf);
}

Test(manifest, an_app_is_copied_deeply)
{
	struct image_manifest im cleanup_image_manifest = IMAGE_MANIFEST_INIT;
	struct strbuf first cleanup_strbuf = STRBUF_INIT;
	struct strbuf second cleanup_strbuf = STRBUF_INIT;
	struct strbuf in cleanup_strbuf = STRBUF_INIT;
	struct app copy cleanup_app = {0};
	struct json_writer w;

	json_text(full_image, &in);
	cr_assert(image_manifest_parse(in.buf, in.len, &im, NULL) == 0);
	json_writer_init(&w, &first, JSON_COMPACT_STYLE);
	app_write(&im.app, NULL, &w);
	app_copy(&copy, &im.app);
	image_manifest_release(&im);
	json_writer_init(&w, &second, JSON_COMPACT_STYLE);
	app_write(&copy, NULL, &w);
	cr_expect_str_eq(second.buf, first.buf);
	cr_expect(app_event_handler(&copy, EVENT_PRE_START));
	cr_expect(!app_event_handler(&copy, EVENT_POST_STOP));
}

Test(manifest, fields_are_where_readers_look_for_them)
{
	struct image_manifest im cleanup_image_manifest = IMAGE_MANIFEST_INIT;
	struct strbuf in cleanup_strbuf = STRBUF_INIT;
	const struct isolator *cpu;
	int64_t milli = 0;

	json_text(full_image, &in);
	cr_assert(image_manifest_parse(in.buf, in.len, &im, NULL) == 0);
	cr_expect_str_eq(im.name, "example.com/a");
	cr_expect_str_eq(name_values_get(&im.labels, "version"), "1");
	cr_expect(im.has_app && im.app.exec.n == 2);
	cr_expect(im.app.n_supplementary_gids == 2 &&
		  im.app.supplementary_gids[1] == -2);
	cpu = isolators_find(&im.app.isolators, ISOLATOR_CPU);
	cr_assert(cpu);
	cr_expect(quantity_milli_ceil(&cpu->u.resource.limit, &milli) == 0 &&
		  milli == 2000);
	cr_expect(im.dependencies[0].size == 7);
	/* -2 parses, and is refused where it would be used. */
	cr_expect(app_check_runnable(&im.app, NULL) == -EINVAL);
}

Test(manifest, validation_finds_everything)
{
	static const char in[] =
		"{'acKind':'PodManifest','acVersion':'1','labels':[{'name':"
		"'os','value':'OS/360'}],\n'app':{'exec':['/a',1],'user':'',"
		"'workingDirectory':'x','environment':[{'name':'0','value':''}"
		"],'ports':[{'name':'P','port':0}],'isolators':[{'name':"
		"'resource/memory','value':{'limit':'1Q'}},{'name':'x'}]}}";
	static const char *const want[] = {
		"acKind",
		"acVersion",
		"",
		"labels",
		"app.exec[1]",
		"app",
		"app",
		"app.workingDirectory",
		"app.environment[0].name",
		"app.isolators[0].value.limit",
		"app.isolators[1]",
		"app.ports[0].name",
		"app.ports[0]",
	};
	struct problems problems cleanup_problems = PROBLEMS_INIT;
	struct image_manifest im cleanup_image_manifest = IMAGE_MANIFEST_INIT;
	struct strbuf text cleanup_strbuf = STRBUF_INIT;
	struct error err = ERROR_INIT;

	json_text(in, &text);
	cr_expect(image_manifest_validate(text.buf, text.len, &problems) ==
		  -EINVAL);
	cr_expect(problems.n == ROWS(want), "%zu", problems.n);
	for (size_t i = 0; i < problems.n && i < ROWS(want); i++)
		cr_expect_str_eq(problems.v[i].where, want[i], "%zu: %s: %s", i,
				 problems.v[i].where, problems.v[i].text);
	cr_expect(problems.n_errors == ROWS(want) - 1,
		  "the unknown isolator is a warning");
	/* The parser gives the first of them. */
	cr_expect(image_manifest_parse(text.buf, text.len, &im, &err) ==
		  -EINVAL);
	cr_expect_str_eq(err.msg, "image manifest: acKind: must be "
				  "\"ImageManifest\", is \"PodManifest\"");
}

Test(manifest, a_newer_major_version_is_a_warning)
{
	static const char in[] =
		"{'acKind':'ImageManifest','acVersion':'1.0.0','name':'a'}";
	struct problems problems cleanup_problems = PROBLEMS_INIT;
	struct strbuf text cleanup_strbuf = STRBUF_INIT;

	json_text(in, &text);
	cr_expect(image_manifest_validate(text.buf, text.len, &problems) == 0);
	cr_expect(problems.n == 1 && problems.v[0].is_warning);
}

static const char full_pod[] =
	"{'acVersion':'0.8.11','acKind':'PodManifest','apps':[{'name':'a',"
	"'image':{'name':'x','id':'sha512-"
	"00000000000000000000000000000000000000000000000000000000000000000000"
	"000000000000000000000000000000000000000000000000000000000000',"
	"'labels':[{'name':'version','value':'1'}]},"
	"'app':{'user':'0','group':'0'},'readOnlyRootFS':true,"
	"'mounts':[{'volume':'v','path':'/v'},{'path':'/w','appVolume':"
	"{'name':'w','kind':'host','source':'/s','readOnly':false,"
	"'recursive':true}}],'annotations':[{'name':'k','value':'v'}]}],"
	"'volumes':[{'name':'v','kind':'empty','readOnly':true,'mode':'0700',"
	"'uid':1,'gid':2}],"
	"'isolators':[{'name':'resource/memory','value':{'limit':'1G'}}],"
	"'annotations':[],"
	"'ports':[{'name':'p','hostPort':80,'hostIP':'::1','podPort':"
	"{'name':'p','protocol':'udp','port':9,'count':1,"
	"'socketActivated':false}}],"
	"'userAnnotations':{'a':'b'},'userLabels':{'c':'d'}}";

Test(manifest, a_pod_manifest_is_written_as_it_was_read)
{
	struct pod_manifest pm cleanup_pod_manifest = POD_MANIFEST_INIT;
	struct strbuf in cleanup_strbuf = STRBUF_INIT;
	struct strbuf out cleanup_strbuf = STRBUF_INIT;
	struct error err = ERROR_INIT;

	json_text(full_pod, &in);
	cr_assert(pod_manifest_parse(in.buf, in.len, &pm, &err) == 0, "%s",
		  err.msg);
	pod_manifest_write(&pm, JSON_COMPACT_STYLE, &out);
	cr_expect_str_eq(out.buf, in.buf);
	cr_expect(pod_manifest_check_runnable(&pm, &err) == 0, "%s", err.msg);
	cr_expect(pm.volumes[0].read_only == TRISTATE_TRUE);
	cr_expect(pm.volumes[0].recursive == TRISTATE_UNSET);
	cr_expect(pod_manifest_find_app(&pm, "a") == &pm.apps[0]);
	cr_expect(!pod_manifest_find_app(&pm, "b"));
}

Test(manifest, an_app_of_a_pod_stands_alone)
{
	struct runtime_app copy cleanup_runtime_app = RUNTIME_APP_INIT;
	struct runtime_app again cleanup_runtime_app = RUNTIME_APP_INIT;
	struct pod_manifest pm cleanup_pod_manifest = POD_MANIFEST_INIT;
	struct strbuf in cleanup_strbuf = STRBUF_INIT;
	struct strbuf first cleanup_strbuf = STRBUF_INIT;
	struct strbuf second cleanup_strbuf = STRBUF_INIT;
	struct error err = ERROR_INIT;

	json_text(full_pod, &in);
	cr_assert(pod_manifest_parse(in.buf, in.len, &pm, NULL) == 0);
	runtime_app_copy(&copy, &pm.apps[0]);
	runtime_app_write(&copy, JSON_PRETTY_STYLE, &first);
	cr_assert(runtime_app_parse(first.buf, first.len, &again, &err) == 0,
		  "%s", err.msg);
	runtime_app_write(&again, JSON_PRETTY_STYLE, &second);
	cr_expect_str_eq(second.buf, first.buf);
}

/* --- isolators -------------------------------------------------------------
 */

Test(manifest, isolators_are_made_for_options)
{
	struct isolators list cleanup_isolators = ISOLATORS_INIT;
	struct isolator isolator = {0};
	struct error err = ERROR_INIT;
	int64_t value = 0;

	cr_assert(isolator_make_resource(ISOLATOR_MEMORY, "1G", &isolator,
					 &err) == 0);
	isolators_add(&list, &isolator);
	cr_assert(isolator_make_resource(ISOLATOR_MEMORY, "2Ki", &isolator,
					 &err) == 0);
	isolators_set(&list, &isolator);
	cr_assert(isolator_make_number(ISOLATOR_CPU_SHARES, 2, &isolator,
				       &err) == 0);
	isolators_set(&list, &isolator);
	cr_expect(list.n == 2);
	cr_expect(quantity_value_ceil(&list.v[0].u.resource.limit, &value) ==
			  0 &&
		  value == 2048);
	cr_expect(!list.v[0].u.resource.has_request);
	cr_expect(quantity_compare(&list.v[0].u.resource.request,
				   &list.v[0].u.resource.limit) == 0,
		  "an omitted request is the limit");
	cr_expect(isolator_make_number(ISOLATOR_CPU_SHARES, 1, &isolator,
				       &err) == -EINVAL);
	cr_expect_str_eq(err.msg, "isolator os/linux/cpu-shares: 1 is not in "
				  "2..262144");
	cr_expect(isolator_make_resource(ISOLATOR_MEMORY, "1x", &isolator,
					 NULL) == -EINVAL);
}

Test(manifest, isolators_make_sets)
{
	struct isolators list cleanup_isolators = ISOLATORS_INIT;
	struct strv set cleanup_strv = STRV_INIT;
	struct isolator isolator = {0};
	struct error err = ERROR_INIT;

	cr_expect(isolator_make_caps(ISOLATOR_CAPS_RETAIN_SET, &set, &isolator,
				     &err) == -EINVAL);
	strv_push(&set, "CAP_KILL");
	cr_assert(isolator_make_caps(ISOLATOR_CAPS_RETAIN_SET, &set, &isolator,
				     &err) == 0);
	isolators_add(&list, &isolator);
	cr_expect(isolators_check(&list, &err) == 0);
	cr_assert(isolator_make_caps(ISOLATOR_CAPS_REMOVE_SET, &set, &isolator,
				     &err) == 0);
	isolators_add(&list, &isolator);
	cr_expect(isolators_check(&list, &err) == -EINVAL);
	cr_expect(strstr(err.msg, "exclude each other"));
	isolators_remove(&list, ISOLATOR_CAPS_RETAIN_SET);
	cr_expect(isolators_check(&list, NULL) == 0);
	cr_assert(isolator_make_seccomp(ISOLATOR_SECCOMP_REMOVE_SET, &set,
					"EPERM", &isolator, &err) == 0);
	cr_expect_str_eq(isolator.u.seccomp.errno_name, "EPERM");
	isolators_add(&list, &isolator);
	cr_assert(isolator_make_seccomp(ISOLATOR_SECCOMP_REMOVE_SET, &set, NULL,
					&isolator, &err) == 0);
	isolators_add(&list, &isolator);
	cr_expect(isolators_check(&list, &err) == -EINVAL);
	cr_expect_str_eq(err.msg, "isolator os/linux/seccomp-remove-set is "
				  "given more than once");
}

Test(manifest, every_isolator_kind_has_a_name)
{
	for (int k = 1; k < ISOLATOR_KIND_MAX; k++)
		cr_expect(isolator_kind_from_name(isolator_kind_name(k)) ==
			  (enum isolator_kind)k);
	cr_expect(isolator_kind_from_name("unknown") == ISOLATOR_UNKNOWN);
}

Test(manifest, the_last_isolator_of_a_kind_counts)
{
	static const char in[] =
		"{'user':'0','group':'0','isolators':["
		"{'name':'resource/cpu','value':{'limit':'1'}},"
		"{'name':'resource/cpu','value':{'limit':'2'}}]}";
	struct strbuf text cleanup_strbuf = STRBUF_INIT;
	struct app app cleanup_app = {0};
	const struct isolator *cpu;
	int64_t value = 0;

	json_text(in, &text);
	cr_assert(app_parse(text.buf, text.len, &app, NULL) == 0);
	cpu = isolators_find(&app.isolators, ISOLATOR_CPU);
	cr_assert(cpu);
	cr_expect(quantity_value_ceil(&cpu->u.resource.limit, &value) == 0 &&
		  value == 2);
}

/* A long list must not cost quadratic time: it comes from an image. */
Test(manifest, long_lists_are_read_in_reasonable_time, .timeout = 20)
{
	struct image_manifest im cleanup_image_manifest = IMAGE_MANIFEST_INIT;
	struct strbuf in cleanup_strbuf = STRBUF_INIT;
	struct error err = ERROR_INIT;

	strbuf_addstr(&in, "{\"acKind\":\"ImageManifest\",\"acVersion\":"
			   "\"0.8.11\",\"name\":\"a\",\"annotations\":[");
	for (int i = 0; i < 100000; i++)
		strbuf_addf(&in, "%s{\"name\":\"a%d\",\"value\":\"\"}",
			    i ? "," : "", i);
	strbuf_addstr(&in, "]}");
	cr_expect(image_manifest_parse(in.buf, in.len, &im, &err) == 0, "%s",
		  err.msg);
	cr_expect(im.annotations.n == 100000);
}

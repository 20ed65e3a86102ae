/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "spec/image_manifest.h"
#include "spec/manifest_patch.h"

#define N_OF(a) (sizeof(a) / sizeof(*(a)))
#define HEAD "{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\","
#define PLAIN HEAD "\"name\":\"a\"}"
#define APP(more)                                                              \
	HEAD "\"name\":\"a\",\"app\":{\"exec\":[\"/x\"],\"user\":\"0\","       \
	     "\"group\":\"0\"" more "}}"
#define AT(field) offsetof(struct manifest_patch, field)

struct row {
	const char *before;
	size_t at; /* of the member VALUE is for */
	const char *value;
	const char *after;   /* NULL: refused */
	const char *message; /* then */
};

static int patch(const char *before, const struct manifest_patch *p,
		 struct strbuf *out, struct error *err)
{
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	int r = image_manifest_parse(before, strlen(before), &im, err);

	cr_assert_eq(r, 0, "%s", before);
	r = manifest_patch_apply(p, &im, err);
	if (r == 0)
		image_manifest_write(&im, JSON_COMPACT_STYLE, out);
	return r;
}

static void check_row(const struct row *row)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct manifest_patch p = {0};
	struct error err = ERROR_INIT;
	int r;

	*(const char **)((char *)&p + row->at) = row->value;
	cr_expect(!manifest_patch_is_empty(&p));
	r = patch(row->before, &p, &out, &err);
	if (row->after) {
		cr_expect_eq(r, 0, "%s: %s", row->value, err.msg);
		cr_expect_str_eq(out.buf, row->after);
		return;
	}
	cr_expect(r < 0, "%s", row->value);
	cr_expect(strstr(err.msg, row->message), "%s: %s", row->value, err.msg);
}

Test(manifest_patch, one_flag)
{
	static const struct row rows[] = {
		{PLAIN, AT(name), "b/c", HEAD "\"name\":\"b/c\"}", NULL},
		{PLAIN, AT(name), "B", NULL, "--name: "},
		{APP(""), AT(exec), "/y  -z a",
		 HEAD "\"name\":\"a\",\"app\":{\"exec\":[\"/y\",\"-z\",\"a\"],"
		      "\"user\":\"0\",\"group\":\"0\"}}",
		 NULL},
		{PLAIN, AT(user), "1", NULL, "no app in the supplied manifest"},
		{PLAIN, AT(seccomp_set), "read", NULL, "no app in the"},
		{APP(""), AT(user), "web",
		 HEAD "\"name\":\"a\",\"app\":{\"exec\":[\"/x\"],"
		      "\"user\":\"web\",\"group\":\"0\"}}",
		 NULL},
		{APP(",\"supplementaryGIDs\":[7]"), AT(supplementary_groups),
		 "1,2", APP(",\"supplementaryGIDs\":[1,2]"), NULL},
		{APP(""), AT(supplementary_groups), "1,,2", NULL,
		 "--supplementary-groups: \"\" is no group id"},
		{APP(",\"isolators\":[{\"name\":"
		     "\"os/linux/capabilities-remove-set\",\"value\":{\"set\":"
		     "[\"CAP_KILL\"]}}]"),
		 AT(capability), "CAP_CHOWN,CAP_KILL",
		 APP(",\"isolators\":[{\"name\":"
		     "\"os/linux/capabilities-retain-set\",\"value\":{\"set\":"
		     "[\"CAP_CHOWN\",\"CAP_KILL\"]}}]"),
		 NULL},
		{APP(""), AT(capability), "CAP_NONE", NULL, "--capability: "},
		{APP(",\"mountPoints\":[{\"name\":\"w\",\"path\":\"/old\"},"
		     "{\"name\":\"k\",\"path\":\"/k\"}]"),
		 AT(mounts), "n,path=/n:w,path=/new,readOnly=true",
		 APP(",\"mountPoints\":[{\"name\":\"w\",\"path\":\"/new\","
		     "\"readOnly\":true},{\"name\":\"k\",\"path\":\"/k\"},"
		     "{\"name\":\"n\",\"path\":\"/n\"}]"),
		 NULL},
		{APP(""), AT(mounts), "w", NULL, "--mounts: "},
		{APP(""), AT(ports), "q,protocol=tcp,port=80",
		 APP(",\"ports\":[{\"name\":\"q\",\"protocol\":\"tcp\","
		     "\"port\":80,\"count\":1,\"socketActivated\":false}]"),
		 NULL},
		{APP(""), AT(ports), "q,port=0x", NULL, "--ports: "},
		{APP(",\"isolators\":[{\"name\":\"resource/cpu\",\"value\":"
		     "{\"limit\":\"1\"}}]"),
		 AT(isolators),
		 "resource/cpu,request=50m,limit=100m:"
		 "os/linux/no-new-privileges,true",
		 APP(",\"isolators\":[{\"name\":\"resource/cpu\",\"value\":"
		     "{\"request\":\"50m\",\"limit\":\"100m\"}},{\"name\":"
		     "\"os/linux/no-new-privileges\",\"value\":true}]"),
		 NULL},
		{APP(""), AT(isolators), "resource/cpu,limit=-1", NULL,
		 "--isolators: "},
		{APP(""), AT(isolators), "resource/cpu,limit", NULL,
		 "--isolators: "},
		{APP(""), AT(isolators), "os/linux/oom-score-adj,5000", NULL,
		 "--isolators: "},
		{APP(""), AT(isolators), "os/linux/seccomp-retain-set,set=x",
		 NULL, "is not supported for patching"},
		{APP(""), AT(isolators), "nobody/knows,a=b", NULL,
		 "is not supported for patching"},
		{APP(""), AT(seccomp_mode), "retain", NULL,
		 "without --seccomp-set"},
		{APP(""), AT(seccomp_set), "read", NULL,
		 "without --seccomp-mode"},
	};

	for (size_t i = 0; i < N_OF(rows); i++)
		check_row(&rows[i]);
}

Test(manifest_patch, seccomp)
{
	static const struct {
		const char *mode, *set, *after, *message;
	} rows[] = {
		{"remove,errno=EPERM", "read,write",
		 APP(",\"isolators\":[{\"name\":\"os/linux/seccomp-remove-set\""
		     ",\"value\":{\"set\":[\"read\",\"write\"],\"errno\":"
		     "\"EPERM\"}}]"),
		 NULL},
		{"retain", "read",
		 APP(",\"isolators\":[{\"name\":\"os/linux/seccomp-retain-set\""
		     ",\"value\":{\"set\":[\"read\"]}}]"),
		 NULL},
		{"keep", "read", NULL, "--seccomp-mode: mode must be"},
		{"retain,errno=", "read", NULL, "--seccomp-mode: "},
		{"retain,x=y", "read", NULL, "is not errno=NAME"},
		{"retain,errno=EWHAT", "read", NULL, "--seccomp-set: "},
		{"retain", "no_such_call", NULL, "--seccomp-set: "},
	};
	const char *before =
		APP(",\"isolators\":[{\"name\":\"os/linux/seccomp-retain-set\","
		    "\"value\":{\"set\":[\"open\"]}}]");

	for (size_t i = 0; i < N_OF(rows); i++) {
		cleanup_strbuf struct strbuf out = STRBUF_INIT;
		const struct manifest_patch p = {
			.seccomp_mode = rows[i].mode,
			.seccomp_set = rows[i].set,
		};
		struct error err = ERROR_INIT;
		int r = patch(before, &p, &out, &err);

		cr_expect_eq(r, rows[i].after ? 0 : -EINVAL, "%s: %s",
			     rows[i].mode, err.msg);
		if (rows[i].after)
			cr_expect_str_eq(out.buf, rows[i].after);
		else
			cr_expect(strstr(err.msg, rows[i].message), "%s",
				  err.msg);
	}
}

Test(manifest_patch, environment_and_an_app_for_nothing)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct manifest_patch p = {
		.exec = "/x",
		.user = "0",
		.group = "0",
		.capability = "",
	};

	strv_push(&p.environment, "A=b=c");
	strv_push(&p.environment, "B=");
	strv_push(&p.environment, "A=d");
	cr_expect_eq(patch(PLAIN, &p, &out, NULL), 0);
	cr_expect_str_eq(out.buf,
			 APP(",\"environment\":[{\"name\":\"A\",\"value\":"
			     "\"d\"},{\"name\":\"B\",\"value\":\"\"}]"));
	strv_push(&p.environment, "C");
	cr_expect_eq(patch(PLAIN, &p, &out, NULL), -EINVAL);
	strv_release(&p.environment);
	p.revoke_capability = p.capability = "CAP_KILL";
	cr_expect_eq(patch(PLAIN, &p, &out, NULL), -EINVAL);
}

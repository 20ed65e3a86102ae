/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "spec/json_write.h"
#include "stage0/pod_request.h"

/* "|" between words. */
static int parse(const char *line, struct pod_request *req, struct error *err)
{
	cleanup_strv struct strv words = STRV_INIT;
	char *none[] = {NULL};

	if (*line)
		strv_split(&words, line, '|');
	return pod_request_parse(req, words.v ? words.v : none, NULL, 0, err);
}

/* IMAGE["words"] of each app. */
static void show(const struct pod_request *req, struct strbuf *sb)
{
	for (size_t i = 0; i < req->n_apps; i++) {
		strbuf_addf(sb, "%s%s", i ? " " : "", req->apps[i].image);
		json_strv_write(&req->apps[i].words, sb);
	}
}

Test(pod_request, grammar)
{
	static const struct {
		const char *line;
		const char *shown; /* or the error */
	} tests[] = {
		{"a", "a[]"},
		{"a|b", "a[] b[]"},
		{"a||b", "a[] b[]"},
		{"---|a", "a[]"},
		{"a|--|x|--y|---|b|--|z", "a[\"--\",\"x\",\"--y\"] "
					  "b[\"--\",\"z\"]"},
		{"a|--", "a[\"--\"]"},
		{"a|--name=x|--|1|---|--user|7",
		 "a[\"--name=x\",\"--user\",\"7\",\"--\",\"1\"]"},
		{"a|--exec|--|--|--", "a[\"--exec\",\"--\",\"--\",\"--\"]"},
		{"--mount=volume=v,target=/x|a|--mount|volume=w,target=/y",
		 "a[\"--mount\",\"volume=w,target=/y\"]"},
		{"a|--port=http:8080|b", "a[] b[]"},
		{"--|x", "an image is required before any app arguments"},
		{"a|--|x|---|--|y",
		 "only one set of app arguments allowed per image"},
		{"--exec=/x|a", "--exec must follow an image"},
		{"--bogus|a", "unknown flag: --bogus"},
		{"a|--bogus", "unknown flag: --bogus"},
		{"a|--name", "flag needs an argument: --name"},
		{"a|--caps-retain=CAP_KILL|--caps-remove=CAP_CHOWN",
		 "cannot use both --caps-retain and --caps-remove on the same "
		 "image"},
		{"a|--signature=x|--signature=y",
		 "invalid argument \"y\" for --signature: given twice for one "
		 "image"},
		{"a|--memory=1k",
		 "invalid argument \"1k\" for --memory: isolator "
		 "resource/memory: limit of 1000 bytes is too low, at least "
		 "4096 are needed"},
		{"a|--readonly-rootfs=maybe",
		 "invalid argument \"maybe\" for --readonly-rootfs: must be "
		 "set with a boolean"},
		{"a|--environment=x",
		 "invalid argument \"x\" for --environment: must be given as "
		 "NAME=VALUE"},
		{"a|--seccomp=errno=EPERM,chmod",
		 "invalid argument \"errno=EPERM,chmod\" for --seccomp: "
		 "mode=retain or mode=remove is missing"},
		{"--set-env=A=1|--set-env=A=2|a",
		 "invalid argument \"A=2\" for --set-env: environment "
		 "variable \"A\" already set"},
		{"--volume=v,kind=empty|--volume=v,kind=empty|a",
		 "invalid argument \"v,kind=empty\" for --volume: volume v "
		 "given twice"},
	};

	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
		cleanup_pod_request struct pod_request req = POD_REQUEST_INIT;
		cleanup_strbuf struct strbuf sb = STRBUF_INIT;
		struct error err = ERROR_INIT;

		if (parse(tests[i].line, &req, &err) == 0)
			show(&req, &sb);
		cr_expect_str_eq(err.code ? err.msg : sb.buf, tests[i].shown,
				 "%s: %s%s", tests[i].line, err.msg, sb.buf);
	}
}

Test(pod_request, resolve)
{
	cleanup_pod_request struct pod_request req = POD_REQUEST_INIT;
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	cleanup_strv struct strv env = STRV_INIT;
	char file[] = "/tmp/rkt-env-XXXXXX";
	const char text[] = "# no\n; no\n\nA=file\n B=file\r\n";
	cleanup_strbuf struct strbuf line = STRBUF_INIT;
	int fd = mkstemp(file);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	strv_push(&env, "H=host");
	strv_push(&env, "BASH_FUNC_x%%=() {}");
	strbuf_addf(&line,
		    "--inherit-env|--set-env=A=set|--set-env-file=%s|"
		    "--volume=v,kind=empty|--mount=volume=v,target=/v|"
		    "a|--environment=A=app|--|x",
		    file);
	cr_assert_eq(parse(line.buf, &req, NULL), 0);
	cr_assert_eq(pod_request_resolve(&req, &env, NULL), 0);
	unlink(file);
	show(&req, &sb);
	cr_expect_str_eq(sb.buf, "a[\"--mount=volume=v,target=/v\","
				 "\"--inherited-environment=H=host\","
				 "\"--pod-environment=B=file\","
				 "\"--pod-environment=A=set\","
				 "\"--environment=A=app\",\"--\",\"x\"]");
	cr_expect_eq(req.apps[0].options.n_mounts, 1);
}

Test(pod_request, dangling_mount)
{
	cleanup_pod_request struct pod_request req = POD_REQUEST_INIT;
	struct strv env = STRV_INIT;
	struct error err = ERROR_INIT;

	cr_assert_eq(parse("a|--mount=volume=v,target=/v", &req, NULL), 0);
	cr_expect_eq(pod_request_resolve(&req, &env, &err), -EINVAL);
	cr_expect_str_eq(err.msg, "dangling mount point \"/v\": volume \"v\" "
				  "not found");
}

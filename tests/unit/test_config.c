/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "spec/config.h"

#define N_OF(a) (sizeof(a) / sizeof(*(a)))
#define HEAD(kind) "{\"rktVersion\":\"v1\",\"rktKind\":\"" kind "\","
#define BASIC                                                                  \
	"\"type\":\"basic\",\"credentials\":"                                  \
	"{\"user\":\"foo\",\"password\":\"bar\"}}"
#define BASIC_FOR(domains) HEAD("auth") "\"domains\":[" domains "]," BASIC

static int add(struct config *config, enum config_subdir subdir,
	       const char *text, struct error *err)
{
	return config_add_file(config, subdir, text, strlen(text), err);
}

Test(config, refused_with_path)
{
	static const struct {
		enum config_subdir subdir;
		const char *text, *message;
	} rows[] = {
		{CONFIG_AUTH_D, "", "line 1"},
		{CONFIG_AUTH_D, "[]", "object"},
		{CONFIG_AUTH_D, "{\"rktVersion\":\"v1\"}", "\"rktKind\" is"},
		{CONFIG_AUTH_D, "{\"rktKind\":\"auth\"}", "\"rktVersion\" is"},
		{CONFIG_AUTH_D, "{\"rktKind\":\"\",\"rktVersion\":\"v1\"}",
		 "rktKind: must not be empty"},
		{CONFIG_AUTH_D, "{\"rktKind\":7,\"rktVersion\":\"v1\"}",
		 "rktKind: "},
		{CONFIG_AUTH_D, "{\"rktKind\":\"auth\",\"rktVersion\":\"v2\"}",
		 "rktVersion: \"v2\" is not known"},
		{CONFIG_AUTH_D, HEAD("paths") "\"data\":\"/x\"}",
		 "rktKind: \"paths\" does not belong in auth.d"},
		{CONFIG_PATHS_D, BASIC_FOR("\"a\""), "expected paths"},
		{CONFIG_STAGE1_D, HEAD("paths") "\"data\":\"/x\"}",
		 "expected stage1"},
		{CONFIG_AUTH_D, HEAD("auth") BASIC, "\"domains\" is missing"},
		{CONFIG_AUTH_D, BASIC_FOR(""), "domains: must not be empty"},
		{CONFIG_AUTH_D, BASIC_FOR("7"), "domains[0]: "},
		{CONFIG_AUTH_D, BASIC_FOR("\"a\",\"\""), "domains[1]: "},
		{CONFIG_AUTH_D, BASIC_FOR("\"https://a\""), "domains[0]: "},
		{CONFIG_AUTH_D, BASIC_FOR("\"u@a\""), "domains[0]: "},
		{CONFIG_AUTH_D, BASIC_FOR("\"a\",\"A\""),
		 "domains[1]: credentials for \"A\" are already"},
		{CONFIG_AUTH_D, HEAD("auth") "\"domains\":[\"a\"]}",
		 "\"type\" is missing"},
		{CONFIG_AUTH_D,
		 HEAD("auth") "\"domains\":[\"a\"],\"type\":\"kerberos\"}",
		 "type: \"kerberos\" is none of basic, oauth, aws"},
		{CONFIG_AUTH_D,
		 HEAD("auth") "\"domains\":[\"a\"],\"type\":\"oauth\"}",
		 "\"credentials\" is missing"},
		{CONFIG_AUTH_D,
		 HEAD("auth") "\"domains\":[\"a\"],\"type\":\"oauth\","
			      "\"credentials\":{}}",
		 "credentials: \"token\" is missing"},
		{CONFIG_AUTH_D,
		 HEAD("auth") "\"domains\":[\"a\"],\"type\":\"oauth\","
			      "\"credentials\":{\"token\":\"a\\r\\nb: c\"}}",
		 "credentials.token: must not have control characters"},
		{CONFIG_AUTH_D,
		 HEAD("auth") "\"domains\":[\"a\"],\"type\":\"aws\","
			      "\"credentials\":{\"accessKeyID\":\"a\"}}",
		 "credentials: \"secretAccessKey\" is missing"},
		{CONFIG_AUTH_D, HEAD("dockerAuth") BASIC,
		 "\"registries\" is missing"},
		{CONFIG_PATHS_D, HEAD("paths") "\"data\":\"x\"}",
		 "data: must be an absolute path"},
		{CONFIG_PATHS_D, HEAD("paths") "\"stage1-images\":\"x\"}",
		 "stage1-images: must be an absolute path"},
		{CONFIG_STAGE1_D, HEAD("stage1") "\"name\":\"x\"}",
		 "\"version\" is missing"},
		{CONFIG_STAGE1_D, HEAD("stage1") "\"version\":\"x\"}",
		 "\"name\" is missing"},
		{CONFIG_STAGE1_D, HEAD("stage1") "\"location\":\"x.aci\"}",
		 "location: must be an absolute path or a URL"},
		{CONFIG_STAGE1_D, HEAD("stage1") "\"location\":\"ftp://x\"}",
		 "location: must be an absolute path or a URL"},
		{CONFIG_AUTO_UPDATE_D, HEAD("paths") "\"data\":\"/x\"}",
		 "expected auto-update"},
		{CONFIG_AUTO_UPDATE_D, HEAD("auto-update") "\"percent\":101}",
		 "percent: must be a number from 0 to 100"},
		{CONFIG_AUTO_UPDATE_D, HEAD("auto-update") "\"percent\":\"9\"}",
		 "percent: must be a number from 0 to 100"},
		{CONFIG_AUTO_UPDATE_D, HEAD("auto-update") "\"tries\":0}",
		 "tries: "},
		{CONFIG_AUTO_UPDATE_D,
		 HEAD("auto-update") "\"successAfter\":\"-1s\"}",
		 "successAfter: \"-1s\" is no time"},
		{CONFIG_AUTO_UPDATE_D,
		 HEAD("auto-update") "\"windows\":[\"22:00-23:00\",\"x\"]}",
		 "windows[1]: \"x\" are no times"},
		{CONFIG_AUTO_UPDATE_D,
		 HEAD("auto-update") "\"unsigned\":[\"a/b\",\"\"]}",
		 "unsigned[1]: must be as in"},
		{CONFIG_AUTO_UPDATE_D,
		 HEAD("auto-update") "\"unsigned\":[\"docker://a/b\"]}",
		 "unsigned[0]: must be as in"},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		cleanup_config struct config config = CONFIG_INIT;
		struct error err = ERROR_INIT;

		cr_expect_eq(add(&config, rows[i].subdir, rows[i].text, &err),
			     -EINVAL, "%s", rows[i].text);
		cr_expect(strstr(err.msg, rows[i].message), "%s: %s",
			  rows[i].text, err.msg);
	}
}

Test(config, said_twice_in_one_directory)
{
	static const struct {
		enum config_subdir subdir;
		const char *first, *second;
	} rows[] = {
		{CONFIG_AUTH_D, BASIC_FOR("\"a\""), BASIC_FOR("\"b\",\"a\"")},
		{CONFIG_PATHS_D, HEAD("paths") "\"data\":\"/x\"}",
		 HEAD("paths") "\"data\":\"/x\"}"},
		{CONFIG_STAGE1_D, HEAD("stage1") "\"location\":\"/x\"}",
		 HEAD("stage1") "\"location\":\"/y\"}"},
		{CONFIG_STAGE1_D,
		 HEAD("stage1") "\"name\":\"x\",\"version\":\"1\"}",
		 HEAD("stage1") "\"name\":\"y\",\"version\":\"1\"}"},
		{CONFIG_AUTO_UPDATE_D, HEAD("auto-update") "\"windows\":[]}",
		 HEAD("auto-update") "\"windows\":[\"01:00-02:00\"]}"},
		{CONFIG_AUTO_UPDATE_D, HEAD("auto-update") "\"percent\":0}",
		 HEAD("auto-update") "\"percent\":1}"},
		{CONFIG_AUTO_UPDATE_D, HEAD("auto-update") "\"unsigned\":[]}",
		 HEAD("auto-update") "\"unsigned\":[\"a\"]}"},
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		cleanup_config struct config config = CONFIG_INIT;
		struct error err = ERROR_INIT;

		cr_expect_eq(add(&config, rows[i].subdir, rows[i].first, &err),
			     0, "%s", err.msg);
		cr_expect_eq(add(&config, rows[i].subdir, rows[i].second, &err),
			     -EINVAL, "%s", rows[i].second);
		cr_expect(strstr(err.msg, "already specified in this"), "%s",
			  err.msg);
	}
}

/* A system and a local directory, as the manual of rkt has them. */
Test(config, later_directories_override)
{
	cleanup_config struct config all = CONFIG_INIT;
	struct config local = CONFIG_INIT;
	const struct config_auth *auth;

	cr_assert_eq(add(&all, CONFIG_AUTH_D,
			 HEAD("auth") "\"domains\":[\"coreos.com\","
				      "\"kubernetes.io\"],\"type\":\"oauth\","
				      "\"credentials\":{\"token\":\"common\"}}",
			 NULL),
		     0);
	cr_assert_eq(add(&all, CONFIG_PATHS_D,
			 HEAD("paths") "\"data\":\"/a\","
				       "\"stage1-images\":\"/s\"}",
			 NULL),
		     0);
	cr_assert_eq(
		add(&local, CONFIG_AUTH_D, BASIC_FOR("\"coreos.com\""), NULL),
		0);
	cr_assert_eq(add(&local, CONFIG_PATHS_D,
			 HEAD("paths") "\"data\":\"/b\",\"new\":[]}", NULL),
		     0);
	config_override(&all, &local);
	cr_expect_eq(local.auths.n, 0);
	cr_expect_eq(all.auths.n, 2);
	cr_expect_str_eq(all.data_dir, "/b");
	cr_expect_str_eq(all.stage1_images_dir, "/s");
	auth = config_auth_for_host(&all, "CoreOS.com");
	cr_assert(auth);
	cr_expect_eq(auth->type, CONFIG_AUTH_BASIC);
	auth = config_auth_for_host(&all, "kubernetes.io");
	cr_assert(auth);
	cr_expect_str_eq(auth->secret, "common");
	cr_expect_null(config_auth_for_host(&all, "kubernetes.io:443"));
	cr_expect_null(config_auth_for_host(&all, "kubernetes.i"));
	cr_expect_null(config_auth_for_registry(&all, "coreos.com"));
}

Test(config, printed)
{
	cleanup_config struct config config = CONFIG_INIT;
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;

	cr_assert_eq(add(&config, CONFIG_AUTH_D,
			 BASIC_FOR("\"z.com\",\"a.com\""), NULL),
		     0);
	config_write(&config, JSON_COMPACT_STYLE, &sb);
	cr_expect_str_eq(
		sb.buf,
		"{\"stage0\":["
		"{\"rktVersion\":\"v1\",\"rktKind\":\"auth\","
		"\"domains\":[\"a.com\"],\"type\":\"basic\",\"credentials\":"
		"{\"user\":\"foo\",\"password\":\"bar\"}},"
		"{\"rktVersion\":\"v1\",\"rktKind\":\"auth\","
		"\"domains\":[\"z.com\"],\"type\":\"basic\",\"credentials\":"
		"{\"user\":\"foo\",\"password\":\"bar\"}},"
		"{\"rktVersion\":\"v1\",\"rktKind\":\"paths\",\"data\":\"\","
		"\"stage1-images\":\"\"},"
		"{\"rktVersion\":\"v1\",\"rktKind\":\"stage1\",\"name\":\"\","
		"\"version\":\"\",\"location\":\"\"}]}");
}

Test(config, auto_update)
{
	cleanup_config struct config all = CONFIG_INIT;
	struct config local = CONFIG_INIT;
	cleanup_strbuf struct strbuf out = STRBUF_INIT;

	config_write(&all, JSON_COMPACT_STYLE, &out);
	cr_expect(!strstr(out.buf, "auto-update"), "%s", out.buf);
	cr_assert_eq(add(&all, CONFIG_AUTO_UPDATE_D,
			 HEAD("auto-update") "\"windows\":[\"Sat "
					     "01:00-02:00\"],\"tries\":3,"
					     "\"percent\":12.5,"
					     "\"unsigned\":[\"a\"]}",
			 NULL),
		     0);
	cr_assert_eq(add(&local, CONFIG_AUTO_UPDATE_D,
			 HEAD("auto-update") "\"percent\":0,"
					     "\"successAfter\":\"90m\","
					     "\"windows\":[],"
					     "\"unsigned\":[\"b/c\"]}",
			 NULL),
		     0);
	cr_expect_eq(all.auto_update.share, 1250);
	cr_expect_str_eq(all.auto_update.windows.v[0], "Sat 01:00-02:00");
	config_override(&all, &local);
	strbuf_setlen(&out, 0);
	config_write(&all, JSON_COMPACT_STYLE, &out);
	cr_expect(strstr(out.buf, "\"windows\":[],\"percent\":0,\"tries\":3,"
				  "\"successAfter\":\"5400s\","
				  "\"unsigned\":[\"b/c\"]}"),
		  "%s", out.buf);
}

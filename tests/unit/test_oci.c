/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/docker_archive.h"
#include "spec/docker_ref.h"
#include "spec/image_manifest.h"
#include "spec/oci.h"
#include "spec/oci_digest.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))
#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DIGEST "sha256:" HEX
#define DIGEST512 "sha512:" HEX HEX
#define DIGEST2                                                                \
	"sha256:"                                                              \
	"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

Test(oci, references)
{
	static const struct {
		const char *in;
		const char *out; /* NULL = invalid */
	} rows[] = {
		{"docker://nginx",
		 "docker://registry-1.docker.io/library/nginx:latest"},
		{"docker:nginx:1.2",
		 "docker://registry-1.docker.io/library/nginx:1.2"},
		{"docker://foo/bar",
		 "docker://registry-1.docker.io/foo/bar:latest"},
		{"docker://docker.io/foo",
		 "docker://registry-1.docker.io/library/foo:latest"},
		{"docker://localhost/foo", "docker://localhost/foo:latest"},
		{"docker://h:5000/a/b__c/d.e-f:T.1",
		 "docker://h:5000/a/b__c/d.e-f:T.1"},
		{"docker://[::1]:5000/a", "docker://[::1]:5000/a:latest"},
		{"docker://q.io/a@" DIGEST, "docker://q.io/a@" DIGEST},
		{"docker://q.io/a:1@" DIGEST, "docker://q.io/a@" DIGEST},
		{"docker://a,arch=aarch64,os=linux",
		 "docker://registry-1.docker.io/library/"
		 "a:latest,arch=aarch64,os=linux"},
		{"docker://", NULL},
		{"docker:///a", NULL},
		{"docker://A", NULL},
		{"docker://q.io/", NULL},
		{"docker://q.io/a//b", NULL},
		{"docker://q.io/a:", NULL},
		{"docker://q.io/a:-b", NULL},
		{"docker://q.io/../a", NULL},
		{"docker://q.io/a@sha256:12", NULL},
		{"docker://q.io/a@sha512:" HEX HEX,
		 "docker://q.io/a@sha512:" HEX HEX},
		{"docker://q.io/a@sha512:" HEX, NULL},
		{"docker://q.io/a@md5:" HEX, NULL},
		{"docker://a,arch=vax", "docker://registry-1.docker.io/library/"
					"a:latest,arch=vax"},
		{"docker://a,os=linux,arch=vax", NULL},
		{"docker://a,color=red", NULL},
		{"docker://a@b.c/d", NULL},
		{"docker://a.b\r\nX: y/c", NULL},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_docker_ref struct docker_ref ref = DOCKER_REF_INIT;
		cleanup_strbuf struct strbuf text = STRBUF_INIT;
		struct error err = ERROR_INIT;
		int r = docker_ref_parse(rows[i].in, &ref, &err);

		cr_expect_eq(r, rows[i].out ? 0 : -EINVAL, "%s: %d", rows[i].in,
			     r);
		if (r < 0) {
			cr_expect(strstr(err.msg, "invalid image string"));
			continue;
		}
		docker_ref_format(&ref, &text);
		cr_expect_str_eq(text.buf, rows[i].out);
	}
}

Test(oci, layout_references)
{
	static const struct {
		const char *in, *dir, *tag;
	} rows[] = {
		{"oci:/a/b", "/a/b", NULL},
		{"oci:/a:x/b:1", "/a:x/b", "1"},
		{"oci:b:v1", "b", "v1"},
		{"oci:./b:v1,arch=aarch64", "./b", "v1"},
		{"oci-archive:a.tar:v1", "a.tar", "v1"},
		{"oci-archive:", NULL, NULL},
		{"oci:", NULL, NULL},
		{"oci::1", NULL, NULL},
		{"oci:a:", NULL, NULL},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_oci_layout_ref struct oci_layout_ref ref =
			OCI_LAYOUT_REF_INIT;
		int r = oci_layout_ref_parse(rows[i].in, &ref, NULL);

		cr_expect_eq(r, rows[i].dir ? 0 : -EINVAL, "%s", rows[i].in);
		if (r < 0)
			continue;
		cr_expect_str_eq(ref.dir, rows[i].dir);
		cr_expect_eq(!ref.tag, !rows[i].tag, "%s", rows[i].in);
		if (ref.tag)
			cr_expect_str_eq(ref.tag, rows[i].tag);
	}
}

/* --- indexes and manifests ------------------------------------------------ */

#define ENTRY(digest, os, arch, variant)                                       \
	"{\"digest\":\"" digest "\",\"size\":7,\"platform\":{\"os\":\"" os     \
	"\",\"architecture\":\"" arch "\"" variant "}}"
#define VARIANT(v) ",\"variant\":\"" v "\""
#define INDEX(entries) "{\"schemaVersion\":2,\"manifests\":[" entries "]}"

Test(oci, the_platform_chooses)
{
	static const struct {
		const char *arch, *json;
		const char *digest; /* NULL = none */
	} rows[] = {
		{"amd64",
		 INDEX(ENTRY(DIGEST2, "linux", "arm64",
			     "") "," ENTRY(DIGEST, "linux", "amd64", "")),
		 DIGEST},
		{"amd64", INDEX(ENTRY(DIGEST, "windows", "amd64", "")), NULL},
		{"amd64", INDEX(ENTRY(DIGEST, "linux", "amd64", VARIANT("v3"))),
		 NULL},
		{"amd64", INDEX(""), NULL},
		{"aarch64",
		 INDEX(ENTRY(DIGEST, "linux", "arm64", VARIANT("v8"))), DIGEST},
		{"aarch64", INDEX(ENTRY(DIGEST, "linux", "arm64", "")), DIGEST},
		{"armv7l",
		 INDEX(ENTRY(DIGEST2, "linux", "arm", VARIANT("v5")) "," ENTRY(
			 DIGEST, "linux", "arm", VARIANT("v6"))),
		 DIGEST},
		{"armv6l", INDEX(ENTRY(DIGEST, "linux", "arm", VARIANT("v7"))),
		 NULL},
		/* A layout's, without a platform. */
		{"s390x", INDEX("{\"digest\":\"" DIGEST "\",\"size\":1}"),
		 DIGEST},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_oci_manifest struct oci_manifest m = OCI_MANIFEST_INIT;
		struct error err = ERROR_INIT;
		struct oci_want want;
		int r;

		cr_assert(oci_want_make("linux", rows[i].arch, &want));
		r = oci_manifest_parse(rows[i].json, strlen(rows[i].json),
				       &want, &m, &err);
		cr_expect_eq(r, rows[i].digest ? 0 : -ENOENT, "%zu: %d %s", i,
			     r, err.msg);
		if (r < 0)
			continue;
		cr_expect(m.is_index);
		cr_expect_str_eq(m.config.digest, rows[i].digest);
	}
}

#define BLOB "{\"digest\":\"" DIGEST "\",\"size\":7"
#define OCI_TAR "application/vnd.oci.image.layer.v1.tar"

Test(oci, manifests)
{
	static const struct {
		const char *json;
		int r;
	} rows[] = {
		{"{\"config\":" BLOB "},\"layers\":[" BLOB
		 ",\"mediaType\":\"" OCI_TAR "+gzip\"}]}",
		 0},
		{"{\"config\":" BLOB "},\"layers\":[" BLOB
		 ",\"mediaType\":\"" OCI_TAR "+encrypted\"}]}",
		 -EINVAL},
		{"{\"config\":" BLOB "},\"layers\":[{}]}", -EINVAL},
		{"{\"config\":" BLOB "},\"layers\":[7]}", -EINVAL},
		{"{\"config\":" BLOB "},\"layers\":{}}", -EINVAL},
		{"{\"config\":{\"digest\":\"sha256:..\",\"size\":1}}", -EINVAL},
		{"{\"config\":{\"digest\":\"" DIGEST "\",\"size\":-1}}",
		 -EINVAL},
		{"{\"config\":{\"digest\":\"" DIGEST512 "\",\"size\":1},"
		 "\"layers\":[" BLOB "}]}",
		 0},
		{"{\"config\":{\"digest\":\"blake3:00\",\"size\":1}}", -EINVAL},
		{"{\"schemaVersion\":1,\"fsLayers\":[]}", -ENOTSUP},
		{"{}", -EINVAL},
		{"[]", -EINVAL},
		{"<html>", -EINVAL},
	};
	struct oci_want want;

	cr_assert(oci_want_make("linux", "amd64", &want));
	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_oci_manifest struct oci_manifest m = OCI_MANIFEST_INIT;
		struct error err = ERROR_INIT;
		int r = oci_manifest_parse(rows[i].json, strlen(rows[i].json),
					   &want, &m, &err);

		cr_expect_eq(r, rows[i].r, "%zu: %d %s", i, r, err.msg);
		cr_expect_eq(r < 0, *err.msg != '\0');
		cr_expect(r < 0 || (!m.is_index && m.n_layers == 1));
	}
}

/* --- archives of docker's ------------------------------------------------- */

Test(oci, archive_references)
{
	static const struct {
		const char *in, *file, *image; /* file NULL: refused */
	} rows[] = {
		{"docker-archive:/a/b.tar", "/a/b.tar", NULL},
		{"docker-archive:b,c.tar:x/y:1", "b,c.tar", "x/y:1"},
		{"docker-archive:b:h:5000/y", "b", "h:5000/y"},
		{"docker-archive:b:@12", "b", "@12"},
		{"docker-archive:", NULL, NULL},
		{"docker-archive::a", NULL, NULL},
		{"docker-archive:b:", NULL, NULL},
		{"docker-archive:b:@", NULL, NULL},
		{"docker-archive:b:@-1", NULL, NULL},
		{"docker-archive:b:A", NULL, NULL},
		{"docker-archive:b:a,os=linux", NULL, NULL},
		{"docker-archive:b:a@" DIGEST, NULL, NULL},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_docker_archive_ref struct docker_archive_ref ref =
			DOCKER_ARCHIVE_REF_INIT;
		struct error err = ERROR_INIT;
		int r = docker_archive_ref_parse(rows[i].in, &ref, &err);

		cr_expect_eq(r, rows[i].file ? 0 : -EINVAL, "%s: %d",
			     rows[i].in, r);
		cr_expect_eq(r < 0, *err.msg != '\0');
		if (r < 0)
			continue;
		cr_expect_str_eq(ref.file, rows[i].file);
		cr_expect_eq(!ref.image, !rows[i].image);
		cr_expect(!ref.image || !strcmp(ref.image, rows[i].image));
	}
}

#define IMAGE_A                                                                \
	"{\"Config\":\"a.json\",\"Layers\":[\"1/layer.tar\",\"2.tar\"],"       \
	"\"RepoTags\":[\"UPPER\",\"a:1\",\"docker.io/library/b:latest\"]}"
#define IMAGE_C "{\"Config\":\"c.json\",\"Layers\":null,\"RepoTags\":null}"

Test(oci, docker_archives)
{
	static const struct {
		const char *json, *want;
		int r;
		const char *tag, *config;
	} rows[] = {
		{"[" IMAGE_A "]", NULL, 0, "a:1", "a.json"},
		{"[" IMAGE_A "," IMAGE_C "]", "b", 0,
		 "docker.io/library/b:latest", "a.json"},
		{"[" IMAGE_A "," IMAGE_C "]",
		 "registry-1.docker.io/library/a:1", 0, "a:1", "a.json"},
		{"[" IMAGE_A "," IMAGE_C "]", "@0", 0, "a:1", "a.json"},
		{"[" IMAGE_A "," IMAGE_C "]", "@1", 0, NULL, "c.json"},
		{"[" IMAGE_C "]", NULL, 0, NULL, "c.json"},
		{"[" IMAGE_A "," IMAGE_C "]", NULL, -ENOENT, NULL, NULL},
		{"[" IMAGE_A "," IMAGE_C "]", "@2", -ENOENT, NULL, NULL},
		{"[" IMAGE_A "," IMAGE_C "]", "c", -ENOENT, NULL, NULL},
		{"[" IMAGE_A "]", "a:2", -ENOENT, NULL, NULL},
		{"[]", NULL, -ENOENT, NULL, NULL},
		{"[]", "@0", -ENOENT, NULL, NULL},
		{"{}", NULL, -EINVAL, NULL, NULL},
		{"[7]", NULL, -EINVAL, NULL, NULL},
		{"[7]", "a", -EINVAL, NULL, NULL},
		{"[{}]", NULL, -EINVAL, NULL, NULL},
		{"[{\"Config\":7}]", NULL, -EINVAL, NULL, NULL},
		{"[{\"Config\":\"c\",\"Layers\":{}}]", NULL, -EINVAL, NULL,
		 NULL},
		{"[{\"Config\":\"c\",\"RepoTags\":[7]}]", NULL, -EINVAL, NULL,
		 NULL},
		{"<html>", NULL, -EINVAL, NULL, NULL},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_docker_archive struct docker_archive a =
			DOCKER_ARCHIVE_INIT;
		struct error err = ERROR_INIT;
		int r = docker_archive_parse(rows[i].json, strlen(rows[i].json),
					     rows[i].want, &a, &err);

		cr_expect_eq(r, rows[i].r, "%zu: %d %s", i, r, err.msg);
		cr_expect_eq(r < 0, *err.msg != '\0', "%zu", i);
		if (r < 0)
			continue;
		cr_expect_str_eq(a.config, rows[i].config);
		cr_expect_eq(!a.tag, !rows[i].tag);
		cr_expect(!a.tag || !strcmp(a.tag, rows[i].tag));
		cr_expect_eq(a.layers.n, *a.config == 'a' ? 2 : 0);
	}
}

Test(oci, docker_archives_with_several_images)
{
	static const char json[] = "[" IMAGE_A "," IMAGE_C "]";
	cleanup_docker_archive struct docker_archive a = DOCKER_ARCHIVE_INIT;
	struct error err = ERROR_INIT;

	cr_expect(docker_archive_parse(json, strlen(json), NULL, &a, &err) < 0);
	cr_expect_str_eq(err.msg, "there are 2 images in it, say which by "
				  "FILE:NAME:TAG or FILE:@N: a:1, @1");
}

Test(oci, digests)
{
	static const struct {
		const char *text;
		int r;
	} rows[] = {
		{DIGEST, 0},
		{DIGEST512, 0},
		{DIGEST "0", -EINVAL},
		{"sha512:" HEX, -EINVAL},
		{"sha256:" HEX HEX, -EINVAL},
		{"sha256:", -EINVAL},
		{"sha256", -EINVAL},
		{":" HEX, -EINVAL},
		{"", -EINVAL},
		{"SHA256:" HEX, -EINVAL},
		{"blake3:" HEX, -ENOTSUP},
		{"tarsum.v1+sha256:" HEX, -ENOTSUP},
		{"\033[31m:" HEX, -EINVAL},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct error err = ERROR_INIT;
		int r = oci_digest_check(rows[i].text, &err);

		cr_expect_eq(r, rows[i].r, "%zu: %d %s", i, r, err.msg);
		cr_expect_eq(r < 0, *err.msg != '\0');
	}
	cr_expect(oci_digest_is_sha512(DIGEST512));
	cr_expect(!oci_digest_is_sha512(DIGEST));
}

Test(oci, digests_as_text)
{
	uint8_t bytes[OCI_DIGEST_SIZE_MAX];
	char text[OCI_DIGEST_MAX];

	memset(bytes, 0xab, sizeof(bytes));
	for (int is_sha512 = 0; is_sha512 < 2; is_sha512++) {
		oci_digest_format(bytes, is_sha512, text);
		cr_expect(oci_digest_check(text, NULL) == 0);
		cr_expect_eq(oci_digest_is_sha512(text), is_sha512);
	}
	cr_expect_eq(strlen(text), OCI_DIGEST_MAX - 1);
}

/* --- what appc makes of it ------------------------------------------------ */

#define CONFIG                                                                 \
	"{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v6\","       \
	"\"created\":\"2020-01-02T03:04:05Z\",\"author\":\"me\","              \
	"\"config\":{\"User\":\"www:2\",\"WorkingDir\":\"/w\","                \
	"\"StopSignal\":\"SIGQUIT\",\"Entrypoint\":[\"/e\"],\"Cmd\":\"c d\","  \
	"\"Env\":[\"A=b=c\",\"no\",\"1x=2\"],"                                 \
	"\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{},\"81\":{},"             \
	"\"1-9/tcp\":{},\"80/sctp\":{}},"                                      \
	"\"Volumes\":{\"/var/lib/x\":{},\"/var/lib_x\":{},\"/\":{}},"          \
	"\"Labels\":{\"org.x/y\":\"z\",\"Not Legal\":\"z\","                   \
	"\"created\":\"never\"}},"                                             \
	"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST "\"]}}"

#define PORT_REST ",\"count\":1,\"socketActivated\":false"
#define EXPECTED                                                               \
	"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\","              \
	"\"name\":\"h_5000/a\",\"labels\":["                                   \
	"{\"name\":\"version\",\"value\":\"V_1\"},"                            \
	"{\"name\":\"os\",\"value\":\"linux\"},"                               \
	"{\"name\":\"arch\",\"value\":\"armv6l\"}],"                           \
	"\"app\":{\"exec\":[\"/e\",\"c d\"],\"user\":\"www\",\"group\":\"2\"," \
	"\"workingDirectory\":\"/w\","                                         \
	"\"environment\":[{\"name\":\"A\",\"value\":\"b=c\"}],"                \
	"\"mountPoints\":["                                                    \
	"{\"name\":\"volume-var-lib-x\",\"path\":\"/var/lib/x\"},"             \
	"{\"name\":\"volume-var-lib-x-2\",\"path\":\"/var/lib_x\"}],"          \
	"\"ports\":[{\"name\":\"80-tcp\",\"protocol\":\"tcp\",\"port\":"       \
	"80" PORT_REST "},"                                                    \
	"{\"name\":\"53-udp\",\"protocol\":\"udp\",\"port\":53" PORT_REST "}," \
	"{\"name\":\"81-tcp\",\"protocol\":\"tcp\",\"port\":81" PORT_REST      \
	"}]},"                                                                 \
	"\"dependencies\":[{\"imageName\":\"oci-layer/sha256-" HEX "\","       \
	"\"imageID\":\"sha512-ab\",\"size\":9}],"                              \
	"\"annotations\":["                                                    \
	"{\"name\":\"created\",\"value\":\"2020-01-02T03:04:05Z\"},"           \
	"{\"name\":\"authors\",\"value\":\"me\"},"                             \
	"{\"name\":\"appc.io/docker/registryurl\",\"value\":\"h:5000\"},"      \
	"{\"name\":\"appc.io/docker/repository\",\"value\":\"a\"},"            \
	"{\"name\":\"appc.io/docker/tag\",\"value\":\"V_1\"},"                 \
	"{\"name\":\"appc.io/docker/imageid\",\"value\":\"" DIGEST "\"},"      \
	"{\"name\":\"appc.io/docker/manifesthash\",\"value\":\"" DIGEST2       \
	"\"},"                                                                 \
	"{\"name\":\"appc.io/docker/entrypoint\","                             \
	"\"value\":\"[\\\"/e\\\"]\"},"                                         \
	"{\"name\":\"appc.io/docker/cmd\",\"value\":\"[\\\"c d\\\"]\"},"       \
	"{\"name\":\"appc.io/docker/stopsignal\",\"value\":\"SIGQUIT\"},"      \
	"{\"name\":\"org.x/y\",\"value\":\"z\"}]}"

Test(oci, configuration_becomes_a_manifest)
{
	cleanup_oci_config struct oci_config config = OCI_CONFIG_INIT;
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	cleanup_image_manifest struct image_manifest back = IMAGE_MANIFEST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_strv struct strv layers = STRV_INIT;
	const struct oci_origin origin = {
		.registry = "h:5000",
		.repository = "a",
		.name = "h:5000/a",
		.tag = "V_1",
		.manifest_digest = DIGEST2,
		.config_digest = DIGEST,
		.layers = &layers,
	};
	struct error err = ERROR_INIT;

	strv_push(&layers, OCI_LAYER_PREFIX HEX);
	strv_push(&layers, "sha512-ab");
	strv_push(&layers, "9");
	cr_assert(oci_config_parse(CONFIG, strlen(CONFIG), &config, &err) == 0,
		  "%s", err.msg);
	cr_assert(oci_image_make(&config, &origin, &im, &err) == 0);
	image_manifest_write(&im, JSON_COMPACT_STYLE, &text);
	cr_expect_str_eq(text.buf, EXPECTED);
	cr_expect(image_manifest_parse(text.buf, text.len, &back, &err) == 0,
		  "%s", err.msg);
}

Test(oci, users)
{
	static const struct {
		const char *in, *user, *group;
	} rows[] = {{"", "0", "0"},	  {"7", "7", "0"},
		    {"7:8", "7", "8"},	  {"nginx", "nginx", "nginx"},
		    {"a:", "a", "a"},	  {":5", "0", "5"},
		    {"a:b:c", "a", "b:c"}};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_image_manifest struct image_manifest im =
			IMAGE_MANIFEST_INIT;
		const struct strv none = STRV_INIT;
		const struct oci_config config = {.user = (char *)rows[i].in};
		const struct oci_origin origin = {
			.name = "a", .tag = "", .layers = &none};

		cr_assert(oci_image_make(&config, &origin, &im, NULL) == 0);
		cr_expect_str_eq(im.app.user, rows[i].user);
		cr_expect_str_eq(im.app.group, rows[i].group);
	}
}

/* --- credentials ---------------------------------------------------------- */

Test(oci, challenges)
{
	static const struct {
		const char *in;
		const char *out; /* NULL = refused */
	} rows[] = {
		{"Bearer realm=\"https://a/b?c,d\",service=\"s t\",scope=x",
		 "1 https://a/b?c,d s t x"},
		{"bearer  realm=\"a\\\"b\" , error=\"e\"", "1 a\"b - -"},
		{"Basic realm=\"r\"", "0 r - -"},
		{"BASIC", "0 - - -"},
		{"Bearer realm=\"a\", Basic realm2", "1 a - -"},
		{"Bearer service=\"a\"", NULL},
		{"Bearer realm=\"a", NULL},
		{"Bearer =\"a\"", NULL},
		{"Digest realm=\"a\"", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_oci_challenge struct oci_challenge c = {0};
		cleanup_strbuf struct strbuf text = STRBUF_INIT;
		int r = oci_challenge_parse(rows[i].in, &c, NULL);

		cr_expect_eq(r == 0, rows[i].out != NULL, "%s", rows[i].in);
		if (r < 0)
			continue;
		strbuf_addf(&text, "%d %s %s %s", c.is_bearer,
			    c.realm ? c.realm : "-",
			    c.service ? c.service : "-",
			    c.scope ? c.scope : "-");
		cr_expect_str_eq(text.buf, rows[i].out);
	}
}

Test(oci, tokens)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{"{\"token\":\"a.b-c=\"}", "a.b-c="},
		{"{\"access_token\":\"x\",\"expires_in\":60}", "x"},
		{"{\"token\":\"a\\r\\nX: y\"}", NULL},
		{"{\"token\":\"\"}", NULL},
		{"{\"token\":7}", NULL},
		{"[]", NULL},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_free char *token = NULL;
		int r = oci_token_parse(rows[i].in, strlen(rows[i].in), &token,
					NULL);

		cr_expect_eq(r == 0, rows[i].out != NULL, "%s", rows[i].in);
		if (r == 0)
			cr_expect_str_eq(token, rows[i].out);
	}
}

/* --- push ----------------------------------------------------------------- */

#define PUSHED                                                                 \
	"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\",\"name\":"     \
	"\"a.b/c\",\"labels\":[{\"name\":\"os\",\"value\":\"linux\"},"         \
	"{\"name\":\"arch\",\"value\":\"armv7l\"}],\"app\":{\"exec\":"         \
	"[\"/x\",\"y\"],\"user\":\"7\",\"group\":\"8\","                       \
	"\"supplementaryGIDs\":[9],\"ports\":[{\"name\":\"p\",\"protocol\":"   \
	"\"udp\",\"port\":5,\"count\":2}]},\"annotations\":["                  \
	"{\"name\":\"authors\",\"value\":\"me\"},"                             \
	"{\"name\":\"org.x\",\"value\":\"1\"}]}"

static void push_and_read(struct oci_config *ret)
{
	cleanup_oci_config struct oci_config made = OCI_CONFIG_INIT;
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct error err = ERROR_INIT;

	cr_assert(image_manifest_parse(PUSHED, strlen(PUSHED), &im, &err) == 0,
		  "%s", err.msg);
	cr_assert(oci_config_make(&im, &made, &err) == 0, "%s", err.msg);
	strv_push(&made.diff_ids, DIGEST);
	oci_config_write(&made, &text);
	cr_assert(oci_config_parse(text.buf, text.len, ret, &err) == 0, "%s",
		  err.msg);
}

Test(oci, a_manifest_becomes_a_configuration_and_a_manifest_again)
{
	cleanup_oci_config struct oci_config c = OCI_CONFIG_INIT;
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_strbuf struct strbuf before = STRBUF_INIT;
	cleanup_image_manifest struct image_manifest was = IMAGE_MANIFEST_INIT;

	push_and_read(&c);
	cr_expect_str_eq(c.arch, "arm");
	cr_expect_str_eq(c.variant, "v7");
	cr_expect_str_eq(c.user, "7:8");
	cr_expect_str_eq(c.author, "me");
	cr_expect(c.ports.n == 2);
	cr_expect_str_eq(c.ports.v[1], "6/udp");
	cr_expect(c.diff_ids.n == 1);
	cr_assert(oci_config_original(&c, &im));
	cr_assert(image_manifest_parse(PUSHED, strlen(PUSHED), &was, NULL) ==
		  0);
	image_manifest_write(&was, JSON_COMPACT_STYLE, &before);
	image_manifest_write(&im, JSON_COMPACT_STYLE, &text);
	cr_expect_str_eq(text.buf, before.buf);
}

Test(oci, a_label_that_does_not_agree_is_not_believed)
{
	for (int i = 0; i < 4; i++) {
		cleanup_oci_config struct oci_config c = OCI_CONFIG_INIT;
		cleanup_image_manifest struct image_manifest im =
			IMAGE_MANIFEST_INIT;

		push_and_read(&c);
		if (i == 0)
			strv_push(&c.cmd, "more");
		else if (i == 1)
			strv_push(&c.env, "A=b");
		else if (i == 2)
			name_values_add(&c.labels, "more", "x");
		else
			strv_push(&c.volumes, "/x");
		cr_expect(!oci_config_original(&c, &im), "%d", i);
	}
}

Test(oci, refusals)
{
	static const struct {
		const char *in, *out; /* NULL = refused */
	} rows[] = {
		{"{\"errors\":[{\"code\":\"A\",\"message\":\"b\"},"
		 "{\"code\":\"C\"},{\"message\":\"d\"}]}",
		 "A: b; C; d"},
		{"{\"errors\":[]}", NULL},
		{"{\"errors\":{}}", NULL},
		{"{\"errors\":[1]}", NULL},
		{"{}", NULL},
		{"{\"errors\":[{\"code\":\"A", NULL},
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		cleanup_free char *line = NULL;
		int r = oci_refusal_parse(rows[i].in, strlen(rows[i].in), &line,
					  NULL);

		cr_expect((r == 0) == (rows[i].out != NULL), "%s", rows[i].in);
		if (r == 0 && rows[i].out)
			cr_expect_str_eq(line, rows[i].out);
	}
}

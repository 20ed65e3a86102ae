/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "aci/discovery.h"
#include "aci/discovery_html.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/acidentifier.h"
#include "spec/acname.h"
#include "spec/app.h"
#include "spec/image_id.h"
#include "spec/image_manifest.h"
#include "spec/image_ref.h"
#include "spec/isolator.h"
#include "spec/json_read.h"
#include "spec/json_write.h"
#include "spec/manifest_head.h"
#include "spec/mount.h"
#include "spec/mount_point.h"
#include "spec/pod_manifest.h"
#include "spec/port.h"
#include "spec/quantity.h"
#include "spec/uuid.h"
#include "spec/volume.h"
#include "tests/conformance/vectors.h"

static void expect_verdict(const struct vector *v, bool accepted,
			   const struct error *err)
{
	cr_expect(accepted == v->accept, "%s[%zu] %s: %s (%s)", v->group,
		  v->index, v->in, accepted ? "accepted" : "rejected",
		  err ? err->msg : "");
	if (!accepted && err)
		cr_expect(*err->msg, "%s[%zu] %s: no message", v->group,
			  v->index, v->in);
}

static void expect_text(const struct vector *v, const char *got,
			const char *want)
{
	cr_expect_str_eq(got, want, "%s[%zu] %s: got '%s', want '%s'", v->group,
			 v->index, v->in, got, want);
}

/* --- comparing JSON --------------------------------------------------------
 */

/* Removes what Go writes or leaves out by type, not by meaning. */
static json_t *without_empty(json_t *json)
{
	json_t *ret, *value;
	const char *key;
	size_t i;

	if (json_is_array(json)) {
		ret = json_array();
		json_array_foreach (json, i, value)
			json_array_append_new(ret, without_empty(value));
		return ret;
	}
	if (!json_is_object(json))
		return json_incref(json);
	ret = json_object();
	json_object_foreach (json, key, value) {
		bool is_empty =
			json_is_null(value) || json_is_false(value) ||
			(json_is_array(value) && json_array_size(value) == 0);

		if (!is_empty)
			json_object_set_new(ret, key, without_empty(value));
	}
	return ret;
}

static void expect_same_json(const struct vector *v, const char *got,
			     json_t *want)
{
	json_t *g = json_loads(got, JSON_DECODE_ANY, NULL);
	json_t *a = without_empty(g), *b = without_empty(want);

	cr_expect(g && json_equal(a, b), "%s[%zu] %s: wrote %s", v->group,
		  v->index, v->in, got);
	json_decref(a);
	json_decref(b);
	json_decref(g);
}

/* --- texts -----------------------------------------------------------------
 */

static void run_acidentifier(const struct vector *v)
{
	struct error err = ERROR_INIT;

	expect_verdict(v, acidentifier_check(v->in, &err) == 0, &err);
}

static void run_acname(const struct vector *v)
{
	struct error err = ERROR_INIT;

	expect_verdict(v, acname_check(v->in, &err) == 0, &err);
}

static void run_sanitize(const struct vector *v,
			 int (*sanitize)(const char *, char **, struct error *))
{
	char *out cleanup_free = NULL;
	struct error err = ERROR_INIT;
	int r = sanitize(v->in, &out, &err);

	expect_verdict(v, r == 0, &err);
	if (r == 0)
		expect_text(v, out, vector_string(v, "out"));
}

static void run_acidentifier_sanitize(const struct vector *v)
{
	run_sanitize(v, acidentifier_sanitize);
}

static void run_acname_sanitize(const struct vector *v)
{
	run_sanitize(v, acname_sanitize);
}

static void run_hash(const struct vector *v)
{
	struct error err = ERROR_INIT;

	expect_verdict(v, image_id_check_text(v->in, &err) == 0, &err);
}

static void run_uuid(const struct vector *v)
{
	struct error err = ERROR_INIT;
	char text[UUID_TEXT_LEN + 1];
	struct uuid u;
	int r = uuid_parse(v->in, &u, &err);

	expect_verdict(v, r == 0, &err);
	if (r < 0)
		return;
	uuid_format(&u, text);
	expect_text(v, text, vector_string(v, "canonical"));
}

static void run_osarch(const struct vector *v)
{
	const char *os = vector_string(v, "os");
	const char *arch = vector_string(v, "arch");
	struct error err = ERROR_INIT;
	int r = labels_check_os_arch(os, arch, &err);

	cr_expect((r == 0) == v->accept, "%s/%s: %s", os, arch, err.msg);
}

/* A number, or null for what does not fit. */
static void expect_number(const struct vector *v, const char *key, int r,
			  int64_t got)
{
	json_t *want = json_object_get(v->json, key);

	if (!json_is_integer(want))
		cr_expect(r == -ERANGE, "%s[%zu] %s: %s fits", v->group,
			  v->index, v->in, key);
	else
		cr_expect(r == 0 && got == json_integer_value(want),
			  "%s[%zu] %s: %s is %" PRId64, v->group, v->index,
			  v->in, key, got);
}

/*
 * The reference keeps the text it was given where that happens to be a
 * multiple of three powers of ten ("100.035k", "1E6", "1."); ours is always
 * the canonical one ("100035", "1e6", "1").  Both must mean the same.
 */
static void expect_canonical(const struct vector *v, const struct quantity *q)
{
	struct strbuf text cleanup_strbuf = STRBUF_INIT;
	const char *want = vector_string(v, "canonical");
	struct quantity again;

	quantity_format(q, &text);
	cr_expect(quantity_parse(text.buf, &again, NULL) == 0 &&
			  quantity_compare(q, &again) == 0,
		  "%s is not %s", text.buf, v->in);
	if (strcmp(want, v->in) != 0) {
		expect_text(v, text.buf, want);
		return;
	}
	cr_expect(quantity_parse(want, &again, NULL) == 0 &&
			  quantity_compare(q, &again) == 0,
		  "%s is not %s", text.buf, want);
}

static void expect_format(const struct vector *v, const struct quantity *q)
{
	static const char *const name[] = {
		[QUANTITY_DECIMAL_SI] = "DecimalSI",
		[QUANTITY_BINARY_SI] = "BinarySI",
		[QUANTITY_DECIMAL_EXPONENT] = "DecimalExponent",
	};
	const char *want = vector_string(v, "format");

	if (want)
		expect_text(v, name[q->format], want);
}

static void run_quantity(const struct vector *v)
{
	struct error err = ERROR_INIT;
	int64_t value = 0, milli = 0;
	struct quantity q;
	int r = quantity_parse(v->in, &q, &err);

	expect_verdict(v, r == 0, &err);
	if (r < 0)
		return;
	expect_canonical(v, &q);
	expect_format(v, &q);
	if (!json_object_get(v->json, "value_ceil"))
		return;
	r = quantity_value_ceil(&q, &value);
	expect_number(v, "value_ceil", r, value);
	r = quantity_milli_ceil(&q, &milli);
	expect_number(v, "milli_ceil", r, milli);
}

static void run_image_ref(const struct vector *v)
{
	struct image_ref ref cleanup_image_ref = IMAGE_REF_INIT;
	json_t *labels = json_object_get(v->json, "labels"), *value;
	struct error err = ERROR_INIT;
	int r = image_ref_parse(v->in, &ref, &err);
	const char *name;

	expect_verdict(v, r == 0, &err);
	if (r < 0)
		return;
	expect_text(v, ref.name, vector_string(v, "name"));
	cr_expect(ref.labels.n == json_object_size(labels));
	json_object_foreach (labels, name, value)
		expect_text(v, name_values_get(&ref.labels, name),
			    json_string_value(value));
}

static void run_make_query_string(const struct vector *v)
{
	struct strbuf out cleanup_strbuf = STRBUF_INIT;
	struct error err = ERROR_INIT;
	int r = make_query_string(v->in, &out, &err);

	expect_verdict(v, r == 0, &err);
	if (r == 0)
		expect_text(v, out.buf, vector_string(v, "out"));
}

/* --- discovery -------------------------------------------------------------
 */

/* A world of the vector's pages, and what was asked of it. */
struct pages {
	struct discovery discovery;
	json_t *pages;
	struct strv asked;
};

static int get_page(const struct discovery *d, const char *url,
		    struct strv *ret, struct error *err)
{
	struct pages *p = (struct pages *)d;
	char *key cleanup_free = xstrdup(url);
	const char *page;

	strv_push(&p->asked, url);
	*strchr(key, '?') = '\0';
	page = json_string_value(json_object_get(p->pages, key));
	if (!page)
		return error_set(err, ENOENT, "no such page");
	discovery_html_parse(page, strlen(page), ret);
	return 0;
}

/* GOT's strings are those of WANT, nested arrays flattened. */
static void expect_strings(const struct vector *v, const struct strv *got,
			   json_t *want)
{
	size_t i = 0, k, m;
	json_t *item, *part;

	json_array_foreach (want, k, item) {
		if (json_is_string(item)) {
			expect_text(v, i < got->n ? got->v[i] : "",
				    json_string_value(item));
			i++;
		}
		json_array_foreach (item, m, part) {
			expect_text(v, i < got->n ? got->v[i] : "",
				    json_string_value(part));
			i++;
		}
	}
	cr_expect(got->n == i, "%s[%zu]: %zu strings, not %zu", v->group,
		  v->index, got->n, i);
}

static void run_discovery(const struct vector *v)
{
	struct image_ref ref cleanup_image_ref = IMAGE_REF_INIT;
	struct strv images cleanup_strv = STRV_INIT;
	struct strv keys cleanup_strv = STRV_INIT;
	struct pages p = {
		.discovery = {.get_tags = get_page,
			      .plain_ok = json_is_true(json_object_get(
				      v->json, "insecure_http"))},
		.pages = json_object_get(v->json, "pages"),
	};
	const char *name;
	json_t *value;
	int r;

	ref.name = xstrdup(vector_string(v, "name"));
	json_object_foreach (json_object_get(v->json, "labels"), name, value)
		name_values_add(&ref.labels, name, json_string_value(value));
	r = discovery_find_images(&p.discovery, &ref, &images, NULL);
	cr_expect((r == 0) ==
		  json_is_true(json_object_get(v->json, "aci_found")));
	expect_strings(v, &images, json_object_get(v->json, "aci_endpoints"));
	expect_strings(v, &p.asked, json_object_get(v->json, "aci_requests"));
	r = discovery_find_keys(&p.discovery, ref.name, &keys, NULL);
	cr_expect((r == 0) ==
		  json_is_true(json_object_get(v->json, "pubkeys_found")));
	expect_strings(v, &keys, json_object_get(v->json, "pubkeys"));
	strv_release(&p.asked);
}

/* --- string forms ----------------------------------------------------------
 */

static void run_volume_string(const struct vector *v)
{
	struct strbuf text cleanup_strbuf = STRBUF_INIT;
	struct strbuf json cleanup_strbuf = STRBUF_INIT;
	struct volume volume cleanup_volume = {0};
	struct error err = ERROR_INIT;
	struct json_writer w;
	int r = volume_parse(v->in, &volume, &err);

	expect_verdict(v, r == 0, &err);
	if (r < 0)
		return;
	volume_format(&volume, &text);
	expect_text(v, text.buf, vector_string(v, "string"));
	json_writer_init(&w, &json, JSON_COMPACT_STYLE);
	volume_write(&volume, NULL, &w);
	expect_same_json(v, json.buf, json_object_get(v->json, "parsed"));
}

static void run_mount_point_string(const struct vector *v)
{
	struct mount_point mp cleanup_mount_point = {0};
	struct strbuf json cleanup_strbuf = STRBUF_INIT;
	struct error err = ERROR_INIT;
	struct json_writer w;
	int r = mount_point_parse(v->in, &mp, &err);

	expect_verdict(v, r == 0, &err);
	if (r < 0)
		return;
	json_writer_init(&w, &json, JSON_COMPACT_STYLE);
	mount_point_write(&mp, &w);
	expect_same_json(v, json.buf, json_object_get(v->json, "parsed"));
}

static void run_port_string(const struct vector *v)
{
	json_t *parsed = json_object_get(v->json, "parsed");
	struct port port cleanup_port = {0};
	struct error err = ERROR_INIT;
	int r = port_parse(v->in, &port, &err);
	const char *protocol;

	expect_verdict(v, r == 0, &err);
	if (r < 0)
		return;
	protocol = json_string_value(json_object_get(parsed, "protocol"));
	expect_text(v, port.protocol ? port.protocol : "", protocol);
	cr_expect(port.port ==
		  json_integer_value(json_object_get(parsed, "port")));
	cr_expect(port.socket_activated ==
		  json_is_true(json_object_get(parsed, "socketActivated")));
}

/* --- JSON of single types --------------------------------------------------
 */

/* Puts IN between HEAD and TAIL, parses and reads the whole. */
static bool reads(const char *head, const char *in, const char *tail,
		  void (*read)(const struct json_node *node, void *arg),
		  void *arg, struct error *err)
{
	struct strbuf text cleanup_strbuf = STRBUF_INIT;
	struct json_doc doc cleanup_json_doc = {0};
	struct json_node root;

	strbuf_addf(&text, "%s%s%s", head, in, tail);
	if (json_doc_parse(&doc, text.buf, text.len, NULL, err) < 0)
		return false;
	root = json_root(&doc);
	read(&root, arg);
	return json_doc_result(&doc) == 0;
}

static void read_checked(const struct json_node *node, void *arg)
{
	int (**check)(const char *, struct error *) = arg;
	char *text cleanup_free = NULL;

	json_get_checked(node, "x", *check, &text);
}

static void run_checked(const struct vector *v,
			int (*check)(const char *, struct error *))
{
	struct error err = ERROR_INIT;

	expect_verdict(v,
		       reads("{\"x\":", v->in, "}", read_checked, &check, &err),
		       &err);
}

static void run_acidentifier_json(const struct vector *v)
{
	run_checked(v, acidentifier_check);
}

static void run_acname_json(const struct vector *v)
{
	run_checked(v, acname_check);
}

static void run_date_json(const struct vector *v)
{
	run_checked(v, date_check);
}

static void run_url_json(const struct vector *v)
{
	run_checked(v, url_check);
}

static int uuid_text_check(const char *s, struct error *err)
{
	struct uuid u;

	return uuid_parse(s, &u, err);
}

static void run_uuid_json(const struct vector *v)
{
	run_checked(v, uuid_text_check);
}

static void read_kind(const struct json_node *node, void *arg)
{
	manifest_read_kind(node, arg);
}

static void run_ackind_json(const struct vector *v)
{
	char image[] = "ImageManifest", pod[] = "PodManifest";
	struct error err = ERROR_INIT;
	bool ok;

	ok = reads("{\"acKind\":", v->in, "}", read_kind, image, &err);
	ok |= reads("{\"acKind\":", v->in, "}", read_kind, pod, &err);
	expect_verdict(v, ok, &err);
}

static void read_version(const struct json_node *node, void *arg)
{
	manifest_read_version(node, true, arg);
}

static void run_semver_json(const struct vector *v)
{
	char *version cleanup_free = NULL;
	struct error err = ERROR_INIT;
	bool ok = reads("{\"acVersion\":", v->in, "}", read_version, &version,
			&err);

	expect_verdict(v, ok, &err);
	if (ok)
		expect_text(v, version, vector_string(v, "out"));
}

static void read_isolator(const struct json_node *node, void *arg)
{
	isolator_read(node, arg);
}

static void run_isolator_json(const struct vector *v)
{
	struct isolator isolator cleanup_isolator = {0};
	struct error err = ERROR_INIT;

	expect_verdict(v, reads("", v->in, "", read_isolator, &isolator, &err),
		       &err);
}

static void run_quantity_json(const struct vector *v)
{
	struct isolator isolator cleanup_isolator = {0};
	struct error err = ERROR_INIT;
	bool ok = reads("{\"name\":\"resource/memory\",\"value\":{\"limit\":",
			v->in, "}}", read_isolator, &isolator, &err);

	expect_verdict(v, ok, &err);
	/* null is an absent limit here, where the reference makes it 0. */
	if (ok && isolator.u.resource.has_limit)
		expect_canonical(v, &isolator.u.resource.limit);
}

static void read_labels(const struct json_node *node, void *arg)
{
	name_values_read(node, NAME_VALUES_LABELS, arg);
}

static void run_labels_json(const struct vector *v)
{
	struct name_values nv cleanup_name_values = NAME_VALUES_INIT;
	struct error err = ERROR_INIT;

	expect_verdict(v, reads("", v->in, "", read_labels, &nv, &err), &err);
}

static void read_annotations(const struct json_node *node, void *arg)
{
	name_values_read(node, NAME_VALUES_ANNOTATIONS, arg);
}

static void run_annotations_json(const struct vector *v)
{
	struct name_values nv cleanup_name_values = NAME_VALUES_INIT;
	struct error err = ERROR_INIT;

	expect_verdict(v, reads("", v->in, "", read_annotations, &nv, &err),
		       &err);
}

static void read_environment(const struct json_node *node, void *arg)
{
	name_values_read(node, NAME_VALUES_ENVIRONMENT, arg);
}

static void run_environment_json(const struct vector *v)
{
	struct name_values nv cleanup_name_values = NAME_VALUES_INIT;
	struct error err = ERROR_INIT;

	expect_verdict(v, reads("", v->in, "", read_environment, &nv, &err),
		       &err);
}

static void run_exec_json(const struct vector *v)
{
	struct strv sv cleanup_strv = STRV_INIT;
	struct error err = ERROR_INIT;

	expect_verdict(v, json_strv_parse(v->in, strlen(v->in), &sv, &err) == 0,
		       &err);
}

static void read_volume(const struct json_node *node, void *arg)
{
	volume_read(node, arg);
}

static void run_volume_json(const struct vector *v)
{
	struct strbuf json cleanup_strbuf = STRBUF_INIT;
	struct volume volume cleanup_volume = {0};
	struct error err = ERROR_INIT;
	struct json_writer w;
	bool ok = reads("", v->in, "", read_volume, &volume, &err);

	expect_verdict(v, ok, &err);
	if (!ok)
		return;
	json_writer_init(&w, &json, JSON_COMPACT_STYLE);
	volume_write(&volume, NULL, &w);
	expect_same_json(v, json.buf, json_object_get(v->json, "normalized"));
}

static void read_mount_point(const struct json_node *node, void *arg)
{
	mount_point_read(node, arg);
}

static void run_mount_point_json(const struct vector *v)
{
	struct mount_point mp cleanup_mount_point = {0};
	struct error err = ERROR_INIT;

	expect_verdict(v, reads("", v->in, "", read_mount_point, &mp, &err),
		       &err);
}

static void read_mount(const struct json_node *node, void *arg)
{
	mount_read(node, arg);
}

static void run_mount_json(const struct vector *v)
{
	struct mount m cleanup_mount = {0};
	struct error err = ERROR_INIT;

	expect_verdict(v, reads("", v->in, "", read_mount, &m, &err), &err);
}

static void read_port(const struct json_node *node, void *arg)
{
	port_read(node, arg);
}

static void run_port_json(const struct vector *v)
{
	json_t *count = json_object_get(v->json, "count");
	struct port port cleanup_port = {0};
	struct error err = ERROR_INIT;
	bool ok = reads("", v->in, "", read_port, &port, &err);

	expect_verdict(v, ok, &err);
	if (ok && count)
		cr_expect(port.count == json_integer_value(count), "%s", v->in);
}

static void read_exposed_port(const struct json_node *node, void *arg)
{
	exposed_port_read(node, arg);
}

static void run_exposed_port_json(const struct vector *v)
{
	struct exposed_port port cleanup_exposed_port = {0};
	struct error err = ERROR_INIT;

	expect_verdict(v, reads("", v->in, "", read_exposed_port, &port, &err),
		       &err);
}

/* --- apps and manifests ----------------------------------------------------
 */

static void run_app_text(const struct vector *v, const char *head,
			 const char *tail)
{
	struct strbuf text cleanup_strbuf = STRBUF_INIT;
	struct app app cleanup_app = {0};
	struct error err = ERROR_INIT;

	strbuf_addf(&text, "%s%s%s", head, v->in, tail);
	expect_verdict(v, app_parse(text.buf, text.len, &app, &err) == 0, &err);
}

static void run_app_json(const struct vector *v)
{
	run_app_text(v, "", "");
}

static void run_event_handler_json(const struct vector *v)
{
	run_app_text(v, "{\"user\":\"0\",\"group\":\"0\",\"eventHandlers\":[",
		     "]}");
}

static void run_image_manifest_text(const struct vector *v, const char *head,
				    const char *tail)
{
	struct image_manifest im cleanup_image_manifest = IMAGE_MANIFEST_INIT;
	const char *normalized = vector_string(v, "normalized");
	struct strbuf text cleanup_strbuf = STRBUF_INIT;
	struct strbuf out cleanup_strbuf = STRBUF_INIT;
	struct error err = ERROR_INIT;
	json_t *want;
	int r;

	strbuf_addf(&text, "%s%s%s", head, v->in, tail);
	r = image_manifest_parse(text.buf, text.len, &im, &err);
	expect_verdict(v, r == 0, &err);
	if (r < 0 || !normalized)
		return;
	image_manifest_write(&im, JSON_COMPACT_STYLE, &out);
	want = json_loads(normalized, 0, NULL);
	expect_same_json(v, out.buf, want);
	json_decref(want);
}

static void run_image_manifest(const struct vector *v)
{
	run_image_manifest_text(v, "", "");
}

static void run_dependency_json(const struct vector *v)
{
	run_image_manifest_text(v,
				"{\"acKind\":\"ImageManifest\","
				"\"acVersion\":\"0.8.11\",\"name\":\"a\","
				"\"dependencies\":[",
				"]}");
}

static void run_pod_manifest(const struct vector *v)
{
	struct pod_manifest pm cleanup_pod_manifest = POD_MANIFEST_INIT;
	const char *normalized = vector_string(v, "normalized");
	struct strbuf out cleanup_strbuf = STRBUF_INIT;
	struct error err = ERROR_INIT;
	json_t *want;
	int r = pod_manifest_parse(v->in, strlen(v->in), &pm, &err);

	expect_verdict(v, r == 0, &err);
	if (r < 0 || !normalized)
		return;
	/* The reference cannot write a template: its empty IDs stop it. */
	want = json_loads(normalized, 0, NULL);
	if (!want) {
		cr_expect(strncmp(normalized, "MARSHAL-ERROR", 13) == 0);
		return;
	}
	pod_manifest_write(&pm, JSON_COMPACT_STYLE, &out);
	expect_same_json(v, out.buf, want);
	json_decref(want);
}

/* --- the groups ------------------------------------------------------------
 */

static const struct group {
	const char *name;
	size_t n;
	void (*run)(const struct vector *v); /* NULL: another test's */
} groups[] = {
	{"aci_archive", 14, NULL},
	{"acidentifier", 25, run_acidentifier},
	{"acidentifier_json", 8, run_acidentifier_json},
	{"acidentifier_sanitize", 23, run_acidentifier_sanitize},
	{"ackind_json", 6, run_ackind_json},
	{"acname", 17, run_acname},
	{"acname_json", 7, run_acname_json},
	{"acname_sanitize", 19, run_acname_sanitize},
	{"annotations_json", 12, run_annotations_json},
	{"app_json", 19, run_app_json},
	{"date_json", 9, run_date_json},
	{"dependency_json", 7, run_dependency_json},
	{"discovery_app_string", 10, run_image_ref},
	{"discovery_html", 14, run_discovery},
	{"environment_json", 8, run_environment_json},
	{"eventhandler_json", 4, run_event_handler_json},
	{"exec_json", 8, run_exec_json},
	{"exposedport_json", 7, run_exposed_port_json},
	{"filetype", 9, NULL},
	{"hash", 6, run_hash},
	{"image_manifest", 6, run_image_manifest},
	{"isolator_json", 39, run_isolator_json},
	{"labels_json", 23, run_labels_json},
	{"make_query_string", 8, run_make_query_string},
	{"mount_json", 4, run_mount_json},
	{"mountpoint_json", 4, run_mount_point_json},
	{"mountpoint_string", 11, run_mount_point_string},
	{"osarch_valid_pairs", 15, run_osarch},
	{"pod_manifest", 6, run_pod_manifest},
	{"port_json", 13, run_port_json},
	{"port_string", 6, run_port_string},
	{"quantity", 131, run_quantity},
	{"quantity_json", 5, run_quantity_json},
	{"quantity_signed", 188, run_quantity},
	{"render", 13, NULL},
	{"semver_json", 8, run_semver_json},
	{"url_json", 12, run_url_json},
	{"uuid", 7, run_uuid},
	{"uuid_json", 2, run_uuid_json},
	{"volume_json", 10, run_volume_json},
	{"volume_string", 20, run_volume_string},
};

#define N_GROUPS (sizeof(groups) / sizeof(groups[0]))

Test(conformance, every_group_is_known)
{
	json_t *root = vectors_load(), *list;
	const char *name;

	json_object_foreach (root, name, list) {
		size_t i;

		if (strcmp(name, "_meta") == 0)
			continue;
		for (i = 0; i < N_GROUPS; i++)
			if (strcmp(groups[i].name, name) == 0)
				break;
		cr_expect(i < N_GROUPS, "group %s is run by no test", name);
	}
	cr_expect(json_object_size(root) == N_GROUPS + 1);
	json_decref(root);
}

Test(conformance, spec_groups)
{
	for (size_t i = 0; i < N_GROUPS; i++)
		if (groups[i].run)
			vectors_run(groups[i].name, groups[i].n, groups[i].run);
}

/* --- where prose and reference code part ------------------------------------
 */

#define APP_HEAD "{\"user\":\"0\",\"group\":\"0\","
#define POD_HEAD "{\"acKind\":\"PodManifest\",\"acVersion\":\"0.8.11\","
#define IMAGE_HEAD                                                             \
	"{\"acKind\":\"ImageManifest\",\"acVersion\":\"0.8.11\",\"name\":"     \
	"\"a\","
#define ID                                                                     \
	"sha512-"                                                              \
	"00000000000000000000000000000000"                                     \
	"11111111111111111111111111111111"                                     \
	"22222222222222222222222222222222"                                     \
	"33333333333333333333333333333333"
#define APP(rest)                                                              \
	POD_HEAD "\"apps\":[{\"name\":\"a\",\"image\":{\"id\":\"" ID           \
		 "\"}" rest "}]"

static bool accepts_app(const char *in)
{
	struct app app cleanup_app = {0};

	return app_parse(in, strlen(in), &app, NULL) == 0;
}

static bool accepts_image(const char *in)
{
	struct image_manifest im cleanup_image_manifest = IMAGE_MANIFEST_INIT;

	return image_manifest_parse(in, strlen(in), &im, NULL) == 0;
}

static bool accepts_pod(const char *in)
{
	struct pod_manifest pm cleanup_pod_manifest = POD_MANIFEST_INIT;

	return pod_manifest_parse(in, strlen(in), &pm, NULL) == 0;
}

/* What is run must also pass this; the reference has no such check. */
static bool accepts_to_run(const char *in)
{
	struct pod_manifest pm cleanup_pod_manifest = POD_MANIFEST_INIT;

	cr_expect(pod_manifest_parse(in, strlen(in), &pm, NULL) == 0, "%s", in);
	return pod_manifest_check_runnable(&pm, NULL) == 0;
}

static bool accepts_quantity(const char *in)
{
	struct quantity q;

	return quantity_parse(in, &q, NULL) == 0;
}

static bool accepts_image_id(const char *in)
{
	struct image_id id;

	return image_id_parse(in, &id, NULL) == 0;
}

/* Inputs for which the two sources give different verdicts. */
static const struct decision {
	bool (*accepts)(const char *in);
	const char *in;
	bool reference;
	bool ours;
	const char *why;
} decisions[] = {
	{accepts_app,
	 APP_HEAD "\"isolators\":[{\"name\":\"x/y\",\"value\":1}]}", false,
	 true, "ace.md lets an executor ignore and report it"},
	{accepts_app,
	 APP_HEAD "\"isolators\":["
		  "{\"name\":\"os/linux/capabilities-retain-set\","
		  "\"value\":{\"set\":[\"CAP_KILL\"]}},"
		  "{\"name\":\"os/linux/capabilities-remove-set\","
		  "\"value\":{\"set\":[\"CAP_KILL\"]}}]}",
	 true, false, "ace.md: remove and retain exclude each other"},
	{accepts_quantity, "1K", false, true, "ace.md lists K as kilo"},
	{accepts_quantity, "0.123456789012345678901234567890123456789", true,
	 false, "more digits than a limit can have"},
	{accepts_image, IMAGE_HEAD "\"labels\":[{\"value\":\"x\"}]}", true,
	 false, "aci.md: a label has a name"},
	{accepts_image, IMAGE_HEAD "\"annotations\":[{\"value\":\"x\"}]}", true,
	 false, "aci.md: an annotation has a name"},
	{accepts_image_id, "sha512-abc", true, false,
	 "an ID that names a file is checked in full"},
	{accepts_pod, APP(",\"mounts\":[{\"volume\":\"v\"}]") "}", true, true,
	 "pod templates are incomplete"},
	{accepts_to_run, APP("") "}", true, true, "complete"},
	{accepts_to_run, POD_HEAD "\"apps\":[]}", true, false,
	 "pods.md: there is an app"},
	{accepts_to_run,
	 "{\"acKind\":\"PodManifest\",\"apps\":"
	 "[{\"name\":\"a\",\"image\":{\"id\":\"" ID "\"}}]}",
	 true, false, "pods.md: acVersion is required"},
	{accepts_to_run, POD_HEAD "\"apps\":[{\"image\":{\"id\":\"" ID "\"}}]}",
	 true, false, "pods.md: an app has a name"},
	{accepts_to_run, POD_HEAD "\"apps\":[{\"name\":\"a\",\"image\":{}}]}",
	 true, false, "pods.md: an app has an image ID"},
	{accepts_to_run,
	 POD_HEAD
	 "\"apps\":[{\"name\":\"a\",\"image\":{\"id\":\"sha512-abc\"}}]}",
	 true, false, "the image is found by its full ID"},
	{accepts_to_run, APP(",\"mounts\":[{\"volume\":\"v\"}]") "}", true,
	 false, "pods.md: a mount has a path"},
	{accepts_to_run, APP(",\"mounts\":[{\"path\":\"/x\"}]") "}", true,
	 false, "pods.md: a mount names a volume"},
	{accepts_to_run,
	 APP(",\"mounts\":[{\"volume\":\"v\",\"path\":\"/x\"}]") "}", true,
	 false, "pods.md: the volume exists"},
	{accepts_to_run,
	 APP(",\"app\":" APP_HEAD "\"mountPoints\":[{\"name\":\"m\"}]}") "}",
	 true, false, "aci.md: a mount point has a path"},
	{accepts_to_run,
	 APP(",\"app\":" APP_HEAD
	     "\"ports\":[{\"name\":\"p\",\"port\":1}]}") "}",
	 true, false, "aci.md: a port has a protocol"},
	{accepts_to_run, APP("") ",\"ports\":[{\"name\":\"p\"}]}", true, false,
	 "pods.md: hostPort is required"},
	{accepts_to_run,
	 APP("") ",\"ports\":[{\"name\":\"p\",\"hostPort\":70000}]}", true,
	 false, "no such port"},
	{accepts_to_run,
	 APP("") ",\"ports\":[{\"name\":\"p\",\"hostPort\":80,"
		 "\"hostIP\":\"2001:db8::1\"}]}",
	 true, true, "pods.md knows IPv4 only; IPv6 harms nobody"},
	{accepts_to_run,
	 APP("") ",\"volumes\":[{\"name\":\"v\",\"kind\":\"empty\",\"uid\":-5}]"
		 "}",
	 true, false, "no such user"},
	{accepts_to_run,
	 APP("") ",\"volumes\":[{\"name\":\"v\",\"kind\":\"empty\","
		 "\"mode\":\"rwx\"}]}",
	 true, false, "the mode is octal"},
	{accepts_to_run,
	 APP("") ",\"isolators\":[{\"name\":\"resource/memory\","
		 "\"value\":{\"limit\":\"-1\"}}]}",
	 true, false, "no limit can be negative"},
	{accepts_to_run,
	 APP("") ",\"isolators\":[{\"name\":\"resource/memory\","
		 "\"value\":{\"limit\":\"1e400\"}}]}",
	 true, false, "no limit can be that large"},
};

Test(conformance, decisions)
{
	for (size_t i = 0; i < sizeof(decisions) / sizeof(decisions[0]); i++) {
		const struct decision *d = &decisions[i];

		cr_expect(d->accepts(d->in) == d->ours, "%s (%s, reference %s)",
			  d->in, d->why, d->reference ? "accepts" : "rejects");
	}
}

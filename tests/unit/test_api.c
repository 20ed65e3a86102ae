/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/api.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/protobuf.h"

static void add_pair(struct strbuf *out, uint32_t number, const char *key,
		     const char *value)
{
	size_t mark = protobuf_open(out, number);

	protobuf_add_text(out, 1, key);
	protobuf_add_text(out, 2, value);
	protobuf_close(out, mark);
}

/* --- reading ---------------------------------------------------------------
 */

Test(api, list_pods_is_read)
{
	cleanup_api_list_pods struct api_list_pods request = {0};
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	size_t mark = protobuf_open(&out, 1);
	const struct api_pod_filter *f;

	protobuf_add_text(&out, 1, "id-1");
	protobuf_add_text(&out, 1, "id-2");
	protobuf_add_bytes(&out, 2, "\x04\x06", 2); /* packed */
	protobuf_add_uint(&out, 2, 1);		    /* and not */
	protobuf_add_text(&out, 3, "app");
	protobuf_add_text(&out, 4, "image");
	protobuf_add_text(&out, 5, "net");
	add_pair(&out, 6, "k", "v");
	add_pair(&out, 6, "k2", "");
	protobuf_add_text(&out, 7, "/cg");
	protobuf_add_text(&out, 8, "/sub");
	protobuf_add_text(&out, 99, "of a later version");
	protobuf_close(&out, mark);
	protobuf_close(&out, protobuf_open(&out, 1));
	protobuf_add_uint(&out, 2, 1);
	cr_assert(api_list_pods_parse(out.buf, out.len, &request, NULL) == 0);
	cr_assert(request.n_filters == 2 && request.detail);
	f = &request.filters[0];
	cr_expect(f->ids.n == 2 && strcmp(f->ids.v[1], "id-2") == 0);
	cr_expect(f->states.is_given && f->states.bits == 0x52, "%x",
		  f->states.bits);
	cr_expect_str_eq(f->app_names.v[0], "app");
	cr_expect_str_eq(f->image_ids.v[0], "image");
	cr_expect_str_eq(f->network_names.v[0], "net");
	cr_expect_str_eq(name_values_get(&f->annotations, "k"), "v");
	cr_expect_str_eq(name_values_get(&f->annotations, "k2"), "");
	cr_expect_str_eq(f->cgroups.v[0], "/cg");
	cr_expect_str_eq(f->sub_cgroups.v[0], "/sub");
	cr_expect(!request.filters[1].states.is_given);
}

Test(api, list_images_is_read)
{
	cleanup_api_list_images struct api_list_images request = {0};
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	size_t mark = protobuf_open(&out, 1);
	const struct api_image_filter *f;

	protobuf_add_text(&out, 1, "id");
	protobuf_add_text(&out, 2, "prefix");
	protobuf_add_text(&out, 3, "base");
	protobuf_add_text(&out, 4, "word");
	add_pair(&out, 5, "label", "l");
	protobuf_add_int(&out, 6, 5);
	protobuf_add_int(&out, 7, -1);
	add_pair(&out, 8, "annotation", "a");
	protobuf_add_text(&out, 9, "full");
	protobuf_close(&out, mark);
	cr_assert(api_list_images_parse(out.buf, out.len, &request, NULL) == 0);
	cr_assert(request.n_filters == 1 && !request.detail);
	f = &request.filters[0];
	cr_expect_str_eq(f->ids.v[0], "id");
	cr_expect_str_eq(f->prefixes.v[0], "prefix");
	cr_expect_str_eq(f->base_names.v[0], "base");
	cr_expect_str_eq(f->keywords.v[0], "word");
	cr_expect_str_eq(f->full_names.v[0], "full");
	cr_expect_str_eq(name_values_get(&f->labels, "label"), "l");
	cr_expect_str_eq(name_values_get(&f->annotations, "annotation"), "a");
	cr_expect(f->imported_after == 5 && f->imported_before == -1);
}

Test(api, the_others_are_read)
{
	cleanup_api_event_filter struct api_event_filter filter = {0};
	cleanup_api_get_logs struct api_get_logs logs = {0};
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	cleanup_free char *id = NULL;
	size_t mark = protobuf_open(&out, 1);

	protobuf_add_bytes(&out, 1, "\x01\x09", 2);
	protobuf_add_text(&out, 2, "id");
	protobuf_add_text(&out, 3, "name");
	protobuf_add_int(&out, 4, 1);
	protobuf_add_int(&out, 5, 2);
	protobuf_close(&out, mark);
	cr_assert(api_listen_events_parse(out.buf, out.len, &filter, NULL) ==
		  0);
	cr_expect(filter.types.bits == 0x202 && filter.ids.n == 1 &&
		  filter.names.n == 1 && filter.since_time == 1 &&
		  filter.until_time == 2);
	strbuf_reset(&out);
	protobuf_add_text(&out, 1, "pod");
	protobuf_add_text(&out, 2, "app");
	protobuf_add_int(&out, 3, -3);
	protobuf_add_uint(&out, 4, 1);
	protobuf_add_int(&out, 5, 5);
	protobuf_add_int(&out, 6, 6);
	cr_assert(api_get_logs_parse(out.buf, out.len, &logs, NULL) == 0);
	cr_expect_str_eq(logs.pod_id, "pod");
	cr_expect_str_eq(logs.app_name, "app");
	cr_expect(logs.lines == -3 && logs.follow && logs.since_time == 5 &&
		  logs.until_time == 6);
	cr_assert(api_inspect_parse("\x0a\x02xy", 4, &id, NULL) == 0);
	cr_expect_str_eq(id, "xy");
	free(id);
	id = NULL;
	cr_assert(api_inspect_parse("", 0, &id, NULL) == 0);
	cr_expect_str_eq(id, "");
}

Test(api, what_is_no_message_is_refused)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
		{"\x0a", 1},
		{"\x0a\x03\x0a\x01", 4},
		{"\x0a\x03\x0a\x01\0", 5}, /* a zero byte */
		{"\x0a\x03\x12\x01\x80", 5},
		{"\x0a\x04\x32\x02\x0a\x05", 6},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		cleanup_api_list_pods struct api_list_pods request = {0};
		struct error err = ERROR_INIT;

		cr_expect(api_list_pods_parse(rows[i].bytes, rows[i].len,
					      &request, &err) == -EBADMSG,
			  "row %zu", i);
	}
}

Test(api, terms_are_bounded)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;

	for (int i = 0; i < API_TERMS_MAX; i++)
		strbuf_add(&out, "\x0a\x00", 2);
	for (int i = 0; i < 2; i++) {
		cleanup_api_list_pods struct api_list_pods request = {0};

		cr_expect(api_list_pods_parse(out.buf, out.len, &request,
					      NULL) == (i ? -E2BIG : 0));
		strbuf_add(&out, "\x0a\x00", 2);
	}
}

/* --- which are meant -------------------------------------------------------
 */

#define TEXTS(...)                                                             \
	{                                                                      \
		.v = (char *[]){__VA_ARGS__, NULL},                            \
		.n = sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)          \
	}
#define PAIRS(k, val)                                                          \
	{                                                                      \
		.v = (struct name_value[]){{(char *)(k), (char *)(val)}},      \
		.n = 1                                                         \
	}

static char one[] = "one", two[] = "two", three[] = "three";

Test(api, pods_that_are_meant)
{
	struct name_values annotations = PAIRS("k", "v");
	const struct api_pod_facts facts = {
		.id = "one",
		.state = API_POD_RUNNING,
		.apps = TEXTS(one, two),
		.images = TEXTS(one, two),
		.networks = TEXTS(one, two),
		.annotations = &annotations,
		.cgroup = "/a/b",
	};
	struct {
		struct api_pod_filter filter;
		bool fits;
	} rows[] = {
		{{.ids = {0}}, true},
		{{.ids = TEXTS(two, one)}, true},
		{{.ids = TEXTS(two)}, false},
		{{.states = {true, 1 << API_POD_RUNNING}}, true},
		{{.states = {true, 1 << API_POD_EXITED}}, false},
		{{.states = {true, 0}}, false},
		{{.app_names = TEXTS(two, one)}, true},
		{{.app_names = TEXTS(two, three)}, false},
		{{.image_ids = TEXTS(one)}, true},
		{{.image_ids = TEXTS(three)}, false},
		{{.network_names = TEXTS(one, two)}, true},
		{{.network_names = TEXTS(three)}, false},
		{{.annotations = PAIRS("k", "v")}, true},
		{{.annotations = PAIRS("k", "w")}, false},
		{{.annotations = PAIRS("l", "v")}, false},
		{{.cgroups = TEXTS((char *)"/a/b")}, true},
		{{.cgroups = TEXTS((char *)"/a")}, false},
		{{.sub_cgroups = TEXTS((char *)"/a/b/c")}, true},
		{{.sub_cgroups = TEXTS((char *)"/a/b")}, true},
		{{.sub_cgroups = TEXTS((char *)"/a/bc")}, false},
		{{.ids = TEXTS(one), .app_names = TEXTS(three)}, false},
	};
	const size_t n = sizeof(rows) / sizeof(*rows);

	for (size_t i = 0; i < n; i++) {
		const struct api_list_pods request = {&rows[i].filter, 1,
						      false};

		cr_expect(api_pod_is_meant(&request, &facts) == rows[i].fits,
			  "row %zu", i);
	}
	/* Filters are combined by OR; none means all. */
	struct api_pod_filter both[] = {rows[2].filter, rows[1].filter};
	cr_expect(api_pod_is_meant(
		&(const struct api_list_pods){both, 2, false}, &facts));
	cr_expect(api_pod_is_meant(&(const struct api_list_pods){0}, &facts));
}

Test(api, a_pod_that_does_not_run_is_in_no_cgroup)
{
	const struct name_values none = NAME_VALUES_INIT;
	const struct api_pod_facts facts = {
		.id = "one", .annotations = &none, .cgroup = ""};
	struct api_pod_filter filter = {.sub_cgroups = TEXTS((char *)"/a")};

	cr_expect(!api_pod_is_meant(
		&(const struct api_list_pods){&filter, 1, false}, &facts));
}

Test(api, images_that_are_meant)
{
	struct name_values labels = PAIRS("version", "1");
	struct name_values annotations = PAIRS("k", "v");
	const struct api_image_facts facts = {
		.id = "one",
		.name = "coreos.com/etcd",
		.labels = &labels,
		.annotations = &annotations,
		.imported = 100,
	};
	struct {
		struct api_image_filter filter;
		bool fits;
	} rows[] = {
		{{.ids = TEXTS(one)}, true},
		{{.ids = TEXTS(two)}, false},
		{{.prefixes = TEXTS(two, (char *)"coreos")}, true},
		{{.prefixes = TEXTS((char *)"etcd")}, false},
		{{.base_names = TEXTS((char *)"etcd")}, true},
		{{.base_names = TEXTS((char *)"etc")}, false},
		{{.keywords = TEXTS((char *)"com/e")}, true},
		{{.keywords = TEXTS(two)}, false},
		{{.full_names = TEXTS((char *)"coreos.com/etcd")}, true},
		{{.full_names = TEXTS((char *)"coreos.com/etc")}, false},
		{{.imported_after = 99}, true},
		{{.imported_after = 100}, false},
		{{.imported_before = 101}, true},
		{{.imported_before = 100}, false},
		{{.labels = PAIRS("version", "1")}, true},
		{{.labels = PAIRS("version", "2")}, false},
		{{.annotations = PAIRS("k", "v")}, true},
		{{.annotations = PAIRS("k", "")}, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct api_list_images request = {&rows[i].filter, 1,
							false};

		cr_expect(api_image_is_meant(&request, &facts) == rows[i].fits,
			  "row %zu", i);
	}
}

Test(api, events_that_are_meant)
{
	const struct api_event_facts facts = {.type = API_EVENT_APP_EXITED,
					      .id = "one",
					      .from = "two",
					      .time = 100};
	struct {
		struct api_event_filter filter;
		bool fits;
	} rows[] = {
		{{.since_time = 0}, true},
		{{.types = {true, 1 << API_EVENT_APP_EXITED}}, true},
		{{.types = {true, 1 << API_EVENT_APP_STARTED}}, false},
		{{.ids = TEXTS(one)}, true},
		{{.ids = TEXTS(two)}, false},
		{{.names = TEXTS(two)}, true},
		{{.names = TEXTS(one)}, false},
		{{.since_time = 100, .until_time = 100}, true},
		{{.since_time = 101}, false},
		{{.until_time = 99}, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		cr_expect(api_event_is_meant(&rows[i].filter, &facts) ==
				  rows[i].fits,
			  "row %zu", i);
}

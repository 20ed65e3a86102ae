/* SPDX-License-Identifier: Apache-2.0 */
/* A request of a client of rkt api-service, as each method reads it. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "spec/api.h"
#include "spec/protobuf.h"
#include "tests/fuzz/fuzz.h"

static void expect_code(int r)
{
	fuzz_expect(r == 0 || r == -EBADMSG || r == -E2BIG);
}

static void list_pods(const char *data, size_t len)
{
	static const struct name_values none;
	cleanup_api_list_pods struct api_list_pods request = {0};
	int r = api_list_pods_parse(data, len, &request, NULL);

	expect_code(r);
	fuzz_expect(request.n_filters <= API_TERMS_MAX);
	(void)api_pod_is_meant(
		&request, &(const struct api_pod_facts){.id = "x",
							.annotations = &none,
							.cgroup = "/x"});
}

static void list_images(const char *data, size_t len)
{
	static const struct name_values none;
	cleanup_api_list_images struct api_list_images request = {0};

	expect_code(api_list_images_parse(data, len, &request, NULL));
	(void)api_image_is_meant(&request, &(const struct api_image_facts){
						   .id = "x",
						   .name = "x/y",
						   .labels = &none,
						   .annotations = &none});
}

static void others(const char *data, size_t len)
{
	cleanup_api_event_filter struct api_event_filter filter = {0};
	cleanup_api_get_logs struct api_get_logs logs = {0};
	cleanup_free char *id = NULL;
	int r = api_inspect_parse(data, len, &id, NULL);

	expect_code(r);
	fuzz_expect(r < 0 || (id && strlen(id) <= len));
	expect_code(api_listen_events_parse(data, len, &filter, NULL));
	expect_code(api_get_logs_parse(data, len, &logs, NULL));
	(void)api_event_is_meant(&filter, &(const struct api_event_facts){
						  .id = "x", .from = "y"});
}

/* Any bytes make a message that can be read back. */
static void write_back(const char *data, size_t len)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct protobuf_reader reader;
	struct protobuf_field field;

	protobuf_add_element(&out, 1, data, len);
	reader = (struct protobuf_reader){out.buf, out.buf + out.len};
	fuzz_expect(protobuf_next(&reader, &field) == 1 && field.has_bytes);
	fuzz_expect(field.len >= len && field.len <= 3 * len);
	fuzz_expect(protobuf_next(&reader, &field) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	list_pods((const char *)data, size);
	list_images((const char *)data, size);
	others((const char *)data, size);
	write_back((const char *)data, size);
	return 0;
}

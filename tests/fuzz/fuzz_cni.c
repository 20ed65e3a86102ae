/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses the reader: what plugins and administrators say. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/cni.h"
#include "spec/json_write.h"
#include "spec/net_info.h"
#include "stage1/cgroup_layout.h"
#include "stage1/network_state.h"
#include "tests/fuzz/fuzz.h"

static void network(const char *buf, size_t len)
{
	const struct cni_stdin in = {.name = "n", .version = "1.0.0"};
	struct cni_network net;

	if (cni_network_parse(buf, len, &net, NULL) < 0)
		return;
	fuzz_expect(net.name && net.n > 0);
	for (size_t i = 0; i < net.n; i++) {
		cleanup_strbuf struct strbuf text = STRBUF_INIT;
		struct cni_network again;

		fuzz_expect(!strchr(net.plugins[i].type, '/'));
		fuzz_expect(cni_stdin_make(net.plugins[i].json, &in, &text,
					   NULL) == 0);
		if (cni_network_parse(text.buf, text.len, &again, NULL) == 0)
			cni_network_release(&again);
	}
	cni_network_release(&net);
}

static void result(const char *buf, size_t len)
{
	struct cni_result result;

	free(cni_error_text(buf, len));
	if (cni_result_parse(buf, len, &result, NULL) == 0) {
		cleanup_strbuf struct strbuf up = STRBUF_INIT;
		struct cni_result again;

		cni_result_upgrade(&result, "eth0", "/n", &up);
		fuzz_expect(cni_result_parse(up.buf, up.len, &again, NULL) ==
			    0);
		cni_result_release(&again);
	}
	cni_result_release(&result);
}

static void state(const char *buf, size_t len)
{
	cleanup_network_state struct network_state first = {0};
	cleanup_network_state struct network_state again = {0};
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	if (network_state_parse(buf, len, &first, NULL) < 0)
		return;
	network_state_write(&first, &text);
	fuzz_expect(network_state_parse(text.buf, text.len, &again, NULL) == 0);
}

static void info(const char *buf, size_t len)
{
	cleanup_net_info struct net_info_list first = NET_INFO_LIST_INIT;
	cleanup_net_info struct net_info_list again = NET_INFO_LIST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct json_writer w;

	if (net_info_parse(buf, len, &first, NULL) < 0)
		return;
	json_writer_init(&w, &text, JSON_COMPACT_STYLE);
	net_info_write(&first, NULL, &w);
	fuzz_expect(net_info_parse(text.buf, text.len, &again, NULL) == 0);
	fuzz_expect(first.n == again.n);
}

/* "MOUNTINFO \f CGROUP" */
static void cgroup(const char *buf, size_t len)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct cgroup_layout layout;
	char *self;

	strbuf_add(&text, buf, len);
	self = strchr(text.buf, '\f');
	if (self)
		*self++ = '\0';
	cgroup_layout_parse(&layout, text.buf, self ? self : "");
	if (layout.unified.version)
		cgroup_layout_add_v2(&layout, self ? self : "memory");
	cgroup_layout_release(&layout);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(const char *, size_t) = {
		network, result, state, info, cgroup,
	};
	size_t n = sizeof(readers) / sizeof(readers[0]);

	if (size == 0)
		return 0;
	readers[data[0] % n]((const char *)data + 1, size - 1);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Input: the value of any header that downloads look at. */
#include "aci/http_auth.h"
#include "aci/http_headers.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *value = xstrndup((const char *)data, size);
	cleanup_strbuf struct strbuf host = STRBUF_INIT;
	struct content_range range;
	int64_t seconds = http_retry_after(value, 30);

	fuzz_expect(seconds >= -1 && seconds <= 30);
	fuzz_expect(http_max_age(value) >= -1);
	(void)http_etag_is_strong(value);
	if (http_content_range_parse(value, &range) == 0 &&
	    !range.is_unsatisfied) {
		fuzz_expect(range.first <= range.last);
		fuzz_expect(!range.total || range.last < range.total);
	}
	http_url_host(value, &host);
	fuzz_expect(host.len <= size);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Input: a discovery page; its tags are used as for an image's name. */
#include <string.h>

#include "aci/discovery_html.h"
#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/discovery.h"
#include "spec/image_ref.h"
#include "tests/fuzz/fuzz.h"

static void use_tag(char *const *tag, const struct image_ref *ref)
{
	cleanup_strbuf struct strbuf url = STRBUF_INIT;

	fuzz_expect(strncmp(tag[0], "ac-", 3) == 0);
	fuzz_expect(*tag[1] && !strchr(tag[1], ' '));
	fuzz_expect(*tag[2] && tag[2][0] != ' ');
	(void)discovery_prefix_match(tag[1], ref->name);
	if (!discovery_expand(tag[2], ref, "aci", &url))
		return;
	fuzz_expect(strstr(url.buf, "aci"));
	fuzz_expect(!strpbrk(url.buf, " \t\r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_image_ref struct image_ref ref = IMAGE_REF_INIT;
	cleanup_strv struct strv tags = STRV_INIT;

	discovery_html_parse((const char *)data, size, &tags);
	fuzz_expect(tags.n % 3 == 0 && tags.n / 3 <= DISCOVERY_TAGS_MAX);
	fuzz_expect(image_ref_parse("example.com/app:1,os=linux,arch=amd64",
				    &ref, NULL) == 0);
	for (size_t i = 0; i < tags.n; i += 3)
		use_tag(tags.v + i, &ref);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses: 'a' an answer to a probe, else its text. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "spec/probe.h"
#include "tests/fuzz/fuzz.h"

static void answer(const char *data, size_t size)
{
	int r = probe_answer_parse(data, size);

	fuzz_expect(r == 0 || r == -EBADMSG || (r >= 100 && r <= 599));
	fuzz_expect(size <= PROBE_ANSWER_MAX || r == -EBADMSG);
	/* Nothing that is said later changes an answer. */
	if (size > 1 && probe_answer_parse(data, size - 1) > 0 &&
	    size <= PROBE_ANSWER_MAX)
		fuzz_expect(r == probe_answer_parse(data, size - 1));
}

static void text(const char *data, size_t size)
{
	cleanup_free char *s = xstrndup(data, size);
	cleanup_probe struct probe probe = PROBE_INIT;

	if (probe_parse(s, &probe, NULL) < 0) {
		fuzz_expect(probe.kind == PROBE_NONE && !probe.path);
		return;
	}
	fuzz_expect((probe.kind == PROBE_EXEC) == (probe.exec.n > 0));
	fuzz_expect((probe.kind == PROBE_HTTP) == (probe.path != NULL));
	if (probe.path)
		fuzz_expect(probe.path[0] == '/' &&
			    !strpbrk(probe.path, " \r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] == 'a')
		answer((const char *)data + 1, size - 1);
	else
		text((const char *)data + 1, size - 1);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a window: what is taken has minutes, and lies in a week. */
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "spec/time_window.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = xstrndup((const char *)data, size);
	struct time_window w = {0};
	struct error err = ERROR_INIT;
	unsigned int length, n = 0, days = 0;

	if (time_window_parse(text, &w, &err) < 0) {
		fuzz_expect(*err.msg && !w.days && !w.from && !w.to);
		return 0;
	}
	for (unsigned int day = 0; day < 7; day++)
		for (unsigned int minute = 0; minute < 24U * 60; minute++)
			n += time_window_has(&w, day, minute);
	for (unsigned int day = 0; day < 7; day++)
		days += w.days >> day & 1;
	length = w.from < w.to ? w.to - w.from : 24U * 60 - w.from + w.to;
	fuzz_expect(days > 0 && n == days * length);
	return 0;
}

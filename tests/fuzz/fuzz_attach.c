/* SPDX-License-Identifier: Apache-2.0 */
/* The first two bytes are what the client may do; the rest is its record.  And
 * what an app prints, as it is shown on a terminal that is not raw. */
#include <stdlib.h>
#include <string.h>

#include "base/terminal.h"
#include "stage1/attach.h"
#include "tests/fuzz/fuzz.h"

static void record(const uint8_t *data, size_t size, uint32_t wants)
{
	struct attach_head head;

	if (attach_record_check(data, size, wants, &head) < 0)
		return;
	fuzz_expect(head.length == size - sizeof(head));
	fuzz_expect(head.length <= ATTACH_DATA_MAX);
	fuzz_expect(head.kind != ATTACH_INPUT ||
		    wants & (CONTROL_ATTACH_STDIN | CONTROL_ATTACH_TTY_IN));
	fuzz_expect(head.kind >= ATTACH_INPUT && head.kind <= ATTACH_EOF);
	fuzz_expect(head.kind != ATTACH_SIZE ||
		    head.length == sizeof(struct attach_size));
}

static void shown(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	unsigned char last = 0;

	fuzz_expect(text != NULL);
	memcpy(text, data, size);
	/* In two parts, as it may come. */
	terminal_tame(text, size / 2, &last);
	terminal_tame(text + size / 2, size - size / 2, &last);
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)text[i];

		fuzz_expect(c >= ' ' || c == '\n' || c == '\r' || c == '\t');
		fuzz_expect(c != 0x7f);
		fuzz_expect(i == 0 || (unsigned char)text[i - 1] != 0xc2 ||
			    c < 0x80 || c >= 0xa0);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	record(data + 2, size - 2, (uint32_t)(data[0] | data[1] << 8));
	shown(data, size);
	return 0;
}

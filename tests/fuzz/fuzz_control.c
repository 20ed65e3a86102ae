/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses: a record of the control socket with that many
 * descriptors, or the lines of a journal or history. */
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "spec/history.h"
#include "spec/stage1_abi.h"
#include "stage1/control_record.h"
#include "tests/fuzz/fuzz.h"

static void record(const uint8_t *data, size_t size, size_t n_fds)
{
	struct control_request rec;

	if (control_record_check(data, size, n_fds, &rec) < 0)
		return;
	fuzz_expect(size == sizeof(rec));
	fuzz_expect(rec.version == STAGE1_ABI_VERSION);
	fuzz_expect(rec.op >= CONTROL_STATUS && rec.op < CONTROL_OP_MAX);
	fuzz_expect(memchr(rec.app, '\0', sizeof(rec.app)));
	fuzz_expect(n_fds == (rec.op == CONTROL_UPDATE));
	if (rec.op == CONTROL_UPDATE)
		fuzz_expect(rec.app[0] && !strchr(rec.app, '/') &&
			    rec.app[0] != '.' && rec.generation);
}

static void history(const uint8_t *data, size_t size)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_strbuf struct strbuf copy = STRBUF_INIT;
	cleanup_strbuf struct strbuf closed = STRBUF_INIT;
	struct history_entry e;
	char *next;

	strbuf_add(&copy, data, size);
	strbuf_add(&text, data, size);
	history_close_make(copy.buf, copy.len, &closed);
	next = text.buf;
	while (history_next(&next, &e)) {
		cleanup_history_entry struct history_entry again =
			HISTORY_ENTRY_INIT;
		cleanup_strbuf struct strbuf line = STRBUF_INIT;
		const struct history_event event = {
			.app = e.app,
			.text = e.text,
			.from = e.from,
			.to = e.to,
			.state = e.state,
			.rollback = e.rollback,
		};

		fuzz_expect(!strchr(e.app, '/') && e.app[0] != '.');
		fuzz_expect(e.state >= UPDATE_PLANNED &&
			    e.state <= UPDATE_ROLLED_BACK);
		history_line_make(&event, &line);
		fuzz_expect(history_line_parse(line.buf, line.len, &again));
		fuzz_expect(strcmp(again.text, e.text) == 0);
		fuzz_expect(again.to == e.to && again.from == e.from);
		fuzz_expect(again.rollback == e.rollback);
		fuzz_expect(history_has_run(copy.buf, e.app, e.from));
		if (e.state == UPDATE_COMMITTED)
			fuzz_expect(history_has_run(copy.buf, e.app, e.to));
		(void)history_previous(copy.buf, e.app, e.to);
		history_entry_release(&e);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] < 3)
		record(data + 1, size - 1, data[0]);
	else
		history(data + 1, size - 1);
	return 0;
}

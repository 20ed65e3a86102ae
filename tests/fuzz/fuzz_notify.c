/* SPDX-License-Identifier: Apache-2.0 */
/* A datagram of an app on its notify socket. */
#include <string.h>

#include "stage1/notify_message.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct notify_message m;

	if (notify_message_parse((const char *)data, size, &m) < 0)
		return 0;
	fuzz_expect(size > 0 && size <= NOTIFY_MESSAGE_MAX + 1);
	fuzz_expect(memchr(m.status, '\0', sizeof(m.status)));
	fuzz_expect(m.has_status || !m.status[0]);
	for (const char *p = m.status; *p; p++)
		fuzz_expect((unsigned char)*p >= ' ' && *p != 127);
	fuzz_expect(!m.fd_name[0] || fd_name_is_valid(m.fd_name));
	fuzz_expect(m.main_pid >= 0);
	fuzz_expect(m.error >= 0 && m.error < 4096);
	fuzz_expect(m.exit_status >= 0 && m.exit_status < 256);
	fuzz_expect(m.watchdog_usec <= UINT64_MAX / 2000);
	fuzz_expect(m.extend_usec <= UINT64_MAX / 2000);
	return 0;
}

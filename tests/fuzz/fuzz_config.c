/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses the sub-directory; the rest is a file of it.  What
 * it says can be asked for and written out, and adds up with itself. */
#include <string.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "spec/config.h"
#include "tests/fuzz/fuzz.h"

static void expect_auths(const struct config *config)
{
	for (size_t i = 0; i < config->auths.n; i++) {
		const struct config_auth *auth = &config->auths.v[i];

		fuzz_expect(config_auth_for_host(config, auth->host) == auth);
		fuzz_expect(*auth->secret);
		fuzz_expect(!strpbrk(auth->secret, "\r\n"));
	}
	for (size_t i = 0; i < config->docker_auths.n; i++)
		fuzz_expect(config->docker_auths.v[i].user != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_config struct config config = CONFIG_INIT;
	cleanup_config struct config again = CONFIG_INIT;
	cleanup_strbuf struct strbuf first = STRBUF_INIT;
	cleanup_strbuf struct strbuf second = STRBUF_INIT;
	struct error err = ERROR_INIT;
	enum config_subdir subdir;

	if (size == 0)
		return 0;
	subdir = (enum config_subdir)(data[0] % CONFIG_SUBDIR_MAX);
	data++;
	size--;
	if (config_add_file(&config, subdir, (const char *)data, size, &err) <
	    0) {
		fuzz_expect(*err.msg);
		return 0;
	}
	expect_auths(&config);
	config_write(&config, JSON_COMPACT_STYLE, &first);
	fuzz_expect(config_add_file(&again, subdir, (const char *)data, size,
				    NULL) == 0);
	config_override(&config, &again);
	config_write(&config, JSON_COMPACT_STYLE, &second);
	fuzz_expect(strcmp(first.buf, second.buf) == 0);
	return 0;
}

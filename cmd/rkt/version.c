/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/utsname.h>

#include "cmd/rkt/cmd.h"

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

static int version_run(struct cmd_call *call)
{
	struct utsname host;

	(void)call;
	printf("rkt Version: %s\n", RKT_VERSION);
	printf("appc Version: %s\n", RKT_APPC_VERSION);
	printf("stage1 Interface: %d\n", STAGE1_ABI_VERSION);
	printf("Compiler: %s\n", COMPILER);
	if (uname(&host) == 0)
		printf("Host: linux/%s\n", host.machine);
	printf("Features: -TPM -SDJOURNAL\n");
	return 0;
}

const struct command cmd_version = {
	.name = "version",
	.summary = "Print the version and exit",
	.usage = "",
	.run = version_run,
};

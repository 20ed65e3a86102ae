/* SPDX-License-Identifier: Apache-2.0 */

/* stage1: one program, an entrypoint a word (spec/stage1-abi.md). */

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "spec/stage1_abi.h"
#include "stage1/adopt.h"
#include "stage1/enter.h"
#include "stage1/gc.h"
#include "stage1/run.h"

static const struct {
	const char *name;
	int (*main)(int argc, char *const argv[]);
} entrypoints[] = {
	{"run", run_main},
	{"adopt", adopt_main},
	{"enter", enter_main},
	{"gc", gc_main},
};

int main(int argc, char *argv[])
{
	log_init("stage1", false);
	for (size_t i = 0; i < sizeof(entrypoints) / sizeof(entrypoints[0]);
	     i++)
		if (argc > 1 && strcmp(argv[1], entrypoints[i].name) == 0)
			return entrypoints[i].main(argc - 2, argv + 2);
	log_error("unknown entrypoint %s (stage1 is started by rkt)",
		  argc > 1 ? argv[1] : "");
	return RKT_EXIT_FAILURE;
}

/* SPDX-License-Identifier: Apache-2.0 */

/*
 * stage1-fly: the other stage1 of rkt's own, which isolates nothing but the
 * root file system (spec/stage1-abi.md, section 11).
 */

#include <string.h>

#include "base/log.h"
#include "spec/stage1_abi.h"
#include "stage1-fly/enter.h"
#include "stage1-fly/run.h"
#include "stage1-fly/stop.h"

/* What it made ends with the app. */
static int gc_main(int argc, char *const argv[])
{
	(void)argc;
	(void)argv;
	return 0;
}

static const struct {
	const char *name;
	int (*main)(int argc, char *const argv[]);
} entrypoints[] = {
	{"run", fly_run_main},
	{"enter", fly_enter_main},
	{"gc", gc_main},
	{"stop", fly_stop_main},
};

int main(int argc, char *argv[])
{
	log_init("stage1-fly", false);
	for (size_t i = 0; i < sizeof(entrypoints) / sizeof(*entrypoints); i++)
		if (argc > 1 && strcmp(argv[1], entrypoints[i].name) == 0)
			return entrypoints[i].main(argc - 2, argv + 2);
	log_error("unknown entrypoint %s (stage1-fly is started by rkt)",
		  argc > 1 ? argv[1] : "");
	return RKT_EXIT_FAILURE;
}

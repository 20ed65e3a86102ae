/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"

/* The scripts of dist/completion, as they are; the Makefile knows that this
 * file depends on them. */
#define SCRIPT(symbol, file)                                                   \
	__asm__(".pushsection .rodata\n" #symbol ":\n"                         \
		".incbin \"dist/completion/" file "\"\n"                       \
		".byte 0\n.popsection\n");                                     \
	extern const char symbol[] __attribute__((__visibility__("hidden")))

SCRIPT(completion_bash, "rkt.bash");
SCRIPT(completion_zsh, "_rkt");
SCRIPT(completion_fish, "rkt.fish");

static const struct {
	const char *shell;
	const char *script;
} scripts[] = {
	{"bash", completion_bash},
	{"zsh", completion_zsh},
	{"fish", completion_fish},
};

static int run(struct cmd_call *call)
{
	struct error err = ERROR_INIT;

	if (call->argc != 1)
		return cmd_usage(call, "must provide the name of one shell");
	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
		if (strcmp(call->argv[0], scripts[i].shell) != 0)
			continue;
		(void)fputs(scripts[i].script, stdout);
		return 0;
	}
	(void)error_set(&err, EINVAL,
			"'%s' shell is not supported: use bash, zsh or fish",
			call->argv[0]);
	return cmd_failure(call, &err, NULL);
}

const struct command cmd_completion = {
	.name = "completion",
	.summary = "Print a shell's completion script for rkt",
	.usage = "bash | zsh | fish",
	.description =
		"The script completes commands, flags and their values, pods "
		"and images. Packages install it; for one shell:\n"
		"    source <(rkt completion bash)",
	.words = "bash|zsh|fish",
	.run = run,
};

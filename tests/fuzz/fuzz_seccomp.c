/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input: a byte for the policy, one for the options, the errno's name up to a
 * newline, then names of calls and sets separated by blanks.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strv.h"
#include "stage1/seccomp_compile.h"
#include "stage1/seccomp_plan.h"
#include "tests/fuzz/fuzz.h"

static size_t last_of(const struct sock_fprog *prog, size_t i)
{
	const struct sock_filter *insn = &prog->filter[i];

	switch (insn->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		fuzz_expect(insn->k % 4 == 0 &&
			    insn->k < sizeof(struct seccomp_data));
		return i + 1;
	case BPF_ALU | BPF_AND | BPF_K:
		return i + 1;
	case BPF_RET | BPF_K:
		return i;
	case BPF_JMP | BPF_JA:
		return i + 1 + insn->k;
	default:
		fuzz_expect(BPF_CLASS(insn->code) == BPF_JMP);
		return i + 1 + (insn->jt > insn->jf ? insn->jt : insn->jf);
	}
}

/* What the kernel's seccomp_check_filter() asks of a program. */
static void expect_valid(const struct sock_fprog *prog)
{
	fuzz_expect(prog->len <= BPF_MAXINSNS);
	for (size_t i = 0; i < prog->len; i++)
		fuzz_expect(last_of(prog, i) < prog->len);
	if (prog->len > 0)
		fuzz_expect(BPF_CLASS(prog->filter[prog->len - 1].code) ==
			    BPF_RET);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seccomp_plan plan cleanup_seccomp_plan = SECCOMP_PLAN_INIT;
	struct strv set cleanup_strv = STRV_INIT;
	char *text cleanup_free = NULL;
	struct sock_fprog prog = {0};
	struct error err = ERROR_INIT;
	struct seccomp_request req = {.set = &set};
	char *names;

	if (size < 2)
		return 0;
	text = xstrndup((const char *)data + 2, size - 2);
	names = strchr(text, '\n');
	if (!names)
		return 0;
	*names++ = '\0';
	strv_split(&set, names, ' ');
	req.policy = (enum seccomp_policy)(data[0] % 4);
	req.notify_bind = data[1] & 1;
	req.caps = data[1] & 2 ? UINT64_MAX : 0;
	req.errno_name = text;
	if (seccomp_plan_make(&req, &plan, &err) < 0) {
		fuzz_expect(*err.msg && err.code == EINVAL);
		return 0;
	}
	fuzz_expect(seccomp_compile(&plan, &prog, &err) == 0);
	expect_valid(&prog);
	free(prog.filter);
	return 0;
}

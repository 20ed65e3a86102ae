/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stage1/device_policy.h"

/* Just the instructions the assembler uses; anything else fails the test. */
static int run(const struct bpf_insn *insns, size_t n,
	       const struct bpf_cgroup_dev_ctx *ctx)
{
	uint64_t r[11] = {0};

	for (size_t pc = 0; pc < n; pc++) {
		const struct bpf_insn *i = &insns[pc];
		uint64_t k = (uint64_t)(int64_t)i->imm;

		switch (i->code) {
		case BPF_LDX | BPF_MEM | BPF_W: {
			uint32_t word;

			memcpy(&word, (const char *)ctx + i->off, sizeof(word));
			r[i->dst_reg] = word;
			break;
		}
		case BPF_ALU64 | BPF_MOV | BPF_X:
			r[i->dst_reg] = r[i->src_reg];
			break;
		case BPF_ALU64 | BPF_MOV | BPF_K:
			r[i->dst_reg] = k;
			break;
		case BPF_ALU64 | BPF_AND | BPF_K:
			r[i->dst_reg] &= k;
			break;
		case BPF_ALU64 | BPF_RSH | BPF_K:
			r[i->dst_reg] >>= k;
			break;
		case BPF_ALU64 | BPF_LSH | BPF_K:
			r[i->dst_reg] <<= k;
			break;
		case BPF_ALU64 | BPF_OR | BPF_X:
			r[i->dst_reg] |= r[i->src_reg];
			break;
		case BPF_JMP32 | BPF_JNE | BPF_K:
			if ((uint32_t)r[i->dst_reg] != (uint32_t)k)
				pc += (size_t)i->off;
			break;
		case BPF_JMP32 | BPF_JEQ | BPF_K:
			if ((uint32_t)r[i->dst_reg] == (uint32_t)k)
				pc += (size_t)i->off;
			break;
		case BPF_JMP | BPF_EXIT:
			return (int)r[0];
		default:
			return -ENOSYS;
		}
	}
	return -ERANGE;
}

struct row {
	char type;
	uint32_t major, minor, access;
	int want;
};

static const struct device_rule extra[] = {
	{'c', 1, 3, DEVICE_RWM},
	{'b', 7, 1, DEVICE_READ},
	{'c', 29, 0, DEVICE_RW},
	{'c', 136, DEVICE_ANY, DEVICE_RWM},
	{'b', DEVICE_ANY, 77, DEVICE_WRITE},
	{'c', 4095, 1048575, DEVICE_RWM},
};

static const struct row rows[] = {
	{'c', 1, 3, DEVICE_RW, 1},
	{'c', 1, 3, DEVICE_MKNOD, 1},
	{'b', 1, 3, DEVICE_READ, 0},
	{'c', 1, 1, DEVICE_READ, 0},
	{'b', 7, 1, DEVICE_READ, 1},
	{'b', 7, 1, DEVICE_WRITE, 0},
	{'b', 7, 1, DEVICE_RW, 0},
	{'b', 7, 1, DEVICE_MKNOD, 0},
	{'c', 7, 1, DEVICE_READ, 0},
	{'c', 29, 0, DEVICE_RW, 1},
	{'c', 29, 0, DEVICE_MKNOD, 0},
	{'c', 29, 0, DEVICE_RWM, 0},
	{'c', 136, 0, DEVICE_RW, 1},
	{'c', 136, 70000, DEVICE_RWM, 1},
	{'c', 4095, 1048575, DEVICE_READ, 1},
	{'c', 4095, 1048574, DEVICE_READ, 0},
	{'c', 137, 0, DEVICE_READ, 0},
	{'b', 8, 77, DEVICE_WRITE, 1},
	{'b', 9, 77, DEVICE_READ, 0},
	{'b', 8, 78, DEVICE_WRITE, 0},
	{'c', 10, 200, DEVICE_READ, 0},
};

static int ask(const struct bpf_insn *insns, size_t n, const struct row *row)
{
	uint32_t access =
		(row->access & DEVICE_READ ? BPF_DEVCG_ACC_READ : 0U) |
		(row->access & DEVICE_WRITE ? BPF_DEVCG_ACC_WRITE : 0U) |
		(row->access & DEVICE_MKNOD ? BPF_DEVCG_ACC_MKNOD : 0U);
	struct bpf_cgroup_dev_ctx ctx = {
		.access_type =
			access << 16 | (row->type == 'b' ? BPF_DEVCG_DEV_BLOCK
							 : BPF_DEVCG_DEV_CHAR),
		.major = row->major,
		.minor = row->minor,
	};

	return run(insns, n, &ctx);
}

Test(device_policy, rules)
{
	struct bpf_insn *insns = NULL;
	size_t n = device_policy_assemble(
		extra, sizeof(extra) / sizeof(extra[0]), &insns);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(ask(insns, n, &rows[i]), rows[i].want,
			     "row %zu: %c %u:%u access %u", i, rows[i].type,
			     rows[i].major, rows[i].minor, rows[i].access);
	free(insns);
}

Test(device_policy, closed_by_default)
{
	static const struct row asked[] = {
		{'c', 1, 5, DEVICE_RWM, 1},	{'c', 10, 200, DEVICE_RW, 1},
		{'c', 5, 2, DEVICE_RW, 1},	{'c', 1, 1, DEVICE_READ, 0},
		{'c', 1, 2, DEVICE_READ, 0},	{'b', 8, 0, DEVICE_READ, 0},
		{'b', 254, 0, DEVICE_MKNOD, 0}, {'c', 10, 229, DEVICE_RW, 0},
	};
	struct bpf_insn *insns = NULL;
	size_t n = device_policy_assemble(device_policy_closed,
					  device_policy_closed_n, &insns);

	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
		cr_expect_eq(ask(insns, n, &asked[i]), asked[i].want, "row %zu",
			     i);
	free(insns);
	n = device_policy_assemble(NULL, 0, &insns);
	cr_expect_eq(ask(insns, n, &asked[0]), 0);
	free(insns);
}

/* Everything of one type: what follows such a rule must not look like code
 * nobody reaches, which the verifier refuses. */
Test(device_policy, everything)
{
	static const struct device_rule all[] = {
		{'b', DEVICE_ANY, DEVICE_ANY, DEVICE_RWM},
		{'b', 7, 1, DEVICE_READ},
	};
	static const struct row asked[] = {
		{'b', 8, 0, DEVICE_RWM, 1},
		{'c', 1, 3, DEVICE_READ, 0},
	};
	struct bpf_insn *insns = NULL;
	size_t n = device_policy_assemble(all, 2, &insns);

	for (size_t i = 0; i < 2; i++)
		cr_expect_eq(ask(insns, n, &asked[i]), asked[i].want);
	for (size_t i = 0; i < n; i++)
		cr_expect_neq(insns[i].code, BPF_JMP | BPF_JA);
	free(insns);
}

Test(device_policy, text_of_rules)
{
	static const char *const want[] = {
		"c 1:3 rwm",   "b 7:1 r",  "c 29:0 rw",
		"c 136:* rwm", "b *:77 w", "c 4095:1048575 rwm",
	};
	char buf[64];

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
		cr_expect_str_eq(device_rule_text(&extra[i], buf, sizeof(buf)),
				 want[i]);
}

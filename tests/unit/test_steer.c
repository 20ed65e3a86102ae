/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/steer.h"

#include <criterion/criterion.h>

/* Runs CODE as the kernel would, with MARK and RANDOM of a packet. */
static uint32_t run(const struct sock_filter *code, size_t n, uint32_t mark,
		    uint32_t random)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < n; pc++) {
		const struct sock_filter *i = &code[pc];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = i->k == (uint32_t)(SKF_AD_OFF + SKF_AD_MARK)
				    ? mark
				    : random;
			break;
		case BPF_ALU | BPF_MOD | BPF_K:
			a %= i->k;
			break;
		case BPF_ALU | BPF_ADD | BPF_K:
			a += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_RET | BPF_A:
			return a;
		default:
			cr_assert_fail("instruction %x", i->code);
		}
	}
	cr_assert_fail("no end");
	return 0;
}

Test(steer, program)
{
	const unsigned int shares[] = {0, 1, 1000, 9999, STEER_ALL};

	for (unsigned int n_old = 1; n_old < 5; n_old++)
		for (unsigned int n_new = 0; n_new < 5; n_new++)
			for (size_t s = 0; s < 5; s++) {
				const struct steer steer = {n_old, n_new, 77,
							    shares[s]};
				struct sock_filter code[STEER_CODE_MAX];
				size_t n = steer_program_make(&steer, code);
				unsigned int got_new = 0;

				cr_assert_leq(n, STEER_CODE_MAX);
				for (uint32_t i = 0; i < STEER_ALL; i++) {
					uint32_t to = run(code, n, 0, i);
					uint32_t marked = run(code, n, 77, i);

					cr_assert_lt(to, n_old + n_new);
					got_new += to >= n_old;
					if (n_new)
						cr_assert(
							marked >= n_old &&
							marked < n_old + n_new);
				}
				cr_expect_eq(got_new, n_new ? shares[s] : 0,
					     "%u old, %u new: %u of %u", n_old,
					     n_new, got_new, shares[s]);
			}
}

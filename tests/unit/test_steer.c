/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/steer.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOPBACK 1

struct packet {
	uint32_t mark, random, ifindex;
	uint8_t header[40];
};

static uint32_t loaded(const struct packet *p, uint32_t k)
{
	switch ((int)k - SKF_AD_OFF) {
	case SKF_AD_MARK:
		return p->mark;
	case SKF_AD_RANDOM:
		return p->random;
	case SKF_AD_IFINDEX:
		return p->ifindex;
	default:
		cr_assert_fail("word at %x", k);
	}
	return 0;
}

/* Runs CODE as the kernel would. */
static uint32_t run_packet(const struct sock_filter *code, size_t n,
			   const struct packet *p)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < n; pc++) {
		const struct sock_filter *i = &code[pc];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = loaded(p, i->k);
			break;
		case BPF_LD | BPF_B | BPF_ABS:
			cr_assert_lt(i->k - (uint32_t)SKF_NET_OFF, 40U);
			a = p->header[i->k - (uint32_t)SKF_NET_OFF];
			break;
		case BPF_ALU | BPF_MOD | BPF_K:
			a %= i->k;
			break;
		case BPF_ALU | BPF_ADD | BPF_K:
			a += i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
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

static uint32_t run(const struct sock_filter *code, size_t n, uint32_t mark,
		    uint32_t random)
{
	const struct packet p = {.mark = mark, .random = random};

	return run_packet(code, n, &p);
}

static bool has(const struct steer_set *set, uint32_t number)
{
	for (unsigned int i = 0; i < set->n; i++)
		if (set->numbers[i] == number)
			return true;
	return false;
}

/* Who gets what of STEER_ALL packets; each socket of a side as much. */
static void check(const struct steer *s, const char *what)
{
	static struct sock_filter code[STEER_CODE_MAX];
	size_t n = steer_program_make(s, code);
	unsigned int got_new = 0, want = s->share, got[4 * STEER_MAX] = {0};
	const struct steer_set *marked = s->next.n ? &s->next : &s->old;

	if (!s->next.n || !s->old.n)
		want = s->next.n ? STEER_ALL : 0;
	cr_assert_leq(n, STEER_CODE_MAX);
	for (uint32_t i = 0; i < STEER_ALL; i++) {
		uint32_t to = run(code, n, 0, i);

		cr_assert(has(&s->old, to) || has(&s->next, to), "%s: %u", what,
			  to);
		got_new += has(&s->next, to);
		got[to]++;
		cr_assert(has(marked, run(code, n, s->sign.mark, i)), "%s",
			  what);
	}
	cr_expect_eq(got_new, want, "%s: %u of %u", what, got_new, want);
	for (unsigned int i = 0; i < s->next.n && want == STEER_ALL; i++)
		cr_expect_geq(got[s->next.numbers[i]], STEER_ALL / s->next.n,
			      "%s: %u", what, i);
}

static const unsigned int shares[] = {0, 1, 1000, 9999, STEER_ALL};

Test(steer, program)
{
	for (unsigned int n_old = 0; n_old < 5; n_old++)
		for (unsigned int n_new = 0; n_new < 5; n_new++)
			for (size_t i = 0; i < 5; i++) {
				struct steer s = {.sign.mark = 77,
						  .share = shares[i]};

				if (n_old + n_new == 0)
					continue;
				while (s.old.n < n_old) {
					s.old.numbers[s.old.n] =
						(uint16_t)s.old.n;
					s.old.n++;
				}
				while (s.next.n < n_new) {
					s.next.numbers[s.next.n] =
						(uint16_t)(n_old + s.next.n);
					s.next.n++;
				}
				check(&s, "in a row");
			}
}

/* Some have left, others have their numbers. */
Test(steer, exceptions)
{
	static struct steer s;

	for (size_t i = 0; i < 5; i++) {
		s = (struct steer){
			.old = {{0, 1, 3, 6}, 4},
			.next = {{2, 4, 5, 7, 8}, 5},
			.sign.mark = 77,
			.share = shares[i],
		};
		check(&s, "mixed");
		s = (struct steer){.sign.mark = 77, .share = shares[i]};
		for (uint16_t k = 0; k < STEER_MAX; k++) {
			s.old.numbers[s.old.n++] = 2 * k;
			s.next.numbers[s.next.n++] = 2 * k + 1;
		}
		check(&s, "every other one");
	}
}

Test(steer, question)
{
	struct sock_filter code[STEER_CODE_MAX];
	const struct steer s = {
		.old = {{0, 1}, 2},
		.sign.mark = 77,
		.ask_mark = 88,
		.ask = 9,
	};
	size_t n = steer_program_make(&s, code);

	cr_assert_eq(run(code, n, 88, 5), 9);
	cr_assert_eq(run(code, n, 77, 5), 1);
	cr_assert_eq(run(code, n, 0, 4), 0);
}

/* Where nobody may set a mark: by hops, of packets of this machine only. */
Test(steer, hops)
{
	static const struct {
		uint32_t ifindex;
		uint8_t version, ttl, hop_limit;
		bool is_ours;
	} rows[] = {
		{LOOPBACK, 0x45, 77, 0, true}, {LOOPBACK, 0x45, 64, 77, false},
		{LOOPBACK, 0x60, 0, 77, true}, {LOOPBACK, 0x6f, 77, 64, false},
		{2, 0x45, 77, 77, false},      {2, 0x60, 77, 77, false},
	};
	struct sock_filter code[STEER_CODE_MAX];

	for (size_t share = 0; share < 2; share++)
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			const struct steer s = {
				.old = {{0, 1}, 2},
				.next = {{2, 3}, 2},
				.sign.hops = 77,
				.share = (unsigned int)share * 5000,
			};
			struct packet p = {.ifindex = rows[i].ifindex,
					   .mark = 77,
					   .random = 9998};
			size_t n = steer_program_make(&s, code);

			p.header[0] = rows[i].version;
			p.header[7] = rows[i].hop_limit;
			p.header[8] = rows[i].ttl;
			cr_expect_eq(run_packet(code, n, &p),
				     rows[i].is_ours ? 2U : 0U,
				     "row %zu, share %u", i, s.share);
			p.random = 1;
			cr_expect_eq(run_packet(code, n, &p) >= 2,
				     rows[i].is_ours || share,
				     "row %zu, share %u", i, s.share);
		}
}

/* Firewalls take other bits for flags: portmap's masquerades, kube-proxy's
 * drops. */
Test(steer, marks)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0);
	for (int i = 0; i < 500; i++) {
		const struct steer_sign sign = steer_sign_make(fd);

		/* Who may not set one has none. */
		if (!sign.mark)
			break;
		cr_expect_eq(sign.mark & ~0x7fU, 0x1000U, "%x", sign.mark);
		cr_expect_eq(steer_other_mark(&sign) & ~0x7fU, 0x1000U);
		cr_expect_neq(steer_other_mark(&sign), sign.mark);
	}
	close(fd);
}

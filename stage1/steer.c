/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/steer.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/error.h"

/* Of every network namespace. */
#define LOOPBACK_IFINDEX 1
/* Systems begin with 64, 128 or 255. */
#define HOPS_FIRST 66
#define HOPS_N 60
/* Where a header has its version (in the upper half) and its hops. */
#define AT_VERSION 0
#define AT_TTL 8
#define AT_HOP_LIMIT 7
#define VERSION_6 0x60

/*
 * A mark of bits that no firewall takes for a flag: 0x2000 is portmap's (and
 * masquerades), 0x4000 and 0x8000 are kube-proxy's (the latter drops), 0x80 and
 * 0xf00 others', as are all above.  MARK_BASE keeps it from small numbers,
 * which people choose.
 */
#define MARK_BASE 0x1000
#define MARK_BITS 0x7f
#define MARK_OTHER 0x01

/* --- connections of ours ---------------------------------------------------
 */

struct steer_sign steer_sign_make(int fd)
{
	struct steer_sign sign = {0};

	if (getrandom(&sign.mark, sizeof(sign.mark), 0) < 0)
		sign.mark = 0;
	sign.mark = MARK_BASE | (sign.mark & MARK_BITS);
	if (steer_sign_socket(fd, &sign) == -EPERM)
		sign = (struct steer_sign){
			.hops = (uint8_t)(HOPS_FIRST + sign.mark % HOPS_N)};
	return sign;
}

uint32_t steer_other_mark(const struct steer_sign *sign)
{
	return sign->mark ^ MARK_OTHER;
}

int steer_sign_socket(int fd, const struct steer_sign *sign)
{
	int hops = sign->hops;

	if (sign->mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &sign->mark,
				     sizeof(sign->mark)) < 0)
		return -errno;
	if (!hops)
		return 0;
	/* One of IPv6 may come to connect by IPv4. */
	(void)setsockopt(fd, SOL_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof(hops));
	return setsockopt(fd, SOL_IP, IP_TTL, &hops, sizeof(hops)) < 0 ? -errno
								       : 0;
}

/* --- the program -----------------------------------------------------------
 */

struct program {
	struct sock_filter *code;
	size_t n;
};

static void add(struct program *p, uint16_t op, uint32_t k)
{
	p->code[p->n++] = (struct sock_filter)BPF_STMT(op, k);
}

static void add_jump(struct program *p, uint16_t op, uint32_t k, uint8_t yes,
		     uint8_t no)
{
	p->code[p->n++] =
		(struct sock_filter)BPF_JUMP(BPF_JMP | op | BPF_K, k, yes, no);
}

static void load(struct program *p, uint32_t what)
{
	add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_AD_OFF + what);
}

/* How many of SET are not at their place in a row from FIRST on. */
static unsigned int count_odd(const struct steer_set *set, int first)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < set->n; i++)
		n += set->numbers[i] != first + (int)i;
	return n;
}

/* Any of SET.  Where sockets have left, it is a row with exceptions. */
static void add_choice(struct program *p, const struct steer_set *set)
{
	int first = set->numbers[0];
	int other = set->numbers[set->n - 1] - (int)set->n + 1;

	if (set->n == 1) {
		add(p, BPF_RET | BPF_K, set->numbers[0]);
		return;
	}
	if (other >= 0 && count_odd(set, other) < count_odd(set, first))
		first = other;
	load(p, SKF_AD_RANDOM);
	add(p, BPF_ALU | BPF_MOD | BPF_K, set->n);
	for (unsigned int i = 0; i < set->n; i++) {
		if (set->numbers[i] == first + (int)i)
			continue;
		add_jump(p, BPF_JEQ, i, 0, 1);
		add(p, BPF_RET | BPF_K, set->numbers[i]);
	}
	if (first)
		add(p, BPF_ALU | BPF_ADD | BPF_K, (uint32_t)first);
	add(p, BPF_RET | BPF_A, 0);
}

static size_t choice_length(const struct steer_set *set)
{
	struct sock_filter code[2 * STEER_MAX + 4];
	struct program p = {.code = code};

	add_choice(&p, set);
	return p.n;
}

static void jump_over(struct program *p, size_t n)
{
	add(p, BPF_JMP | BPF_JA, (uint32_t)n);
}

static void load_header(struct program *p, uint32_t at)
{
	add(p, BPF_LD | BPF_B | BPF_ABS, (uint32_t)SKF_NET_OFF + at);
}

/* The next instruction is for what has the sign only. */
static void add_unless_signed(struct program *p, const struct steer_sign *sign)
{
	if (!sign->hops) {
		load(p, SKF_AD_MARK);
		add_jump(p, BPF_JEQ, sign->mark, 0, 1);
		return;
	}
	load(p, SKF_AD_IFINDEX);
	add_jump(p, BPF_JEQ, LOOPBACK_IFINDEX, 0, 7);
	load_header(p, AT_VERSION);
	add_jump(p, BPF_JGE, VERSION_6, 2, 0);
	load_header(p, AT_TTL);
	jump_over(p, 1);
	load_header(p, AT_HOP_LIMIT);
	add_jump(p, BPF_JEQ, sign->hops, 0, 1);
}

/* Both have sockets, and each gets something. */
static void add_parts(struct program *p, const struct steer *s)
{
	/* The part for the old ones lies between the jumps and the new. */
	size_t old_len = choice_length(&s->old);

	add_unless_signed(p, &s->sign);
	jump_over(p, old_len + (s->share ? 4 : 0));
	if (s->share) {
		load(p, SKF_AD_RANDOM);
		add(p, BPF_ALU | BPF_MOD | BPF_K, STEER_ALL);
		add_jump(p, BPF_JGE, s->share, 1, 0);
		jump_over(p, old_len);
	}
	add_choice(p, &s->old);
	add_choice(p, &s->next);
}

size_t steer_program_make(const struct steer *s,
			  struct sock_filter code[STEER_CODE_MAX])
{
	struct program p = {.code = code};

	if (s->ask_mark) {
		load(&p, SKF_AD_MARK);
		add_jump(&p, BPF_JEQ, s->ask_mark, 0, 1);
		add(&p, BPF_RET | BPF_K, s->ask);
	}
	if (s->next.n == 0)
		add_choice(&p, &s->old);
	else if (s->old.n == 0 || s->share >= STEER_ALL)
		add_choice(&p, &s->next);
	else
		add_parts(&p, s);
	return p.n;
}

int steer_apply(int fd, const struct steer *steer, struct error *err)
{
	struct sock_filter code[STEER_CODE_MAX];
	const struct sock_fprog program = {
		.len = (unsigned short)steer_program_make(steer, code),
		.filter = code,
	};

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
		       sizeof(program)) < 0)
		return error_sys(err, errno, "steer connections");
	return 0;
}

bool steer_remove(int fd)
{
	int zero = 0;

	return setsockopt(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &zero,
			  sizeof(zero)) == 0;
}

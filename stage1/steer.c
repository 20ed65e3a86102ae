/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/steer.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/error.h"

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

/* Any of N sockets from number FIRST on. */
static void add_choice(struct program *p, unsigned int first, unsigned int n)
{
	if (n == 1) {
		add(p, BPF_RET | BPF_K, first);
		return;
	}
	load(p, SKF_AD_RANDOM);
	add(p, BPF_ALU | BPF_MOD | BPF_K, n);
	if (first)
		add(p, BPF_ALU | BPF_ADD | BPF_K, first);
	add(p, BPF_RET | BPF_A, 0);
}

size_t steer_program_make(const struct steer *s,
			  struct sock_filter code[STEER_CODE_MAX])
{
	struct program p = {.code = code};
	unsigned int old_len;

	if (s->n_new == 0) {
		add_choice(&p, 0, s->n_old);
		return p.n;
	}
	if (s->share >= STEER_ALL) {
		add_choice(&p, s->n_old, s->n_new);
		return p.n;
	}
	/* The part for the old ones lies between the jumps and the new. */
	old_len = s->n_old == 1 ? 1 : 3;
	load(&p, SKF_AD_MARK);
	add_jump(&p, BPF_JEQ, s->mark, (uint8_t)(old_len + (s->share ? 3 : 0)),
		 0);
	if (s->share) {
		load(&p, SKF_AD_RANDOM);
		add(&p, BPF_ALU | BPF_MOD | BPF_K, STEER_ALL);
		add_jump(&p, BPF_JGE, s->share, 0, (uint8_t)old_len);
	}
	add_choice(&p, 0, s->n_old);
	add_choice(&p, s->n_old, s->n_new);
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

void steer_remove(int fd)
{
	int zero = 0;

	(void)setsockopt(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &zero,
			 sizeof(zero));
}

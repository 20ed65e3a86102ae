/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/seccomp_compile.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "spec/seccomp_sets.h"
#include "stage1/seccomp_plan.h"

#ifndef CLONE_NEWTIME /* Linux 5.6 */
#define CLONE_NEWTIME 0x00000080
#endif

#define ENOSYS_ANSWER (SECCOMP_RET_ERRNO | ENOSYS)
#define NUMBERS (SECCOMP_MODERN_LAST + 1)
#define SUBCALLS 32

/* Answers that are no SECCOMP_RET_*: where to look further. */
#define GO_TAIL 0x00010001U
#define GO_SOCKETCALL 0x00010002U
#define GO_IPC 0x00010003U
#define GO_BARRIER 0x00010004U

/* The architectures of one machine; libseccomp's tokens are AUDIT_ARCH_*. */
static const uint32_t arches[] = {
#if defined(__x86_64__)
	SCMP_ARCH_X86_64,
	SCMP_ARCH_X86,
#elif defined(__aarch64__)
	SCMP_ARCH_AARCH64,
#else
#error "name this machine's system call architectures"
#endif
};
#define N_ARCHES (sizeof(arches) / sizeof(arches[0]))

/* --- argument checks --------------------------------------------------------
 */

#define CLONE_FLAGS                                                            \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |           \
	 CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)
#define HAS(flag)                                                              \
	{                                                                      \
		0, SCMP_CMP_MASKED_EQ, flag, flag                              \
	}
#define FIRST(op, value)                                                       \
	{                                                                      \
		0, op, value, 0                                                \
	}

/* One rule of libseccomp a comparison: a match is any of them. */
struct match {
	struct scmp_arg_cmp any[8];
	unsigned int n;
	/* What a multiplexed sub-call, whose arguments are in memory, gets:
	 * the rule's action too, or nothing. */
	bool subcall;
};

static const struct match matches[SECCOMP_MATCH_MAX] = {
	[SECCOMP_MATCH_CLONE_PLAIN] = {.any = {{0, SCMP_CMP_MASKED_EQ,
						CLONE_FLAGS, 0}},
				       .n = 1},
	[SECCOMP_MATCH_CLONE_NAMESPACE] =
		{.any = {HAS(CLONE_NEWNS), HAS(CLONE_NEWUTS), HAS(CLONE_NEWIPC),
			 HAS(CLONE_NEWUSER), HAS(CLONE_NEWPID),
			 HAS(CLONE_NEWNET), HAS(CLONE_NEWCGROUP)},
		 .n = 7},
	[SECCOMP_MATCH_UNSHARE_PLAIN] = {.any = {{0, SCMP_CMP_MASKED_EQ,
						  CLONE_FLAGS | CLONE_NEWTIME,
						  0}},
					 .n = 1},
	[SECCOMP_MATCH_UNSHARE_NAMESPACE] =
		{.any = {HAS(CLONE_NEWNS), HAS(CLONE_NEWUTS), HAS(CLONE_NEWIPC),
			 HAS(CLONE_NEWUSER), HAS(CLONE_NEWPID),
			 HAS(CLONE_NEWNET), HAS(CLONE_NEWCGROUP),
			 HAS(CLONE_NEWTIME)},
		 .n = 8},
	/* PER_LINUX, PER_LINUX32, both with UNAME26, and the query. */
	[SECCOMP_MATCH_PERSONALITY] = {.any = {FIRST(SCMP_CMP_EQ, 0),
					       FIRST(SCMP_CMP_EQ, 8),
					       FIRST(SCMP_CMP_EQ, 0x20000),
					       FIRST(SCMP_CMP_EQ, 0x20008),
					       FIRST(SCMP_CMP_EQ, 0xffffffff)},
				       .n = 5},
	[SECCOMP_MATCH_NOT_VSOCK] = {.any = {FIRST(SCMP_CMP_NE, AF_VSOCK)},
				     .n = 1,
				     .subcall = true},
	[SECCOMP_MATCH_VSOCK] = {.any = {FIRST(SCMP_CMP_EQ, AF_VSOCK)}, .n = 1},
};

/* --- answers per number ------------------------------------------------------
 */

struct answers {
	uint32_t number[NUMBERS];
	uint32_t newer; /* every number above */
	uint32_t bind;	/* GO_BARRIER: what is not the barrier */
	uint32_t socketcall[SUBCALLS];
	uint32_t ipc[SUBCALLS];
};

/* i386 has had its own numbers for what socketcall and ipc do since Linux 4.3
 * and 5.1; libseccomp names only the multiplexers for them. */
static int i386_direct_number(const char *name)
{
	static const struct {
		const char *name;
		int nr;
	} direct[] = {
		{"socket", 359},      {"socketpair", 360}, {"bind", 361},
		{"connect", 362},     {"listen", 363},	   {"accept4", 364},
		{"getsockopt", 365},  {"setsockopt", 366}, {"getsockname", 367},
		{"getpeername", 368}, {"sendto", 369},	   {"sendmsg", 370},
		{"recvfrom", 371},    {"recvmsg", 372},	   {"shutdown", 373},
		{"semget", 393},      {"semctl", 394},	   {"shmget", 395},
		{"shmctl", 396},      {"shmat", 397},	   {"shmdt", 398},
		{"msgget", 399},      {"msgsnd", 400},	   {"msgrcv", 401},
		{"msgctl", 402},      {"recvmmsg", 337},   {"sendmmsg", 345},
	};

	for (size_t i = 0; i < sizeof(direct) / sizeof(direct[0]); i++)
		if (strcmp(direct[i].name, name) == 0)
			return direct[i].nr;
	return -1;
}

static void put_number(struct answers *answers, int nr, uint32_t answer)
{
	if (nr >= 0 && nr < NUMBERS)
		answers->number[nr] = answer;
}

/* libseccomp's numbers for multiplexed calls: -100 - N is socketcall's
 * sub-call N, -200 - N is ipc's. */
static void put_subcall(struct answers *answers, int nr, uint32_t answer)
{
	if (nr <= -101 && nr > -100 - SUBCALLS)
		answers->socketcall[-nr - 100] = answer;
	else if (nr <= -201 && nr > -200 - SUBCALLS)
		answers->ipc[-nr - 200] = answer;
}

static bool rule_needs_tail(const struct seccomp_plan *plan,
			    const struct seccomp_rule *rule)
{
	return matches[rule->match].n > 0 &&
	       rule->action != plan->default_action;
}

static uint32_t answer_of(const struct seccomp_plan *plan,
			  const struct seccomp_rule *rule)
{
	switch (rule->match) {
	case SECCOMP_MATCH_ALWAYS:
		return rule->action;
	case SECCOMP_MATCH_BARRIER:
		return GO_BARRIER;
	default:
		return rule_needs_tail(plan, rule) ? GO_TAIL
						   : plan->default_action;
	}
}

static void put_rule(struct answers *answers, uint32_t arch,
		     const struct seccomp_plan *plan,
		     const struct seccomp_rule *rule)
{
	uint32_t answer = answer_of(plan, rule);
	int nr = seccomp_modern_number(rule->name);

	if (nr < 0)
		nr = seccomp_syscall_resolve_name_arch(arch, rule->name);
	put_number(answers, nr, answer);
	if (rule->match == SECCOMP_MATCH_BARRIER)
		answers->bind = rule->action;
	if (arch != SCMP_ARCH_X86 || nr >= 0)
		return;
	put_number(answers, i386_direct_number(rule->name), answer);
	if (answer != GO_TAIL || matches[rule->match].subcall)
		put_subcall(answers, nr, rule->action);
}

/* A multiplexer whose sub-calls all have one answer is an ordinary call. */
static void settle_mux(struct answers *answers, int nr, const uint32_t *sub,
		       uint32_t go)
{
	for (int i = 1; i < SUBCALLS; i++) {
		if (sub[i] == sub[0])
			continue;
		answers->number[nr] = go;
		return;
	}
	answers->number[nr] = sub[0];
}

static const struct seccomp_rule *rule_find(const struct seccomp_plan *plan,
					    const char *name)
{
	for (size_t i = 0; i < plan->n_rules; i++)
		if (strcmp(plan->rules[i].name, name) == 0)
			return &plan->rules[i];
	return NULL;
}

static void answers_make(const struct seccomp_plan *plan, uint32_t arch,
			 struct answers *ret)
{
	const struct seccomp_rule *socketcall = rule_find(plan, "socketcall");
	const struct seccomp_rule *ipc = rule_find(plan, "ipc");
	const int bind_subcall = 2; /* SYS_BIND of <linux/net.h> */

	ret->newer = plan->newer_enosys ? ENOSYS_ANSWER : plan->default_action;
	for (int i = 0; i < NUMBERS; i++)
		ret->number[i] = i < SECCOMP_MODERN_FIRST ? plan->default_action
							  : ret->newer;
	for (int i = 0; i < SUBCALLS; i++) {
		ret->socketcall[i] =
			socketcall ? socketcall->action : plan->default_action;
		ret->ipc[i] = ipc ? ipc->action : plan->default_action;
	}
	for (size_t i = 0; i < plan->n_rules; i++)
		put_rule(ret, arch, plan, &plan->rules[i]);
	if (arch != SCMP_ARCH_X86)
		return;
	if (plan->notify_bind &&
	    ret->socketcall[bind_subcall] == SECCOMP_RET_ALLOW)
		ret->socketcall[bind_subcall] = SECCOMP_RET_USER_NOTIF;
	settle_mux(ret, 102, ret->socketcall, GO_SOCKETCALL);
	settle_mux(ret, 117, ret->ipc, GO_IPC);
}

/* --- program ----------------------------------------------------------------
 */

/*
 * Built from its end to its start: every target of a jump is known when the
 * jump is made, and an answer already there is shared instead of repeated
 * (the kernel pays 0.4 us for each RET it translates).
 */
struct program {
	struct sock_filter insns[BPF_MAXINSNS];
	size_t start; /* insns[start..] is the program so far */
	bool overflow;
	size_t tail;
	struct {
		uint32_t answer;
		size_t at;
	} known[16]; /* the nearest instruction that gives an answer */
	size_t n_known;
};

struct range {
	uint32_t first;
	uint32_t answer;
};

static size_t emit(struct program *p, uint16_t code, uint32_t k, uint8_t jt,
		   uint8_t jf)
{
	if (p->start == 0) {
		p->overflow = true;
		return 0;
	}
	p->insns[--p->start] = (struct sock_filter)BPF_JUMP(code, k, jt, jf);
	return p->start;
}

static size_t emit_load(struct program *p, size_t offset)
{
	return emit(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static size_t emit_goto(struct program *p, size_t target)
{
	return emit(p, BPF_JMP | BPF_JA, (uint32_t)(target - p->start), 0, 0);
}

/* TARGET, or a jump to it where a conditional jump (8 bits) made after N more
 * instructions would not reach it. */
static size_t within_reach(struct program *p, size_t target, size_t n)
{
	return target - (p->start - n) <= 255 || p->overflow
		       ? target
		       : emit_goto(p, target);
}

static size_t emit_branch(struct program *p, uint16_t op, uint32_t k,
			  size_t yes, size_t no)
{
	/* Two jumps may have to be put in between. */
	yes = within_reach(p, yes, 2);
	no = within_reach(p, no, 1);
	return emit(p, BPF_JMP | op | BPF_K, k, (uint8_t)(yes - p->start),
		    (uint8_t)(no - p->start));
}

static size_t emit_ranges(struct program *p, const struct answers *answers,
			  const struct range *ranges, size_t n);

static size_t ranges_of(const uint32_t *answers, size_t n, struct range *ret)
{
	size_t n_ranges = 0;

	for (size_t i = 0; i < n; i++)
		if (i == 0 || answers[i] != answers[i - 1])
			ret[n_ranges++] =
				(struct range){(uint32_t)i, answers[i]};
	return n_ranges;
}

static size_t emit_mux(struct program *p, const uint32_t *sub, uint32_t mask)
{
	struct range ranges[SUBCALLS];
	size_t n = ranges_of(sub, SUBCALLS, ranges);
	size_t first = emit_ranges(p, NULL, ranges, n);

	if (first != p->start)
		emit_goto(p, first);
	emit(p, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
	return emit_load(p, offsetof(struct seccomp_data, args));
}

static size_t answer_at(struct program *p, const struct answers *answers,
			uint32_t answer);

/* An int: the upper half of the register may be anything. */
static size_t emit_barrier(struct program *p, const struct answers *answers)
{
	size_t other = answer_at(p, answers, answers->bind);
	size_t barrier = answer_at(p, answers, SECCOMP_RET_USER_NOTIF);

	emit_branch(p, BPF_JEQ, UINT32_MAX, barrier, other);
	return emit_load(p, offsetof(struct seccomp_data, args));
}

static size_t emit_answer(struct program *p, const struct answers *answers,
			  uint32_t answer)
{
	switch (answer) {
	case GO_TAIL:
		return emit_goto(p, p->tail);
	case GO_SOCKETCALL:
		return emit_mux(p, answers->socketcall, UINT32_MAX);
	case GO_IPC: /* the upper half is a version */
		return emit_mux(p, answers->ipc, 0xffff);
	case GO_BARRIER:
		return emit_barrier(p, answers);
	default:
		return emit(p, BPF_RET | BPF_K, answer, 0, 0);
	}
}

/* Where ANSWER is given: an instruction near enough, or a new one. */
static size_t answer_at(struct program *p, const struct answers *answers,
			uint32_t answer)
{
	const size_t n_max = sizeof(p->known) / sizeof(p->known[0]);
	size_t at;
	size_t i;

	for (i = 0; i < p->n_known && p->known[i].answer != answer; i++)
		;
	if (i < p->n_known && p->known[i].at - p->start < 200)
		return p->known[i].at;
	at = emit_answer(p, answers, answer);
	/* Something inside it may have been noted meanwhile. */
	for (i = 0; i < p->n_known && p->known[i].answer != answer; i++)
		;
	if (i < n_max) {
		p->known[i].answer = answer;
		p->known[i].at = at;
		p->n_known = i == p->n_known ? i + 1 : p->n_known;
	}
	return at;
}

static size_t emit_ranges(struct program *p, const struct answers *answers,
			  const struct range *ranges, size_t n)
{
	const size_t half = n / 2;
	size_t right;
	size_t left;

	if (n == 1)
		return answer_at(p, answers, ranges[0].answer);
	right = emit_ranges(p, answers, ranges + half, n - half);
	left = emit_ranges(p, answers, ranges, half);
	return emit_branch(p, BPF_JGE, ranges[half].first, right, left);
}

/* The code for ARCH; what is of another goes on at NEXT. */
static void emit_arch(struct program *p, const struct seccomp_plan *plan,
		      uint32_t arch)
{
	struct answers answers;
	struct range ranges[NUMBERS + 2];
	size_t next = p->start;
	size_t first;
	size_t n;

	answers_make(plan, arch, &answers);
	n = ranges_of(answers.number, NUMBERS, ranges);
	if (ranges[n - 1].answer != answers.newer)
		ranges[n++] = (struct range){NUMBERS, answers.newer};
	/* x32: the same calls under other numbers. */
	if (arch == SCMP_ARCH_X86_64 && answers.newer != ENOSYS_ANSWER)
		ranges[n++] = (struct range){0x40000000, ENOSYS_ANSWER};

	/* The multiplexers' answers are this architecture's. */
	p->n_known = 0;
	first = emit_ranges(p, &answers, ranges, n);
	if (first != p->start)
		emit_goto(p, first);
	first = emit_load(p, offsetof(struct seccomp_data, nr));
	emit_branch(p, BPF_JEQ, arch, first, next);
}

/* --- tail
 * --------------------------------------------------------------------- */

static void release_context(void *pp)
{
	scmp_filter_ctx *ctx = pp;

	if (*ctx)
		seccomp_release(*ctx);
}

static int add_match(scmp_filter_ctx ctx, const struct seccomp_rule *rule)
{
	const struct match *match = &matches[rule->match];
	int nr = seccomp_syscall_resolve_name(rule->name);
	int r;

	for (unsigned int i = 0; i < match->n; i++) {
		r = seccomp_rule_add_array(ctx, rule->action, nr, 1,
					   &match->any[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int fill_context(scmp_filter_ctx ctx, const struct seccomp_plan *plan,
			struct error *err)
{
	int r = 0;

	for (size_t i = 1; i < N_ARCHES && r == 0; i++)
		r = seccomp_arch_add(ctx, arches[i]);
	if (r < 0)
		return error_sys(err, -r, "seccomp: add an architecture");
	for (size_t i = 0; i < plan->n_rules; i++) {
		const struct seccomp_rule *rule = &plan->rules[i];

		if (!rule_needs_tail(plan, rule))
			continue;
		r = add_match(ctx, rule);
		if (r < 0)
			return error_sys(err, -r, "seccomp: add the rule of %s",
					 rule->name);
	}
	return 0;
}

static int emit_tail(struct program *p, const struct seccomp_plan *plan,
		     struct error *err)
{
	scmp_filter_ctx ctx cleanup_with(release_context) =
		seccomp_init(plan->default_action);
	int fd cleanup_fd = -EBADF;
	size_t len;
	off_t size;
	int r;

	if (!ctx)
		return error_set(err, ENOMEM, "seccomp: make a filter");
	r = fill_context(ctx, plan, err);
	if (r < 0)
		return r;
	fd = memfd_create("seccomp", MFD_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "seccomp: make a memory file");
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return error_sys(err, -r, "seccomp: export the filter");
	size = lseek(fd, 0, SEEK_END);
	if (size < 0)
		return error_sys(err, errno, "seccomp: size the filter");
	len = (size_t)size / sizeof(p->insns[0]);
	if (len > p->start)
		return error_set(err, E2BIG, "seccomp: the filter is too long");
	p->start -= len;
	p->tail = p->start;
	if (pread_full(fd, &p->insns[p->start], (size_t)size, 0) != size)
		return error_set(err, EIO, "seccomp: read the filter");
	return 0;
}

static bool needs_tail(const struct seccomp_plan *plan)
{
	for (size_t i = 0; i < plan->n_rules; i++)
		if (rule_needs_tail(plan, &plan->rules[i]))
			return true;
	return false;
}

int seccomp_compile(const struct seccomp_plan *plan, struct sock_fprog *ret,
		    struct error *err)
{
	struct program *p cleanup_free = xcalloc(1, sizeof(*p));
	size_t n;
	int r;

	*ret = (struct sock_fprog){0};
	if (plan->n_rules == 0 && plan->default_action == SECCOMP_RET_ALLOW)
		return 0;
	p->start = BPF_MAXINSNS;
	if (needs_tail(plan)) {
		r = emit_tail(p, plan, err);
		if (r < 0)
			return r;
	}
	emit(p, BPF_RET | BPF_K, ENOSYS_ANSWER, 0, 0);
	for (size_t i = N_ARCHES; i > 0; i--)
		emit_arch(p, plan, arches[i - 1]);
	emit_load(p, offsetof(struct seccomp_data, arch));
	if (p->overflow)
		return error_set(err, E2BIG, "seccomp: the filter is too long");

	n = BPF_MAXINSNS - p->start;
	ret->filter = xreallocarray(NULL, n, sizeof(p->insns[0]));
	memcpy(ret->filter, &p->insns[p->start], n * sizeof(p->insns[0]));
	ret->len = (unsigned short)n;
	return 0;
}

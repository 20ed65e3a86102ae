/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/device_policy.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "stage1/cgroup.h"

#define ROW_NAME "devices"
/* Longest code of one rule, of the rest. */
#define RULE_INSNS 4
#define FRAME_INSNS 14

const struct device_rule device_policy_closed[] = {
	{'c', 1, 3, DEVICE_RWM},	    /* null */
	{'c', 1, 5, DEVICE_RWM},	    /* zero */
	{'c', 1, 7, DEVICE_RWM},	    /* full */
	{'c', 1, 8, DEVICE_RWM},	    /* random */
	{'c', 1, 9, DEVICE_RWM},	    /* urandom */
	{'c', 5, 0, DEVICE_RWM},	    /* tty */
	{'c', 5, 1, DEVICE_RWM},	    /* console */
	{'c', 5, 2, DEVICE_RWM},	    /* ptmx */
	{'c', 136, DEVICE_ANY, DEVICE_RWM}, /* pts/N */
	{'c', 10, 200, DEVICE_RWM},	    /* net/tun */
};
const size_t device_policy_closed_n =
	sizeof(device_policy_closed) / sizeof(device_policy_closed[0]);

/* --- the program -----------------------------------------------------------
 */

/* Registers: r2 type, r3 access, r4 major, r5 minor, r6 both numbers (as
 * dev_t in the kernel: 12 and 20 bits); r7 is scratch. */
enum {
	R_TYPE = BPF_REG_2,
	R_ACCESS = BPF_REG_3,
	R_MAJOR = BPF_REG_4,
	R_MINOR = BPF_REG_5,
	R_DEV = BPF_REG_6,
	R_SCRATCH = BPF_REG_7,
};

#define MINOR_BITS 20
/* Offset of a jump to the end, before the end is known. */
#define TO_ALLOW (-1)

static struct bpf_insn insn(uint8_t code, uint8_t dst, uint8_t src, int16_t off,
			    int32_t imm)
{
	return (struct bpf_insn){
		.code = code,
		.dst_reg = dst & 0xf,
		.src_reg = src & 0xf,
		.off = off,
		.imm = imm,
	};
}

static struct bpf_insn load_ctx(uint8_t dst, size_t offset)
{
	return insn(BPF_LDX | BPF_MEM | BPF_W, dst, BPF_REG_1, (int16_t)offset,
		    0);
}

static struct bpf_insn alu(uint8_t op, uint8_t dst, int32_t imm)
{
	return insn(BPF_ALU64 | op | BPF_K, dst, 0, 0, imm);
}

static struct bpf_insn alu_reg(uint8_t op, uint8_t dst, uint8_t src)
{
	return insn(BPF_ALU64 | op | BPF_X, dst, src, 0, 0);
}

/* A 32-bit comparison: the immediate is not sign-extended (Linux 5.1). */
static struct bpf_insn jump_if(uint8_t op, uint8_t reg, uint32_t value,
			       int16_t off)
{
	return insn(BPF_JMP32 | op | BPF_K, reg, 0, off, (int32_t)value);
}

static uint32_t bpf_access(uint32_t access)
{
	return (access & DEVICE_READ ? BPF_DEVCG_ACC_READ : 0U) |
	       (access & DEVICE_WRITE ? BPF_DEVCG_ACC_WRITE : 0U) |
	       (access & DEVICE_MKNOD ? BPF_DEVCG_ACC_MKNOD : 0U);
}

static struct bpf_insn numbers_assemble(const struct device_rule *rule)
{
	if (rule->major != DEVICE_ANY && rule->minor != DEVICE_ANY)
		return jump_if(BPF_JEQ, R_DEV,
			       rule->major << MINOR_BITS | rule->minor,
			       TO_ALLOW);
	if (rule->major != DEVICE_ANY)
		return jump_if(BPF_JEQ, R_MAJOR, rule->major, TO_ALLOW);
	if (rule->minor != DEVICE_ANY)
		return jump_if(BPF_JEQ, R_MINOR, rule->minor, TO_ALLOW);
	/* Always: what follows still has to look reachable. */
	return jump_if(BPF_JEQ, BPF_REG_0, 1, TO_ALLOW);
}

/* "If numbers and every access asked for fit: allow." */
static size_t rule_assemble(const struct device_rule *rule,
			    struct bpf_insn *out)
{
	uint32_t refused = bpf_access(DEVICE_RWM) & ~bpf_access(rule->access);
	size_t n = 0;

	if (refused) {
		out[n++] = alu_reg(BPF_MOV, R_SCRATCH, R_ACCESS);
		out[n++] = alu(BPF_AND, R_SCRATCH, (int32_t)refused);
		out[n++] = jump_if(BPF_JNE, R_SCRATCH, 0, 1);
	}
	out[n++] = numbers_assemble(rule);
	return n;
}

/* The rules of one type of node, passed over by nodes of the other. */
static size_t section_assemble(const struct device_rule *rules, size_t n,
			       char type, struct bpf_insn *out)
{
	size_t len = 1;

	for (size_t i = 0; i < n; i++)
		if (rules[i].type == type)
			len += rule_assemble(&rules[i], out + len);
	out[0] = jump_if(BPF_JNE, R_TYPE,
			 type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR,
			 (int16_t)(len - 1));
	return len == 1 ? 0 : len;
}

/*
 * Few branches, and all to one place: what the verifier has to follow is
 * what a start waits for.
 */
size_t device_policy_assemble(const struct device_rule *rules, size_t n,
			      struct bpf_insn **ret)
{
	struct bpf_insn *out =
		xcalloc(FRAME_INSNS + n * RULE_INSNS, sizeof(*out));
	size_t len = 0;

	assert(n <= DEVICE_RULES_MAX);
	/* access_type: access << 16 | type; a 32-bit load clears the rest. */
	out[len++] = load_ctx(R_TYPE,
			      offsetof(struct bpf_cgroup_dev_ctx, access_type));
	out[len++] = alu_reg(BPF_MOV, R_ACCESS, R_TYPE);
	out[len++] = alu(BPF_AND, R_TYPE, 0xffff);
	out[len++] = alu(BPF_RSH, R_ACCESS, 16);
	out[len++] =
		load_ctx(R_MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major));
	out[len++] =
		load_ctx(R_MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor));
	out[len++] = alu_reg(BPF_MOV, R_DEV, R_MAJOR);
	out[len++] = alu(BPF_LSH, R_DEV, MINOR_BITS);
	out[len++] = alu_reg(BPF_OR, R_DEV, R_MINOR);
	out[len++] = alu(BPF_MOV, BPF_REG_0, 1);
	len += section_assemble(rules, n, 'c', out + len);
	len += section_assemble(rules, n, 'b', out + len);
	out[len++] = alu(BPF_MOV, BPF_REG_0, 0);
	out[len++] = insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	for (size_t i = 0; i < len; i++)
		if (out[i].off == TO_ALLOW)
			out[i].off = (int16_t)(len - 2 - i);
	*ret = out;
	return len;
}

/* --- the kernel ------------------------------------------------------------
 */

static int sys_bpf(int cmd, union bpf_attr *attr, size_t size)
{
	long r = syscall(SYS_bpf, cmd, attr, size);

	return r < 0 ? -errno : (int)r;
}

static int program_load(const struct device_rule *rules, size_t n)
{
	cleanup_free struct bpf_insn *insns = NULL;
	size_t len = device_policy_assemble(rules, n, &insns);
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)insns;
	attr.insn_cnt = (uint32_t)len;
	/* No helper is called, so no licence matters to the verifier. */
	attr.license = (uint64_t)(uintptr_t) "Apache-2.0";
	(void)snprintf(attr.prog_name, sizeof(attr.prog_name), "rkt_devices");
	return sys_bpf(BPF_PROG_LOAD, &attr, sizeof(attr));
}

/* The program lives as long as the group it is attached to. */
static int bpf_apply(const struct cgroup_leaf *leaf,
		     const struct device_rule *rules, size_t n,
		     struct error *err)
{
	cleanup_fd int prog = -EBADF;
	union bpf_attr attr;
	int r;

	if (leaf->dirfd < 0)
		return error_set(err, ENOTSUP, "%s",
				 leaf->why ? leaf->why : "no cgroup2 group");
	prog = program_load(rules, n);
	if (prog < 0)
		return error_sys(err, -prog, "load the device program");
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)leaf->dirfd;
	attr.attach_bpf_fd = (uint32_t)prog;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	r = sys_bpf(BPF_PROG_ATTACH, &attr, sizeof(attr));
	return r < 0 ? error_sys(err, -r, "attach the device program") : 0;
}

const char *device_rule_text(const struct device_rule *rule, char *buf,
			     size_t size)
{
	char major[16] = "*", minor[16] = "*";

	if (rule->major != DEVICE_ANY)
		(void)snprintf(major, sizeof(major), "%u", rule->major);
	if (rule->minor != DEVICE_ANY)
		(void)snprintf(minor, sizeof(minor), "%u", rule->minor);
	(void)snprintf(buf, size, "%c %s:%s %s%s%s", rule->type, major, minor,
		       rule->access & DEVICE_READ ? "r" : "",
		       rule->access & DEVICE_WRITE ? "w" : "",
		       rule->access & DEVICE_MKNOD ? "m" : "");
	return buf;
}

static int devices_write(int dirfd, const char *file, const char *text,
			 struct error *err)
{
	cleanup_fd int fd = openat(dirfd, file, O_WRONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : write_full(fd, text, strlen(text));

	return r < 0 ? error_sys(err, -r, "write %s to %s", text, file) : 0;
}

static int v1_apply(struct cgroup *cg, struct cgroup_leaf *leaf,
		    const struct device_rule *rules, size_t n,
		    struct error *err)
{
	int dirfd = cgroup_leaf_v1(cg, leaf, CGROUP_DEVICES, err);
	int r = dirfd < 0 ? dirfd
			  : devices_write(dirfd, "devices.deny", "a", err);

	for (size_t i = 0; i < n && r == 0; i++) {
		char text[64];

		r = devices_write(
			dirfd, "devices.allow",
			device_rule_text(&rules[i], text, sizeof(text)), err);
	}
	return r;
}

int device_policy_apply(struct cgroup *cg, struct cgroup_leaf *leaf,
			const struct device_rule *rules, size_t n,
			struct strv *ignored, struct error *err)
{
	struct error bpf = ERROR_INIT, v1 = ERROR_INIT;

	if (n > DEVICE_RULES_MAX)
		return error_set(err, EINVAL,
				 "%zu device rules, at most %d are possible", n,
				 DEVICE_RULES_MAX);
	if (bpf_apply(leaf, rules, n, &bpf) == 0)
		return 0;
	if (v1_apply(cg, leaf, rules, n, &v1) == 0) {
		log_debug("device policy of %s by the v1 controller: %s",
			  leaf->name, bpf.msg);
		return 0;
	}
	strv_pushf(ignored, ROW_NAME ": %s; %s", bpf.msg, v1.msg);
	return 0;
}

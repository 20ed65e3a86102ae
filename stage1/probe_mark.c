/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/probe_mark.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "stage1/cgroup.h"

static int sys_bpf(int cmd, union bpf_attr *attr)
{
	long r = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}

/* sk->mark = MARK; the socket may be made. */
static int load(uint32_t mark)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K,
		 .dst_reg = BPF_REG_2,
		 .imm = (int32_t)mark},
		{.code = BPF_STX | BPF_MEM | BPF_W,
		 .dst_reg = BPF_REG_1,
		 .src_reg = BPF_REG_2,
		 .off = offsetof(struct bpf_sock, mark)},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K,
		 .dst_reg = BPF_REG_0,
		 .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_SOCK;
	attr.expected_attach_type = BPF_CGROUP_INET_SOCK_CREATE;
	attr.insns = (uint64_t)(uintptr_t)code;
	attr.insn_cnt = sizeof(code) / sizeof(code[0]);
	attr.license = (uint64_t)(uintptr_t) "Apache-2.0";
	return sys_bpf(BPF_PROG_LOAD, &attr);
}

int probe_mark_sockets(const struct cgroup_leaf *leaf, uint32_t mark,
		       struct error *err)
{
	cleanup_fd int program = -EBADF;
	union bpf_attr attr;
	int r;

	if (leaf->dirfd < 0)
		return error_set(err, ENOTSUP,
				 "mark the sockets of the probe: there is no "
				 "cgroup2 tree");
	program = load(mark);
	if (program < 0)
		return error_sys(err, -program,
				 "load the program that marks sockets");
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)leaf->dirfd;
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = BPF_CGROUP_INET_SOCK_CREATE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	r = sys_bpf(BPF_PROG_ATTACH, &attr);
	return r < 0 ? error_sys(err, -r, "mark the sockets of the probe") : 0;
}

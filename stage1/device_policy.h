/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_DEVICE_POLICY_H
#define STAGE1_DEVICE_POLICY_H

/*
 * Which device nodes a leaf may open or make: nothing but what a rule names
 * (systemd's DevicePolicy=closed).  A BPF_PROG_TYPE_CGROUP_DEVICE program
 * (Linux 4.15) attached to the leaf in the unified tree; the v1 devices
 * controller where that is not possible.
 */

#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strv.h"

struct error;
struct cgroup;
struct cgroup_leaf;

#define DEVICE_READ (1U << 0)
#define DEVICE_WRITE (1U << 1)
#define DEVICE_MKNOD (1U << 2)
#define DEVICE_RW (DEVICE_READ | DEVICE_WRITE)
#define DEVICE_RWM (DEVICE_RW | DEVICE_MKNOD)
#define DEVICE_ANY UINT32_MAX /* as major or minor */

struct device_rule {
	char type; /* 'c' or 'b' */
	uint32_t major;
	uint32_t minor;
	uint32_t access; /* DEVICE_* */
};

/* null zero full random urandom tty console ptmx pts/N net/tun. */
extern const struct device_rule device_policy_closed[];
extern const size_t device_policy_closed_n;

#define DEVICE_RULES_MAX 256

/*
 * The program for N rules (at most DEVICE_RULES_MAX) as instructions, in
 * malloc'ed memory; returns how many.  Pure.
 */
size_t device_policy_assemble(const struct device_rule *rules, size_t n,
			      struct bpf_insn **ret);

/* "c 1:3 rwm" / "c 136:* rw" for devices.allow, into BUF.  Pure. */
const char *device_rule_text(const struct device_rule *rule, char *buf,
			     size_t size);

/*
 * Applies the N rules to LEAF, before anything runs in it.  Where neither
 * way works a row "devices: REASON" is added to IGNORED and 0 returned.
 */
int device_policy_apply(struct cgroup *cg, struct cgroup_leaf *leaf,
			const struct device_rule *rules, size_t n,
			struct strv *ignored, struct error *err);

#endif

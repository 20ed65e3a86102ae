/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "stage1/cgroup_layout.h"
#include "stage1/cgroup_limits.h"

struct expect {
	int version;
	const char *dir;
	const char *own;
	bool read_only;
};

struct row {
	const char *what;
	const char *mountinfo;
	const char *self;
	const char *controllers;
	struct expect unified, named, memory, cpu, pids, devices;
};

static const char hybrid_mounts[] =
	"31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
	"32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
	"35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup "
	"rw,memory\n"
	"36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup "
	"rw,devices\n"
	"39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup "
	"rw,pids\n"
	"40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup "
	"rw,name=systemd\n"
	"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 "
	"rw\n";

static const struct row rows[] = {
	{
		.what = "hybrid, each controller of its own",
		.mountinfo = hybrid_mounts,
		.self = "9:name=systemd:/\n8:pids:/\n5:devices:/\n"
			"4:memory:/process_api/565e\n1:cpu:/\n0::/\n",
		.controllers = "hugetlb\n",
		.unified = {2, "/sys/fs/cgroup/unified", "", false},
		.named = {1, "/sys/fs/cgroup/systemd", "", false},
		.memory = {1, "/sys/fs/cgroup/memory", "/process_api/565e",
			   false},
		.cpu = {1, "/sys/fs/cgroup/cpu", "", false},
		.pids = {1, "/sys/fs/cgroup/pids", "", false},
		.devices = {1, "/sys/fs/cgroup/devices", "", false},
	},
	{
		.what = "pure v2 in a systemd unit",
		.mountinfo = "30 23 0:26 / /sys/fs/cgroup "
			     "rw,nosuid,nodev,noexec,relatime shared:4 - "
			     "cgroup2 cgroup2 rw,nsdelegate\n",
		.self = "0::/system.slice/web.service\n",
		.controllers = "cpuset cpu io memory pids\n",
		.unified = {2, "/sys/fs/cgroup", "/system.slice/web.service",
			    false},
		.memory = {2, "/sys/fs/cgroup", "/system.slice/web.service",
			   false},
		.cpu = {2, "/sys/fs/cgroup", "/system.slice/web.service",
			false},
		.pids = {2, "/sys/fs/cgroup", "/system.slice/web.service",
			 false},
	},
	{
		.what = "pure v1 of systemd, cpu and cpuacct together",
		.mountinfo =
			"29 23 0:25 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs "
			"ro,mode=755\n"
			"30 29 0:26 / /sys/fs/cgroup/systemd rw shared:9 - "
			"cgroup cgroup rw,xattr,name=systemd\n"
			"31 29 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 "
			"- cgroup cgroup rw,cpu,cpuacct\n"
			"32 29 0:28 / /sys/fs/cgroup/memory rw shared:11 "
			"master:2 - cgroup cgroup rw,memory\n",
		.self = "4:cpu,cpuacct:/system.slice\n3:memory:/x.slice\n"
			"1:name=systemd:/system.slice/a:b.service\n",
		.controllers = "",
		.named = {1, "/sys/fs/cgroup/systemd",
			  "/system.slice/a:b.service", false},
		.memory = {1, "/sys/fs/cgroup/memory", "/x.slice", false},
		.cpu = {1, "/sys/fs/cgroup/cpu,cpuacct", "/system.slice",
			false},
	},
	{
		.what = "in a container without a cgroup namespace",
		.mountinfo =
			"80 70 0:26 /docker/ab12 /sys/fs/cgroup ro,nosuid - "
			"cgroup2 cgroup rw\n"
			"81 70 0:27 /docker/ab12 /sys/fs/cgroup/memory ro - "
			"cgroup cgroup rw,memory\n",
		.self = "3:memory:/docker/ab12/x\n0::/docker/ab12\n",
		.controllers = "cpu memory\n",
		.unified = {2, "/sys/fs/cgroup", "", true},
		.memory = {1, "/sys/fs/cgroup/memory", "/x", true},
		.cpu = {2, "/sys/fs/cgroup", "", true},
	},
	{
		.what = "outside the cgroup namespace's root",
		.mountinfo = "30 23 0:26 /../.. /sys/fs/cgroup rw - cgroup2 "
			     "cgroup2 rw\n",
		.self = "0::/../../user.slice\n",
		.controllers = "\n",
		.unified = {2, "/sys/fs/cgroup", "", false},
	},
	{
		.what = "the writable one of two mounts, escaped name",
		.mountinfo = "30 23 0:26 / /a rw - cgroup2 c ro\n"
			     "31 23 0:26 / /b\\040c\\134 rw - cgroup2 c rw\n"
			     "32 23 0:26 / /d rw - cgroup2 c rw\n",
		.self = "0::/\n",
		.controllers = "pids",
		.unified = {2, "/b c\\", "", false},
		.pids = {2, "/b c\\", "", false},
	},
	{
		.what = "a read-only mount over the writable one",
		.mountinfo = "30 23 0:26 / /a rw - cgroup2 c rw\n"
			     "31 30 0:26 / /a ro - cgroup2 c rw\n",
		.self = "0::/\n",
		.controllers = "",
		.unified = {2, "/a", "", true},
	},
	{
		.what = "nothing mounted, broken lines",
		.mountinfo = "30 23\n\n30 23 0:26 / /a rw cgroup2 c rw\n"
			     "31 23 0:26 / /b rw - cgroup2\n",
		.self = "0\n:\nx:memory\n",
		.controllers = "",
	},
};

static void check(const char *what, const char *name, const struct expect *want,
		  const struct cgroup_hierarchy *is)
{
	cr_expect(want->version == is->version, "%s: %s is v%d, not v%d", what,
		  name, is->version, want->version);
	if (!want->version || want->version != is->version)
		return;
	cr_expect_str_eq(is->dir, want->dir, "%s: %s dir %s", what, name,
			 is->dir);
	cr_expect_str_eq(is->own, want->own, "%s: %s own %s", what, name,
			 is->own);
	cr_expect(is->read_only == want->read_only, "%s: %s read-only %d", what,
		  name, is->read_only);
}

Test(cgroup_layout, samples)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct cgroup_layout l;

		cgroup_layout_parse(&l, row->mountinfo, row->self);
		if (l.unified.version)
			cgroup_layout_add_v2(&l, row->controllers);
		check(row->what, "unified", &row->unified, &l.unified);
		check(row->what, "named", &row->named, &l.named);
		check(row->what, "memory", &row->memory,
		      &l.controller[CGROUP_MEMORY]);
		check(row->what, "cpu", &row->cpu, &l.controller[CGROUP_CPU]);
		check(row->what, "pids", &row->pids,
		      &l.controller[CGROUP_PIDS]);
		check(row->what, "devices", &row->devices,
		      &l.controller[CGROUP_DEVICES]);
		cgroup_layout_release(&l);
	}
}

struct limits_row {
	struct cgroup_limits limits;
	int version;
	const char *text; /* FILE=VALUE joined by blanks */
};

static const struct limits_row limits_rows[] = {
	{{0}, 1, ""},
	{{.memory_max = 1048576},
	 1,
	 "memory.limit_in_bytes=1048576 memory.memsw.limit_in_bytes=1048576? "},
	{{.memory_max = 1048576}, 2, "memory.max=1048576 memory.swap.max=0? "},
	{{.memory_max = 1}, 0, "(null)=1 "},
	{{.cpu_millis = 500},
	 1,
	 "cpu.cfs_period_us=100000 cpu.cfs_quota_us=50000 "},
	{{.cpu_millis = 500}, 2, "cpu.max=50000 100000 "},
	{{.cpu_millis = 1}, 2, "cpu.max=1000 1000000 "},
	{{.cpu_millis = 2500}, 2, "cpu.max=250000 100000 "},
	{{.cpu_millis = 500}, 0, "(null)=50000 100000 "},
	{{.cpu_shares = 1024}, 1, "cpu.shares=1024 "},
	{{.cpu_shares = 1024}, 2, "cpu.weight=100 "},
	{{.cpu_shares = 2}, 2, "cpu.weight=1 "},
	{{.cpu_shares = 262144}, 2, "cpu.weight=10000 "},
	{{.cpu_shares = 512, .pids_max = 9}, 2, "cpu.weight=50 pids.max=9 "},
	{{.pids_max = 9}, 1, "pids.max=9 "},
};

Test(cgroup_limits, settings)
{
	for (size_t i = 0; i < sizeof(limits_rows) / sizeof(limits_rows[0]);
	     i++) {
		const struct limits_row *row = &limits_rows[i];
		struct cgroup_setting s[CGROUP_SETTINGS_MAX];
		int version[CGROUP_CONTROLLERS];
		char text[512] = "";
		size_t n, len = 0;

		for (int c = 0; c < CGROUP_CONTROLLERS; c++)
			version[c] = row->version;
		n = cgroup_settings_make(&row->limits, version, s);
		for (size_t k = 0; k < n; k++)
			len += (size_t)snprintf(
				text + len, sizeof(text) - len, "%s=%s%s ",
				s[k].file ? s[k].file : "(null)", s[k].value,
				s[k].best_effort ? "?" : "");
		cr_expect_str_eq(text, row->text, "row %zu: %s", i, text);
	}
}

/* --- the usual places ------------------------------------------------------
 */

static const char *there[8]; /* "VERSION DIR" with our own group */

static bool is_there(int version, const char *dir, const char *own)
{
	char text[256];

	(void)snprintf(text, sizeof(text), "%d %s%s", version, dir, own);
	for (int i = 0; there[i]; i++)
		if (strcmp(there[i], text) == 0)
			return true;
	return false;
}

static const struct usual_row {
	const char *what, *self;
	const char *there[8];
	bool is_usual;
	struct expect unified, named, memory, cpu;
} usual_rows[] = {
	{
		.what = "pure v2 in a unit",
		.self = "0::/system.slice/web.service\n",
		.there = {"2 /sys/fs/cgroup/system.slice/web.service"},
		.is_usual = true,
		.unified = {2, "/sys/fs/cgroup", "/system.slice/web.service",
			    false},
	},
	{
		.what = "hybrid; what we do not use may be anywhere",
		.self = "9:name=systemd:/\n8:blkio:/\n4:memory:/a\n"
			"1:cpu,cpuacct:/\n0::/\n",
		.there = {"2 /sys/fs/cgroup/unified",
			  "1 /sys/fs/cgroup/memory/a",
			  "1 /sys/fs/cgroup/cpu,cpuacct",
			  "1 /sys/fs/cgroup/systemd"},
		.is_usual = true,
		.unified = {2, "/sys/fs/cgroup/unified", "", false},
		.named = {1, "/sys/fs/cgroup/systemd", "", false},
		.memory = {1, "/sys/fs/cgroup/memory", "/a", false},
		.cpu = {1, "/sys/fs/cgroup/cpu,cpuacct", "", false},
	},
	{
		.what = "our group is not below what is mounted",
		.self = "0::/docker/x\n",
		.there = {"2 /sys/fs/cgroup"},
	},
	{
		.what = "outside of our cgroup namespace",
		.self = "0::/../x\n",
		.there = {"2 /sys/fs/cgroup/../x"},
	},
	{
		.what = "one is elsewhere",
		.self = "4:memory:/\n0::/\n",
		.there = {"2 /sys/fs/cgroup/unified"},
	},
	{.what = "nonsense", .self = "0\n", .there = {"2 /sys/fs/cgroup"}},
};

Test(cgroup_layout, usual_places)
{
	for (size_t i = 0; i < sizeof(usual_rows) / sizeof(*usual_rows); i++) {
		const struct usual_row *row = &usual_rows[i];
		struct cgroup_layout layout;

		memcpy(there, row->there, sizeof(there));
		cr_expect_eq(cgroup_layout_usual(&layout, row->self, is_there),
			     row->is_usual, "%s", row->what);
		check(row->what, "unified", &row->unified, &layout.unified);
		check(row->what, "named", &row->named, &layout.named);
		check(row->what, "memory", &row->memory,
		      &layout.controller[CGROUP_MEMORY]);
		check(row->what, "cpu", &row->cpu,
		      &layout.controller[CGROUP_CPU]);
		cgroup_layout_release(&layout);
	}
}

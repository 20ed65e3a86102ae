/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/sandbox_filter.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/process.h"
#include "base/syscalls.h"

#define NOBODY 65534
#define HTTP_FDS 64 /* connections, and what the resolver reads */
/* Two for each level of a tree, whose paths have no bound but their depth. */
#define PACK_FDS 16384

enum cage { PARSE, HTTP, SERVE, FORWARD, SHOW };

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED true
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED false
#endif

/* Landlock, Linux 5.13: each version knows more rights, and refuses rights
 * it does not know. */
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE /* version 3, Linux 6.2 */
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#define FS_RIGHTS_V1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define FS_IOCTL_DEV (1ULL << 15) /* version 5, Linux 6.10 */
#define NET_RIGHTS_V4 3ULL	  /* bind and connect TCP, Linux 6.7 */
#define NET_BIND_TCP 1ULL
#define NET_CONNECT_TCP 2ULL
#define RULE_NET_PORT 2
#define SCOPE_RIGHTS_V6 3ULL /* abstract sockets, signals, 6.12 */

struct landlock_port { /* struct landlock_net_port_attr */
	uint64_t allowed_access, port;
};

struct landlock_attr { /* struct landlock_ruleset_attr as of version 6 */
	uint64_t handled_access_fs;
	uint64_t handled_access_net;
	uint64_t scoped;
};

static int limit(int resource, const char *name, uint64_t max,
		 struct error *err)
{
	struct rlimit rl;

	/* An unprivileged caller's own limits may be lower already. */
	if (getrlimit((__rlimit_resource_t)resource, &rl) < 0)
		return error_sys(err, errno, "read the limit %s", name);
	if (rl.rlim_max > max)
		rl.rlim_max = max;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit((__rlimit_resource_t)resource, &rl) < 0)
		return error_sys(err, errno, "set the limit %s", name);
	return 0;
}

static int limits_apply(const struct sandbox *s, struct error *err)
{
	int r = 0;

	/* AddressSanitizer reserves terabytes of address space. */
	if (!IS_SANITIZED)
		r = limit(RLIMIT_AS, "address space", s->max_memory, err);
	if (r == 0)
		r = s->max_cpu ? limit(RLIMIT_CPU, "processor time", s->max_cpu,
				       err)
			       : 0;
	if (r == 0)
		r = limit(RLIMIT_FSIZE, "file size", s->max_file_size, err);
	if (r == 0)
		r = limit(RLIMIT_CORE, "core size", 0, err);
	return r;
}

/* Nothing more is opened, so nothing above the kept ones is allowed. */
static int limit_descriptors(const struct sandbox *s, int spare,
			     struct error *err)
{
	int highest = 2;

	for (size_t i = 0; i < s->n_keep_fds; i++)
		if (s->keep_fds[i] > highest)
			highest = s->keep_fds[i];
	return limit(RLIMIT_NOFILE, "descriptors",
		     (uint64_t)highest + 1 + (uint64_t)spare, err);
}

/* Needs CAP_SETPCAP: before the capabilities are reduced. */
static int bound_capabilities(uint64_t caps, struct error *err)
{
	for (int cap = 0; cap < 64; cap++) {
		if (caps & (1ULL << cap))
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
			if (errno == EINVAL)
				break; /* past the kernel's last one */
			return error_sys(err, errno, "bound the capabilities");
		}
	}
	return 0;
}

/* A user namespace may have no id but root's own, which is then harmless
 * outside: without capabilities it is nobody. */
static bool is_nobody_mapped(void)
{
	return setresgid(-1, NOBODY, -1) == 0 || errno != EINVAL;
}

static int switch_ids(const struct sandbox *s, struct error *err)
{
	gid_t gid = s->group ? *s->group : NOBODY;

	if (!is_nobody_mapped())
		return 0;
	if (setgroups(0, NULL) < 0)
		return error_sys(err, errno, "drop the groups");
	if (setresgid(gid, gid, gid) < 0 ||
	    setresuid(NOBODY, NOBODY, NOBODY) < 0)
		return error_sys(err, errno, "become uid %d", NOBODY);
	return 0;
}

static int become_nobody(const struct sandbox *s, struct error *err)
{
	int r = 0;

	if (geteuid() == 0) {
		r = bound_capabilities(0, err);
		if (r == 0)
			r = switch_ids(s, err);
	}
	return r < 0 ? r : process_set_capabilities(0, err);
}

/* After the ids are switched: that sets "dumpable" anew. */
static int process_flags_apply(bool has_parent, struct error *err)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_PDEATHSIG, has_parent ? SIGKILL : 0, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_sys(err, errno, "set the process flags");
	return 0;
}

/* What names are resolved by: files, and libraries of the C library's
 * modules.  What is not there needs no rule. */
static const char *const http_paths[] = {
	"/etc/resolv.conf",
	"/etc/hosts",
	"/etc/nsswitch.conf",
	"/etc/host.conf",
	"/etc/gai.conf",
	"/etc/services",
	"/etc/protocols",
	"/etc/localtime",
	"/etc/ssl",
	"/etc/ld.so.cache",
	"/run/systemd/resolve",
	"/run/resolvconf",
	"/run/NetworkManager",
	"/lib",
	"/lib64",
	"/usr/lib",
	"/usr/lib64",
};

static int landlock_allow_fd(int ruleset, int fd, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = access,
		.parent_fd = fd,
	};

	return syscall(SYS_landlock_add_rule, ruleset,
		       LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0
		       ? -errno
		       : 0;
}

static int landlock_allow_read(int ruleset, const char *path, struct error *err)
{
	cleanup_fd int fd = open(path, O_PATH | O_CLOEXEC);
	int r;

	if (fd < 0)
		return 0;
	r = landlock_allow_fd(ruleset, fd, LANDLOCK_ACCESS_FS_READ_FILE);
	return r < 0 ? error_sys(err, -r, "allow %s with Landlock", path) : 0;
}

static int landlock_allow_http(int ruleset, struct error *err)
{
	int r = 0;

	for (size_t i = 0;
	     i < sizeof(http_paths) / sizeof(*http_paths) && r == 0; i++)
		r = landlock_allow_read(ruleset, http_paths[i], err);
	return r;
}

static int landlock_allow_tree(int ruleset, int fd, struct error *err)
{
	uint64_t access = LANDLOCK_ACCESS_FS_READ_FILE;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return error_sys(err, errno, "look at the tree");
	if (S_ISDIR(st.st_mode))
		access |= LANDLOCK_ACCESS_FS_READ_DIR;
	r = landlock_allow_fd(ruleset, fd, access);
	return r < 0 ? error_sys(err, -r, "allow the tree with Landlock") : 0;
}

static int landlock_allow_shown(int ruleset, const struct sandbox *s,
				struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < s->n_shown && r == 0; i++)
		r = landlock_allow_tree(ruleset, s->shown[i], err);
	return r;
}

static int landlock_allow_ports(int ruleset, const struct sandbox *s,
				struct error *err)
{
	for (size_t i = 0; i < s->n_ports; i++) {
		struct landlock_port rule = {NET_CONNECT_TCP, s->ports[i]};

		if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT,
			    &rule, 0) < 0)
			return error_sys(err, errno,
					 "allow port %u with Landlock",
					 (unsigned int)s->ports[i]);
	}
	return 0;
}

/* A rule set without rules, but HTTP's, for trees to read (TREE, if not
 * negative, and those of S) and for the ports of S: nothing else can be opened.
 * A kernel without Landlock is fine, the filter of a parser has no call that
 * opens. */
static int landlock_apply(const struct sandbox *s, enum cage cage, int tree,
			  struct error *err)
{
	cleanup_fd int fd = -EBADF;
	struct landlock_attr attr = {.handled_access_fs = FS_RIGHTS_V1};
	size_t size = sizeof(attr.handled_access_fs);
	long version;
	int r = 0;

	version = syscall(SYS_landlock_create_ruleset, NULL, 0,
			  LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1)
		return 0;
	if (version >= 2)
		attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= 3)
		attr.handled_access_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
	if (version >= 4) {
		attr.handled_access_net =
			cage == HTTP ? NET_BIND_TCP : NET_RIGHTS_V4;
		size = offsetof(struct landlock_attr, scoped);
	}
	if (version >= 5)
		attr.handled_access_fs |= FS_IOCTL_DEV;
	if (version >= 6) {
		attr.scoped = SCOPE_RIGHTS_V6;
		size = sizeof(attr);
	}
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
	if (fd < 0)
		return error_sys(err, errno, "restrict with Landlock");
	if (cage == HTTP)
		r = landlock_allow_http(fd, err);
	if (tree >= 0)
		r = landlock_allow_tree(fd, tree, err);
	if (r == 0)
		r = landlock_allow_shown(fd, s, err);
	if (r == 0 && version >= 4)
		r = landlock_allow_ports(fd, s, err);
	if (r == 0 && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		r = error_sys(err, errno, "restrict with Landlock");
	return r;
}

static int close_others(const struct sandbox *s, struct error *err)
{
	int r = close_all_from(3, s->keep_fds, s->n_keep_fds);

	return r < 0 ? error_sys(err, -r, "close descriptors") : 0;
}

static const struct {
	int (*allow)(scmp_filter_ctx ctx);
	int spare_fds;
	bool has_parent; /* who wants its answer, and nobody else does */
} cages[] = {
	[PARSE] = {sandbox_allow_reply, 0, true},
	[HTTP] = {sandbox_allow_http, HTTP_FDS, true},
	[SERVE] = {sandbox_allow_serve, SANDBOX_CLIENTS_MAX, false},
	[FORWARD] = {sandbox_allow_forward, SANDBOX_FORWARD_FDS, true},
	[SHOW] = {sandbox_allow_show, SANDBOX_SHOW_FDS, false},
};

static int enter_as_nobody(const struct sandbox *s, enum cage cage,
			   struct error *err)
{
	int r;

	r = close_others(s, err);
	if (r == 0)
		r = limits_apply(s, err);
	if (r == 0)
		r = become_nobody(s, err);
	if (r == 0)
		r = process_flags_apply(cages[cage].has_parent, err);
	if (r == 0)
		r = landlock_apply(s, cage, -EBADF, err);
	if (r == 0)
		r = limit_descriptors(s, cages[cage].spare_fds, err);
	if (r == 0)
		r = sandbox_filter_apply(cages[cage].allow, err);
	return r;
}

int sandbox_enter_parse(const struct sandbox *s, struct error *err)
{
	return enter_as_nobody(s, PARSE, err);
}

int sandbox_enter_http(const struct sandbox *s, struct error *err)
{
	return enter_as_nobody(s, HTTP, err);
}

int sandbox_enter_serve(const struct sandbox *s, struct error *err)
{
	return enter_as_nobody(s, SERVE, err);
}

int sandbox_enter_forward(const struct sandbox *s, struct error *err)
{
	return enter_as_nobody(s, FORWARD, err);
}

int sandbox_enter_show(const struct sandbox *s, struct error *err)
{
	return enter_as_nobody(s, SHOW, err);
}

/* Makes the detached mount TREE the root of a mount namespace in which nothing
 * else is. */
static int enter_mount(int tree, struct error *err)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			    MOUNT_ATTR_NOEXEC,
		/* pivot_root(2) takes no shared mount, and below systemd all
		 * of the host's are. */
		.propagation = MS_PRIVATE,
	};
	int r;

	if (unshare(CLONE_NEWNS | CLONE_NEWIPC) < 0)
		return error_sys(err, errno, "make a mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_sys(err, errno, "make the mounts private");
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr,
			  sizeof(attr)) < 0 ||
	    move_mount(tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_sys(err, errno, "mount the target directory");
	if (fchdir(tree) < 0)
		return error_sys(err, errno, "enter the target directory");
	/* pivot_root(2): stacks the old root on the new one, where it is
	 * then unmounted with everything below it. */
	r = sys_pivot_root(".", ".");
	if (r < 0)
		return error_sys(err, -r, "change the root");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return error_sys(err, errno, "leave the old root");
	return 0;
}

static int enter_directory(int dirfd, struct error *err)
{
	cleanup_fd int tree = -EBADF;

	/* First: what DIRFD names is foreign to the new namespace. */
	tree = open_tree(dirfd, "",
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0)
		return error_sys(err, errno, "take the target directory");
	return enter_mount(tree, err);
}

/* Stays root, with CAPS alone. */
static int keep_capabilities(const struct sandbox *s, uint64_t caps,
			     struct error *err)
{
	int r = close_others(s, err);

	if (r == 0)
		r = limits_apply(s, err);
	if (r == 0)
		r = bound_capabilities(caps, err);
	if (r == 0)
		r = process_set_capabilities(caps, err);
	return r < 0 ? r : process_flags_apply(true, err);
}

static int become_extractor(const struct sandbox *s, struct error *err)
{
	const uint64_t caps = 1ULL << CAP_CHOWN | 1ULL << CAP_DAC_OVERRIDE |
			      1ULL << CAP_FOWNER | 1ULL << CAP_FSETID |
			      1ULL << CAP_MKNOD | 1ULL << CAP_SETFCAP;
	int r = keep_capabilities(s, caps, err);

	if (r == 0)
		r = limit_descriptors(s, 8, err);
	if (r == 0)
		r = sandbox_filter_apply(sandbox_allow_extract, err);
	return r;
}

int sandbox_enter_extract(const struct sandbox *s, int dirfd, struct error *err)
{
	int r = enter_directory(dirfd, err);

	return r < 0 ? r : become_extractor(s, err);
}

static int enter_users(int userns, struct error *err)
{
	if (setns(userns, CLONE_NEWUSER) < 0)
		return error_sys(err, errno, "enter the user namespace");
	if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 ||
	    setresuid(0, 0, 0) < 0)
		return error_sys(err, errno,
				 "become root of the user namespace");
	return 0;
}

int sandbox_enter_unpack(const struct sandbox *s, int mount, int userns,
			 struct error *err)
{
	int r = enter_mount(mount, err);

	if (r == 0 && userns >= 0)
		r = enter_users(userns, err);
	return r < 0 ? r : become_extractor(s, err);
}

int sandbox_enter_pack(const struct sandbox *s, int fd, struct error *err)
{
	int r;

	r = keep_capabilities(s, 1ULL << CAP_DAC_READ_SEARCH, err);
	if (r == 0)
		r = landlock_apply(s, PARSE, fd, err);
	if (r == 0)
		r = limit_descriptors(s, PACK_FDS, err);
	if (r == 0)
		r = sandbox_filter_apply(sandbox_allow_pack, err);
	return r;
}

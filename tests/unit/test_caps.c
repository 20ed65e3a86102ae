/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/caps.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "stage1/ids.h"

Test(caps, names)
{
	static const struct {
		const char *name;
		uint64_t want;
	} rows[] = {
		{"CAP_CHOWN", 1},
		{"CAP_SYS_ADMIN", CAPS_BIT(CAP_SYS_ADMIN)},
		{"CAP_CHECKPOINT_RESTORE", CAPS_BIT(40)},
		{"cap_kill", CAPS_BIT(CAP_KILL)},
		{"CHOWN", 0},
		{"CAP_NOPE", 0},
		{"21", 0},
		{"", 0},
		{"CAP_", 0},
		{"CAP_21", 0},
		{"CAP_CHOWN ", 0},
	};
	char *names cleanup_free =
		caps_to_names(CAPS_BIT(CAP_KILL) | CAPS_BIT(CAP_CHOWN));
	char *none cleanup_free = caps_to_names(0);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(caps_from_name(rows[i].name), rows[i].want, "%s",
			     rows[i].name);
	cr_expect_str_eq(names, "CAP_CHOWN,CAP_KILL");
	cr_expect_str_eq(none, "");
	cr_expect_eq(__builtin_popcountll(caps_default), 14);
}

Test(caps, make)
{
	static const struct {
		const char *retain;
		const char *remove;
		bool unrestricted;
		int r;
		uint64_t want;
		const char *says;
	} rows[] = {
		{.want = 0xa80425fb}, /* CapBnd of a Docker container */
		{.retain = "CAP_SYS_ADMIN CAP_CHOWN", .want = CAPS_BIT(21) | 1},
		{.remove = "CAP_CHOWN CAP_SYS_ADMIN", .want = 0xa80425fa},
		{.unrestricted = true, .want = CAPS_ALL},
		{.unrestricted = true, .retain = "CAP_KILL", .want = CAPS_ALL},
		{.retain = "CAP_KILL",
		 .remove = "CAP_KILL",
		 .r = -EINVAL,
		 .says = "either"},
		{.retain = "CAP_KILL CAP_FLY CAP_X",
		 .r = -EINVAL,
		 .says = "unknown capability: CAP_FLY, CAP_X"},
		{.remove = "KILL",
		 .r = -EINVAL,
		 .says = "unknown capability: KILL"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct strv retain cleanup_strv = STRV_INIT;
		struct strv removed cleanup_strv = STRV_INIT;
		struct error err = ERROR_INIT;
		struct caps_request req = {
			.unrestricted = rows[i].unrestricted,
		};
		uint64_t got = 0;

		if (rows[i].retain) {
			strv_split(&retain, rows[i].retain, ' ');
			req.retain = &retain;
		}
		if (rows[i].remove) {
			strv_split(&removed, rows[i].remove, ' ');
			req.remove = &removed;
		}
		cr_expect_eq(caps_make(&req, &got, &err), rows[i].r, "%zu", i);
		if (rows[i].r == 0)
			cr_expect_eq(got, rows[i].want, "%zu: %" PRIx64, i,
				     got);
		else
			cr_expect(strstr(err.msg, rows[i].says), "%s", err.msg);
	}
}

/* --- what the kernel makes of it; needs root
 * ---------------------------------- */

static uint64_t bounding_set(void)
{
	return ~caps_missing(UINT64_MAX);
}

/* Runs the child order of an app, then prints /proc/self/status. */
static void app_child(uint64_t keep, uid_t uid, bool nnp, int out)
{
	static const char *const argv[] = {"/bin/cat", "/proc/self/status",
					   NULL};
	char *const env[] = {NULL};
	static const gid_t groups[] = {7, 8};
	uint64_t before = bounding_set();
	struct error err = ERROR_INIT;

	if (dup2(out, 1) < 0)
		_exit(90);
	if (caps_drop_bounding(keep, &err) < 0 ||
	    ids_set_groups(uid, groups, 2, &err) < 0 ||
	    caps_keep_on_setuid(&err) < 0 || ids_set_user(uid, &err) < 0 ||
	    caps_set_for_exec(keep, uid, &err) < 0) {
		fprintf(stderr, "%s\n", err.msg);
		_exit(91);
	}
	if (bounding_set() != (before & keep))
		_exit(92);
	if (nnp && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(93);
	execve(argv[0], (char *const *)argv, env);
	_exit(94);
}

static uint64_t status_field(const char *status, const char *name)
{
	const char *p = strstr(status, name);

	cr_assert(p, "%s", name);
	return strtoull(p + strlen(name), NULL, 16);
}

static void app_status(uint64_t keep, uid_t uid, bool nnp, struct strbuf *ret)
{
	int fds[2];
	int status;
	pid_t pid;

	cr_assert_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0)
		app_child(keep, uid, nnp, fds[1]);
	close(fds[1]);
	cr_assert_geq(strbuf_read_fd(ret, fds[0], 1 << 16), 0);
	close(fds[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0, "status %#x", status);
}

Test(caps, after_exec)
{
	static const struct {
		uint64_t keep;
		uid_t uid;
		bool nnp;
	} rows[] = {
		{0xa80425fb, 0, false},
		{0xa80425fb, 0, true},
		{0xa80425fb, 1000, false},
		{0xa80425fb, 1000, true},
		{0, 0, false},
		{0, 1000, false},
		{CAPS_BIT(CAP_SYS_ADMIN), 0, true},
		/* More than there is: not there, not an error. */
		{CAPS_ALL, 0, false},
		{CAPS_ALL, 1000, false},
	};

	if (geteuid() != 0)
		cr_skip_test("needs root");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct strbuf s cleanup_strbuf = STRBUF_INIT;
		uint64_t bounding = bounding_set() & rows[i].keep;
		uint64_t want = rows[i].uid == 0 ? bounding : 0;

		app_status(rows[i].keep, rows[i].uid, rows[i].nnp, &s);
		cr_expect_eq(status_field(s.buf, "CapBnd:"), bounding, "%zu",
			     i);
		cr_expect_eq(status_field(s.buf, "CapPrm:"), want, "%zu", i);
		cr_expect_eq(status_field(s.buf, "CapEff:"), want, "%zu", i);
		/* CVE-2022-29162 */
		cr_expect_eq(status_field(s.buf, "CapInh:"), 0, "%zu", i);
		cr_expect_eq(status_field(s.buf, "CapAmb:"), 0, "%zu", i);
		cr_expect(strstr(s.buf, "Groups:\t7 8 \n"), "%s", s.buf);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The client against a program that is not rkt-fetch. */
#include "aci/fetch_client.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"

static char dir[] = "/tmp/fetch-client-XXXXXX";

static int import_with(const char *script, struct error *err)
{
	cleanup_fd int dirfd = open(dir, O_PATH | O_CLOEXEC);
	cleanup_fd int image = memfd_create("image", MFD_CLOEXEC);
	cleanup_fetch_image struct fetch_image ret = {0};

	cr_assert(write_string_at(dirfd, "rkt-fetch", 0755, script, NULL) == 0);
	return fetch_import(dir, image, -1, -1, NULL, &ret, err);
}

/* No answer, a wrong one, an early end: one error each, and no zombie. */
Test(fetch_client, bad_children)
{
	static const struct {
		const char *script;
		int code;
		const char *text;
	} rows[] = {
		{"#!/bin/sh\nexit 3\n", EPROTO,
		 "ended without an answer: exit code 3"},
		{"#!/bin/sh\nexit 0\n", EPROTO, "without an answer"},
		{"#!/bin/sh\nkill -KILL $$\n", EPROTO, "signal 9 (Killed)"},
		{"#!/bin/sh\nkill -SEGV $$\n", EPROTO, "signal 11"},
		{"#!/bin/sh\nkill -SYS $$\n", EPROTO, "forbidden system call"},
		/* Waits: a request left unread may reset the connection. */
		{"#!/bin/sh\nhead -c1 <&3 >/dev/null; echo lies >&3\n", EPROTO,
		 "malformed answer"},
		{"#!/bin/sh\nhead -c1 <&3 >/dev/null\n"
		 "head -c 4096 /dev/zero >&3\n",
		 EPROTO, "malformed answer"},
		{"#!/bin/sh\nexec 3>&-\nkill -KILL $$\n", EPROTO,
		 "signal 9 (Killed)"},
		{"#!/nonexistent\n", ENOENT, "rkt-fetch"},
	};

	cr_assert(mkdtemp(dir));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = ERROR_INIT;
		int r = import_with(rows[i].script, &err);

		cr_expect(r == -rows[i].code, "row %zu: %d %s", i, r, err.msg);
		cr_expect(strstr(err.msg, rows[i].text), "row %zu: %s", i,
			  err.msg);
		cr_expect(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
	}
	cr_expect(remove_tree_at(AT_FDCWD, dir, NULL) == 0);
}

Test(fetch_client, bad_arguments)
{
	cleanup_fetch_image struct fetch_image image = {0};
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct fetch_verifying verifying = FETCH_VERIFYING_INIT;
	struct fetch_signer signer;
	struct fetch_key key;
	struct error err = ERROR_INIT;
	int keys[FETCH_KEYS_MAX + 1] = {0};

	cr_expect(fetch_import("/", null, -1, -1, NULL, &image, &err) ==
		  -EINVAL);
	cr_expect_not_null(strstr(err.msg, "regular file"));
	cr_expect(fetch_key_info("/", null, &key, &err) == -EINVAL);
	cr_expect(fetch_verify_start("/", null, null, &verifying, &err) ==
		  -EINVAL);
	cr_expect(fetch_verify_finish(&verifying, NULL, keys,
				      FETCH_KEYS_MAX + 1, &signer,
				      &err) == -E2BIG);
}

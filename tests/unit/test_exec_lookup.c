/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/exec_lookup.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"
#include "base/strbuf.h"

static char root_dir[64];
static int root_fd;

static void put(const char *path, mode_t mode, const void *data, size_t len)
{
	cr_assert_eq(write_file_at(root_fd, path, mode, data, len, NULL), 0);
	cr_assert_eq(fchmodat(root_fd, path, mode, 0), 0);
}

static void make_root(void)
{
	memcpy(root_dir, "/tmp/rkt-test-exec-XXXXXX", 26);
	cr_assert(mkdtemp(root_dir));
	root_fd = open(root_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(root_fd, 0);
	cr_assert_eq(mkdir_p_at(root_fd, "usr/bin", 0755), 0);
	cr_assert_eq(mkdir_p_at(root_fd, "bin", 0755), 0);
	cr_assert_eq(mkdir_p_at(root_fd, "site/sub", 0755), 0);
	put("bin/both", 0644, "", 0);
	put("usr/bin/both", 0755, "", 0);
	put("bin/sh", 0755, "", 0);
	put("site/here", 0755, "", 0);
	put("site/sub/deep", 0755, "", 0);
	cr_assert_eq(mkdirat(root_fd, "bin/dir", 0755), 0);
	cr_assert_eq(symlinkat("/bin/sh", root_fd, "usr/bin/link"), 0);
	cr_assert_eq(symlinkat("../../../../bin/true", root_fd, "bin/out"), 0);
}

static void remove_root(void)
{
	close(root_fd);
	remove_tree_at(AT_FDCWD, root_dir, NULL);
}

Test(exec_lookup, rules, .init = make_root, .fini = remove_root)
{
	static const struct {
		const char *path;
		const char *workdir;
		const char *argv0;
		const char *want; /* NULL: not found */
	} rows[] = {
		{"/bin", "/site", "/bin/nope", "/bin/nope"},
		{"/bin", "/site", "/bin/../sh", "/bin/../sh"},
		{"/bin", "/site", "./here", "/site/./here"},
		{"/bin", "/site/", "sub/deep", "/site/sub/deep"},
		{"/bin", NULL, "site/here", "/site/here"},
		{"/bin", "/", "site/here", "/site/here"},
		{"/bin:/usr/bin", "/", "sh", "/bin/sh"},
		{"/bin:/usr/bin", "/", "both", "/usr/bin/both"},
		{"/bin:/usr/bin", "/", "link", "/usr/bin/link"},
		{"/bin", "/", "dir", NULL},
		{"/bin", "/", "nope", NULL},
		/* The host has /bin/true; the image's link leads nowhere. */
		{"/bin", "/", "out", NULL},
		{"sub:/bin", "/site", "deep", "/site/sub/deep"},
		{"/nope::/bin", "/site", "here", "/site/here"},
		{"", "/site", "here", "/site/here"},
		{"/bin:", "/site", "here", "/site/here"},
		{"/bin/", "/", "sh", "/bin/sh"},
		{NULL, "/site", "here", "/site/here"},
		{NULL, "/site", "sh", "/bin/sh"},
		{NULL, "/site", "link", "/usr/bin/link"},
		{"/bin", "/site", "here", NULL},
		{"/bin", "/site", "", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char got[EXEC_PATH_MAX] = "";
		struct error err = ERROR_INIT;
		int r = exec_lookup(root_fd, rows[i].path, rows[i].workdir,
				    rows[i].argv0, got, &err);

		if (rows[i].want) {
			cr_expect_eq(r, 0, "row %zu: %s", i, err.msg);
			cr_expect_str_eq(got, rows[i].want, "row %zu: %s", i,
					 got);
		} else {
			cr_expect_eq(r, -ENOENT, "row %zu: %s", i, got);
			cr_expect_neq(err.msg[0], '\0');
		}
	}
}

Test(exec_lookup, long_paths, .init = make_root, .fini = remove_root)
{
	char got[EXEC_PATH_MAX];
	struct strbuf dir cleanup_strbuf = STRBUF_INIT;
	struct strbuf path cleanup_strbuf = STRBUF_INIT;

	while (dir.len < 2 * EXEC_PATH_MAX)
		strbuf_addstr(&dir, "/long");
	strbuf_addf(&path, "%s:/bin", dir.buf);
	cr_expect_eq(exec_lookup(root_fd, path.buf, "/", "sh", got, NULL), 0);
	cr_expect_str_eq(got, "/bin/sh");
	cr_expect_eq(exec_lookup(root_fd, "/bin", "/", dir.buf, got, NULL),
		     -ENAMETOOLONG);
	/* Exactly as long as the buffer, and one less. */
	strbuf_setlen(&dir, EXEC_PATH_MAX);
	cr_expect_eq(exec_lookup(root_fd, NULL, "/", dir.buf, got, NULL),
		     -ENAMETOOLONG);
	strbuf_setlen(&dir, EXEC_PATH_MAX - 1);
	cr_expect_eq(exec_lookup(root_fd, NULL, "/", dir.buf, got, NULL), 0);
	cr_expect_eq(strlen(got), EXEC_PATH_MAX - 1);
}

/* Each of them is this test program, not one of the root. */
Test(exec_lookup, magic_links, .init = make_root, .fini = remove_root)
{
	int host cleanup_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct error err = ERROR_INIT;
	char got[EXEC_PATH_MAX];

	cr_expect_eq(exec_lookup(host, NULL, "/", "/proc/self/exe", got, &err),
		     -ELOOP);
	cr_expect(strstr(err.msg, "/proc/self/exe"), "%s", err.msg);
	cr_expect_eq(exec_lookup(host, NULL, "/proc/self", "./exe", got, NULL),
		     -ELOOP);
	cr_expect_eq(exec_lookup(host, "/proc/self", "/", "exe", got, NULL),
		     -ENOENT);
}

/* An ELF program with one segment, its loader. */
static void put_elf(const char *path, uint16_t machine, const char *loader)
{
	struct strbuf sb cleanup_strbuf = STRBUF_INIT;
	Elf64_Ehdr eh = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
			    ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = machine,
		.e_phoff = sizeof(eh),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = loader ? 1 : 0,
	};
	Elf64_Phdr ph = {
		.p_type = PT_INTERP,
		.p_offset = sizeof(eh) + sizeof(ph),
		.p_filesz = loader ? strlen(loader) + 1 : 0,
	};

	strbuf_add(&sb, &eh, sizeof(eh));
	strbuf_add(&sb, &ph, sizeof(ph));
	if (loader)
		strbuf_add(&sb, loader, strlen(loader) + 1);
	put(path, 0755, sb.buf, sb.len);
}

Test(exec_lookup, diagnosis, .init = make_root, .fini = remove_root)
{
	static const char script[] = "#! /opt/nope -x\n";
	static const char good_script[] = "#!/bin/sh\n";
	static const struct {
		const char *path;
		int code;
		const char *want;
	} rows[] = {
		{"/nope", ENOENT,
		 "Unable to open \"/nope\": No such file or directory"},
		{"/script", ENOENT,
		 "Unable to open \"/opt/nope\": No such file or directory "
		 "(interpreter of \"/script\")"},
		{"/good", ENOENT,
		 "Unable to execute \"/good\" with its interpreter "
		 "\"/bin/sh\": No such file or directory"},
		{"/elf", ENOENT,
		 "Unable to open \"/lib64/ld.so\": No such file or directory "
		 "(loader of \"/elf\")"},
		{"/static", ENOEXEC,
		 "Unable to execute \"/static\": Exec format error"},
		{"/foreign", ENOEXEC,
		 "Unable to execute \"/foreign\": it is for another machine "
		 "(ELF machine 8)"},
		{"/text", ENOEXEC,
		 "Unable to execute \"/text\": neither a program of this "
		 "machine nor a script with #!"},
		{"/bin", EACCES,
		 "Unable to execute \"/bin\": not a regular file"},
		{"/bin/both", EACCES,
		 "Unable to execute \"/bin/both\": no execute permission "
		 "(mode 0644)"},
		{"/bin/sh", EACCES,
		 "Unable to execute \"/bin/sh\": Permission denied"},
	};

	put("script", 0755, script, sizeof(script) - 1);
	put("good", 0755, good_script, sizeof(good_script) - 1);
	put("text", 0755, "hello", 5);
	put_elf("elf", EM_X86_64, "/lib64/ld.so");
	put_elf("static", EM_X86_64, NULL);
	put_elf("foreign", EM_MIPS, "/lib/ld.so.1");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = ERROR_INIT;

		cr_expect_eq(exec_diagnose(root_fd, rows[i].path, rows[i].code,
					   &err),
			     -rows[i].code, "%s", rows[i].path);
		cr_expect_str_eq(err.msg, rows[i].want);
	}
}

/* Every byte of a program's headers may lie. */
Test(exec_lookup, hostile_elf, .init = make_root, .fini = remove_root)
{
	struct strbuf sb cleanup_strbuf = STRBUF_INIT;
	static const unsigned char values[] = {0x00, 0x7f, 0xff};

	put_elf("elf", EM_X86_64, "/lib64/ld.so");
	cr_assert_eq(read_file_at(root_fd, "elf", 4096, &sb, NULL), 0);
	for (size_t at = 4; at < sb.len; at++) {
		for (size_t v = 0; v < sizeof(values); v++) {
			struct strbuf bad cleanup_strbuf = STRBUF_INIT;
			struct error err = ERROR_INIT;

			strbuf_add(&bad, sb.buf, sb.len);
			bad.buf[at] = (char)values[v];
			put("bad", 0755, bad.buf, bad.len);
			cr_expect_eq(
				exec_diagnose(root_fd, "/bad", ENOENT, &err),
				-ENOENT);
			cr_expect_neq(err.msg[0], '\0');
		}
	}
	for (size_t len = 0; len < sb.len; len++) {
		put("bad", 0755, sb.buf, len);
		cr_expect_eq(exec_diagnose(root_fd, "/bad", ENOENT, NULL),
			     -ENOENT);
	}
}

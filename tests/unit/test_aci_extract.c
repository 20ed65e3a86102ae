/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/aci_extract.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"
#include "tests/unit/tar_bytes.h"

static char dir[] = "/tmp/aci-extract-XXXXXX";

/* In a child, for the working directory; the message of a failure. */
static int extract(const struct strbuf *sb, struct error *err)
{
	cleanup_fd int fd = tar_fd(sb->buf, sb->len);
	int pipefd[2], status;
	pid_t pid;

	cr_assert(pipe(pipefd) == 0);
	pid = fork();
	if (pid == 0) {
		int r = chdir(dir) < 0 ? -errno : aci_extract(fd, false, err);

		(void)!write(pipefd[1], err, sizeof(*err));
		_exit(r < 0);
	}
	cr_assert(waitpid(pid, &status, 0) == pid);
	cr_assert(read(pipefd[0], err, sizeof(*err)) == sizeof(*err));
	(void)close(pipefd[0]);
	(void)close(pipefd[1]);
	return status == 0 ? 0 : -err->code;
}

static void make_dir(void)
{
	if (geteuid() != 0)
		cr_skip_test("needs root: owners and devices are set");
	cr_assert(mkdtemp(dir));
}

static void remove_dir(void)
{
	cr_expect(chdir("/") == 0);
	cr_expect(remove_tree_at(AT_FDCWD, dir, NULL) == 0);
}

static void add_special_files(struct strbuf *sb)
{
	static const struct tar_entry entries[] = {
		{.name = "rootfs/link", .type = '2', .link = "/etc/passwd"},
		{.name = "rootfs/fifo", .type = '6'},
		{.name = "rootfs/null",
		 .type = '3',
		 .major = "1",
		 .minor = "3"},
		{.name = "rootfs/hard", .type = '1', .link = "./rootfs/a"},
		{.name = "rootfs/linkhard", .type = '1', .link = "rootfs/link"},
		{.name = "rootfs/implied/sub/file", .type = '0', .data = "x"},
	};

	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		tar_add(sb, &entries[i]);
}

static void add_file_with_all(struct strbuf *sb)
{
	struct strbuf pax = STRBUF_INIT;

	tar_pax_record(&pax, "mtime", "1234567890.123456789");
	tar_pax_record(&pax, "uid", "4000000000");
	tar_pax_record(&pax, "gid", "4000000001");
	tar_pax_record(&pax, "SCHILY.xattr.user.note", "kept");
	tar_pax_record(&pax, "SCHILY.xattr.trusted.overlay.opaque", "y");
	tar_pax_record(&pax, "SCHILY.xattr.security.selinux", "label");
	tar_add(sb, &(struct tar_entry){.name = "x",
					.type = 'x',
					.data = pax.buf,
					.data_len = pax.len});
	strbuf_release(&pax);
	tar_add(sb, &(struct tar_entry){
			    .name = "rootfs/a", .type = '0', .data = "hello"});
}

Test(aci_extract, properties)
{
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	struct error err = ERROR_INIT;
	struct stat st, st2;
	char text[64];

	make_dir();
	tar_begin(&sb);
	add_file_with_all(&sb);
	add_special_files(&sb);
	tar_end(&sb);
	cr_assert(extract(&sb, &err) == 0, "%s", err.msg);
	cr_assert(chdir(dir) == 0);
	cr_expect(stat("rootfs/a", &st) == 0 && st.st_uid == 4000000000U &&
		  st.st_gid == 4000000001U && st.st_size == 5);
	cr_expect(st.st_mtim.tv_sec == 1234567890 &&
		  st.st_mtim.tv_nsec == 123456789);
	cr_expect(st.st_nlink == 2 && stat("rootfs/hard", &st2) == 0 &&
		  st.st_ino == st2.st_ino);
	cr_expect(getxattr("rootfs/a", "user.note", text, sizeof(text)) == 4);
	cr_expect(getxattr("rootfs/a", "trusted.overlay.opaque", text,
			   sizeof(text)) < 0);
	cr_expect(getxattr("rootfs/a", "security.selinux", text, sizeof(text)) <
		  0);
	cr_expect(lstat("rootfs/link", &st) == 0 && S_ISLNK(st.st_mode) &&
		  st.st_nlink == 2);
	cr_expect(readlink("rootfs/linkhard", text, sizeof(text)) == 11);
	cr_expect(lstat("rootfs/fifo", &st) == 0 && S_ISFIFO(st.st_mode));
	cr_expect(lstat("rootfs/null", &st) == 0 && S_ISCHR(st.st_mode) &&
		  st.st_rdev == makedev(1, 3));
	cr_expect(stat("rootfs/implied/sub", &st) == 0 &&
		  (st.st_mode & 07777) == 0755 && st.st_uid == 0);
	/* After its entries were made, the directory's own time. */
	cr_expect(stat("rootfs", &st) == 0 && st.st_mtime == 1234567890);
	remove_dir();
}

Test(aci_extract, modes_and_capabilities)
{
	/* VFS_CAP_REVISION_2, cap_net_bind_service, effective. */
	static const unsigned char cap[20] = {1, 0, 0, 2, 0, 4};
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	struct strbuf pax = STRBUF_INIT;
	struct error err = ERROR_INIT;
	unsigned char got[64];
	struct stat st;

	make_dir();
	tar_begin(&sb);
	strbuf_addf(&pax, "%zu SCHILY.xattr.security.capability=",
		    strlen("SCHILY.xattr.security.capability=") + sizeof(cap) +
			    4);
	strbuf_add(&pax, cap, sizeof(cap));
	strbuf_addch(&pax, '\n');
	tar_add(&sb, &(struct tar_entry){.name = "x",
					 .type = 'x',
					 .data = pax.buf,
					 .data_len = pax.len});
	tar_add(&sb, &(struct tar_entry){
			     .name = "rootfs/cap", .type = '0', .data = "x"});
	tar_add(&sb, &(struct tar_entry){.name = "rootfs/suid",
					 .type = '0',
					 .mode = "0006755",
					 .uid = "0000144",
					 .data = "x"});
	tar_add(&sb, &(struct tar_entry){.name = "rootfs/tmp",
					 .type = '5',
					 .mode = "0001777"});
	tar_add(&sb, &(struct tar_entry){.name = "rootfs/closed",
					 .type = '5',
					 .mode = "0000000"});
	tar_add(&sb,
		&(struct tar_entry){.name = "rootfs/closed/in", .type = '0'});
	tar_end(&sb);
	cr_assert(extract(&sb, &err) == 0, "%s", err.msg);
	cr_assert(chdir(dir) == 0);
	cr_expect(getxattr("rootfs/cap", "security.capability", got,
			   sizeof(got)) == sizeof(cap) &&
		  !memcmp(got, cap, sizeof(cap)));
	cr_expect(stat("rootfs/suid", &st) == 0 &&
		  (st.st_mode & 07777) == 06755 && st.st_uid == 0144);
	cr_expect(stat("rootfs/tmp", &st) == 0 &&
		  (st.st_mode & 07777) == 01777);
	cr_expect(stat("rootfs/closed", &st) == 0 && (st.st_mode & 07777) == 0);
	cr_expect(stat("rootfs/closed/in", &st) == 0);
	strbuf_release(&pax);
	remove_dir();
}

static void add_sparse(struct strbuf *sb)
{
	struct strbuf pax = STRBUF_INIT;
	char data[1024] = "2\n0\n1\n8388608\n511\n";

	tar_pax_record(&pax, "GNU.sparse.major", "1");
	tar_pax_record(&pax, "GNU.sparse.minor", "0");
	tar_pax_record(&pax, "GNU.sparse.name", "rootfs/sparse");
	tar_pax_record(&pax, "GNU.sparse.realsize", "16777216");
	tar_add(sb, &(struct tar_entry){.name = "x",
					.type = 'x',
					.data = pax.buf,
					.data_len = pax.len});
	memset(data + 512, 's', 512);
	tar_add(sb, &(struct tar_entry){.name = "rootfs/GNUSparse.0/sparse",
					.type = '0',
					.data = data,
					.data_len = sizeof(data)});
	strbuf_release(&pax);
}

Test(aci_extract, sparse_and_names)
{
	static const char *const names[] = {"caf\xc3\xa9", "cafe\xcc\x81",
					    "\xff\xfe", " \n\t", "-"};
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	struct error err = ERROR_INIT;
	struct stat st;
	char path[64];
	char c = 0;
	int fd;

	make_dir();
	tar_begin(&sb);
	add_sparse(&sb);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "rootfs/%s", names[i]);
		tar_pax(&sb, "path", path);
		tar_add(&sb, &(struct tar_entry){.name = "rootfs/short",
						 .type = '0'});
	}
	tar_end(&sb);
	cr_assert(extract(&sb, &err) == 0, "%s", err.msg);
	cr_assert(chdir(dir) == 0);
	cr_expect(stat("rootfs/sparse", &st) == 0 && st.st_size == 16777216);
	cr_expect(st.st_blocks * 512 < 1 << 20, "%ld", (long)st.st_blocks);
	fd = open("rootfs/sparse", O_RDONLY | O_CLOEXEC);
	cr_expect(pread(fd, &c, 1, 8388608 + 510) == 1 && c == 's');
	(void)close(fd);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "rootfs/%s", names[i]);
		cr_expect(lstat(path, &st) == 0, "name %zu", i);
	}
	remove_dir();
}

/* Should a bad archive get this far, it still harms nothing. */
Test(aci_extract, refuses)
{
	static const struct tar_entry bad[] = {
		{.name = "rootfs/../../evil", .type = '0', .data = "x"},
		{.name = "/tmp/evil", .type = '0', .data = "x"},
		{.name = "rootfs/h", .type = '1', .link = "/etc/passwd"},
		{.name = "rootfs/l/evil", .type = '0', .data = "x"},
	};

	make_dir();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cleanup_strbuf struct strbuf sb = STRBUF_INIT;
		struct error err = ERROR_INIT;

		tar_begin(&sb);
		tar_add(&sb, &(struct tar_entry){.name = "rootfs/l",
						 .type = '2',
						 .link = "/tmp"});
		tar_add(&sb, &bad[i]);
		tar_end(&sb);
		cr_expect(extract(&sb, &err) == -EINVAL, "row %zu: %s", i,
			  err.msg);
		cr_expect(access("/tmp/evil", F_OK) != 0);
		cr_assert(chdir(dir) == 0);
		(void)remove_tree_at(AT_FDCWD, "rootfs", NULL);
		(void)unlink("manifest");
	}
	remove_dir();
}

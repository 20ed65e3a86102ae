/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/exec_lookup.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/path.h"

#if defined(__x86_64__)
#define NATIVE_MACHINE EM_X86_64
#define COMPAT_MACHINE EM_386
#elif defined(__aarch64__)
#define NATIVE_MACHINE EM_AARCH64
#define COMPAT_MACHINE EM_ARM
#else
#error "name this machine's ELF machine"
#endif

#define SEGMENTS_MAX 256 /* program headers looked at */

/* --- lookup
 * ------------------------------------------------------------------- */

/* Appends LEN bytes of S to the path in RET, with a '/' between. */
static int append(char *ret, size_t *pos, const char *s, size_t len)
{
	bool slash = *pos > 0 && ret[*pos - 1] != '/' && len > 0 && *s != '/';

	if (*pos + slash + len >= EXEC_PATH_MAX)
		return -ENAMETOOLONG;
	if (slash)
		ret[(*pos)++] = '/';
	memcpy(ret + *pos, s, len);
	*pos += len;
	ret[*pos] = '\0';
	return 0;
}

/* "WORKDIR/DIR/NAME", without WORKDIR if DIR is absolute. */
static int join(char *ret, const char *workdir, const char *dir, size_t dir_len,
		const char *name)
{
	size_t pos = 0;
	int r = 0;

	if (dir_len == 0 || dir[0] != '/')
		r = append(ret, &pos, workdir, strlen(workdir));
	if (r == 0)
		r = append(ret, &pos, dir, dir_len);
	if (r == 0)
		r = append(ret, &pos, name, strlen(name));
	return r;
}

static bool is_executable(int rootfd, const char *path)
{
	int fd cleanup_fd = open_in_root(rootfd, path, O_PATH);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       (st.st_mode & 0111) != 0;
}

/* An empty field is the working directory, as in a shell. */
static int search(int rootfd, const char *path_env, const char *workdir,
		  const char *name, char *ret)
{
	for (const char *p = path_env;; p++) {
		const char *end = strchrnul(p, ':');

		if (join(ret, workdir, p, (size_t)(end - p), name) == 0 &&
		    is_executable(rootfd, ret))
			return 0;
		if (*end == '\0')
			return -ENOENT;
		p = end;
	}
}

/*
 * /proc/self/exe is this very program until execve replaces it: nothing of
 * ours runs in an app's root (CVE-2019-5736).  Who swaps the link after this
 * check gets a program it can read but not write.
 */
static int refuse_magic_link(int rootfd, const char *path, struct error *err)
{
	int fd cleanup_fd = open_in_root(rootfd, path, O_PATH);

	if (fd != -ELOOP)
		return 0;
	return error_set(err, ELOOP,
			 "Unable to execute \"%s\": it leads through a link of "
			 "/proc, or through too many",
			 path);
}

int exec_lookup(int rootfd, const char *path_env, const char *workdir,
		const char *argv0, char *ret, struct error *err)
{
	int r;

	if (!workdir || !*workdir)
		workdir = "/";
	if (!*argv0)
		return error_set(err, ENOENT, "the app has an empty exec");
	if (strchr(argv0, '/')) {
		r = join(ret, workdir, argv0, strlen(argv0), "");
		if (r < 0)
			return error_set(err, -r,
					 "the path of the app is too "
					 "long");
		return refuse_magic_link(rootfd, ret, err);
	}
	if (path_env)
		r = search(rootfd, path_env, workdir, argv0, ret);
	else
		r = search(rootfd, ":/bin:/usr/bin", workdir, argv0, ret);
	if (r < 0)
		return error_set(err, -r,
				 "Unable to find \"%s\" in \"%s\": No such "
				 "file or directory",
				 argv0,
				 path_env ? path_env : "workdir:/bin:/usr/bin");
	return 0;
}

/* --- diagnosis
 * ---------------------------------------------------------------- */

/* Where an ELF file's program headers are, 32 or 64 bits. */
struct elf {
	bool is_64;
	uint16_t machine;
	uint64_t offset;
	uint16_t size;
	uint16_t n;
};

static bool elf_parse(const unsigned char *data, size_t len, struct elf *ret)
{
	Elf64_Ehdr eh64;
	Elf32_Ehdr eh32;

	if (len < sizeof(eh64) || memcmp(data, ELFMAG, SELFMAG) != 0)
		return false;
	if (data[EI_CLASS] == ELFCLASS64) {
		memcpy(&eh64, data, sizeof(eh64));
		*ret = (struct elf){true, eh64.e_machine, eh64.e_phoff,
				    eh64.e_phentsize, eh64.e_phnum};
		return ret->size == sizeof(Elf64_Phdr);
	}
	memcpy(&eh32, data, sizeof(eh32));
	*ret = (struct elf){false, eh32.e_machine, eh32.e_phoff,
			    eh32.e_phentsize, eh32.e_phnum};
	return ret->size == sizeof(Elf32_Phdr);
}

/* Reads program header I's type, offset and size. */
static bool elf_segment(int fd, const struct elf *elf, unsigned int i,
			uint32_t *type, uint64_t *offset, uint64_t *size)
{
	uint64_t at = elf->offset + (uint64_t)i * elf->size;
	Elf64_Phdr ph64;
	Elf32_Phdr ph32;

	if (at > INT64_MAX)
		return false;
	if (elf->is_64) {
		if (pread_full(fd, &ph64, sizeof(ph64), (off_t)at) !=
		    sizeof(ph64))
			return false;
		*type = ph64.p_type;
		*offset = ph64.p_offset;
		*size = ph64.p_filesz;
		return true;
	}
	if (pread_full(fd, &ph32, sizeof(ph32), (off_t)at) != sizeof(ph32))
		return false;
	*type = ph32.p_type;
	*offset = ph32.p_offset;
	*size = ph32.p_filesz;
	return true;
}

/* The loader an ELF file names, into RET; false if it names none. */
static bool elf_loader(int fd, const struct elf *elf, char *ret)
{
	uint64_t offset, size;
	uint32_t type;

	for (unsigned int i = 0; i < elf->n && i < SEGMENTS_MAX; i++) {
		if (!elf_segment(fd, elf, i, &type, &offset, &size))
			return false;
		if (type != PT_INTERP)
			continue;
		if (size == 0 || size > EXEC_PATH_MAX || offset > INT64_MAX ||
		    pread_full(fd, ret, size, (off_t)offset) != (ssize_t)size)
			return false;
		ret[size - 1] = '\0';
		return true;
	}
	return false;
}

/* The program after "#!", into RET (EXEC_PATH_MAX). */
static bool script_interpreter(const char *data, size_t len, char *ret)
{
	size_t start = 2;
	size_t end;

	if (len < 3 || memcmp(data, "#!", 2) != 0)
		return false;
	while (start < len && (data[start] == ' ' || data[start] == '\t'))
		start++;
	for (end = start; end < len && !strchr(" \t\n", data[end]); end++)
		;
	if (end == start || end - start >= EXEC_PATH_MAX)
		return false;
	memcpy(ret, data + start, end - start);
	ret[end - start] = '\0';
	return true;
}

static int diagnose_interpreter(int rootfd, const char *path,
				const char *interpreter, const char *what,
				int code, struct error *err)
{
	int fd cleanup_fd = open_in_root(rootfd, interpreter, O_PATH);

	if (fd < 0)
		return error_set(err, code,
				 "Unable to open \"%s\": %s (%s of "
				 "\"%s\")",
				 interpreter, strerror(-fd), what, path);
	return error_set(err, code,
			 "Unable to execute \"%s\" with its %s \"%s\": %s",
			 path, what, interpreter, strerror(code));
}

static int diagnose_content(int rootfd, int fd, const char *path, int code,
			    struct error *err)
{
	char buf[EXEC_PATH_MAX + 1];
	unsigned char head[512] = {0};
	ssize_t n = pread_full(fd, head, sizeof(head), 0);
	struct elf elf;

	if (n < 0)
		return error_set(err, code, "Unable to read \"%s\": %s", path,
				 strerror((int)-n));
	if (script_interpreter((const char *)head, (size_t)n, buf))
		return diagnose_interpreter(rootfd, path, buf, "interpreter",
					    code, err);
	if (!elf_parse(head, (size_t)n, &elf))
		return error_set(err, code,
				 "Unable to execute \"%s\": neither a program "
				 "of this machine nor a script with #!",
				 path);
	if (elf.machine != NATIVE_MACHINE && elf.machine != COMPAT_MACHINE)
		return error_set(err, code,
				 "Unable to execute \"%s\": it is for another "
				 "machine (ELF machine %u)",
				 path, elf.machine);
	if (elf_loader(fd, &elf, buf))
		return diagnose_interpreter(rootfd, path, buf, "loader", code,
					    err);
	return error_set(err, code, "Unable to execute \"%s\": %s", path,
			 strerror(code));
}

int exec_diagnose(int rootfd, const char *path, int code, struct error *err)
{
	int handle cleanup_fd = open_in_root(rootfd, path, O_PATH);
	int fd cleanup_fd = -EBADF;
	struct stat st;

	if (handle < 0)
		return error_set(err, code, "Unable to open \"%s\": %s", path,
				 strerror(-handle));
	if (fstat(handle, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, code,
				 "Unable to execute \"%s\": not a regular file",
				 path);
	if ((st.st_mode & 0111) == 0)
		return error_set(err, code,
				 "Unable to execute \"%s\": no execute "
				 "permission (mode %04o)",
				 path, st.st_mode & 07777);
	fd = open_in_root(rootfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || (code != ENOENT && code != ENOEXEC))
		return error_set(err, code, "Unable to execute \"%s\": %s",
				 path, strerror(code));
	return diagnose_content(rootfd, fd, path, code, err);
}

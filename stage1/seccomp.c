/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/seccomp.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "base/syscalls.h"
#include "stage1/seccomp_compile.h"

/* Raise when the compiler makes another program of the same plan. */
#define CACHE_FORMAT "rkt seccomp 1"
#define CACHE_MAGIC UINT64_C(0x31706d6f63636573) /* "seccomp1" */
#define CACHE_NAME_MAX 32
#define CACHE_FILE_MAX (1024UL * 1024)
#define CACHE_FILES_MAX 256

/* A cache file: this, the plan's text, the program. */
struct cache_header {
	uint64_t magic;
	uint64_t check; /* of the text and the program */
	uint32_t text_len;
	uint32_t n_insns;
};

/* FNV-1a over 64-bit words: finds the file and tells a torn one; what is
 * used has been compared in full. */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t word;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		hash = (hash ^ word) * UINT64_C(0x100000001b3);
		hash ^= hash >> 29;
	}
	for (; len > 0; len--, p++)
		hash = (hash ^ *p) * UINT64_C(0x100000001b3);
	return hash ^ hash >> 32;
}

#define HASH_START UINT64_C(0xcbf29ce484222325)

/* Everything that decides the program, as text. */
static void describe(const struct seccomp_plan *plan, struct strbuf *sb)
{
	const struct scmp_version *version = seccomp_version();

	strbuf_addf(sb,
		    CACHE_FORMAT " rkt %s libseccomp %u.%u.%u arch %#x "
				 "default %#x newer %d notify %d\n",
		    RKT_VERSION, version ? version->major : 0,
		    version ? version->minor : 0, version ? version->micro : 0,
		    seccomp_arch_native(), plan->default_action,
		    plan->newer_enosys, plan->notify_bind);
	for (size_t i = 0; i < plan->n_rules; i++) {
		const struct seccomp_rule *rule = &plan->rules[i];
		char line[sizeof(rule->action) + 1];

		memcpy(line, &rule->action, sizeof(rule->action));
		line[sizeof(rule->action)] = (char)('a' + rule->match);
		strbuf_addstr(sb, rule->name);
		strbuf_addch(sb, ' ');
		strbuf_add(sb, line, sizeof(line));
		strbuf_addch(sb, '\n');
	}
}

static uint64_t check_of(const char *text, size_t text_len, const void *insns,
			 size_t insns_len)
{
	return hash_bytes(hash_bytes(HASH_START, text, text_len), insns,
			  insns_len);
}

/* The bytes of a cache file nobody but us can have written. */
static int cache_read(int dirfd, const char *name, struct strbuf *sb)
{
	int fd cleanup_fd = openat(
		dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & 077) != 0)
		return -EPERM;
	if (st.st_size > 0 && (uintmax_t)st.st_size < CACHE_FILE_MAX)
		strbuf_grow(sb, (size_t)st.st_size + 1);
	return strbuf_read_fd(sb, fd, CACHE_FILE_MAX);
}

static int cache_parse(const struct strbuf *file, const struct strbuf *text,
		       struct sock_fprog *ret)
{
	struct cache_header header;
	const char *body = file->buf + sizeof(header);
	size_t insns_len;

	if (file->len < sizeof(header))
		return -EBADMSG;
	memcpy(&header, file->buf, sizeof(header));
	if (header.magic != CACHE_MAGIC || header.text_len != text->len ||
	    header.n_insns > BPF_MAXINSNS)
		return -EBADMSG;
	insns_len = header.n_insns * sizeof(struct sock_filter);
	if (file->len != sizeof(header) + text->len + insns_len ||
	    memcmp(body, text->buf, text->len) != 0 ||
	    header.check !=
		    check_of(body, text->len, body + text->len, insns_len))
		return -EBADMSG;
	ret->len = (unsigned short)header.n_insns;
	ret->filter = NULL;
	if (insns_len > 0) {
		ret->filter = xmalloc(insns_len);
		memcpy(ret->filter, body + text->len, insns_len);
	}
	return 0;
}

/* A cache that is full starts again: who has that many filters changes them
 * all the time, and the old ones would never be asked for. */
static void cache_trim(int dirfd)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir cleanup_dir = fd < 0 ? NULL : fdopendir(fd);
	size_t n = 0;

	if (!dir) {
		fd_close(&fd);
		return;
	}
	while (readdir(dir))
		n++;
	if (n < CACHE_FILES_MAX)
		return;
	rewinddir(dir);
	for (struct dirent *e = readdir(dir); e; e = readdir(dir))
		if (e->d_name[0] != '.' ||
		    (e->d_name[1] != '\0' && strcmp(e->d_name, "..") != 0))
			(void)unlinkat(dirfd, e->d_name, 0);
}

static void cache_write(int dirfd, const char *name, const struct strbuf *text,
			const struct sock_fprog *prog)
{
	struct strbuf file cleanup_strbuf = STRBUF_INIT;
	size_t insns_len = prog->len * sizeof(struct sock_filter);
	struct cache_header header = {
		.magic = CACHE_MAGIC,
		.check =
			check_of(text->buf, text->len, prog->filter, insns_len),
		.text_len = (uint32_t)text->len,
		.n_insns = prog->len,
	};

	strbuf_add(&file, &header, sizeof(header));
	strbuf_add(&file, text->buf, text->len);
	if (insns_len > 0)
		strbuf_add(&file, prog->filter, insns_len);
	cache_trim(dirfd);
	/* Only the next start is slower without it. */
	(void)write_file_at(dirfd, name, 0600, file.buf, file.len, NULL);
}

int seccomp_program_get(int cache_dirfd, const struct seccomp_plan *plan,
			struct sock_fprog *ret, struct error *err)
{
	struct strbuf text cleanup_strbuf = STRBUF_INIT;
	struct strbuf file cleanup_strbuf = STRBUF_INIT;
	char name[CACHE_NAME_MAX];
	int r;

	if (cache_dirfd < 0)
		return seccomp_compile(plan, ret, err);
	describe(plan, &text);
	snprintf(name, sizeof(name), "seccomp-%016" PRIx64,
		 hash_bytes(HASH_START, text.buf, text.len));
	r = cache_read(cache_dirfd, name, &file);
	if (r >= 0)
		r = cache_parse(&file, &text, ret);
	if (r >= 0)
		return 0;
	r = seccomp_compile(plan, ret, err);
	if (r < 0)
		return r;
	cache_write(cache_dirfd, name, &text, ret);
	return 0;
}

void seccomp_program_release(struct sock_fprog *prog)
{
	free(prog->filter);
	*prog = (struct sock_fprog){0};
}

int seccomp_install(const struct sock_fprog *prog, bool listener)
{
	unsigned int flags = listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
	struct sock_fprog copy = *prog;
	int r;

	if (prog->len == 0)
		return 0;
	if (!listener)
		return sys_seccomp(SECCOMP_SET_MODE_FILTER, 0, &copy);
	/* A signal would otherwise restart a bind stage1 has begun to answer;
	 * Linux 5.19. */
	r = sys_seccomp(SECCOMP_SET_MODE_FILTER,
			flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &copy);
	if (r == -EINVAL)
		r = sys_seccomp(SECCOMP_SET_MODE_FILTER, flags, &copy);
	return r;
}

int seccomp_barrier(void)
{
	long r = syscall(SYS_bind, -1L, NULL, 0L);

	return r < 0 ? -errno : 0;
}

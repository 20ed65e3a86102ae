/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/sandbox.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"

static const struct sandbox parse_sandbox = {
	.max_memory = 1UL << 30,
	.max_cpu = 60,
	.max_file_size = 1UL << 20,
};

/* What a taken-over parser would try; the child's exit code is its result. */
struct attempt {
	const char *name;
	int (*try)(void);
};

/* The wait status of a child that is caged and then calls TRY. */
static int run_caged(int (*enter)(struct error *), int (*try)(void))
{
	pid_t pid = fork();
	int status;

	cr_assert(pid >= 0);
	if (pid == 0) {
		struct error err = ERROR_INIT;
		int r = enter(&err);

		if (r < 0) {
			(void)dprintf(2, "%s\n", err.msg);
			_exit(100);
		}
		_exit(try());
	}
	cr_assert(waitpid(pid, &status, 0) == pid);
	return status;
}

static int enter_parse(struct error *err)
{
	return sandbox_enter_parse(&parse_sandbox, err);
}

static int try_open(void)
{
	return open("/etc/passwd", O_RDONLY) >= 0;
}

static int try_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static int try_ptrace(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0;
}

static int try_execve(void)
{
	char *argv[] = {(char *)"/bin/true", NULL};

	(void)execve(argv[0], argv, NULL);
	return 1;
}

static int try_fork(void)
{
	return syscall(SYS_fork) >= 0;
}

static int try_clone_process(void)
{
	return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) >= 0;
}

static int try_kill(void)
{
	return kill(getppid(), 0) == 0;
}

static int try_mount(void)
{
	return mount("x", "/tmp", "tmpfs", 0, NULL) == 0;
}

static int try_unshare(void)
{
	return syscall(SYS_unshare, 0x10000000) == 0;
}

static int try_stat(void)
{
	struct stat st;

	return stat("/etc/passwd", &st) == 0;
}

static int try_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static int try_make_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}

static int try_setuid(void)
{
	return setuid(0) == 0;
}

static int try_io_uring(void)
{
	char params[120] = {0};

	return syscall(SYS_io_uring_setup, 4, params) >= 0;
}

static int try_bpf(void)
{
	return syscall(SYS_bpf, 0, NULL, 0) >= 0;
}

static int try_open_by_handle(void)
{
	return syscall(SYS_open_by_handle_at, -1, NULL, 0) >= 0;
}

static int try_prctl(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

static int try_pidfd(void)
{
	return syscall(SYS_pidfd_open, getppid(), 0) >= 0;
}

static int try_vm_writev(void)
{
	return syscall(SYS_process_vm_writev, getppid(), NULL, 0, NULL, 0, 0) >=
	       0;
}

static int try_send_elsewhere(void)
{
	return sendto(0, "x", 1, 0, NULL, 0) == 1;
}

static const struct attempt parse_attempts[] = {
	{"open", try_open},
	{"socket", try_socket},
	{"ptrace", try_ptrace},
	{"execve", try_execve},
	{"fork", try_fork},
	{"clone", try_clone_process},
	{"kill", try_kill},
	{"mount", try_mount},
	{"unshare", try_unshare},
	{"stat", try_stat},
	{"mmap executable", try_code},
	{"mprotect executable", try_make_code},
	{"setuid", try_setuid},
	{"io_uring", try_io_uring},
	{"bpf", try_bpf},
	{"open_by_handle_at", try_open_by_handle},
	{"prctl", try_prctl},
	{"pidfd_open", try_pidfd},
	{"process_vm_writev", try_vm_writev},
	{"send on another socket", try_send_elsewhere},
};

static void expect_killed(const char *name, int status)
{
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS,
		  "%s: status %x", name, (unsigned int)status);
}

Test(sandbox, parse_forbids)
{
	size_t n = sizeof(parse_attempts) / sizeof(parse_attempts[0]);

	for (size_t i = 0; i < n; i++)
		expect_killed(parse_attempts[i].name,
			      run_caged(enter_parse, parse_attempts[i].try));
}

/* rkt-forward: more than a parser, but only connections of the internet. */
static int enter_forward(struct error *err)
{
	static const uint16_t ports[] = {7};

	return sandbox_enter_forward(
		&(const struct sandbox){
			.max_memory = 1UL << 30,
			.ports = ports,
			.n_ports = 1,
		},
		err);
}

static int try_unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

static int try_raw_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0) >= 0;
}

static int try_bind(void)
{
	const struct sockaddr_in any = {.sin_family = AF_INET};

	return bind(socket(AF_INET, SOCK_STREAM, 0),
		    (const struct sockaddr *)&any, sizeof(any)) == 0;
}

static int try_listen(void)
{
	return listen(socket(AF_INET, SOCK_STREAM, 0), 1) == 0;
}

static const struct attempt forward_attempts[] = {
	{"socket of the host's programs", try_unix_socket},
	{"netlink", try_raw_netlink},
	{"bind", try_bind},
	{"listen", try_listen},
};

Test(sandbox, forward_forbids)
{
	size_t n = sizeof(parse_attempts) / sizeof(parse_attempts[0]);

	for (size_t i = 0; i < n; i++)
		if (parse_attempts[i].try != try_socket &&
		    parse_attempts[i].try != try_send_elsewhere)
			expect_killed(parse_attempts[i].name,
				      run_caged(enter_forward,
						parse_attempts[i].try));
	n = sizeof(forward_attempts) / sizeof(forward_attempts[0]);
	for (size_t i = 0; i < n; i++)
		expect_killed(
			forward_attempts[i].name,
			run_caged(enter_forward, forward_attempts[i].try));
}

static int connect_error(uint16_t port)
{
	const struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = {htonl(INADDR_LOOPBACK)},
	};

	return connect(socket(AF_INET, SOCK_STREAM, 0),
		       (const struct sockaddr *)&to, sizeof(to)) < 0
		       ? errno
		       : 0;
}

static int reach_the_pod(void)
{
	return connect_error(7) == EACCES;
}

static int reach_others(void)
{
	return connect_error(22) != EACCES;
}

Test(sandbox, forward_reaches_its_ports_alone)
{
	/* Landlock's version: 4 knows of ports. */
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

	cr_expect(run_caged(enter_forward, reach_the_pod) == 0);
	if (version >= 4)
		cr_expect(run_caged(enter_forward, reach_others) == 0);
}

static void *add_one(void *arg)
{
	++*(int *)arg;
	return NULL;
}

/* What the work needs: memory, threads, its descriptors. */
static int work(void)
{
	pthread_t thread;
	int n = 0;
	void *p = malloc(64UL << 20);

	if (p)
		memset(p, 1, 64UL << 20);
	free(p);
	if (!p || pthread_create(&thread, NULL, add_one, &n) != 0)
		return 1;
	(void)pthread_join(thread, NULL);
	return n == 1 ? 0 : 2;
}

Test(sandbox, parse_allows_work)
{
	int status = run_caged(enter_parse, work);

	cr_expect(status == 0, "status %x", (unsigned int)status);
}

static int ids_are_nobody(void)
{
	return !(getuid() == 65534 && geteuid() == 65534 && getgid() == 65534 &&
		 getegid() == 65534);
}

Test(sandbox, ids)
{
	if (geteuid() != 0)
		cr_skip_test("needs root: the ids are switched");
	cr_expect(run_caged(enter_parse, ids_are_nobody) == 0);
}

static int write_to_closed(void)
{
	return write(200, "x", 1) == -1 && errno == EBADF ? 0 : 1;
}

static int enter_with_many_files(struct error *err)
{
	(void)dup2(1, 200);
	return enter_parse(err);
}

Test(sandbox, descriptors_are_closed)
{
	cr_expect(run_caged(enter_with_many_files, write_to_closed) == 0);
}

static int use_much_memory(void)
{
	/* Seen by nobody, clang would not do it at all. */
	void *volatile p = malloc(3UL << 30);

	free(p);
	return p != NULL;
}

static int write_much(void)
{
	static char buf[1 << 16];

	for (int i = 0; i < 32; i++)
		if (write(0, buf, sizeof(buf)) < 0)
			return errno == EFBIG ? 3 : 4;
	return 0;
}

static int enter_with_file(struct error *err)
{
	(void)dup2(memfd_create("f", 0), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	return enter_parse(err);
}

Test(sandbox, limits)
{
#ifndef __SANITIZE_ADDRESS__
	cr_expect(run_caged(enter_parse, use_much_memory) == 0);
#else
	(void)use_much_memory;
#endif
	cr_expect(WEXITSTATUS(run_caged(enter_with_file, write_much)) == 3);
}

static char target[] = "/tmp/sandbox-XXXXXX";

static int enter_extract(struct error *err)
{
	int dirfd = open(target, O_RDONLY | O_DIRECTORY);

	if (dirfd < 0)
		return -errno;
	return sandbox_enter_extract(&parse_sandbox, dirfd, err);
}

static int only_target_is_there(void)
{
	struct stat st;

	if (stat("/inside", &st) < 0)
		return 1;
	if (stat("/etc", &st) == 0 || stat("/proc", &st) == 0 ||
	    stat("/../etc", &st) == 0 || stat("../../etc", &st) == 0)
		return 2;
	if (mkdir("/made", 0700) < 0 || chown("/made", 12345, 54321) < 0)
		return 3;
	if (mknod("/null", S_IFCHR | 0666, 0x103) < 0)
		return 4;
	/* The mount is nodev: the device is made but does not open. */
	if (open("/null", O_RDONLY) >= 0)
		return 5;
	return 0;
}

static const struct attempt extract_attempts[] = {
	{"socket", try_socket},	  {"ptrace", try_ptrace},
	{"execve", try_execve},	  {"fork", try_fork},
	{"kill", try_kill},	  {"mount", try_mount},
	{"unshare", try_unshare}, {"mmap executable", try_code},
	{"setuid", try_setuid},	  {"bpf", try_bpf},
	{"prctl", try_prctl},	  {"open_by_handle_at", try_open_by_handle},
};

Test(sandbox, extract)
{
	size_t n = sizeof(extract_attempts) / sizeof(extract_attempts[0]);
	cleanup_fd int dirfd = -EBADF;
	struct stat st;
	int status;

	if (geteuid() != 0)
		cr_skip_test("needs root: extraction makes mounts");
	cr_assert(mkdtemp(target));
	dirfd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(mkdirat(dirfd, "inside", 0755) == 0);
	status = run_caged(enter_extract, only_target_is_there);
	cr_expect(status == 0, "status %x", (unsigned int)status);
	cr_expect(fstatat(dirfd, "made", &st, 0) == 0 && st.st_uid == 12345);
	for (size_t i = 0; i < n; i++)
		expect_killed(
			extract_attempts[i].name,
			run_caged(enter_extract, extract_attempts[i].try));
	cr_expect(remove_tree_at(AT_FDCWD, target, NULL) == 0);
}

static int enter_pack(struct error *err)
{
	int dirfd = open(target, O_RDONLY | O_DIRECTORY);

	if (dirfd < 0)
		return -errno;
	return sandbox_enter_pack(
		&(struct sandbox){
			.keep_fds = &dirfd,
			.n_keep_fds = 1,
			.max_memory = 1UL << 30,
			.max_cpu = 60,
			.max_file_size = 1UL << 20,
		},
		dirfd, err);
}

/* The directory is the only one kept, and nobody had less than it. */
static int tree_dirfd(void)
{
	for (int fd = 3; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			return fd;
	return -1;
}

static int only_tree_is_read(void)
{
	char proc[PROC_FD_MAX];
	int dirfd = tree_dirfd(), file;

	file = openat(dirfd, "inside/file", O_PATH | O_NOFOLLOW);
	if (file < 0)
		return 1;
	if (open(proc_fd_path(file, proc), O_RDONLY) < 0)
		return 2;
	if (openat(dirfd, "inside/link", O_RDONLY) >= 0 || errno != EACCES)
		return 3;
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
		return 4;
	return 0;
}

static int try_write_file(void)
{
	return openat(tree_dirfd(), "inside/file", O_WRONLY) >= 0;
}

static int try_create_file(void)
{
	return openat(tree_dirfd(), "inside/new", O_RDONLY | O_CREAT, 0600) >=
	       0;
}

static int try_unlink(void)
{
	return unlinkat(tree_dirfd(), "inside/file", 0) == 0;
}

static const struct attempt pack_attempts[] = {
	{"write", try_write_file}, {"create", try_create_file},
	{"unlink", try_unlink},	   {"socket", try_socket},
	{"ptrace", try_ptrace},	   {"execve", try_execve},
	{"fork", try_fork},	   {"kill", try_kill},
	{"mount", try_mount},	   {"unshare", try_unshare},
	{"setuid", try_setuid},	   {"mmap executable", try_code},
};

Test(sandbox, pack)
{
	cleanup_fd int dirfd = -EBADF;
	cleanup_fd int file = -EBADF;
	int status;

	if (geteuid() != 0)
		cr_skip_test("needs root: it reads what only root may");
	cr_assert(mkdtemp(target));
	dirfd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert(mkdirat(dirfd, "inside", 0700) == 0);
	file = openat(dirfd, "inside/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0);
	cr_assert(file >= 0 && fchown(file, 12345, 12345) == 0);
	cr_assert(symlinkat("/etc/passwd", dirfd, "inside/link") == 0);
	status = run_caged(enter_pack, only_tree_is_read);
	cr_expect(status == 0, "status %x", (unsigned int)status);
	for (size_t i = 0; i < sizeof(pack_attempts) / sizeof(pack_attempts[0]);
	     i++)
		expect_killed(pack_attempts[i].name,
			      run_caged(enter_pack, pack_attempts[i].try));
	cr_expect(remove_tree_at(AT_FDCWD, target, NULL) == 0);
}

static int enter_serve(struct error *err)
{
	return sandbox_enter_serve(&parse_sandbox, err);
}

static int try_to_type(void)
{
	return ioctl(2, TIOCSTI, "x") == 0;
}

Test(sandbox, serve_types_nothing)
{
	expect_killed("TIOCSTI", run_caged(enter_serve, try_to_type));
}

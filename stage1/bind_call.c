/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/bind_call.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "base/strbuf.h"

#define STATUS_MAX 65536

static int read_memory(pid_t tid, uint64_t from, void *to, size_t len)
{
	struct iovec local = {.iov_base = to, .iov_len = len};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)from,
			       .iov_len = len};
	ssize_t n = process_vm_readv(tid, &local, 1, &remote, 1, 0);

	return n == (ssize_t)len ? 0 : -EFAULT;
}

/* bind(fd, addr, len), or i386 socketcall(SYS_BIND, args). */
static int read_arguments(const struct seccomp_notif *notif, uint64_t *ret_addr,
			  struct bind_call *call)
{
	const __u64 *args = notif->data.args;
	uint32_t packed[3];

	if (notif->data.arch == AUDIT_ARCH_I386 && args[0] == 2 &&
	    args[1] > 0xffff) {
		if (read_memory((pid_t)notif->pid, args[1], packed,
				sizeof(packed)) < 0)
			return -EFAULT;
		call->number = (int)packed[0];
		*ret_addr = packed[1];
		call->addrlen = packed[2];
	} else {
		call->number = (int)args[0];
		*ret_addr = args[1];
		call->addrlen = (socklen_t)args[2];
	}
	return 0;
}

static uint16_t address_port(const struct bind_call *call)
{
	if (call->domain == AF_INET &&
	    call->addrlen >= sizeof(struct sockaddr_in))
		return ntohs(
			((const struct sockaddr_in *)&call->addr)->sin_port);
	if (call->domain == AF_INET6 &&
	    call->addrlen >= offsetof(struct sockaddr_in6, sin6_scope_id))
		return ntohs(
			((const struct sockaddr_in6 *)&call->addr)->sin6_port);
	return 0;
}

/* A line "KEY:\tVALUE" of a /proc file as a number. */
static int read_number(const char *path, const char *key, int base, long *ret)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	const char *line;

	if (read_file_at(AT_FDCWD, path, STATUS_MAX, &text, NULL) < 0)
		return -ESRCH;
	line = strstr(text.buf, key);
	if (!line)
		return -ESRCH;
	*ret = strtol(line + strlen(key), NULL, base);
	return 0;
}

static int duplicate(const struct seccomp_notif *notif, struct bind_call *call)
{
	cleanup_fd int pidfd = -EBADF;
	char path[64];
	long tgid, flags;

	/* A descriptor of a process, not of one of its threads. */
	(void)snprintf(path, sizeof(path), "/proc/%u/status", notif->pid);
	if (read_number(path, "\nTgid:", 10, &tgid) < 0)
		return -ESRCH;
	pidfd = pidfd_open((pid_t)tgid, 0);
	if (pidfd < 0)
		return -errno;
	call->fd = pidfd_getfd(pidfd, call->number, 0);
	if (call->fd < 0)
		return -errno;
	(void)snprintf(path, sizeof(path), "/proc/%u/fdinfo/%d", notif->pid,
		       call->number);
	if (read_number(path, "flags:", 8, &flags) == 0)
		call->cloexec = flags & O_CLOEXEC;
	return 0;
}

static int describe(struct bind_call *call)
{
	const struct {
		int option;
		int *value;
	} rows[] = {
		{SO_DOMAIN, &call->domain},
		{SO_TYPE, &call->type},
		{SO_PROTOCOL, &call->protocol},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		socklen_t len = sizeof(int);

		if (getsockopt(call->fd, SOL_SOCKET, rows[i].option,
			       rows[i].value, &len) < 0)
			return -errno;
	}
	if (call->addr.ss_family != call->domain)
		return -EAFNOSUPPORT;
	if (call->domain == AF_INET6) {
		socklen_t len = sizeof(int);
		int value = 0;

		(void)getsockopt(call->fd, SOL_IPV6, IPV6_V6ONLY, &value, &len);
		call->v6only = value;
	}
	call->port = address_port(call);
	return 0;
}

int bind_call_read(int listener, const struct seccomp_notif *notif,
		   struct bind_call *ret)
{
	uint64_t from, id = notif->id;
	int r;

	ret->id = notif->id;
	r = read_arguments(notif, &from, ret);
	if (r < 0)
		return r;
	if (ret->addrlen < sizeof(sa_family_t) ||
	    ret->addrlen > sizeof(ret->addr))
		return -EINVAL;
	r = read_memory((pid_t)notif->pid, from, &ret->addr, ret->addrlen);
	if (r == 0)
		r = duplicate(notif, ret);
	/* All of that was of the caller only if it still waits. */
	if (r == 0 && ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) < 0)
		r = -ENOENT;
	return r < 0 ? r : describe(ret);
}

void bind_call_release(struct bind_call *call)
{
	fd_close(&call->fd);
}

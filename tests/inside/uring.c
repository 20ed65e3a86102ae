/* SPDX-License-Identifier: Apache-2.0 */
/* bind, listen and accept without system calls of those names (io_uring,
 * Linux 6.11). */
#include "tests/inside/inside.h"

#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not in the headers of older systems. */
#define OP_BIND 56
#define OP_LISTEN 57
#define ENTRIES 4

static struct ring {
	int fd;
	char *sq, *cq;
	struct io_uring_sqe *sqes;
	struct io_uring_params p;
} ring = {.fd = -1};

static int ring_open(void)
{
	struct io_uring_params *p = &ring.p;
	const int prot = PROT_READ | PROT_WRITE;
	const int flags = MAP_SHARED | MAP_POPULATE;

	ring.fd = (int)syscall(SYS_io_uring_setup, ENTRIES, p);
	if (ring.fd < 0)
		return -1;
	ring.sq = mmap(NULL, p->sq_off.array + ENTRIES * 4, prot, flags,
		       ring.fd, IORING_OFF_SQ_RING);
	ring.cq = mmap(NULL,
		       p->cq_off.cqes +
			       p->cq_entries * sizeof(struct io_uring_cqe),
		       prot, flags, ring.fd, IORING_OFF_CQ_RING);
	ring.sqes = mmap(NULL, ENTRIES * sizeof(*ring.sqes), prot, flags,
			 ring.fd, IORING_OFF_SQES);
	return ring.sq == MAP_FAILED || ring.cq == MAP_FAILED ||
			       ring.sqes == MAP_FAILED
		       ? -1
		       : 0;
}

static uint32_t *at(char *base, uint32_t offset)
{
	return (uint32_t *)(void *)(base + offset);
}

/* Does SQE and waits for its result. */
static int ring_do(const struct io_uring_sqe *sqe)
{
	const struct io_uring_params *p = &ring.p;
	uint32_t *tail = at(ring.sq, p->sq_off.tail);
	uint32_t *head = at(ring.cq, p->cq_off.head);
	uint32_t i = *tail & *at(ring.sq, p->sq_off.ring_mask);
	const struct io_uring_cqe *cqe =
		(const void *)(ring.cq + p->cq_off.cqes);
	int result;

	ring.sqes[i] = *sqe;
	at(ring.sq, p->sq_off.array)[i] = i;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS,
		    NULL, 0) < 0)
		return -1;
	result = cqe[*head & *at(ring.cq, p->cq_off.ring_mask)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

int uring_listen(int fd, const void *addr, unsigned int len)
{
	struct io_uring_sqe sqe = {
		.opcode = OP_BIND,
		.fd = fd,
		.addr = (uint64_t)(uintptr_t)addr,
		.off = len,
	};

	if (ring.fd < 0 && ring_open() < 0)
		return -1;
	if (ring_do(&sqe) < 0)
		return -1;
	sqe = (struct io_uring_sqe){.opcode = OP_LISTEN, .fd = fd, .len = 512};
	return ring_do(&sqe) < 0 ? -1 : 0;
}

int uring_hide(int fd)
{
	int r = (int)syscall(SYS_io_uring_register, ring.fd,
			     IORING_REGISTER_FILES, &fd, 1);

	close(fd);
	return r;
}

int uring_accept_hidden(void)
{
	const struct io_uring_sqe sqe = {
		.opcode = IORING_OP_ACCEPT,
		.flags = IOSQE_FIXED_FILE,
	};

	return ring_do(&sqe);
}

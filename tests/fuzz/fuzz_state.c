/* SPDX-License-Identifier: Apache-2.0 */
/* The record one stage1 leaves for the next: whole, and the parts of it that
 * need no pod.  What was read is written as it was. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "spec/json_read.h"
#include "stage1/activation.h"
#include "stage1/event.h"
#include "stage1/fd_store.h"
#include "stage1/handoff.h"
#include "stage1/held.h"
#include "stage1/host_sockets.h"
#include "stage1/pod.h"
#include "stage1/pod_state.h"
#include "stage1/state.h"
#include "tests/fuzz/fuzz.h"

static void read_handoff(const struct json_node *node)
{
	struct handoff h = {.asker = -EBADF};
	struct error err = ERROR_INIT;

	if (handoff_read(node, &h, &err) == 0)
		fuzz_expect(h.format == STATE_FORMAT && h.version);
	free(h.version);
	fd_close(&h.asker);
}

static void read_pod(const struct json_node *node)
{
	struct error err = ERROR_INIT;
	struct pod pod;

	pod_empty(&pod);
	/* There is no directory of a pod here. */
	fuzz_expect(pod_restore(node, &pod, &err) < 0);
	event_loop_release(&pod.loop);
	users_close(&pod.users);
	fd_close(&pod.init.pidfd);
	fd_close(&pod.lockfd);
	pod_release(&pod);
}

static void read_held(const struct json_node *list)
{
	struct held_listener *v = NULL;
	size_t n = 0;

	if (held_restore(list, &v, &n) == 0)
		fuzz_expect(n == json_n_items(list));
	for (size_t i = 0; i < n; i++) {
		fd_close(&v[i].fd);
		fd_close(&v[i].next_fd);
		fd_close(&v[i].dirfd);
		free(v[i].name);
		free(v[i].kept_name);
	}
	free(v);
}

static void read_sockets(const struct json_node *list)
{
	struct host_sockets host = {NULL, 0};
	struct activation a = ACTIVATION_INIT;

	if (host_sockets_restore(list, &host) == 0)
		for (size_t i = 0; i < host.n; i++)
			fuzz_expect(host.v[i].name != NULL);
	if (activation_restore(list, &a) == 0)
		for (size_t i = 0; i < a.n; i++)
			fuzz_expect(a.v[i].name != NULL);
	host_sockets_release(&host);
	activation_release(&a);
}

static void read_store(const struct json_node *node)
{
	struct fd_store *store = NULL;
	struct event_loop loop;

	if (event_loop_init(&loop, NULL) < 0)
		return;
	if (fd_store_restore(node, &loop, &store, NULL) == 0)
		fuzz_expect(fd_store_count(store) <= FD_STORE_LIMIT);
	fd_store_free(store);
	event_loop_release(&loop);
}

/* Descriptors 100 to 103 are there to be handed over, no other one is. */
static void offer_descriptors(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	for (int fd = 100; fd < 104; fd++)
		(void)dup2(null, fd);
	fd_close(&null);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(const struct json_node *) = {
		read_handoff, read_pod, read_held, read_sockets, read_store};
	struct error err = ERROR_INIT;

	if (size == 0 || data[0] - '0' >= 5 || data[0] < '0')
		return 0;
	for (int i = 0; i < 2; i++) {
		cleanup_json_doc struct json_doc doc = {.root = NULL};
		struct json_node root;

		if (json_doc_parse(&doc, (const char *)data + 1, size - 1, NULL,
				   i ? NULL : &err) < 0)
			return 0;
		root = json_root(&doc);
		offer_descriptors();
		readers[data[0] - '0'](&root);
	}
	return 0;
}

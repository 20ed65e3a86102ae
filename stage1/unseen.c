/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/unseen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "stage1/generation.h"
#include "stage1/sockets.h"

#define TABLE_MAX (64UL * 1024 * 1024)
#define STATE_LISTEN 0x0a
/* Words of a line of /proc/net/tcp. */
#define WORD_LOCAL 1
#define WORD_STATE 3
#define WORD_INODE 9

struct listener {
	uint16_t port;
	ino_t inode;
};

/* False of what is no line of a listening socket; the kernel's own text. */
static bool parse_line(char *line, struct listener *ret)
{
	const char *words[WORD_INODE + 1];
	unsigned int n = 0;
	const char *port;
	char *word;

	while (n <= WORD_INODE && (word = strsep(&line, " ")))
		if (*word)
			words[n++] = word;
	if (n <= WORD_INODE)
		return false;
	port = strchr(words[WORD_LOCAL], ':');
	if (!port || strtoul(words[WORD_STATE], NULL, 16) != STATE_LISTEN)
		return false;
	ret->port = (uint16_t)strtoul(port + 1, NULL, 16);
	ret->inode = strtoul(words[WORD_INODE], NULL, 10);
	return ret->inode != 0;
}

/* No process of the pod has a descriptor of it. */
static bool is_nobodys(const struct generation *g, ino_t inode)
{
	const struct pod *pod = g->app->pod;

	for (const struct generation *o = pod->generations; o; o = o->next)
		if (sockets_has_inode(o, inode, NULL) == 1)
			return false;
	return net_list_kind(&pod->options.nets) != NET_KIND_HOST;
}

static bool is_unseen(const struct generation *g, const struct listener *l)
{
	const struct pod *pod = g->app->pod;

	for (const struct generation *o = pod->generations; o; o = o->next)
		if (pod_has_bound(pod, o, l->port))
			return false;
	for (size_t i = 0; i < pod->n_apps; i++)
		if (activation_has_inode(&pod->apps[i]->activation, l->inode))
			return false;
	return sockets_has_inode(g, l->inode, NULL) == 1 ||
	       is_nobodys(g, l->inode);
}

static uint16_t search_table(const struct generation *g, const char *name)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	pid_t pid = g->adopted >= 0 ? g->adopted_pid : g->main.pid;
	struct listener l;
	char *next, *line;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/net/%s", (int)pid, name);
	if (read_file_at(AT_FDCWD, path, TABLE_MAX, &text, NULL) < 0)
		return 0;
	next = text.buf;
	while ((line = strsep(&next, "\n")))
		if (parse_line(line, &l) && is_unseen(g, &l))
			return l.port;
	return 0;
}

uint16_t unseen_port(const struct generation *g, struct error *err)
{
	uint16_t port = 0;

	if (!g->may_uring)
		return 0;
	port = search_table(g, "tcp");
	if (!port)
		port = search_table(g, "tcp6");
	if (port)
		(void)error_set(err, EOPNOTSUPP,
				"it may use io_uring and no bind(2) was seen "
				"of its port %u: that port cannot be handed "
				"over, nor held while it restarts",
				port);
	return port;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/port_claims.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "spec/stage1_abi.h"
#include "stage1/network_state.h"

static char *name_make(const struct network_mapping *m, const char *uuid)
{
	return xasprintf(HOST_PORTS_DIR "/%s-%u-%s", m->protocol,
			 (unsigned int)m->host_port, uuid);
}

void port_claims_add(const char *uuid, int pod_dirfd,
		     const struct network_state *state)
{
	cleanup_free char *link = xasprintf("/proc/self/fd/%d", pod_dirfd);
	char path[PATH_MAX];
	ssize_t n = readlink(link, path, sizeof(path) - 1);

	if (n < 0)
		return;
	path[n] = '\0';
	for (size_t i = 0; i < state->n_ports; i++) {
		cleanup_free char *name = name_make(&state->ports[i], uuid);

		(void)unlink(name);
		if (symlink(path, name) < 0)
			log_debug("link %s: %s", name, strerror(errno));
	}
}

void port_claims_remove(const char *uuid, const struct network_state *state)
{
	for (size_t i = 0; i < state->n_ports; i++) {
		cleanup_free char *name = name_make(&state->ports[i], uuid);

		(void)unlink(name);
	}
}

bool port_claim_is(const char *name, const char *protocol, uint16_t port,
		   const char **ret_uuid)
{
	cleanup_free char *prefix =
		xasprintf("%s-%u-", protocol, (unsigned int)port);
	size_t len = strlen(prefix);

	*ret_uuid = name + len;
	return strncmp(name, prefix, len) == 0;
}

/* PATH is PODS/STATE/UUID: the same in STATE. */
static int open_in_state(const char *path, const char *state)
{
	const char *uuid = strrchr(path, '/');
	const char *old =
		uuid ? memrchr(path, '/', (size_t)(uuid - path)) : NULL;
	cleanup_free char *other = NULL;
	int fd;

	if (!old)
		return -ENOENT;
	other = xasprintf("%.*s/%s%s", (int)(old - path), path, state, uuid);
	fd = open(other, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int port_claim_open_pod(int dirfd, const char *name)
{
	static const char *const states[] = {"run", "exited-garbage",
					     "garbage"};
	char path[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, path, sizeof(path) - 1);
	int fd = n < 0 ? -errno : -ENOENT;

	if (n < 0)
		return fd;
	path[n] = '\0';
	for (size_t i = 0; fd == -ENOENT && i < 3; i++)
		fd = open_in_state(path, states[i]);
	return fd;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/gc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/stage1_abi.h"
#include "spec/uuid.h"
#include "stage1/cgroup.h"
#include "stage1/metadata.h"
#include "stage1/network.h"

#define CGROUP_FILE_MAX 65536

int cgroup_file_read(int pod_dirfd, struct strv *ret, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	char *next, *line;
	int r;

	r = read_file_at(pod_dirfd, POD_CGROUP_FILE, CGROUP_FILE_MAX, &text,
			 err);
	if (r < 0)
		return r;
	next = text.buf;
	while (text.len && (line = strsep(&next, "\n")))
		if (*line)
			strv_push(ret, line);
	return 0;
}

static int remove_cgroups(int dirfd, struct error *err)
{
	cleanup_strv struct strv dirs = STRV_INIT;
	int r = cgroup_file_read(dirfd, &dirs, err);

	if (r == -ENOENT)
		return 0; /* killed before it had any */
	return r < 0 ? r : cgroup_remove_dirs(&dirs, err);
}

int gc_main(int argc, char *const argv[])
{
	cleanup_fd int dirfd = -EBADF;
	struct error err = ERROR_INIT;
	struct uuid uuid;
	int r = 0;

	if (argc < 1 || uuid_parse(argv[argc - 1], &uuid, &err) < 0) {
		log_error("gc: the pod's UUID is missing");
		return RKT_EXIT_FAILURE;
	}
	dirfd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0) {
		log_error("gc: cannot open the pod directory");
		return RKT_EXIT_FAILURE;
	}
	metadata_unregister(dirfd, argv[argc - 1]);
	if (argc < 2 || strcmp(argv[0], GC_KEEP_NETWORK) != 0)
		r = network_teardown(dirfd, argv[argc - 1], &err);
	/* It was tried when the pod ended, too.  A plugin that is gone or can
	 * not undo keeps no pod for ever, as in rkt. */
	if (r < 0)
		log_failure(&err, "gc");
	r = remove_cgroups(dirfd, &err);
	if (r < 0)
		log_failure(&err, "gc");
	return r < 0 ? RKT_EXIT_FAILURE : 0;
}

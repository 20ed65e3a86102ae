/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/stop.h"

#include <errno.h>
#include <signal.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/syscalls.h"
#include "spec/stage1_abi.h"
#include "stage0/control.h"
#include "stage0/entrypoint.h"
#include "stage0/pod.h"

static int read_reply(int conn, const struct pod *pod, struct error *err)
{
	struct control_reply reply = {0};
	int r;

	do {
		r = control_receive(conn, &reply, err);
	} while (r == 0 && reply.kind == CONTROL_PROGRESS);
	/* Gone already: that is stopped enough. */
	if (r == -ECONNRESET)
		return 0;
	if (r < 0 || reply.kind == CONTROL_DONE)
		return r;
	return error_set(err, reply.code > 0 ? reply.code : EIO,
			 "stop pod %s: %s", pod->uuid, reply.text);
}

int pod_stop(const struct pod *pod, struct error *err)
{
	const struct control_request request = {.op = CONTROL_STOP};
	cleanup_fd int conn = -EBADF;
	int r;

	conn = control_connect(pod->fd, err);
	if (conn < 0)
		return conn;
	r = control_send(conn, &request, -EBADF, err);
	return r < 0 ? r : read_reply(conn, pod, err);
}

int pod_kill(const struct pod *pod, struct error *err)
{
	cleanup_fd int pidfd = -EBADF;
	cleanup_fd int conn = -EBADF;
	int r;

	conn = control_connect(pod->fd, err);
	if (conn < 0)
		return conn;
	pidfd = control_peer(conn, err);
	if (pidfd < 0)
		return pidfd;
	r = sys_pidfd_send_signal(pidfd, SIGKILL);
	if (r < 0 && r != -ESRCH)
		return error_sys(err, -r, "kill supervisor of pod %s",
				 pod->uuid);
	return 0;
}

int pod_stop_by_entrypoint(const struct pod *pod,
			   const struct pod_stage1 *stage1, bool force,
			   const char *libexec_dir, struct error *err)
{
	cleanup_entrypoint struct entrypoint ep = ENTRYPOINT_INIT;
	int r = entrypoint_open(pod, stage1, STAGE1_STOP, libexec_dir, &ep,
				err);

	if (r < 0)
		return r;
	if (force)
		strv_push(&ep.argv, "--force");
	strv_push(&ep.argv, pod->uuid);
	r = entrypoint_call(pod, &ep, err);
	if (r > 0)
		return error_set(err, EIO,
				 "stop pod %s: its stage1's stop failed with "
				 "exit code %d",
				 pod->uuid, r);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/plan_make.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "aci/imagestore.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "spec/stage1_abi.h"
#include "stage0/control.h"
#include "stage0/generation.h"
#include "stage0/pod.h"
#include "stage0/update.h"

/* What the pod's stage1 says of an update that would begin now.  CONTROL_ERROR
 * when it says that there can be none. */
static int ask_stage1(const struct plan_request *request,
		      struct control_reply *reply, struct error *err)
{
	struct control_request question = {.op = CONTROL_PLAN};
	cleanup_fd int conn = control_connect(request->pod->fd, err);
	int r = conn < 0 ? conn : 0;

	(void)snprintf(question.app, sizeof(question.app), "%s", request->app);
	if (r == 0)
		r = control_send(conn, &question, -EBADF, err);
	return r < 0 ? r : control_receive(conn, reply, err);
}

static void add_stage1(const struct plan_request *request,
		       struct control_reply *reply, struct error *err,
		       struct update_facts *facts)
{
	if (facts->not_updatable)
		return;
	if (ask_stage1(request, reply, err) < 0)
		facts->not_updatable = error_innermost(err);
	else if (reply->kind != CONTROL_DONE || reply->code)
		facts->not_updatable = reply->text;
	else
		facts->running_tier = reply->strategy;
	facts->running_why = reply->text;
}

void plan_make(const struct plan_request *request, struct update_plan *ret)
{
	cleanup_image_row struct image_row old_row = {0}, new_row = {0};
	struct control_reply reply = {.kind = CONTROL_ERROR};
	struct error err = ERROR_INIT;
	struct update_facts facts = {
		.pod = request->pm,
		.app = request->app,
		.from = request->from,
		.to = request->to,
		.old_image = request->old_image,
		.new_image = request->new_image,
		.new_app = request->new_app,
		.cannot = request->cannot,
		.not_updatable = request->not_updatable,
		.rules = request->rules,
		.strategy = request->strategy,
		.tiers = STAGE1_UPDATE_TIERS,
	};
	int dir = request->pod->fd;

	if (imagestore_get(request->store, &request->old_image->id, &old_row,
			   NULL) == 0)
		facts.old_signer = old_row.signer;
	if (imagestore_get(request->store, &request->new_image->id, &new_row,
			   NULL) == 0)
		facts.new_signer = new_row.signer;
	if (!facts.not_updatable &&
	    update_was_started_with(dir, "--interactive"))
		facts.not_updatable = "an interactive pod cannot be updated";
	facts.has_all_caps = update_was_started_with(
		dir, "--disable-capabilities-restriction");
	facts.has_private_users =
		faccessat(dir, POD_PRIVATE_USERS_FILE, F_OK, 0) == 0;
	add_stage1(request, &reply, &err, &facts);
	update_plan_make(&facts, ret);
}

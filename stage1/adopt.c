/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/test_hooks.h"
#include "spec/stage1_abi.h"
#include "stage1/handoff.h"
#include "stage1/pod.h"
#include "stage1/pod_state.h"
#include "stage1/reexec.h"
#include "stage1/run.h"
#include "stage1/state.h"
#include "stage1/supervise.h"

/* --- the arguments ---------------------------------------------------------
 */

struct adopt {
	bool check, returns;
	int record, back;
	const char *uuid;
};

static bool take_fd(const char *arg, const char *option, int *ret)
{
	size_t len = strlen(option);
	uint64_t fd;

	if (strncmp(arg, option, len) != 0 ||
	    parse_uint(arg + len, INT32_MAX, &fd) < 0 || fd < 3 ||
	    set_cloexec((int)fd, 1) < 0)
		return false;
	*ret = (int)fd;
	return true;
}

static int parse_arguments(int argc, char *const argv[], struct adopt *ret,
			   struct error *err)
{
	for (int i = 0; i < argc - 1; i++) {
		if (strcmp(argv[i], "--check") == 0)
			ret->check = true;
		else if (strcmp(argv[i], "--returns") == 0)
			ret->returns = true;
		else if (!take_fd(argv[i], "--record=", &ret->record) &&
			 !take_fd(argv[i], "--back=", &ret->back))
			return error_set(err, EINVAL, "unknown option %s",
					 argv[i]);
	}
	if (argc < 1 || ret->record < 0)
		return error_set(err, EINVAL, "there is no record");
	ret->uuid = argv[argc - 1];
	return 0;
}

/* --- the record ------------------------------------------------------------
 */

static int read_record(int fd, struct strbuf *ret, struct error *err)
{
	int r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;

	if (r == 0)
		r = strbuf_read_fd(ret, fd, MANIFEST_MAX);
	return r < 0 ? error_sys(err, -r, "read the record of the pod") : 0;
}

/* What stage0 gave to the first of us. */
static void forget_environment(void)
{
	static const char *const names[] = {
		STAGE1_ENV_LOCK_FD, STAGE1_ENV_TREE_FDS, STAGE1_ENV_SELF_FD};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		(void)unsetenv(names[i]);
}

static int restore(const struct adopt *a, const struct json_node *root,
		   struct handoff *handoff, struct pod *pod, struct error *err)
{
	struct json_node node;
	int r = handoff_read(root, handoff, err);

	if (r < 0)
		return r;
	if (!json_member(root, "pod", &node))
		return error_set(err, EINVAL, "the record has no pod");
	r = pod_restore(&node, pod, err);
	if (r == 0 && !a->check && test_fails_at("adopted"))
		r = error_set(err, EIO, "it fails for a test");
	if (r == 0 && strcmp(a->uuid, pod->options.uuid) != 0)
		r = error_set(err, EINVAL, "the record is not pod %s's",
			      a->uuid);
	return r;
}

/* --- the way back ----------------------------------------------------------
 */

/* Those the record names are handed over once more. */
static void keep_descriptors(const struct json_node *root)
{
	struct json_node list, item;
	int64_t fd;

	if (!json_node_is_object(root) || !json_member(root, "fds", &list))
		return;
	for (size_t i = 0; json_item(&list, i, &item); i++)
		if (json_read_int(&item, 3, INT32_MAX, &fd))
			(void)set_cloexec((int)fd, 0);
}

/* The program before this one knows the record: it wrote it. */
static int go_back(const struct adopt *a, const struct json_node *root,
		   struct error *err)
{
	char record[32];
	char name[] = "stage1", entrypoint[] = "adopt", option[] = "--returns";
	cleanup_free char *uuid = xstrdup(a->uuid);
	char *const argv[] = {name, entrypoint, option, record, uuid, NULL};

	if (a->back < 0 || !root->json)
		return -EINVAL;
	log_error("stage1 %s cannot go on: %s", RKT_VERSION, err->msg);
	keep_descriptors(root);
	(void)set_cloexec(a->record, 0);
	(void)snprintf(record, sizeof(record), "--record=%d", a->record);
	(void)execveat(a->back, "", argv, environ, AT_EMPTY_PATH);
	return error_sys(err, errno, "execute the stage1 before this one");
}

/* --- the entrypoint --------------------------------------------------------
 */

__attribute__((__noreturn__)) static void say(int r, const struct error *err)
{
	if (r < 0)
		(void)dprintf(STDERR_FILENO, "%s\n", error_innermost(err));
	else
		(void)dprintf(STDERR_FILENO, HANDOFF_CAN "%s\n", RKT_VERSION);
	/* Nothing of what was restored is this process's to put away. */
	_exit(r < 0 ? RKT_EXIT_FAILURE : 0);
}

static void save_version(const struct pod *pod)
{
	struct error err = ERROR_INIT;

	if (write_string_at(pod->dirfd, POD_RUNTIME_VERSION_FILE, 0644,
			    RKT_VERSION, &err) < 0)
		log_failure(&err, NULL);
}

static int go_on(const struct adopt *a, struct handoff *handoff,
		 struct pod *pod, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_json_doc struct json_doc doc = {.root = NULL};
	struct json_node root = {.json = NULL};
	int r = read_record(a->record, &text, err);

	if (r == 0)
		r = json_doc_parse(&doc, text.buf, text.len, NULL, err);
	if (r == 0) {
		root = json_root(&doc);
		r = restore(a, &root, handoff, pod, err);
	}
	if (a->check) {
		test_stop_at("adopt-check");
		test_hang_at("adopt-check");
		say(r, err);
	}
	test_stop_at("adopted");
	return r < 0 ? go_back(a, &root, err) : 0;
}

int adopt_main(int argc, char *const argv[])
{
	struct handoff handoff = {.asker = -EBADF};
	struct error err = ERROR_INIT;
	struct adopt adopt = {.record = -EBADF, .back = -EBADF, .uuid = ""};
	struct pod pod;
	int r = run_harden(&err);

	pod_empty(&pod);
	forget_environment();
	if (r == 0)
		r = parse_arguments(argc, argv, &adopt, &err);
	if (r == 0)
		r = go_on(&adopt, &handoff, &pod, &err);
	if (r < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	fd_close(&adopt.record);
	fd_close(&adopt.back);
	save_version(&pod);
	pod.on_runtime = reexec_request;
	reexec_done(handoff.asker, handoff.version, handoff.left_ns,
		    !adopt.returns);
	free(handoff.version);
	r = supervise_on(&pod, &err);
	return run_end(&pod, r, &err);
}

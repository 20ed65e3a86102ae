/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/handoff.h"

#include <errno.h>

#include "base/error.h"
#include "spec/stage1_abi.h"
#include "stage1/pod_state.h"
#include "stage1/state.h"

static const struct state_row handoff_rows[] = {
	STATE_ROW(struct handoff, format),
	STATE_ROW(struct handoff, version),
	STATE_ROW(struct handoff, left_ns),
	STATE_FD_ROW(struct handoff, asker),
	STATE_NESTED_ROW("pod"),
	/* All descriptors, for a way back. */
	STATE_NESTED_ROW("fds"),
#ifdef RKT_TEST_NEXT_STAGE1
	/* A later version, for tests: it reads what this one writes, but not
	 * the other way round. */
	{.key = "unheard_of", .kind = STATE_NESTED},
#endif
};

int handoff_make(const struct pod *pod, int asker, uint64_t left_ns,
		 struct strbuf *out, struct state_writer *w, struct error *err)
{
	char version[] = RKT_VERSION;
	const struct handoff handoff = {
		.format = STATE_FORMAT,
		.version = version,
		.left_ns = left_ns,
		.asker = asker,
	};

	json_open_object(&w->json, NULL);
	STATE_WRITE(w, handoff_rows, &handoff);
#ifdef RKT_TEST_NEXT_STAGE1
	json_add_bool(&w->json, "unheard_of", true);
#endif
	json_open_object(&w->json, "pod");
	pod_save(pod, w);
	json_close_object(&w->json);
	json_open_array(&w->json, "fds");
	for (size_t i = 0; i < w->n_fds; i++)
		json_add_int(&w->json, NULL, w->fds[i]);
	json_close_array(&w->json);
	json_close_object(&w->json);
	return out->len <= MANIFEST_MAX
		       ? 0
		       : error_set(err, E2BIG,
				   "what this stage1 knows fills more than the "
				   "%lu bytes of a record",
				   MANIFEST_MAX);
}

static int check_format(const struct json_node *root, struct error *err)
{
	int64_t format = 0;

	if (!json_node_is_object(root))
		return error_set(err, EINVAL, "the record is no object");
	json_get_int(root, "format", 0, INT32_MAX, &format);
	return format == STATE_FORMAT
		       ? 0
		       : error_set(err, EINVAL,
				   "the record is of format %lld, this stage1 "
				   "reads format %d",
				   (long long)format, STATE_FORMAT);
}

int handoff_read(const struct json_node *root, struct handoff *ret,
		 struct error *err)
{
	int r = check_format(root, err);

	return r < 0 ? r : STATE_READ(root, handoff_rows, ret);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/auto_update.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/acname.h"
#include "spec/history.h"
#include "spec/json_read.h"
#include "spec/json_write.h"
#include "spec/name_value.h"
#include "spec/semver.h"

#define N_OF(a) (sizeof(a) / sizeof(*(a)))
/* More than anybody tries; a file of the pod may say anything. */
#define ROWS_MAX 1000
#define COUNT_MAX 1000000
/* "sha512-" and as many digits as rkt image list shows. */
#define ID_SHOWN_LEN 19

/* --- for whom ---------------------------------------------------------------
 */

static const char *const mode_texts[] = {
	[AUTO_UPDATE_NO] = "no",
	[AUTO_UPDATE_LOCAL] = "local",
	[AUTO_UPDATE_REGISTRY] = "registry",
};

const char *auto_update_mode_text(enum auto_update_mode mode)
{
	return mode_texts[mode];
}

int auto_update_mode_make(const struct name_values *const lists[], size_t n,
			  enum auto_update_mode *ret, struct error *err)
{
	const char *text = NULL;

	for (size_t i = 0; i < n && !text; i++)
		text = name_values_get(lists[i], AUTO_UPDATE_LABEL);
	*ret = AUTO_UPDATE_NO;
	if (!text)
		return 0;
	for (size_t i = 0; i < N_OF(mode_texts); i++)
		if (strcmp(text, mode_texts[i]) == 0) {
			*ret = (enum auto_update_mode)i;
			return 0;
		}
	return error_set(
		err, EINVAL,
		AUTO_UPDATE_LABEL "=%.64s: it is registry, local or no", text);
}

bool auto_update_may_be_unsigned(const struct strv *from, const char *name)
{
	for (size_t i = 0; i < from->n; i++) {
		size_t len = strlen(from->v[i]);

		while (len && from->v[i][len - 1] == '/')
			len--;
		if (len && strncmp(from->v[i], name, len) == 0 &&
		    (name[len] == '/' || !name[len]))
			return true;
	}
	return false;
}

char *auto_update_tag_text(const char *tag, const char *id)
{
	return xasprintf("%s@%.*s", tag, ID_SHOWN_LEN, id);
}

/* --- staged -----------------------------------------------------------------
 */

int auto_update_share_parse(const char *text, uint32_t *ret, struct error *err)
{
	const char *p = text;
	uint32_t share = 0;
	int fraction = -1; /* digits of it so far */

	for (; (*p >= '0' && *p <= '9') || (*p == '.' && p > text); p++) {
		if (*p == '.' && fraction >= 0)
			break;
		if (*p == '.')
			fraction = 0;
		else if (fraction == 2 || share > AUTO_UPDATE_SHARE_ALL)
			break;
		else
			share = share * 10 + (uint32_t)(*p - '0');
		fraction += fraction >= 0 && *p != '.';
	}
	for (int i = fraction < 0 ? 0 : fraction; i < 2; i++)
		share *= 10;
	if (p == text || fraction == 0 || strcmp(p, *p == '%' ? "%" : "") ||
	    share > AUTO_UPDATE_SHARE_ALL)
		return error_set(err, EINVAL,
				 "\"%.64s\" is no percentage: 0 to 100, as in "
				 "10 or 0.5",
				 text);
	*ret = share;
	return 0;
}

/* FNV-1a, 64 bits. */
static uint64_t hash_add(uint64_t hash, const char *s)
{
	/* With the NUL: "a", "bc" is not "ab", "c". */
	for (;; s++) {
		hash ^= (unsigned char)*s;
		hash *= UINT64_C(0x100000001b3);
		if (!*s)
			return hash;
	}
}

/* Its low bits depend on few of the input's: MurmurHash3's finalizer. */
static uint64_t hash_mix(uint64_t hash)
{
	hash ^= hash >> 33;
	hash *= UINT64_C(0xff51afd7ed558ccd);
	hash ^= hash >> 33;
	hash *= UINT64_C(0xc4ceb9fe1a85ec53);
	return hash ^ hash >> 33;
}

bool auto_update_is_in_stage(const char *machine, const char *image,
			     uint32_t share)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	hash = hash_mix(hash_add(hash_add(hash, machine), image));
	return hash % AUTO_UPDATE_SHARE_ALL < share;
}

/* --- the record -------------------------------------------------------------
 */

static const char *const state_texts[] = {
	[AUTO_UPDATE_TRYING] = "trying",
	[AUTO_UPDATE_LOST] = "lost",
	[AUTO_UPDATE_SERVING] = "serving",
	[AUTO_UPDATE_UNWELL] = "unwell",
	[AUTO_UPDATE_SUCCESSFUL] = "successful",
};

static void row_release(struct auto_update_row *row)
{
	free(row->app);
	free(row->image);
	free(row->boot);
	free(row->why);
	*row = (struct auto_update_row){0};
}

void auto_update_record_release(struct auto_update_record *record)
{
	for (size_t i = 0; i < record->n; i++)
		row_release(&record->v[i]);
	free(record->v);
	free(record->released);
	*record = (struct auto_update_record)AUTO_UPDATE_RECORD_INIT;
}

static void row_drop(struct auto_update_record *record, size_t i)
{
	row_release(&record->v[i]);
	memmove(&record->v[i], &record->v[i + 1],
		(record->n - i - 1) * sizeof(*record->v));
	record->n--;
}

/* A new one at the end, borrowed until the next. */
static struct auto_update_row *row_add(struct auto_update_record *record)
{
	record->v = xreallocarray(record->v, record->n + 1, sizeof(*record->v));
	record->v[record->n] = (struct auto_update_row){0};
	return &record->v[record->n++];
}

static bool state_parse(const char *text, enum auto_update_state *ret)
{
	for (size_t i = 0; i < N_OF(state_texts); i++)
		if (strcmp(text, state_texts[i]) == 0) {
			*ret = (enum auto_update_state)i;
			return true;
		}
	return false;
}

static void read_row(const struct json_node *item, void *arg)
{
	struct auto_update_record *record = arg;
	struct auto_update_row *row;
	cleanup_free char *state = NULL;
	int64_t failed = 0, lost = 0, unwell = 0, restarts = 0;

	if (!json_want_object(item))
		return;
	if (record->n >= ROWS_MAX) {
		json_problem(item, "there are more than %d", ROWS_MAX);
		return;
	}
	row = row_add(record);
	json_get_string(item, "app", &row->app);
	json_get_string(item, "image", &row->image);
	json_get_string(item, "state", &state);
	json_get_string(item, "boot", &row->boot);
	json_get_int(item, "since", 0, INT64_MAX, &row->since);
	json_get_int(item, "failed", 0, COUNT_MAX, &failed);
	json_get_int(item, "lost", 0, COUNT_MAX, &lost);
	json_get_int(item, "unwell", 0, COUNT_MAX, &unwell);
	json_get_int(item, "restarts", 0, COUNT_MAX, &restarts);
	json_get_string(item, "why", &row->why);
	row->failed = (unsigned int)failed;
	row->lost = (unsigned int)lost;
	row->unwell = (unsigned int)unwell;
	row->restarts = (unsigned int)restarts;
	if (!row->app || !row->image || !state ||
	    !state_parse(state, &row->state) ||
	    acname_check(row->app, NULL) < 0)
		json_problem(item, "it is no image of an app and its state");
}

int auto_update_record_parse(const char *buf, size_t len,
			     struct auto_update_record *ret, struct error *err)
{
	cleanup_auto_update_record struct auto_update_record record =
		AUTO_UPDATE_RECORD_INIT;
	cleanup_json_doc struct json_doc doc = {0};
	struct json_node root;
	int r = json_doc_parse(&doc, buf, len, NULL, err);

	if (r < 0)
		return r;
	root = json_root(&doc);
	if (json_want_object(&root)) {
		json_get_int(&root, "held", 0, INT64_MAX, &record.held);
		json_get_string(&root, "released", &record.released);
		json_for_each(&root, "images", read_row, &record);
	}
	r = json_doc_result(&doc);
	if (r < 0)
		return r;
	*ret = record;
	record = (struct auto_update_record)AUTO_UPDATE_RECORD_INIT;
	return 0;
}

static void add_count(struct json_writer *w, const char *key, unsigned int n)
{
	if (n)
		json_add_uint(w, key, n);
}

void auto_update_record_write(const struct auto_update_record *record,
			      struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out, JSON_COMPACT_STYLE);
	json_open_object(&w, NULL);
	if (record->held)
		json_add_int(&w, "held", record->held);
	json_add_string_if(&w, "released", record->released);
	json_open_array(&w, "images");
	for (size_t i = 0; i < record->n; i++) {
		const struct auto_update_row *row = &record->v[i];

		json_open_object(&w, NULL);
		json_add_string(&w, "app", row->app);
		json_add_string(&w, "image", row->image);
		json_add_string(&w, "state", state_texts[row->state]);
		json_add_int(&w, "since", row->since);
		json_add_string_if(&w, "boot", row->boot);
		json_add_uint(&w, "failed", row->failed);
		json_add_uint(&w, "lost", row->lost);
		add_count(&w, "unwell", row->unwell);
		add_count(&w, "restarts", row->restarts);
		json_add_string_if(&w, "why", row->why);
		json_close_object(&w);
	}
	json_close_array(&w);
	json_close_object(&w);
	strbuf_addch(out, '\n');
}

const struct auto_update_row *
auto_update_find(const struct auto_update_record *record, const char *app,
		 const char *image)
{
	for (size_t i = 0; i < record->n; i++)
		if (strcmp(record->v[i].app, app) == 0 &&
		    strcmp(record->v[i].image, image) == 0)
			return &record->v[i];
	return NULL;
}

/* --- what becomes of tries --------------------------------------------------
 */

/* Why the version that ROW is about, and which is committed, is not well; NULL
 * if it is. */
static char *find_unwell(const struct auto_update_row *row,
			 const struct auto_update_facts *f)
{
	static const char failing[] = "failing: ";
	/* A pod that was started anew counts from the beginning. */
	unsigned int restarts = f->restarts >= row->restarts
					? f->restarts - row->restarts
					: f->restarts;

	if (f->has_failed)
		return xasprintf("it ended with exit code %d", f->exit_code);
	if (restarts >= AUTO_UPDATE_RESTARTS_MAX)
		return xasprintf("it was started again %u times", restarts);
	if (f->health && strncmp(f->health, failing, strlen(failing)) == 0)
		return xasprintf("its health probe fails: %s",
				 f->health + strlen(failing));
	return NULL;
}

static bool is_unwell(const struct auto_update_row *row,
		      const struct auto_update_facts *f)
{
	cleanup_free char *why = find_unwell(row, f);

	return why;
}

static unsigned int count_failed(const struct auto_update_facts *f,
				 const char *image)
{
	return history_count_failed(f->history, f->app, image, NULL);
}

void auto_update_begin(struct auto_update_record *record,
		       const struct auto_update_facts *f, const char *image)
{
	struct auto_update_row *row =
		(struct auto_update_row *)auto_update_find(record, f->app,
							   image);

	if (!row) {
		row = row_add(record);
		row->app = xstrdup(f->app);
		row->image = xstrdup(image);
	}
	free(row->boot);
	row->boot = f->boot ? xstrdup(f->boot) : NULL;
	row->state = AUTO_UPDATE_TRYING;
	row->since = f->now;
	row->failed = count_failed(f, image);
}

/* A try that is over, and after which the app is not there. */
static void settle_failed(struct auto_update_row *row,
			  const struct auto_update_facts *f)
{
	bool same_boot =
		!row->boot || !f->boot || strcmp(row->boot, f->boot) == 0;

	/* The history counts those that it knows. */
	if (!same_boot && count_failed(f, row->image) <= row->failed)
		row->lost++;
	row->state = AUTO_UPDATE_LOST;
}

static void forgive(struct auto_update_row *row)
{
	row->lost = row->unwell = 0;
	free(row->why);
	row->why = NULL;
}

static void settle_row(struct auto_update_row *row,
		       const struct auto_update_facts *f)
{
	bool is_current = strcmp(row->image, f->current) == 0;

	if (row->state == AUTO_UPDATE_TRYING && !is_current) {
		settle_failed(row, f);
	} else if (row->state == AUTO_UPDATE_TRYING) {
		row->state = AUTO_UPDATE_SERVING;
		row->since = f->now;
		row->restarts = f->restarts;
	} else if (row->state == AUTO_UPDATE_UNWELL && !is_current) {
		row->state = AUTO_UPDATE_LOST;
	}
	if (row->state == AUTO_UPDATE_SERVING && is_current &&
	    f->now >= row->since + f->success_after &&
	    (f->success_after == 0 || !is_unwell(row, f))) {
		row->state = AUTO_UPDATE_SUCCESSFUL;
		forgive(row);
	}
}

/* Nothing is to be remembered of it. */
static bool is_over(const struct auto_update_record *record, size_t at,
		    const struct auto_update_facts *f)
{
	const struct auto_update_row *row = &record->v[at];
	bool is_current = strcmp(row->image, f->current) == 0;

	if (row->state == AUTO_UPDATE_LOST)
		return is_current || row->lost + row->unwell == 0;
	if (row->state == AUTO_UPDATE_SERVING)
		return !is_current;
	if (row->state != AUTO_UPDATE_SUCCESSFUL || is_current)
		return false;
	for (size_t i = 0; i < record->n; i++)
		if (i != at && strcmp(record->v[i].app, f->app) == 0 &&
		    record->v[i].state == AUTO_UPDATE_SUCCESSFUL)
			return true;
	return false;
}

bool auto_update_settle(struct auto_update_record *record,
			const struct auto_update_facts *f)
{
	cleanup_strbuf struct strbuf before = STRBUF_INIT;
	cleanup_strbuf struct strbuf after = STRBUF_INIT;

	auto_update_record_write(record, &before);
	for (size_t i = 0; i < record->n; i++)
		if (strcmp(record->v[i].app, f->app) == 0)
			settle_row(&record->v[i], f);
	for (size_t i = record->n; i-- > 0;)
		if (strcmp(record->v[i].app, f->app) == 0 &&
		    is_over(record, i, f))
			row_drop(record, i);
	auto_update_record_write(record, &after);
	return strcmp(before.buf, after.buf) != 0;
}

/* --- on trial ----------------------------------------------------------------
 */

const struct auto_update_row *
auto_update_find_trial(const struct auto_update_record *record,
		       const struct auto_update_facts *f)
{
	const struct auto_update_row *row =
		auto_update_find(record, f->app, f->current);

	return row && (row->state == AUTO_UPDATE_SERVING ||
		       row->state == AUTO_UPDATE_UNWELL)
		       ? row
		       : NULL;
}

bool auto_update_judge(struct auto_update_record *record,
		       const struct auto_update_facts *f)
{
	struct auto_update_row *row =
		(struct auto_update_row *)auto_update_find_trial(record, f);
	char *why;

	if (!row || row->state == AUTO_UPDATE_UNWELL)
		return row;
	why = find_unwell(row, f);
	if (!why)
		return false;
	free(row->why);
	row->why = why;
	row->unwell++;
	row->state = AUTO_UPDATE_UNWELL;
	return true;
}

bool auto_update_hold(struct auto_update_record *record, int64_t now)
{
	bool was_held = record->held;

	if (!was_held)
		record->held = now;
	return !was_held;
}

void auto_update_release(struct auto_update_record *record,
			 const char *now_text)
{
	record->held = 0;
	free(record->released);
	record->released = xstrdup(now_text);
	for (size_t i = record->n; i-- > 0;)
		if (record->v[i].state == AUTO_UPDATE_LOST)
			row_drop(record, i);
		else
			forgive(&record->v[i]);
}

/* --- what is held -----------------------------------------------------------
 */

bool auto_update_is_higher(const char *image, const char *current)
{
	const char *a = strchr(image, ':'), *b = strchr(current, ':');

	return a && b && a - image == b - current &&
	       strncmp(image, current, (size_t)(a - image)) == 0 &&
	       semver_check(a + 1) && semver_check(b + 1) &&
	       semver_compare(a + 1, b + 1) > 0;
}

static void add_if_held(const struct auto_update_record *record,
			const struct auto_update_facts *f, unsigned int tries,
			const char *image, struct strv *ret, struct strv *why)
{
	const struct auto_update_row *row =
		auto_update_find(record, f->app, image);
	cleanup_free char *last = NULL;
	unsigned int failed = history_count_failed(
		history_after(f->history, record->released), f->app, image,
		&last);
	unsigned int lost = row ? row->lost : 0;
	unsigned int unwell = row ? row->unwell : 0;
	unsigned int rest = lost + unwell;

	if (strv_has(ret, image) || strcmp(image, f->current) == 0)
		return;
	if (failed == HISTORY_WENT_BACK)
		strv_pushf(why, "somebody went back from it at %.19sZ", last);
	else if (failed < tries && failed + rest < tries)
		return;
	else if (unwell && row->why)
		strv_pushf(why, "it was gone back from: %s", row->why);
	else if (last)
		strv_pushf(why, "it failed at %.19sZ", last);
	else
		strv_push(why, "the host went down while it was tried");
	strv_push(ret, image);
}

void auto_update_find_held(const struct auto_update_record *record,
			   const struct auto_update_facts *f,
			   unsigned int tries, struct strv *ret,
			   struct strv *why)
{
	cleanup_strv struct strv images = STRV_INIT;

	history_list_images(f->history, f->app, &images);
	for (size_t i = 0; i < record->n; i++)
		if (strcmp(record->v[i].app, f->app) == 0)
			strv_push(&images, record->v[i].image);
	for (size_t i = 0; i < images.n; i++)
		add_if_held(record, f, tries, images.v[i], ret, why);
}

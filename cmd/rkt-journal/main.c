/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rkt-journal: prints what the apps of a pod have printed, from the host's
 * journal, in the form of `rkt logs`, which is static and so without
 * libsystemd.
 *
 *	rkt-journal UUID - [APP...]		all there is (of those apps):
 *						what was printed before
 *	rkt-journal UUID FD [APP...]		and what comes until nobody
 *						holds the lock of FD, the pod
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>
#include <time.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/process.h"
#include "base/strbuf.h"
#include "cmd/rkt-journal/sync.h"

#define FAILED 254

/* How long the end of the pod may go unnoticed; a new line is seen at once. */
#define WAIT_USEC (200ULL * 1000)
/* What an app printed last may still be on its way when the pod has ended, and
 * journald cannot be asked. */
#define SETTLE_USEC (500ULL * 1000)

#define DEFAULT_PRIORITY '6'

/* The beginning of a line of an app that came in parts. */
struct part {
	char *app;
	struct strbuf text;
	struct part *next;
};

struct reader {
	sd_journal *journal;
	struct part *parts;
};

/* --- fields ----------------------------------------------------------------
 */

/* False if the entry has no such field. */
static bool field(sd_journal *j, const char *name, const char **ret,
		  size_t *ret_len)
{
	const void *data;
	size_t len, skip = strlen(name) + 1;

	if (sd_journal_get_data(j, name, &data, &len) < 0 || len < skip)
		return false;
	*ret = (const char *)data + skip;
	*ret_len = len - skip;
	return true;
}

/* A short one as a string; "" if there is none. */
static const char *short_field(sd_journal *j, const char *name, char *buf,
			       size_t size)
{
	const char *data = "";
	size_t len = 0;

	if (!field(j, name, &data, &len) || len >= size)
		len = 0;
	memcpy(buf, data, len);
	buf[len] = '\0';
	return buf;
}

/* When stage1 sent it, or when it was received. */
static void add_time(sd_journal *j, struct strbuf *out)
{
	char text[32], date[32];
	uint64_t usec;
	time_t seconds;
	struct tm tm;

	(void)short_field(j, "_SOURCE_REALTIME_TIMESTAMP", text, sizeof(text));
	if (parse_uint(text, INT64_MAX, &usec) < 0 &&
	    sd_journal_get_realtime_usec(j, &usec) < 0)
		usec = 0;
	seconds = (time_t)(usec / 1000000);
	(void)gmtime_r(&seconds, &tm);
	(void)strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	strbuf_addf(out, "[%s.%06" PRIu64 "]", date, usec % 1000000);
}

/* --- lines -----------------------------------------------------------------
 */

static struct part *part_of(struct reader *r, const char *app)
{
	struct part *p;

	for (p = r->parts; p; p = p->next)
		if (strcmp(p->app, app) == 0)
			return p;
	p = xcalloc(1, sizeof(*p));
	p->app = xstrdup(app);
	strbuf_init(&p->text);
	p->next = r->parts;
	r->parts = p;
	return p;
}

static void release_parts(struct reader *r)
{
	while (r->parts) {
		struct part *p = r->parts;

		r->parts = p->next;
		free(p->app);
		strbuf_release(&p->text);
		free(p);
	}
}

static void print_entry(struct reader *r)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	sd_journal *j = r->journal;
	const char *message = "", *ignored;
	char app[256], priority[4];
	size_t len = 0, ignored_len;
	struct part *part;

	part = part_of(r, short_field(j, "RKT_APP", app, sizeof(app)));
	(void)short_field(j, "PRIORITY", priority, sizeof(priority));
	/* As the app printed it; what is not said is the default. */
	if (part->text.len == 0 && *priority && *priority != DEFAULT_PRIORITY)
		strbuf_addf(&part->text, "<%s>", priority);
	(void)field(j, "MESSAGE", &message, &len);
	strbuf_add(&part->text, message, len);
	if (field(j, "CONTAINER_PARTIAL_MESSAGE", &ignored, &ignored_len))
		return;
	add_time(j, &out);
	strbuf_addf(&out, " %s: ", app);
	strbuf_add(&out, part->text.buf, part->text.len);
	strbuf_addch(&out, '\n');
	strbuf_reset(&part->text);
	(void)fwrite(out.buf, 1, out.len, stdout);
}

/* All that is there now. */
static int print_rest(struct reader *r, struct error *err)
{
	int n;

	while ((n = sd_journal_next(r->journal)) > 0)
		print_entry(r);
	if (n < 0)
		return error_sys(err, -n, "read the journal");
	return stdout_flush(err);
}

static int print_more(struct reader *r, uint64_t usec, struct error *err)
{
	int n = sd_journal_wait(r->journal, usec);

	return n < 0 ? error_sys(err, -n, "wait for the journal")
		     : print_rest(r, err);
}

static uint64_t now_usec(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Anybody's lines end a wait. */
static int print_late(struct reader *r, struct error *err)
{
	uint64_t now = now_usec(), end = now + SETTLE_USEC;
	int ret = 0;

	for (; ret == 0 && now < end; now = now_usec())
		ret = print_more(r, end - now, err);
	return ret;
}

/* What apps have printed before this call. */
static int print_last(struct reader *r, bool waits, struct error *err)
{
	if (journal_sync())
		return print_more(r, 0, err);
	return waits ? print_late(r, err) : print_rest(r, err);
}

static int follow(struct reader *r, int pod, struct error *err)
{
	int ret = print_rest(r, err);

	while (ret == 0 && lock_is_held(pod))
		ret = print_more(r, WAIT_USEC, err);
	/* All that stage1 had was sent when it let go of the lock. */
	return ret < 0 ? ret : print_last(r, true, err);
}

/* --- the journal -----------------------------------------------------------
 */

static int add_match(sd_journal *j, const char *name, const char *value)
{
	cleanup_free char *match = xasprintf("%s=%s", name, value);

	return sd_journal_add_match(j, match, 0);
}

/* Others than root can write RKT_POD= into the journal, too. */
static int select_entries(sd_journal *j, const char *uuid, char *const *apps)
{
	int r = add_match(j, "RKT_POD", uuid);

	if (r >= 0)
		r = add_match(j, "_UID", "0");
	for (; r >= 0 && *apps; apps++)
		r = add_match(j, "RKT_APP", *apps);
	return r < 0 ? r : sd_journal_seek_head(j);
}

static int open_journal(struct reader *ret, const char *uuid, char *const *apps,
			struct error *err)
{
	int r = sd_journal_open(&ret->journal,
				SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);

	if (r >= 0 && sd_journal_has_persistent_files(ret->journal) <= 0 &&
	    sd_journal_has_runtime_files(ret->journal) <= 0)
		return error_set(err, ENOENT,
				 "there is no journal of this system, or none "
				 "that you may read");
	if (r >= 0)
		r = select_entries(ret->journal, uuid, apps);
	return r < 0 ? error_sys(err, -r, "open the journal") : 0;
}

static int run(int argc, char *const argv[], struct error *err)
{
	struct reader reader = {NULL, NULL};
	uint64_t pod;
	bool follows = argc >= 3 && strcmp(argv[2], "-") != 0;
	int r = process_drop_capabilities(err);

	if (r < 0)
		return r;
	if (argc < 3 || (follows && parse_uint(argv[2], INT32_MAX, &pod) < 0))
		return error_set(
			err, EINVAL,
			"rkt-journal is started by rkt logs --journal");
	r = open_journal(&reader, argv[1], argv + 3, err);
	if (r == 0)
		r = follows ? follow(&reader, (int)pod, err)
			    : print_last(&reader, false, err);
	release_parts(&reader);
	sd_journal_close(reader.journal);
	return r;
}

int main(int argc, char **argv)
{
	struct error err = ERROR_INIT;

	process_open_standard_fds();
	log_init("logs", false);
	if (run(argc, argv, &err) == 0)
		return 0;
	log_failure(&err, NULL);
	return FAILED;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/test_hooks.h"
#include "spec/acname.h"
#include "spec/json_read.h"
#include "spec/json_write.h"

#define JOURNAL_MAX (1024UL * 1024)
#define HISTORY_MAX (16UL * 1024 * 1024)

const char *journal_state_name(enum update_state state)
{
	static const char *const names[] = {
		[UPDATE_PLANNED] = "PLANNED",
		[UPDATE_FETCHED] = "FETCHED",
		[UPDATE_STAGED] = "STAGED",
		[UPDATE_STARTED] = "STARTED",
		[UPDATE_VERIFIED] = "VERIFIED",
		[UPDATE_SWITCHED] = "SWITCHED",
		[UPDATE_OBSERVED] = "OBSERVED",
		[UPDATE_COMMITTED] = "COMMITTED",
		[UPDATE_ROLLED_BACK] = "ROLLED_BACK",
	};

	if (state < UPDATE_PLANNED || state > UPDATE_ROLLED_BACK)
		return "UNKNOWN";
	return names[state];
}

static void format_now(char *buf, size_t size)
{
	struct timespec now;
	struct tm tm;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &tm);
	(void)snprintf(buf, size, "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ",
		       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
		       tm.tm_min, tm.tm_sec, now.tv_nsec / 1000);
}

/* What a killed writer left of a line must not become part of the next. */
static int end_torn_line(int fd)
{
	struct stat st;
	char last;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size == 0)
		return 0;
	if (pread(fd, &last, 1, st.st_size - 1) != 1)
		return -EIO;
	return last == '\n' ? 0 : write_full(fd, "\n", 1);
}

static int append_synced(int dirfd, const char *name, const char *data,
			 size_t len, struct error *err)
{
	cleanup_fd int fd = -EBADF;
	int r;

	fd = openat(dirfd, name,
		    O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0)
		return error_sys(err, errno, "open %s", name);
	r = end_torn_line(fd);
	if (r == 0)
		r = write_full(fd, data, len);
	if (r < 0 || fsync(fd) < 0)
		return error_sys(err, r < 0 ? -r : errno, "write %s", name);
	return 0;
}

int journal_append(int pod_dirfd, const char *app, unsigned int from,
		   unsigned int to, enum update_state state, const char *text,
		   struct error *err)
{
	cleanup_strbuf struct strbuf line = STRBUF_INIT;
	struct json_writer w;
	char now[64];
	int r;

	format_now(now, sizeof(now));
	json_writer_init(&w, &line, JSON_COMPACT_STYLE);
	json_open_object(&w, NULL);
	json_add_string(&w, "time", now);
	json_add_string(&w, "app", app);
	json_add_uint(&w, "from", from);
	json_add_uint(&w, "to", to);
	json_add_string(&w, "state", journal_state_name(state));
	json_add_string(&w, "text", text);
	json_close_object(&w);
	strbuf_addch(&line, '\n');
	r = append_synced(pod_dirfd, POD_JOURNAL_FILE, line.buf, line.len, err);
	if (r == 0 && state == UPDATE_PLANNED && fsync(pod_dirfd) < 0)
		return error_sys(err, errno, "sync the pod directory");
	test_stop_at(journal_state_name(state));
	return r;
}

/* The last complete line; a torn one behind it never counted. */
static const char *last_line(const struct strbuf *text, size_t *ret_len)
{
	size_t end = text->len, start;

	while (end && text->buf[end - 1] != '\n')
		end--;
	start = end ? end - 1 : 0;
	while (start && text->buf[start - 1] != '\n')
		start--;
	*ret_len = end - start;
	return text->buf + start;
}

/* A close that was killed before it removed the journal is done again. */
static bool history_ends_with(int pod_dirfd, const char *line, size_t len)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	return read_file_at(pod_dirfd, POD_HISTORY_FILE, HISTORY_MAX, &text,
			    NULL) == 0 &&
	       text.len >= len &&
	       memcmp(text.buf + text.len - len, line, len) == 0;
}

int journal_close(int pod_dirfd, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	const char *line;
	size_t len;
	int r;

	r = read_file_at(pod_dirfd, POD_JOURNAL_FILE, JOURNAL_MAX, &text, err);
	if (r < 0)
		return r;
	line = last_line(&text, &len);
	if (!history_ends_with(pod_dirfd, line, len))
		r = append_synced(pod_dirfd, POD_HISTORY_FILE, line, len, err);
	if (r < 0)
		return r;
	test_stop_at("close-history");
	if (unlinkat(pod_dirfd, POD_JOURNAL_FILE, 0) < 0 ||
	    fsync(pod_dirfd) < 0)
		return error_sys(err, errno, "remove " POD_JOURNAL_FILE);
	return 0;
}

int journal_commit(int pod_dirfd, const char *app, unsigned int number,
		   struct error *err)
{
	cleanup_free char *link = xasprintf(POD_APPSINFO_DIR "/%s", app);
	cleanup_free char *temp = xasprintf(POD_APPSINFO_DIR "/.%s.tmp", app);
	cleanup_free char *target =
		xasprintf("../" POD_GENERATIONS_DIR "/%s/%u", app, number);
	cleanup_fd int dir =
		openat(pod_dirfd, POD_APPSINFO_DIR,
		       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0)
		return error_sys(err, errno, "open " POD_APPSINFO_DIR);
	(void)unlinkat(pod_dirfd, temp, 0);
	if (symlinkat(target, pod_dirfd, temp) < 0 ||
	    renameat(pod_dirfd, temp, pod_dirfd, link) < 0)
		return error_sys(err, errno, "commit generation %u of %s",
				 number, app);
	test_stop_at("commit-link");
	/* It is committed: to say otherwise now would be wrong. */
	if (fsync(dir) < 0)
		log_warning("sync " POD_APPSINFO_DIR ": %s",
			    strerrordesc_np(errno));
	return 0;
}

/* --- what is left of a transaction ------------------------------------------
 */

struct record {
	char *app, *state;
	unsigned int from, to;
};

static void record_release(struct record *r)
{
	free(r->app);
	free(r->state);
}

static bool record_parse(const char *line, size_t len, struct record *ret)
{
	cleanup_json_doc struct json_doc doc = {0};
	int64_t from = 0, to = 0;
	struct json_node root;

	*ret = (struct record){0};
	if (len == 0 || json_doc_parse(&doc, line, len, NULL, NULL) < 0)
		return false;
	root = json_root(&doc);
	json_get_string(&root, "app", &ret->app);
	json_get_string(&root, "state", &ret->state);
	json_get_int(&root, "from", 0, UINT32_MAX, &from);
	json_get_int(&root, "to", 0, UINT32_MAX, &to);
	ret->from = (unsigned int)from;
	ret->to = (unsigned int)to;
	if (ret->app && ret->state && acname_check(ret->app, NULL) == 0)
		return true;
	record_release(ret);
	*ret = (struct record){0};
	return false;
}

unsigned int journal_committed(int pod_dirfd, const char *app)
{
	cleanup_free char *link = xasprintf(POD_APPSINFO_DIR "/%s", app);
	char target[512];
	ssize_t n = readlinkat(pod_dirfd, link, target, sizeof(target) - 1);
	uint64_t number;

	if (n < 0)
		return 0;
	target[n] = '\0';
	if (parse_uint(path_base(target), UINT32_MAX, &number) < 0)
		return 0;
	return (unsigned int)number;
}

bool journal_has_run(int pod_dirfd, const char *app, unsigned int number)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	char *next, *line;
	bool has = journal_committed(pod_dirfd, app) == number;

	/* Not to be read: then nothing can be said to be superfluous. */
	switch (read_file_at(pod_dirfd, POD_HISTORY_FILE, HISTORY_MAX, &text,
			     NULL)) {
	case 0:
		break;
	case -ENOENT:
		return has;
	default:
		return true;
	}
	next = text.buf;
	while (!has && (line = strsep(&next, "\n"))) {
		struct record r;

		if (!record_parse(line, strlen(line), &r))
			continue;
		has = strcmp(r.app, app) == 0 &&
		      (r.from == number ||
		       (r.to == number && strcmp(r.state, "COMMITTED") == 0));
		record_release(&r);
	}
	return has;
}

int journal_discard(int pod_dirfd, const char *app, unsigned int number,
		    struct error *err)
{
	cleanup_free char *path =
		xasprintf(POD_GENERATIONS_DIR "/%s/%u", app, number);

	if (journal_has_run(pod_dirfd, app, number))
		return 0;
	return remove_tree_at(pod_dirfd, path, err);
}

/* The link is what counts: the line that says so may be missing. */
static int settle(int pod_dirfd, const struct record *last, struct error *err)
{
	bool committed = journal_committed(pod_dirfd, last->app) == last->to;
	int r;

	if (strcmp(last->state, "COMMITTED") == 0 ||
	    strcmp(last->state, "ROLLED_BACK") == 0)
		return 0;
	r = journal_append(pod_dirfd, last->app, last->from, last->to,
			   committed ? UPDATE_COMMITTED : UPDATE_ROLLED_BACK,
			   "the pod ended during the update", err);
	if (r == 0 && !committed)
		r = journal_discard(pod_dirfd, last->app, last->to, err);
	return r;
}

int journal_recover(int pod_dirfd, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct record last;
	const char *line;
	size_t len;
	int r;

	r = read_file_at(pod_dirfd, POD_JOURNAL_FILE, JOURNAL_MAX, &text, NULL);
	if (r == -ENOENT)
		return 0;
	line = last_line(&text, &len);
	if (r < 0 || !record_parse(line, len, &last)) {
		/* Nothing of it was ever written whole. */
		(void)unlinkat(pod_dirfd, POD_JOURNAL_FILE, 0);
		return 0;
	}
	r = settle(pod_dirfd, &last, err);
	record_release(&last);
	return r < 0 ? r : journal_close(pod_dirfd, err);
}

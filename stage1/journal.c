/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "spec/json_read.h"
#include "spec/json_write.h"

#define JOURNAL_MAX (1024UL * 1024)

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

static int append_synced(int dirfd, const char *name, const char *data,
			 size_t len, struct error *err)
{
	cleanup_fd int fd = -EBADF;
	int r;

	fd = openat(dirfd, name,
		    O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
		    0640);
	if (fd < 0)
		return error_sys(err, errno, "open %s", name);
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
	r = append_synced(pod_dirfd, POD_HISTORY_FILE, line, len, err);
	if (r < 0)
		return r;
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
	cleanup_fd int dir = -EBADF;

	(void)unlinkat(pod_dirfd, temp, 0);
	if (symlinkat(target, pod_dirfd, temp) < 0 ||
	    renameat(pod_dirfd, temp, pod_dirfd, link) < 0)
		return error_sys(err, errno, "commit generation %u of %s",
				 number, app);
	dir = openat(pod_dirfd, POD_APPSINFO_DIR,
		     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fsync(dir) < 0)
		return error_sys(err, errno, "sync " POD_APPSINFO_DIR);
	return 0;
}

int journal_recover(int pod_dirfd, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_json_doc struct json_doc doc = {0};
	cleanup_free char *app = NULL;
	cleanup_free char *state = NULL;
	int64_t from = 0, to = 0;
	struct json_node root;
	const char *line;
	size_t len;
	int r;

	r = read_file_at(pod_dirfd, POD_JOURNAL_FILE, JOURNAL_MAX, &text, NULL);
	if (r == -ENOENT)
		return 0;
	line = last_line(&text, &len);
	if (r == 0 && len && json_doc_parse(&doc, line, len, NULL, NULL) == 0) {
		root = json_root(&doc);
		json_get_string(&root, "app", &app);
		json_get_string(&root, "state", &state);
		json_get_int(&root, "from", 0, UINT32_MAX, &from);
		json_get_int(&root, "to", 0, UINT32_MAX, &to);
	}
	if (app && state && strcmp(state, "COMMITTED") != 0 &&
	    strcmp(state, "ROLLED_BACK") != 0) {
		r = journal_append(pod_dirfd, app, (unsigned int)from,
				   (unsigned int)to, UPDATE_ROLLED_BACK,
				   "the pod ended during the update", err);
		if (r < 0)
			return r;
	}
	if (!app) {
		/* Nothing of it was ever written whole. */
		(void)unlinkat(pod_dirfd, POD_JOURNAL_FILE, 0);
		return 0;
	}
	return journal_close(pod_dirfd, err);
}

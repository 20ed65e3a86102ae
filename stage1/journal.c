/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/journal.h"

#include <dirent.h>
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
#include "base/path.h"
#include "base/strbuf.h"
#include "spec/history.h"

#define JOURNAL_MAX (1024UL * 1024)
#define HISTORY_MAX (16UL * 1024 * 1024)
#define KEEP_FILE_MAX 32
/* Of one app: a line is at most some 1,500 bytes. */
#define JOURNAL_ROOM (16 * 1024)
#define HISTORY_ROOM (4 * 1024)

#define APPEND_FLAGS (O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC)

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

	fd = openat(dirfd, name, APPEND_FLAGS, 0640);
	if (fd < 0)
		return error_sys(err, errno, "open %s", name);
	r = end_torn_line(fd);
	if (r == 0)
		r = write_full(fd, data, len);
	if (r < 0 || fsync(fd) < 0)
		return error_sys(err, r < 0 ? -r : errno, "write %s", name);
	return 0;
}

/* Behind the end of the file, which stays where it is. */
static int reserve(int dirfd, const char *name, size_t room, struct error *err)
{
	cleanup_fd int fd = openat(dirfd, name, APPEND_FLAGS, 0640);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "open %s", name);
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, st.st_size, (off_t)room) < 0 &&
	    errno != EOPNOTSUPP)
		return error_sys(err, errno, "reserve room for %s", name);
	return 0;
}

int journal_reserve(int pod_dirfd, size_t n, struct error *err)
{
	int r = reserve(pod_dirfd, POD_JOURNAL_FILE, n * JOURNAL_ROOM, err);

	if (r == 0)
		r = reserve(pod_dirfd, POD_HISTORY_FILE, n * HISTORY_ROOM, err);
	if (r < 0)
		(void)unlinkat(pod_dirfd, POD_JOURNAL_FILE, 0);
	return r;
}

int journal_append(int pod_dirfd, const struct history_event *event,
		   struct error *err)
{
	cleanup_strbuf struct strbuf line = STRBUF_INIT;
	int r;

	history_line_make(event, &line);
	r = append_synced(pod_dirfd, POD_JOURNAL_FILE, line.buf, line.len, err);
	if (r == 0 && event->state == UPDATE_PLANNED && fsync(pod_dirfd) < 0)
		return error_sys(err, errno, "sync the pod directory");
	return r;
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
	cleanup_strbuf struct strbuf lines = STRBUF_INIT;
	int r;

	r = read_file_at(pod_dirfd, POD_JOURNAL_FILE, JOURNAL_MAX, &text, err);
	if (r < 0)
		return r;
	history_close_make(text.buf, text.len, &lines);
	if (!history_ends_with(pod_dirfd, lines.buf, lines.len))
		r = append_synced(pod_dirfd, POD_HISTORY_FILE, lines.buf,
				  lines.len, err);
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
	/* It is committed: to say otherwise now would be wrong. */
	if (fsync(dir) < 0)
		log_warning("sync " POD_APPSINFO_DIR ": %s",
			    strerrordesc_np(errno));
	return 0;
}

/* --- what is left of a transaction ------------------------------------------
 */

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
	int r;

	if (journal_committed(pod_dirfd, app) == number)
		return true;
	r = read_file_at(pod_dirfd, POD_HISTORY_FILE, HISTORY_MAX, &text, NULL);
	/* Not to be read: then nothing can be said to be superfluous. */
	return r == 0 ? history_has_run(text.buf, app, number) : r != -ENOENT;
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

/* Nobody may go back to what is half gone: its id goes first. */
static int remove_generation(int dirfd, const char *number, struct error *err)
{
	cleanup_free char *id =
		xasprintf("%s/" GENERATION_IMAGE_ID_FILE, number);

	if (unlinkat(dirfd, id, 0) < 0 && errno != ENOENT)
		return error_sys(err, errno, "remove %s", id);
	return remove_tree_at(dirfd, number, err);
}

static unsigned int load_keep(int pod_dirfd)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	(void)read_file_at(pod_dirfd, POD_KEEP_FILE, KEEP_FILE_MAX, &text,
			   NULL);
	return history_keep_parse(text.buf);
}

int journal_set_keep(int pod_dirfd, unsigned int n, struct error *err)
{
	char text[KEEP_FILE_MAX];

	(void)snprintf(text, sizeof(text), "%u\n", n);
	return write_string_at(pod_dirfd, POD_KEEP_FILE, 0644, text, err);
}

int journal_collect(int pod_dirfd, const char *app, struct error *err)
{
	cleanup_free char *path = xasprintf(POD_GENERATIONS_DIR "/%s", app);
	unsigned int current = journal_committed(pod_dirfd, app);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	unsigned int keep = load_keep(pod_dirfd);
	cleanup_dir DIR *dir = NULL;
	struct dirent *de;
	uint64_t n;
	int fd, r;

	r = read_file_at(pod_dirfd, POD_HISTORY_FILE, HISTORY_MAX, &text, err);
	if (r < 0)
		return r;
	fd = openat(pod_dirfd, path,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		fd_close(&fd);
		return error_sys(err, errno, "read %s", path);
	}
	while (r == 0 && (de = readdir(dir)) != NULL)
		if (parse_uint(de->d_name, UINT32_MAX, &n) == 0 &&
		    !history_keeps(text.buf, app, current, keep,
				   (unsigned int)n))
			r = remove_generation(dirfd(dir), de->d_name, err);
	return r;
}

/* The link is what counts: the line that says so may be missing. */
static int settle(int pod_dirfd, const struct history_entry *last, bool killed,
		  struct error *err)
{
	bool committed = journal_committed(pod_dirfd, last->app) == last->to;
	const struct history_event event = {
		.app = last->app,
		.from = last->from,
		.to = last->to,
		.state = committed ? UPDATE_COMMITTED : UPDATE_ROLLED_BACK,
		.rollback = last->rollback,
		.interrupted = !committed,
		.text = killed ? "the pod ended during the update"
			       : "its end could not be noted when it came",
	};
	int r;

	if (last->state == UPDATE_COMMITTED ||
	    last->state == UPDATE_ROLLED_BACK)
		return 0;
	r = journal_append(pod_dirfd, &event, err);
	if (r == 0 && !committed && killed)
		r = journal_discard(pod_dirfd, last->app, last->to, err);
	return r;
}

/* The last entry of each app, in the order they came; N of them. */
static struct history_entry *last_entries(char *text, size_t *ret_n)
{
	struct history_entry *v = NULL;
	struct history_entry e;
	size_t n = 0;

	while (history_next(&text, &e)) {
		size_t i = 0;

		while (i < n && strcmp(v[i].app, e.app) != 0)
			i++;
		if (i == n)
			v = xreallocarray(v, ++n, sizeof(*v));
		else
			history_entry_release(&v[i]);
		v[i] = e;
	}
	*ret_n = n;
	return v;
}

/* All or none: where the first of several links was changed, all had been
 * observed, and the others follow. */
static int finish_commit(int pod_dirfd, const struct history_entry *v, size_t n,
			 struct error *err)
{
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		if (v[i].state < UPDATE_OBSERVED ||
		    v[i].state == UPDATE_ROLLED_BACK)
			return 0;
		any |= journal_committed(pod_dirfd, v[i].app) == v[i].to;
	}
	for (size_t i = 0; any && i < n; i++) {
		int r = journal_committed(pod_dirfd, v[i].app) == v[i].to
				? 0
				: journal_commit(pod_dirfd, v[i].app, v[i].to,
						 err);

		if (r < 0)
			return r;
	}
	return 0;
}

/* A torn last line never counted. */
static void cut_torn_line(struct strbuf *text)
{
	while (text->len && text->buf[text->len - 1] != '\n')
		text->buf[--text->len] = '\0';
}

int journal_recover(int pod_dirfd, bool killed, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct history_entry *v;
	size_t n = 0;
	int r;

	r = read_file_at(pod_dirfd, POD_JOURNAL_FILE, JOURNAL_MAX, &text, NULL);
	if (r == -ENOENT)
		return 0;
	cut_torn_line(&text);
	v = r < 0 || !text.len ? NULL : last_entries(text.buf, &n);
	if (n == 0) {
		/* Nothing of it was ever written whole. */
		(void)unlinkat(pod_dirfd, POD_JOURNAL_FILE, 0);
		return 0;
	}
	r = finish_commit(pod_dirfd, v, n, err);
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = settle(pod_dirfd, &v[i], killed, err);
		history_entry_release(&v[i]);
	}
	free(v);
	return r < 0 ? r : journal_close(pod_dirfd, err);
}

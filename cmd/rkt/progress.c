/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/progress.h"

#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "aci/image_fetcher.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "spec/oci_digest.h"

#define COLUMNS_DEFAULT 80
#define BAR_MIN 10
#define BAR_MAX 50
#define ETA_MAX 359999 /* seconds: 99:59:59 */

/* Three digits and a unit of thousands, as rkt's bar has them. */
static void add_bytes(struct strbuf *sb, uint64_t bytes)
{
	static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB"};
	double size = (double)bytes;
	size_t i = 0;

	for (; size >= 999.5 && i + 1 < sizeof(units) / sizeof(*units); i++)
		size /= 1000;
	strbuf_addf(sb, "%.3g %s", size, units[i]);
}

static void add_duration(struct strbuf *sb, uint64_t seconds)
{
	if (seconds > ETA_MAX)
		seconds = ETA_MAX;
	if (seconds >= 3600)
		strbuf_addf(sb, "%" PRIu64 "h", seconds / 3600);
	if (seconds >= 60)
		strbuf_addf(sb, "%" PRIu64 "m", seconds / 60 % 60);
	strbuf_addf(sb, "%" PRIu64 "s", seconds % 60);
}

static void add_bar(struct strbuf *sb, uint64_t done, uint64_t total,
		    unsigned int width)
{
	unsigned int filled =
		(unsigned int)((double)done / (double)total * width);

	strbuf_addch(sb, '[');
	for (unsigned int i = 0; i < width; i++) {
		if (i < filled)
			strbuf_addch(sb, '=');
		else
			strbuf_addch(sb, i == filled ? '>' : ' ');
	}
	strbuf_addstr(sb, "] ");
}

/* "1.2 MB/4.5 MB 3.4 MB/s 1s": the time that is left, or at the end the time
 * it took. */
static void add_numbers(struct strbuf *sb, const struct image_progress *seen,
			uint64_t since_begin, int64_t ms)
{
	uint64_t rate = ms > 0 ? since_begin * 1000 / (uint64_t)ms : 0;

	add_bytes(sb, seen->done);
	if (seen->total) {
		strbuf_addch(sb, '/');
		add_bytes(sb, seen->total);
	}
	if (!rate)
		return;
	strbuf_addch(sb, ' ');
	add_bytes(sb, rate);
	strbuf_addstr(sb, "/s");
	if (seen->ended || seen->total < seen->done)
		return;
	strbuf_addch(sb, ' ');
	add_duration(sb, (seen->total - seen->done) / rate);
}

void progress_format(const struct image_progress *seen, uint64_t since_begin,
		     int64_t ms, unsigned int columns, struct strbuf *sb)
{
	const char *verb = seen->is_upload ? "Uploading" : "Downloading";
	cleanup_strbuf struct strbuf numbers = STRBUF_INIT;
	size_t used;

	add_numbers(&numbers, seen, since_begin, ms);
	strbuf_addf(sb, "%s %s: ", verb, seen->what);
	used = strlen(verb) + strlen(" : [] ") + strlen(seen->what) +
	       numbers.len;
	if (seen->total && columns >= used + BAR_MIN) {
		size_t width = columns - used;

		add_bar(sb, seen->done < seen->total ? seen->done : seen->total,
			seen->total,
			width < BAR_MAX ? (unsigned int)width : BAR_MAX);
	}
	strbuf_addstr(sb, numbers.buf);
}

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static unsigned int terminal_columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		return COLUMNS_DEFAULT;
	return size.ws_col;
}

void progress_show(void *arg, const struct image_progress *seen)
{
	cleanup_strbuf struct strbuf line = STRBUF_INIT;
	struct progress *p = arg;
	bool is_bar = isatty(STDERR_FILENO) && !seen->is_one_of_many;

	/* It begins again where what was resumed has changed on the server. */
	if (!p->started_ms || seen->done < p->began_at) {
		p->started_ms = now_ms();
		p->began_at = seen->ended ? 0 : seen->done;
	}
	if (!is_bar && !seen->ended)
		return;
	if (is_bar)
		strbuf_addstr(&line, "\r\033[K");
	progress_format(seen, seen->done - p->began_at,
			now_ms() - p->started_ms,
			/* the last column makes some terminals break */
			is_bar ? terminal_columns() - 1 : 0, &line);
	if (!is_bar)
		strbuf_addf(&line, " %s", seen->url);
	if (seen->ended) {
		strbuf_addch(&line, '\n');
		p->started_ms = 0;
	}
	(void)write_full(STDERR_FILENO, line.buf, line.len);
}

/* --- several ------------------------------------------------------------- */

static void add_line(const struct progress *p, const struct image_progress *one,
		     unsigned int columns, struct strbuf *sb)
{
	cleanup_free char *what =
		xasprintf("layer %.*s", OCI_DIGEST_SHOWN, one->url);
	struct image_progress named = *one;

	named.what = what;
	progress_format(&named, one->done - one->resumed,
			now_ms() - p->all_started_ms, columns, sb);
}

/* As many as the terminal has room for. */
static size_t terminal_lines(size_t n)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1 &&
	    n >= size.ws_row)
		return size.ws_row - 1U;
	return n;
}

static void draw_all(struct progress *p, const struct image_progress *v,
		     size_t n, struct strbuf *sb)
{
	unsigned int columns = terminal_columns() - 1;
	size_t room = terminal_lines(n), drawn = 0;

	if (p->n_lines)
		strbuf_addf(sb, "\033[%zuA", p->n_lines);
	for (size_t i = 0; i < n && drawn < room; i++) {
		if (!v[i].what)
			continue;
		strbuf_addstr(sb, "\r\033[K");
		add_line(p, &v[i], columns, sb);
		strbuf_addch(sb, '\n');
		drawn++;
	}
	p->n_lines = drawn;
}

/* A line for each that has ended since the last time. */
static void log_ended(struct progress *p, const struct image_progress *v,
		      size_t n, struct strbuf *sb)
{
	for (size_t i = 0; i < n && i < PROGRESS_ENDED_MAX; i++) {
		if (!v[i].ended || p->has_ended[i])
			continue;
		p->has_ended[i] = true;
		add_line(p, &v[i], 0, sb);
		strbuf_addch(sb, '\n');
	}
}

void progress_hide_all(void *arg)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct progress *p = arg;

	if (p->n_lines == 0)
		return;
	strbuf_addf(&text, "\033[%zuA\r\033[J", p->n_lines);
	p->n_lines = 0;
	(void)write_full(STDERR_FILENO, text.buf, text.len);
}

void progress_show_all(void *arg, const struct image_progress *v, size_t n)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct progress *p = arg;

	if (n == 0) {
		p->all_started_ms = 0;
		p->n_lines = 0;
		memset(p->has_ended, 0, sizeof(p->has_ended));
		return;
	}
	if (!p->all_started_ms)
		p->all_started_ms = now_ms();
	if (isatty(STDERR_FILENO))
		draw_all(p, v, n, &text);
	else
		log_ended(p, v, n, &text);
	(void)write_full(STDERR_FILENO, text.buf, text.len);
}

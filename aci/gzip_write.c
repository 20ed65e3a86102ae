/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/gzip_write.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"

static int fail(const struct gzip_writer *w, struct error *err)
{
	const char *text = archive_error_string(w->a);

	if (w->failed)
		return error_sys(err, w->failed, "write the %s", w->what);
	return error_set(err, EIO, "write the %s: %s", w->what,
			 text ? text : strerror(EIO));
}

/* Never fails for the library: an archive it has given up it does not free. */
static la_ssize_t to_file(struct archive *a, void *arg, const void *data,
			  size_t n)
{
	struct gzip_writer *w = arg;
	int r = w->failed ? 0 : write_full(w->fd, data, n);

	(void)a;
	if (r < 0)
		w->failed = -r;
	else if (!w->failed && w->wrote)
		w->wrote(w->arg, data, n);
	return (la_ssize_t)n;
}

/* The filter alone: one entry of the format that adds nothing. */
int gzip_open(struct gzip_writer *w, struct error *err)
{
	struct archive_entry *e = archive_entry_new();
	int r;

	w->a = archive_write_new();
	archive_entry_set_filetype(e, AE_IFREG);
	r = archive_write_set_format_raw(w->a);
	if (r == ARCHIVE_OK)
		r = archive_write_add_filter_gzip(w->a);
	if (r == ARCHIVE_OK)
		r = archive_write_set_options(w->a, "gzip:!timestamp");
	if (r == ARCHIVE_OK)
		r = archive_write_set_bytes_in_last_block(w->a, 1);
	if (r == ARCHIVE_OK)
		r = archive_write_open(w->a, w, NULL, to_file, NULL);
	if (r == ARCHIVE_OK)
		r = archive_write_header(w->a, e);
	archive_entry_free(e);
	return r == ARCHIVE_OK ? 0 : fail(w, err);
}

int gzip_put(struct gzip_writer *w, const void *data, size_t n,
	     struct error *err)
{
	return archive_write_data(w->a, data, n) == (la_ssize_t)n && !w->failed
		       ? 0
		       : fail(w, err);
}

int gzip_close(struct gzip_writer *w, struct error *err)
{
	return archive_write_close(w->a) == ARCHIVE_OK && !w->failed
		       ? 0
		       : fail(w, err);
}

void gzip_release(struct gzip_writer *w)
{
	/* Freeing would still write what is buffered. */
	if (!w->failed)
		w->failed = ECANCELED;
	if (w->a)
		(void)archive_write_free(w->a);
	w->a = NULL;
}

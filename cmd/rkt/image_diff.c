/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aci/printable.h"
#include "aci/tree_diff.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/format.h"
#include "cmd/rkt/image.h"
#include "cmd/rkt/images.h"
#include "spec/json_diff.h"
#include "spec/json_write.h"

struct opts {
	enum output_format format;
};

static const struct option_row rows[] = {
	FORMAT_OPTION_ROW(struct opts, format),
	{.name = NULL},
};

/* One of the two images. */
struct side {
	struct image_id id;
	struct strbuf manifest;
	int rootfs;
};

struct differences {
	struct side sides[2];
	struct json_changes manifest;
	struct tree_changes files;
};

static void differences_release(struct differences *d)
{
	for (size_t i = 0; i < 2; i++) {
		strbuf_release(&d->sides[i].manifest);
		fd_close(&d->sides[i].rootfs);
	}
	json_changes_release(&d->manifest);
	tree_changes_release(&d->files);
}

static int open_side(struct images *im, const char *arg, struct side *ret,
		     struct error *err)
{
	int r = image_find_stored(im->store, arg, &ret->id, err);

	if (r >= 0)
		r = imagestore_read_manifest(im->store, &ret->id,
					     &ret->manifest, err);
	if (r >= 0)
		r = treestore_open(&im->trees, &ret->id, &ret->rootfs, err);
	return r;
}

static int find_differences(struct images *im, char *const *args,
			    struct differences *d, struct error *err)
{
	struct side *a = &d->sides[0], *b = &d->sides[1];
	int r = open_side(im, args[0], a, err);

	if (r >= 0)
		r = open_side(im, args[1], b, err);
	if (r >= 0)
		r = json_diff(a->manifest.buf, a->manifest.len, b->manifest.buf,
			      b->manifest.len, &d->manifest, err);
	if (r >= 0)
		r = tree_diff(a->rootfs, b->rootfs, &d->files, err);
	return r;
}

/* --- as text ------------------------------------------------------------- */

static const char *const kind_names[] = {
	[TREE_ADDED] = "added",
	[TREE_REMOVED] = "removed",
	[TREE_CHANGED] = "changed",
};
static const char kind_marks[] = {
	[TREE_ADDED] = '+',
	[TREE_REMOVED] = '-',
	[TREE_CHANGED] = '~',
};

static const struct {
	unsigned int bit;
	const char *name;
} what_names[] = {
	{TREE_DIFFERS_TYPE, "type"},	 {TREE_DIFFERS_MODE, "mode"},
	{TREE_DIFFERS_OWNER, "owner"},	 {TREE_DIFFERS_CONTENT, "content"},
	{TREE_DIFFERS_TARGET, "target"}, {TREE_DIFFERS_DEVICE, "device"},
	{TREE_DIFFERS_XATTRS, "xattrs"},
};
#define N_WHATS (sizeof(what_names) / sizeof(*what_names))

/* Names in images are anybody's. */
static void add_printable(struct strbuf *out, const char *s)
{
	cleanup_free char *copy = xstrdup(s);

	make_printable(copy);
	strbuf_addstr(out, copy);
}

static void print_manifest_change(const struct json_change *c,
				  struct strbuf *out)
{
	strbuf_addf(out, "%c ", !c->before ? '+' : c->after ? '~' : '-');
	add_printable(out, c->path);
	strbuf_addstr(out, ": ");
	if (c->before)
		add_printable(out, c->before);
	if (c->before && c->after)
		strbuf_addstr(out, " -> ");
	if (c->after)
		add_printable(out, c->after);
	strbuf_addch(out, '\n');
}

static void print_whats(unsigned int what, struct strbuf *out)
{
	const char *between = " (";

	for (size_t i = 0; i < N_WHATS; i++) {
		if (!(what & what_names[i].bit))
			continue;
		strbuf_addf(out, "%s%s", between, what_names[i].name);
		between = ", ";
	}
	strbuf_addch(out, ')');
}

static void print_file_change(const struct tree_change *c, struct strbuf *out)
{
	strbuf_addf(out, "%c ", kind_marks[c->kind]);
	add_printable(out, c->path);
	if (c->kind == TREE_CHANGED)
		print_whats(c->what, out);
	if (c->before || c->after)
		strbuf_addch(out, ' ');
	if (c->before)
		format_size(out, c->before);
	if (c->before && c->after && c->before != c->after)
		strbuf_addstr(out, " -> ");
	if (c->after && c->before != c->after)
		format_size(out, c->after);
	strbuf_addch(out, '\n');
}

static size_t count_kind(const struct tree_changes *files,
			 enum tree_change_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < files->n; i++)
		n += files->v[i].kind == kind;
	return n;
}

static void print_text(const struct differences *d, struct strbuf *out)
{
	if (d->manifest.n)
		strbuf_addstr(out, "manifest:\n");
	for (size_t i = 0; i < d->manifest.n; i++)
		print_manifest_change(&d->manifest.v[i], out);
	if (d->files.n)
		strbuf_addstr(out, "files:\n");
	for (size_t i = 0; i < d->files.n; i++)
		print_file_change(&d->files.v[i], out);
	strbuf_addf(out, "%zu added, %zu removed, %zu changed; files ",
		    count_kind(&d->files, TREE_ADDED),
		    count_kind(&d->files, TREE_REMOVED),
		    count_kind(&d->files, TREE_CHANGED));
	format_size(out, d->files.before);
	strbuf_addstr(out, " -> ");
	format_size(out, d->files.after);
	strbuf_addch(out, '\n');
}

/* --- as JSON ------------------------------------------------------------- */

static void add_raw_if(struct json_writer *w, const char *key, const char *text)
{
	if (text)
		json_add_raw(w, key, text);
}

static void write_file_change(const struct tree_change *c,
			      struct json_writer *w)
{
	json_open_object(w, NULL);
	json_add_string(w, "path", c->path);
	json_add_string(w, "change", kind_names[c->kind]);
	if (c->kind == TREE_CHANGED) {
		json_open_array(w, "differs");
		for (size_t i = 0; i < N_WHATS; i++)
			if (c->what & what_names[i].bit)
				json_add_string(w, NULL, what_names[i].name);
		json_close_array(w);
	}
	if (c->kind != TREE_ADDED)
		json_add_uint(w, "size_before", c->before);
	if (c->kind != TREE_REMOVED)
		json_add_uint(w, "size_after", c->after);
	json_close_object(w);
}

static void print_json(const struct differences *d, enum json_style style,
		       struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out, style);
	json_open_object(&w, NULL);
	json_add_string(&w, "before", d->sides[0].id.text);
	json_add_string(&w, "after", d->sides[1].id.text);
	json_open_array(&w, "manifest");
	for (size_t i = 0; i < d->manifest.n; i++) {
		json_open_object(&w, NULL);
		json_add_string(&w, "path", d->manifest.v[i].path);
		add_raw_if(&w, "before", d->manifest.v[i].before);
		add_raw_if(&w, "after", d->manifest.v[i].after);
		json_close_object(&w);
	}
	json_close_array(&w);
	json_open_array(&w, "files");
	for (size_t i = 0; i < d->files.n; i++)
		write_file_change(&d->files.v[i], &w);
	json_close_array(&w);
	json_add_uint(&w, "size_before", d->files.before);
	json_add_uint(&w, "size_after", d->files.after);
	json_close_object(&w);
	strbuf_addch(out, '\n');
}

/* --- the command --------------------------------------------------------- */

static int run(struct cmd_call *call)
{
	const struct opts *o = call->opts;
	__attribute__((
		__cleanup__(differences_release))) struct differences d = {
		.sides = {{.manifest = STRBUF_INIT, .rootfs = -EBADF},
			  {.manifest = STRBUF_INIT, .rootfs = -EBADF}}};
	cleanup_images struct images im = {0};
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct error err = ERROR_INIT;
	int r;

	if (call->argc != 2)
		return cmd_usage(call, CMD_WRONG_NUMBER);
	r = images_open(call->rkt, 0, &im, &err);
	if (r >= 0)
		r = find_differences(&im, call->argv, &d, &err);
	if (r < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	if (o->format == FORMAT_TABLE)
		print_text(&d, &out);
	else
		print_json(&d, format_style(o->format), &out);
	return print_all(&out);
}

const struct command cmd_image_diff = {
	.name = "diff",
	.summary = "Show what differs between two stored images",
	.usage = "BEFORE AFTER",
	.words = CMD_WORDS_IMAGES,
	.description =
		"What an update from one to the other would change: the "
		"manifest, and the files of the root file system with their "
		"sizes (+ added, - removed, ~ changed). Times are not "
		"compared.",
	.flags = CMD_ROOT,
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};

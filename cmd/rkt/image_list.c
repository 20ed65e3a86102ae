/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aci/stored_layer.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "base/table.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/format.h"
#include "cmd/rkt/image.h"
#include "cmd/rkt/images.h"
#include "spec/image_id.h"
#include "spec/json_write.h"
#include "spec/oci.h"

#define SHORT_ID_LEN (IMAGE_ID_PREFIX_LEN + 12)
#define FIELDS_MAX 7

struct field;

struct opts {
	const struct field *fields[FIELDS_MAX + 1]; /* NULL-terminated */
	const struct field *sort[FIELDS_MAX + 1];
	bool descending;
	bool no_legend;
	bool full;
	bool all;
	const char *format;
};

struct row {
	const struct image_row *image;
	bool is_unpacked;
	uint64_t layers; /* size of those that are not listed */
};

/* A column: how it is called, shown and compared. */
struct field {
	const char *name;
	const char *header;
	void (*show)(const struct row *row, const struct opts *o,
		     struct strbuf *sb);
	int (*compare)(const struct row *a, const struct row *b); /* or NULL */
};

/* The tar with its layers, and a tree unpacked from it; what an index takes
 * (below a hundredth) would cost a look at each. */
static uint64_t row_size(const struct row *row)
{
	return row->image->size + row->layers +
	       (row->is_unpacked ? row->image->unpacked : 0);
}

static void show_id(const struct row *row, const struct opts *o,
		    struct strbuf *sb)
{
	const char *id = row->image->id;

	strbuf_add(sb, id,
		   strnlen(id, o->full ? IMAGE_ID_FULL_LEN : SHORT_ID_LEN));
}

static void show_name(const struct row *row, const struct opts *o,
		      struct strbuf *sb)
{
	(void)o;
	strbuf_addstr(sb, row->image->name);
	if (row->image->version[0]) {
		strbuf_addch(sb, ':');
		strbuf_addstr(sb, row->image->version);
	}
}

static void show_import_time(const struct row *row, const struct opts *o,
			     struct strbuf *sb)
{
	format_time(sb, row->image->imported, o->full);
}

static void show_last_used(const struct row *row, const struct opts *o,
			   struct strbuf *sb)
{
	format_time(sb, row->image->last_used, o->full);
}

static void show_size(const struct row *row, const struct opts *o,
		      struct strbuf *sb)
{
	if (o->full)
		strbuf_addf(sb, "%llu", (unsigned long long)row_size(row));
	else
		format_size(sb, row_size(row));
}

static void show_signer(const struct row *row, const struct opts *o,
			struct strbuf *sb)
{
	const char *signer = row->image->signer;

	/* The end is what people compare, as gpg's short form. */
	if (!*signer)
		strbuf_addch(sb, '-');
	else if (o->full || strlen(signer) <= 16)
		strbuf_addstr(sb, signer);
	else
		strbuf_addstr(sb, signer + strlen(signer) - 16);
}

static void show_source(const struct row *row, const struct opts *o,
			struct strbuf *sb)
{
	(void)o;
	strbuf_addstr(sb, row->image->source[0] ? row->image->source : "-");
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int compare_name(const struct row *a, const struct row *b)
{
	return strcmp(a->image->name, b->image->name);
}

static int compare_import_time(const struct row *a, const struct row *b)
{
	if (a->image->imported == b->image->imported)
		return COMPARE(a->image->serial, b->image->serial);
	return COMPARE(a->image->imported, b->image->imported);
}

static int compare_last_used(const struct row *a, const struct row *b)
{
	return COMPARE(a->image->last_used, b->image->last_used);
}

static int compare_size(const struct row *a, const struct row *b)
{
	return COMPARE(row_size(a), row_size(b));
}

static const struct field fields[FIELDS_MAX] = {
	{"id", "ID", show_id, NULL},
	{"name", "NAME", show_name, compare_name},
	{"size", "SIZE", show_size, compare_size},
	{"importtime", "IMPORT TIME", show_import_time, compare_import_time},
	{"lastused", "LAST USED", show_last_used, compare_last_used},
	{"signer", "SIGNER", show_signer, NULL},
	{"source", "SOURCE", show_source, NULL},
};

/* --- options ------------------------------------------------------------- */

static const struct field *field_find(const char *name, bool sortable)
{
	for (size_t i = 0; i < FIELDS_MAX; i++)
		if (strcasecmp(fields[i].name, name) == 0 &&
		    (!sortable || fields[i].compare))
			return &fields[i];
	return NULL;
}

static int parse_fields(const char *value, bool sortable,
			const struct field **ret, struct error *err)
{
	cleanup_strv struct strv names = STRV_INIT;
	size_t n = 0;

	strv_split(&names, value, ',');
	for (size_t i = 0; i < names.n; i++) {
		const struct field *f = field_find(names.v[i], sortable);

		if (!f)
			return error_set(err, EINVAL, "unknown field \"%s\"",
					 names.v[i]);
		for (size_t k = 0; k < n; k++)
			if (ret[k] == f)
				return error_set(err, EINVAL,
						 "duplicated field \"%s\"",
						 f->name);
		ret[n++] = f;
	}
	ret[n] = NULL;
	return 0;
}

static int fields_parse(const struct option_row *row, void *target,
			const char *value, struct error *err)
{
	return parse_fields(value, row->tag != 0, target, err);
}

static int order_parse(const struct option_row *row, void *target,
		       const char *value, struct error *err)
{
	bool *descending = target;

	(void)row;
	*descending = strcmp(value, "desc") == 0;
	if (!*descending && strcmp(value, "asc") != 0)
		return error_set(err, EINVAL, "wrong sort order");
	return 0;
}

static const struct option_row rows[] = {
	{.name = "fields",
	 .kind = OPTION_CALL,
	 .parse = fields_parse,
	 .shown = "id,name,size,importtime,lastused",
	 .offset = offsetof(struct opts, fields),
	 .help = "comma-separated list of fields to display. Accepted values: "
		 "\"id\", \"name\", \"size\", \"importtime\", \"lastused\", "
		 "\"signer\" (key that signed it, - if none was asked for), "
		 "\"source\""},
	{.name = "sort",
	 .kind = OPTION_CALL,
	 .parse = fields_parse,
	 .tag = 1,
	 .shown = "importtime",
	 .offset = offsetof(struct opts, sort),
	 .help = "sort the output according to the provided comma-separated "
		 "list of fields. Accepted values: \"name\", \"importtime\", "
		 "\"lastused\", \"size\""},
	{.name = "order",
	 .kind = OPTION_CALL,
	 .parse = order_parse,
	 .shown = "asc",
	 .offset = offsetof(struct opts, descending),
	 .help = "choose the sorting order if at least one sort field is "
		 "provided (--sort). Accepted values: \"asc\", \"desc\""},
	{.name = "no-legend",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, no_legend),
	 .help = "suppress a legend with the list"},
	{.name = "all",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, all),
	 .help = "list the layers of images from registries, too, whose sizes "
		 "are then theirs alone"},
	{.name = "full",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, full),
	 .help = "use long output format"},
	{.name = "format",
	 .values = "json|json-pretty",
	 .kind = OPTION_STRING,
	 .shown = "",
	 .offset = offsetof(struct opts, format),
	 .help = "choose the output format, allowed format includes 'json', "
		 "'json-pretty'. If empty, then the result is printed as key "
		 "value pairs"},
	{.name = NULL},
};

static void init(void *opts)
{
	struct opts *o = opts;

	(void)parse_fields("id,name,size,importtime,lastused", false, o->fields,
			   NULL);
	(void)parse_fields("importtime", true, o->sort, NULL);
}

/* --- output -------------------------------------------------------------- */

static int compare_rows(const void *a, const void *b, void *arg)
{
	const struct opts *o = arg;
	int r = 0;

	for (size_t i = 0; r == 0 && o->sort[i]; i++)
		r = o->sort[i]->compare(a, b);
	return o->descending ? -r : r;
}

/* ROW NULL: the header. */
static void add_line(const struct row *row, const struct opts *o,
		     struct table *table)
{
	table_row(table);
	for (size_t i = 0; o->fields[i]; i++) {
		struct strbuf *cell = table_cell(table);

		if (row)
			o->fields[i]->show(row, o, cell);
		else
			strbuf_addstr(cell, o->fields[i]->header);
	}
}

static void print_table(const struct row *list, size_t n, const struct opts *o,
			struct strbuf *out)
{
	cleanup_table struct table table = TABLE_INIT;

	if (!o->no_legend)
		add_line(NULL, o, &table);
	for (size_t i = 0; i < n; i++)
		add_line(&list[i], o, &table);
	table_format(&table, out);
}

static void add_json(const struct row *row, const struct opts *o,
		     struct json_writer *w)
{
	cleanup_strbuf struct strbuf id = STRBUF_INIT;
	cleanup_strbuf struct strbuf name = STRBUF_INIT;

	show_id(row, o, &id);
	show_name(row, o, &name);
	json_open_object(w, NULL);
	json_add_string(w, "id", id.buf);
	json_add_string(w, "name", name.buf);
	json_add_int(w, "import_time", row->image->imported);
	json_add_int(w, "last_used_time", row->image->last_used);
	json_add_uint(w, "size", row_size(row));
	json_add_string_if(w, "signer", row->image->signer);
	json_add_string_if(w, "source", row->image->source);
	json_close_object(w);
}

static void print_json(const struct row *list, size_t n, const struct opts *o,
		       enum json_style style, struct strbuf *out)
{
	struct json_writer w;

	json_writer_init(&w, out, style);
	json_open_array(&w, NULL);
	for (size_t i = 0; i < n; i++)
		add_json(&list[i], o, &w);
	json_close_array(&w);
	strbuf_addch(out, '\n');
}

static int print_rows(struct row *list, size_t n, const struct opts *o,
		      struct strbuf *out, struct error *err)
{
	const char *format = o->format ? o->format : "";

	if (n > 1)
		qsort_r(list, n, sizeof(*list), compare_rows, (void *)o);
	if (!*format)
		print_table(list, n, o, out);
	else if (strcmp(format, "json") == 0)
		print_json(list, n, o, JSON_COMPACT_STYLE, out);
	else if (strcmp(format, "json-pretty") == 0)
		print_json(list, n, o, JSON_PRETTY_STYLE, out);
	else
		return error_set(err, EINVAL,
				 "invalid output format \"%s\": use json or "
				 "json-pretty",
				 format);
	return 0;
}

/* Which images are unpacked; an unreadable tree directory (only root may
 * look) counts as none. */
static void mark_unpacked(const struct images *im, struct row *list, size_t n)
{
	cleanup_strv struct strv trees = STRV_INIT;

	(void)treestore_list_unpacked(&im->trees, &trees, NULL);
	strv_sort(&trees);
	for (size_t i = 0; i < n; i++)
		list[i].is_unpacked =
			strv_sorted_has(&trees, list[i].image->id);
}

static int compare_ids(const void *a, const void *b)
{
	const struct image_row *const *x = a, *const *y = b;

	return strcmp((*x)->id, (*y)->id);
}

static bool may_have_layers(const struct image_row *image)
{
	return strncmp(image->source, "docker", strlen("docker")) == 0 ||
	       strncmp(image->source, "oci", strlen("oci")) == 0;
}

/* Sizes of the layers in ALL; one that several images share counts for each.
 * An image whose manifest cannot be read has none. */
static void add_layers(const struct images *im, const struct image_rows *all,
		       struct row *list, size_t n)
{
	cleanup_free const struct image_row **by_id =
		xcalloc(all->n + 1, sizeof(*by_id));

	for (size_t i = 0; i < all->n; i++)
		by_id[i] = &all->v[i];
	qsort(by_id, all->n, sizeof(*by_id), compare_ids);
	for (size_t i = 0; i < n; i++) {
		cleanup_strv struct strv layers = STRV_INIT;
		struct image_id id;

		if (may_have_layers(list[i].image) &&
		    image_id_parse(list[i].image->id, &id, NULL) == 0)
			(void)stored_layers_of(im->store, &id, &layers, NULL);
		for (size_t k = 0; k < layers.n; k++) {
			const struct image_row key = {.id = layers.v[k]};
			const struct image_row *want = &key, **found;

			found = bsearch(&want, by_id, all->n, sizeof(*by_id),
					compare_ids);
			list[i].layers += found ? (*found)->size : 0;
		}
	}
}

static int list_images(const struct cmd_call *call, struct strbuf *out,
		       struct error *err)
{
	cleanup_images struct images im = {0};
	cleanup_image_rows struct image_rows images = IMAGE_ROWS_INIT;
	cleanup_free struct row *list = NULL;
	const struct opts *o = call->opts;
	size_t n = 0;
	int r;

	r = images_open_existing(call->rkt, &im, err);
	if (r >= 0 && im.store)
		r = imagestore_list(im.store, NULL, &images, err);
	if (r < 0)
		return r;
	list = xcalloc(images.n + 1, sizeof(*list));
	for (size_t i = 0; i < images.n; i++)
		if (o->all || !oci_is_layer_name(images.v[i].name))
			list[n++].image = &images.v[i];
	if (im.store)
		mark_unpacked(&im, list, n);
	if (im.store && !o->all)
		add_layers(&im, &images, list, n);
	return print_rows(list, n, o, out, err);
}

static int run(struct cmd_call *call)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;
	struct error err = ERROR_INIT;

	if (call->argc > 0)
		return cmd_usage(call, CMD_WRONG_NUMBER);
	if (list_images(call, &out, &err) < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	return print_all(&out);
}

const struct command cmd_image_list = {
	.name = "list",
	.summary = "List images in the local store",
	.usage = "",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.init = init,
	.run = run,
};

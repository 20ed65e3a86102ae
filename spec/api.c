/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/api.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"
#include "spec/protobuf.h"

/* --- messages --------------------------------------------------------------
 */

struct parser {
	struct error *err;
	size_t terms;
};

/* A field and where its value goes; other numbers are passed over, as a
 * client of a later version may send them. */
struct row {
	uint32_t number;
	bool has_bytes; /* one of the other kind is passed over, too */
	size_t offset;
	int (*read)(struct parser *p, const struct protobuf_field *field,
		    void *target);
};

static int bad(struct parser *p, const char *what)
{
	return error_set(p->err, EBADMSG, "the request is no message: %s",
			 what);
}

static int count(struct parser *p)
{
	if (++p->terms > API_TERMS_MAX)
		return error_set(p->err, E2BIG,
				 "the request has more than %d terms: ask for "
				 "less at once",
				 API_TERMS_MAX);
	return 0;
}

static int read_set(struct parser *p, const struct protobuf_field *field,
		    void *target);

static int read_field(struct parser *p, const struct protobuf_field *field,
		      const struct row *rows, void *message)
{
	for (const struct row *row = rows; row->read; row++)
		if (row->number == field->number &&
		    (row->has_bytes == field->has_bytes ||
		     row->read == read_set))
			return row->read(p, field,
					 (char *)message + row->offset);
	return 0;
}

static int parse_message(struct parser *p, const char *data, size_t len,
			 const struct row *rows, void *message)
{
	struct protobuf_reader reader = {data, data + len};
	struct protobuf_field field;
	int more, r = 0;

	while (r == 0 && (more = protobuf_next(&reader, &field)) != 0)
		r = more < 0 ? bad(p, "a field is cut or has no form")
			     : read_field(p, &field, rows, message);
	return r;
}

static int parse(const char *data, size_t len, const struct row *rows,
		 void *message, struct error *err)
{
	struct parser p = {.err = err};

	return parse_message(&p, data, len, rows, message);
}

/* --- values ----------------------------------------------------------------
 */

static int read_bool(struct parser *p, const struct protobuf_field *field,
		     void *target)
{
	(void)p;
	*(bool *)target = field->value != 0;
	return 0;
}

static int read_int64(struct parser *p, const struct protobuf_field *field,
		      void *target)
{
	(void)p;
	*(int64_t *)target = (int64_t)field->value;
	return 0;
}

static int read_int32(struct parser *p, const struct protobuf_field *field,
		      void *target)
{
	(void)p;
	*(int32_t *)target = (int32_t)field->value;
	return 0;
}

static int read_text(struct parser *p, const struct protobuf_field *field,
		     void *target)
{
	char **text = target;

	if (memchr(field->bytes, '\0', field->len))
		return bad(p, "a text has a zero byte");
	free(*text);
	*text = xstrndup(field->bytes, field->len);
	return 0;
}

static int read_texts(struct parser *p, const struct protobuf_field *field,
		      void *target)
{
	char *text = NULL;
	int r = count(p);

	if (r == 0)
		r = read_text(p, field, &text);
	if (r == 0)
		strv_take(target, text);
	return r;
}

static void set_add(struct api_set *set, uint64_t value)
{
	set->is_given = true;
	if (value < 32)
		set->bits |= 1U << value;
}

/* One by one, or packed. */
static int read_set(struct parser *p, const struct protobuf_field *field,
		    void *target)
{
	struct protobuf_reader packed;
	uint64_t value;
	int more;

	if (!field->has_bytes) {
		set_add(target, field->value);
		return 0;
	}
	packed = (struct protobuf_reader){field->bytes,
					  field->bytes + field->len};
	while ((more = protobuf_next_number(&packed, &value)) > 0)
		set_add(target, value);
	return more < 0 ? bad(p, "numbers end amid one") : 0;
}

struct key_value {
	char *key, *value;
};

static const struct row key_value_rows[] = {
	{1, true, offsetof(struct key_value, key), read_text},
	{2, true, offsetof(struct key_value, value), read_text},
	{0},
};

static int read_pairs(struct parser *p, const struct protobuf_field *field,
		      void *target)
{
	struct key_value kv = {0};
	int r = count(p);

	if (r == 0)
		r = parse_message(p, field->bytes, field->len, key_value_rows,
				  &kv);
	if (r == 0)
		name_values_add(target, kv.key ? kv.key : "",
				kv.value ? kv.value : "");
	free(kv.key);
	free(kv.value);
	return r;
}

/* --- ListPods --------------------------------------------------------------
 */

#define POD(member) offsetof(struct api_pod_filter, member)
static const struct row pod_filter_rows[] = {
	{1, true, POD(ids), read_texts},
	{2, false, POD(states), read_set},
	{3, true, POD(app_names), read_texts},
	{4, true, POD(image_ids), read_texts},
	{5, true, POD(network_names), read_texts},
	{6, true, POD(annotations), read_pairs},
	{7, true, POD(cgroups), read_texts},
	{8, true, POD(sub_cgroups), read_texts},
	{0},
};

static int read_pod_filter(struct parser *p, const struct protobuf_field *field,
			   void *target)
{
	struct api_list_pods *request = target;
	int r = count(p);

	if (r < 0)
		return r;
	request->filters =
		xreallocarray(request->filters, request->n_filters + 1,
			      sizeof(*request->filters));
	request->filters[request->n_filters] = (struct api_pod_filter){0};
	return parse_message(p, field->bytes, field->len, pod_filter_rows,
			     &request->filters[request->n_filters++]);
}

static const struct row list_pods_rows[] = {
	{1, true, 0, read_pod_filter},
	{2, false, offsetof(struct api_list_pods, detail), read_bool},
	{0},
};

int api_list_pods_parse(const char *data, size_t len, struct api_list_pods *ret,
			struct error *err)
{
	return parse(data, len, list_pods_rows, ret, err);
}

void api_list_pods_release(struct api_list_pods *request)
{
	for (size_t i = 0; i < request->n_filters; i++) {
		struct api_pod_filter *f = &request->filters[i];

		strv_release(&f->ids);
		strv_release(&f->app_names);
		strv_release(&f->image_ids);
		strv_release(&f->network_names);
		strv_release(&f->cgroups);
		strv_release(&f->sub_cgroups);
		name_values_release(&f->annotations);
	}
	free(request->filters);
	*request = (struct api_list_pods){0};
}

/* --- ListImages ------------------------------------------------------------
 */

#define IMAGE(member) offsetof(struct api_image_filter, member)
static const struct row image_filter_rows[] = {
	{1, true, IMAGE(ids), read_texts},
	{2, true, IMAGE(prefixes), read_texts},
	{3, true, IMAGE(base_names), read_texts},
	{4, true, IMAGE(keywords), read_texts},
	{5, true, IMAGE(labels), read_pairs},
	{6, false, IMAGE(imported_after), read_int64},
	{7, false, IMAGE(imported_before), read_int64},
	{8, true, IMAGE(annotations), read_pairs},
	{9, true, IMAGE(full_names), read_texts},
	{0},
};

static int read_image_filter(struct parser *p,
			     const struct protobuf_field *field, void *target)
{
	struct api_list_images *request = target;
	int r = count(p);

	if (r < 0)
		return r;
	request->filters =
		xreallocarray(request->filters, request->n_filters + 1,
			      sizeof(*request->filters));
	request->filters[request->n_filters] = (struct api_image_filter){0};
	return parse_message(p, field->bytes, field->len, image_filter_rows,
			     &request->filters[request->n_filters++]);
}

static const struct row list_images_rows[] = {
	{1, true, 0, read_image_filter},
	{2, false, offsetof(struct api_list_images, detail), read_bool},
	{0},
};

int api_list_images_parse(const char *data, size_t len,
			  struct api_list_images *ret, struct error *err)
{
	return parse(data, len, list_images_rows, ret, err);
}

void api_list_images_release(struct api_list_images *request)
{
	for (size_t i = 0; i < request->n_filters; i++) {
		struct api_image_filter *f = &request->filters[i];

		strv_release(&f->ids);
		strv_release(&f->prefixes);
		strv_release(&f->base_names);
		strv_release(&f->keywords);
		strv_release(&f->full_names);
		name_values_release(&f->labels);
		name_values_release(&f->annotations);
	}
	free(request->filters);
	*request = (struct api_list_images){0};
}

/* --- the others ------------------------------------------------------------
 */

#define EVENT(member) offsetof(struct api_event_filter, member)
static const struct row event_filter_rows[] = {
	{1, false, EVENT(types), read_set},
	{2, true, EVENT(ids), read_texts},
	{3, true, EVENT(names), read_texts},
	{4, false, EVENT(since_time), read_int64},
	{5, false, EVENT(until_time), read_int64},
	{0},
};

static int read_event_filter(struct parser *p,
			     const struct protobuf_field *field, void *target)
{
	return parse_message(p, field->bytes, field->len, event_filter_rows,
			     target);
}

static const struct row listen_events_rows[] = {
	{1, true, 0, read_event_filter},
	{0},
};

int api_listen_events_parse(const char *data, size_t len,
			    struct api_event_filter *ret, struct error *err)
{
	return parse(data, len, listen_events_rows, ret, err);
}

void api_event_filter_release(struct api_event_filter *filter)
{
	strv_release(&filter->ids);
	strv_release(&filter->names);
	*filter = (struct api_event_filter){0};
}

#define LOGS(member) offsetof(struct api_get_logs, member)
static const struct row get_logs_rows[] = {
	{1, true, LOGS(pod_id), read_text},
	{2, true, LOGS(app_name), read_text},
	{3, false, LOGS(lines), read_int32},
	{4, false, LOGS(follow), read_bool},
	{5, false, LOGS(since_time), read_int64},
	{6, false, LOGS(until_time), read_int64},
	{0},
};

int api_get_logs_parse(const char *data, size_t len, struct api_get_logs *ret,
		       struct error *err)
{
	return parse(data, len, get_logs_rows, ret, err);
}

void api_get_logs_release(struct api_get_logs *request)
{
	free(request->pod_id);
	free(request->app_name);
	*request = (struct api_get_logs){0};
}

static const struct row inspect_rows[] = {
	{1, true, 0, read_text},
	{0},
};

int api_inspect_parse(const char *data, size_t len, char **ret,
		      struct error *err)
{
	cleanup_free char *id = NULL;
	int r = parse(data, len, inspect_rows, &id, err);

	if (r == 0)
		*ret = id ? TAKE_PTR(id) : xstrdup("");
	return r;
}

/* --- which are meant -------------------------------------------------------
 */

/* VALUE is one of ASKED, or nothing is asked for. */
static bool is_any(const struct strv *asked, const char *value)
{
	return asked->n == 0 || strv_has(asked, value);
}

static bool has_all(const struct strv *asked, const struct strv *there)
{
	for (size_t i = 0; i < asked->n; i++)
		if (!strv_has(there, asked->v[i]))
			return false;
	return true;
}

static bool has_pairs(const struct name_values *asked,
		      const struct name_values *there)
{
	for (size_t i = 0; i < asked->n; i++) {
		const char *value = name_values_get(there, asked->v[i].name);

		if (!value || strcmp(value, asked->v[i].value) != 0)
			return false;
	}
	return true;
}

static bool in_set(const struct api_set *asked, unsigned int value)
{
	return !asked->is_given || (asked->bits >> value & 1);
}

/* CGROUP is one of ASKED, or above it. */
static bool is_above_any(const struct strv *asked, const char *cgroup)
{
	for (size_t i = 0; i < asked->n; i++)
		if (*cgroup && path_is_below(asked->v[i], cgroup))
			return true;
	return asked->n == 0;
}

static bool pod_fits(const struct api_pod_filter *f,
		     const struct api_pod_facts *facts)
{
	return is_any(&f->ids, facts->id) && in_set(&f->states, facts->state) &&
	       has_all(&f->app_names, &facts->apps) &&
	       has_all(&f->image_ids, &facts->images) &&
	       has_all(&f->network_names, &facts->networks) &&
	       has_pairs(&f->annotations, facts->annotations) &&
	       is_any(&f->cgroups, facts->cgroup) &&
	       is_above_any(&f->sub_cgroups, facts->cgroup);
}

bool api_pod_is_meant(const struct api_list_pods *request,
		      const struct api_pod_facts *facts)
{
	for (size_t i = 0; i < request->n_filters; i++)
		if (pod_fits(&request->filters[i], facts))
			return true;
	return request->n_filters == 0;
}

static bool is_prefix(const char *prefix, const char *name)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool is_base_name(const char *base, const char *name)
{
	return strcmp(path_base(name), base) == 0;
}

static bool is_part(const char *part, const char *name)
{
	return strstr(name, part) != NULL;
}

static bool fits_any(const struct strv *asked, const char *name,
		     bool (*fits)(const char *asked, const char *name))
{
	for (size_t i = 0; i < asked->n; i++)
		if (fits(asked->v[i], name))
			return true;
	return asked->n == 0;
}

static bool image_fits(const struct api_image_filter *f,
		       const struct api_image_facts *facts)
{
	return is_any(&f->ids, facts->id) &&
	       is_any(&f->full_names, facts->name) &&
	       fits_any(&f->prefixes, facts->name, is_prefix) &&
	       fits_any(&f->base_names, facts->name, is_base_name) &&
	       fits_any(&f->keywords, facts->name, is_part) &&
	       (f->imported_after <= 0 ||
		facts->imported > f->imported_after) &&
	       (f->imported_before <= 0 ||
		facts->imported < f->imported_before) &&
	       has_pairs(&f->labels, facts->labels) &&
	       has_pairs(&f->annotations, facts->annotations);
}

bool api_image_is_meant(const struct api_list_images *request,
			const struct api_image_facts *facts)
{
	for (size_t i = 0; i < request->n_filters; i++)
		if (image_fits(&request->filters[i], facts))
			return true;
	return request->n_filters == 0;
}

bool api_event_is_meant(const struct api_event_filter *filter,
			const struct api_event_facts *facts)
{
	return in_set(&filter->types, facts->type) &&
	       is_any(&filter->ids, facts->id) &&
	       is_any(&filter->names, facts->from) &&
	       (filter->since_time <= 0 || facts->time >= filter->since_time) &&
	       (filter->until_time <= 0 || facts->time <= filter->until_time);
}

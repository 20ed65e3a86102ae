/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/isolator.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/acidentifier.h"
#include "spec/json_read.h"
#include "spec/json_write.h"

/* --- values: one read, write, copy and release each ------------------------
 */

static void read_set(const struct json_node *value, struct strv *ret)
{
	json_get_strv(value, "set", ret);
	if (ret->n == 0)
		json_problem(value, "set is empty");
}

static void read_seccomp(const struct json_node *value, struct isolator *ret)
{
	struct isolator_seccomp *s = &ret->u.seccomp;

	if (!json_want_object(value))
		return;
	read_set(value, &s->set);
	json_get_string(value, "errno", &s->errno_name);
	if (s->errno_name && !*s->errno_name) {
		free(s->errno_name);
		s->errno_name = NULL;
	}
}

static void write_seccomp(const struct isolator *isolator,
			  struct json_writer *w)
{
	json_open_object(w, "value");
	json_add_strv(w, "set", &isolator->u.seccomp.set);
	json_add_string_if(w, "errno", isolator->u.seccomp.errno_name);
	json_close_object(w);
}

static void release_seccomp(struct isolator *isolator)
{
	strv_release(&isolator->u.seccomp.set);
	free(isolator->u.seccomp.errno_name);
}

static void read_caps(const struct json_node *value, struct isolator *ret)
{
	if (json_want_object(value))
		read_set(value, &ret->u.caps);
}

static void write_caps(const struct isolator *isolator, struct json_writer *w)
{
	json_open_object(w, "value");
	json_add_strv(w, "set", &isolator->u.caps);
	json_close_object(w);
}

static void release_caps(struct isolator *isolator)
{
	strv_release(&isolator->u.caps);
}

static int context_part_check(const char *s, struct error *err)
{
	if (!*s || strchr(s, ':'))
		return error_set(err, EINVAL, "invalid value \"%s\"", s);
	return 0;
}

static int not_empty_check(const char *s, struct error *err)
{
	if (!*s)
		return error_set(err, EINVAL, "is empty");
	return 0;
}

/* A member that must be there. */
static void read_required(const struct json_node *value, const char *key,
			  int (*check)(const char *, struct error *),
			  char **ret)
{
	struct json_node member;

	if (!json_member_or_null(value, key, &member))
		json_problem(value, "%s is missing", key);
	else
		json_get_checked(value, key, check, ret);
}

static void read_selinux(const struct json_node *value, struct isolator *ret)
{
	struct isolator_selinux *s = &ret->u.selinux;

	if (!json_want_object(value))
		return;
	read_required(value, "user", context_part_check, &s->user);
	read_required(value, "role", context_part_check, &s->role);
	read_required(value, "type", context_part_check, &s->type);
	read_required(value, "level", not_empty_check, &s->level);
}

static void write_selinux(const struct isolator *isolator,
			  struct json_writer *w)
{
	const struct isolator_selinux *s = &isolator->u.selinux;

	json_open_object(w, "value");
	json_add_string(w, "user", s->user);
	json_add_string(w, "role", s->role);
	json_add_string(w, "type", s->type);
	json_add_string(w, "level", s->level);
	json_close_object(w);
}

static void release_selinux(struct isolator *isolator)
{
	free(isolator->u.selinux.user);
	free(isolator->u.selinux.role);
	free(isolator->u.selinux.type);
	free(isolator->u.selinux.level);
}

static void read_profile(const struct json_node *value, struct isolator *ret)
{
	if (json_want_object(value))
		read_required(value, "profile", not_empty_check,
			      &ret->u.profile);
}

static void write_profile(const struct isolator *isolator,
			  struct json_writer *w)
{
	json_open_object(w, "value");
	json_add_string(w, "profile", isolator->u.profile);
	json_close_object(w);
}

static void release_profile(struct isolator *isolator)
{
	free(isolator->u.profile);
}

static void read_enabled(const struct json_node *value, struct isolator *ret)
{
	json_read_bool(value, &ret->u.enabled);
}

static void write_enabled(const struct isolator *isolator,
			  struct json_writer *w)
{
	json_add_bool(w, "value", isolator->u.enabled);
}

static void read_cpu_shares(const struct json_node *value, struct isolator *ret)
{
	json_read_int(value, 2, 262144, &ret->u.number);
}

static void read_oom_score_adj(const struct json_node *value,
			       struct isolator *ret)
{
	json_read_int(value, -1000, 1000, &ret->u.number);
}

static void write_number(const struct isolator *isolator, struct json_writer *w)
{
	json_add_int(w, "value", isolator->u.number);
}

/* A string (outer blanks allowed, as the reference code does) or a number. */
static bool read_quantity(const struct json_node *object, const char *key,
			  struct quantity *ret)
{
	struct strbuf text cleanup_strbuf = STRBUF_INIT;
	struct error err = ERROR_INIT;
	struct json_node node;
	const char *s;

	if (!json_member(object, key, &node))
		return false;
	if (json_node_is_number(&node)) {
		json_read_number_text(&node, &text);
	} else if (json_read_string(&node, &s)) {
		s += strspn(s, " \t\r\n");
		strbuf_addstr(&text, s);
		while (text.len && strchr(" \t\r\n", text.buf[text.len - 1]))
			strbuf_setlen(&text, text.len - 1);
	} else {
		return false;
	}
	if (quantity_parse(text.buf, ret, &err) == 0)
		return true;
	json_problem_error(&node, &err);
	return false;
}

static void read_resource(const struct json_node *value, struct isolator *ret)
{
	struct isolator_resource *r = &ret->u.resource;

	if (!json_want_object(value))
		return;
	json_get_bool(value, "default", &r->is_default);
	r->has_request = read_quantity(value, "request", &r->request);
	r->has_limit = read_quantity(value, "limit", &r->limit);
	/* ace.md: an omitted request is the limit. */
	if (r->has_limit && !r->has_request)
		r->request = r->limit;
}

/* cpu and memory */
static void read_own_resource(const struct json_node *value,
			      struct isolator *ret)
{
	read_resource(value, ret);
	if (ret->u.resource.is_default)
		json_problem(value, "default must be false");
}

/* Per device or interface, of which only the default can be named. */
static void read_device_resource(const struct json_node *value,
				 struct isolator *ret)
{
	if (!json_want_object(value))
		return;
	read_resource(value, ret);
	if (!ret->u.resource.is_default)
		json_problem(value, "default must be true");
	if (ret->u.resource.has_request)
		json_problem(value, "request is not supported");
}

static void write_quantity(const char *key, const struct quantity *q,
			   struct json_writer *w)
{
	struct strbuf text cleanup_strbuf = STRBUF_INIT;

	quantity_format(q, &text);
	json_add_string(w, key, text.buf);
}

static void write_resource(const struct isolator *isolator,
			   struct json_writer *w)
{
	const struct isolator_resource *r = &isolator->u.resource;

	json_open_object(w, "value");
	if (r->is_default)
		json_add_bool(w, "default", true);
	if (r->has_request)
		write_quantity("request", &r->request, w);
	if (r->has_limit)
		write_quantity("limit", &r->limit, w);
	json_close_object(w);
}

static void read_sysctl(const struct json_node *value, struct isolator *ret)
{
	name_values_read_map(value, &ret->u.sysctl);
}

static void write_sysctl(const struct isolator *isolator, struct json_writer *w)
{
	if (isolator->u.sysctl.n == 0) {
		json_add_raw(w, "value", "{}");
		return;
	}
	name_values_write_map(&isolator->u.sysctl, "value", w);
}

static void release_sysctl(struct isolator *isolator)
{
	name_values_release(&isolator->u.sysctl);
}

static void read_raw(const struct json_node *value, struct isolator *ret)
{
	ret->u.raw = json_read_raw(value);
}

static void write_raw(const struct isolator *isolator, struct json_writer *w)
{
	if (isolator->u.raw)
		json_add_raw(w, "value", isolator->u.raw);
}

static void release_raw(struct isolator *isolator)
{
	free(isolator->u.raw);
}

static void release_nothing(struct isolator *isolator)
{
	(void)isolator;
}

/* --- the table -------------------------------------------------------------
 */

static const struct kind {
	const char *name;
	bool single; /* at most one in an app */
	void (*read)(const struct json_node *value, struct isolator *ret);
	void (*write)(const struct isolator *isolator, struct json_writer *w);
	void (*release)(struct isolator *isolator);
} kinds[ISOLATOR_KIND_MAX] = {
	[ISOLATOR_UNKNOWN] = {NULL, false, read_raw, write_raw, release_raw},
	[ISOLATOR_SECCOMP_REMOVE_SET] = {"os/linux/seccomp-remove-set", true,
					 read_seccomp, write_seccomp,
					 release_seccomp},
	[ISOLATOR_SECCOMP_RETAIN_SET] = {"os/linux/seccomp-retain-set", true,
					 read_seccomp, write_seccomp,
					 release_seccomp},
	[ISOLATOR_SELINUX_CONTEXT] = {"os/linux/selinux-context", true,
				      read_selinux, write_selinux,
				      release_selinux},
	[ISOLATOR_APPARMOR_PROFILE] = {"os/linux/apparmor-profile", true,
				       read_profile, write_profile,
				       release_profile},
	[ISOLATOR_CAPS_REMOVE_SET] = {"os/linux/capabilities-remove-set", false,
				      read_caps, write_caps, release_caps},
	[ISOLATOR_CAPS_RETAIN_SET] = {"os/linux/capabilities-retain-set", false,
				      read_caps, write_caps, release_caps},
	[ISOLATOR_NO_NEW_PRIVILEGES] = {"os/linux/no-new-privileges", false,
					read_enabled, write_enabled,
					release_nothing},
	[ISOLATOR_CPU_SHARES] = {"os/linux/cpu-shares", true, read_cpu_shares,
				 write_number, release_nothing},
	[ISOLATOR_OOM_SCORE_ADJ] = {"os/linux/oom-score-adj", true,
				    read_oom_score_adj, write_number,
				    release_nothing},
	[ISOLATOR_CPU] = {"resource/cpu", false, read_own_resource,
			  write_resource, release_nothing},
	[ISOLATOR_MEMORY] = {"resource/memory", false, read_own_resource,
			     write_resource, release_nothing},
	[ISOLATOR_BLOCK_BANDWIDTH] = {"resource/block-bandwidth", false,
				      read_device_resource, write_resource,
				      release_nothing},
	[ISOLATOR_BLOCK_IOPS] = {"resource/block-iops", false,
				 read_device_resource, write_resource,
				 release_nothing},
	[ISOLATOR_NETWORK_BANDWIDTH] = {"resource/network-bandwidth", false,
					read_device_resource, write_resource,
					release_nothing},
	[ISOLATOR_SYSCTL] = {"os/unix/sysctl", true, read_sysctl, write_sysctl,
			     release_sysctl},
};

enum isolator_kind isolator_kind_from_name(const char *name)
{
	for (int k = ISOLATOR_UNKNOWN + 1; k < ISOLATOR_KIND_MAX; k++)
		if (strcmp(name, kinds[k].name) == 0)
			return (enum isolator_kind)k;
	return ISOLATOR_UNKNOWN;
}

const char *isolator_kind_name(enum isolator_kind kind)
{
	return kinds[kind].name ? kinds[kind].name : "unknown";
}

void isolator_release(struct isolator *isolator)
{
	free(isolator->name);
	kinds[isolator->kind].release(isolator);
	*isolator = (struct isolator){0};
}

bool isolator_kind_is_single(enum isolator_kind kind)
{
	return kinds[kind].single;
}

static char *dup_or_null(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

static void strv_dup(struct strv *ret, const struct strv *sv)
{
	*ret = (struct strv)STRV_INIT;
	strv_append(ret, sv);
}

static void selinux_dup(struct isolator_selinux *ret,
			const struct isolator_selinux *s)
{
	ret->user = dup_or_null(s->user);
	ret->role = dup_or_null(s->role);
	ret->type = dup_or_null(s->type);
	ret->level = dup_or_null(s->level);
}

void isolator_copy(struct isolator *ret, const struct isolator *isolator)
{
	*ret = *isolator;
	ret->name = dup_or_null(isolator->name);
	switch (isolator->kind) {
	case ISOLATOR_SECCOMP_REMOVE_SET:
	case ISOLATOR_SECCOMP_RETAIN_SET:
		strv_dup(&ret->u.seccomp.set, &isolator->u.seccomp.set);
		ret->u.seccomp.errno_name =
			dup_or_null(isolator->u.seccomp.errno_name);
		break;
	case ISOLATOR_CAPS_REMOVE_SET:
	case ISOLATOR_CAPS_RETAIN_SET:
		strv_dup(&ret->u.caps, &isolator->u.caps);
		break;
	case ISOLATOR_SELINUX_CONTEXT:
		selinux_dup(&ret->u.selinux, &isolator->u.selinux);
		break;
	case ISOLATOR_APPARMOR_PROFILE:
		ret->u.profile = dup_or_null(isolator->u.profile);
		break;
	case ISOLATOR_SYSCTL:
		name_values_copy(&ret->u.sysctl, &isolator->u.sysctl);
		break;
	case ISOLATOR_UNKNOWN:
		ret->u.raw = dup_or_null(isolator->u.raw);
		break;
	default:
		break; /* no pointers in it */
	}
}

bool isolator_read(const struct json_node *object, struct isolator *ret)
{
	size_t n_errors = object->doc->n_errors;
	struct json_node value;

	if (!json_want_object(object))
		return false;
	if (!json_member(object, "name", &value)) {
		json_problem(object, "isolator without a name");
		return false;
	}
	if (!json_get_checked(object, "name", acidentifier_check, &ret->name))
		return false;
	ret->kind = isolator_kind_from_name(ret->name);
	if (ret->kind == ISOLATOR_UNKNOWN)
		json_warning(object, "isolator %s is not known", ret->name);
	if (json_member(object, "value", &value))
		kinds[ret->kind].read(&value, ret);
	else if (ret->kind != ISOLATOR_UNKNOWN)
		json_problem(object, "isolator %s without a value", ret->name);
	return object->doc->n_errors == n_errors;
}

void isolator_write(const struct isolator *isolator, const char *key,
		    struct json_writer *w)
{
	json_open_object(w, key);
	json_add_string(w, "name", isolator->name);
	kinds[isolator->kind].write(isolator, w);
	json_close_object(w);
}

int isolator_parse(const char *name, const char *value, struct isolator *ret,
		   struct error *err)
{
	struct isolator isolator cleanup_isolator = {0};
	struct json_doc doc cleanup_json_doc = {0};
	struct json_node root;
	int r;

	r = acidentifier_check(name, err);
	if (r == 0)
		r = json_doc_parse(&doc, value, strlen(value), NULL, err);
	if (r < 0)
		return error_prefix(err, r, "isolator %s", name);
	isolator.name = xstrdup(name);
	isolator.kind = isolator_kind_from_name(name);
	root = json_root(&doc);
	kinds[isolator.kind].read(&root, &isolator);
	r = json_doc_result(&doc);
	if (r < 0)
		return error_prefix(err, r, "isolator %s", name);
	*ret = isolator;
	isolator = (struct isolator){0};
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/cgroup_layout.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/path.h"
#include "base/strbuf.h"

static const char *const controller_names[CGROUP_CONTROLLERS] = {
	[CGROUP_MEMORY] = "memory",   [CGROUP_CPU] = "cpu",
	[CGROUP_PIDS] = "pids",	      [CGROUP_DEVICES] = "devices",
	[CGROUP_FREEZER] = "freezer",
};

const char *cgroup_controller_name(enum cgroup_controller which)
{
	return controller_names[which];
}

/* A piece of text that is not NUL-terminated. */
struct span {
	const char *s;
	size_t n;
};

/* Cuts the text before SEP (or the end) off *REST; false at the end. */
static bool cut(struct span *rest, char sep, struct span *ret)
{
	const char *end;

	if (!rest->s)
		return false;
	end = memchr(rest->s, sep, rest->n);
	ret->s = rest->s;
	ret->n = end ? (size_t)(end - rest->s) : rest->n;
	rest->n -= end ? ret->n + 1 : ret->n;
	rest->s = end ? end + 1 : NULL;
	return true;
}

static bool span_is(struct span span, const char *s)
{
	return strlen(s) == span.n && memcmp(span.s, s, span.n) == 0;
}

/* True if WORD is one of the words of LIST between SEP characters. */
static bool span_has(struct span list, char sep, const char *word)
{
	struct span item;

	while (cut(&list, sep, &item))
		if (span_is(item, word))
			return true;
	return false;
}

static bool is_octal(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] < '0' || s[i] > '7')
			return false;
	return true;
}

/* mountinfo writes blank, tab, newline and backslash as \OOO. */
static char *unescape(struct span span)
{
	cleanup_strbuf struct strbuf out = STRBUF_INIT;

	for (size_t i = 0; i < span.n; i++) {
		const char *s = span.s + i;

		if (*s == '\\' && span.n - i >= 4 && is_octal(s + 1, 3)) {
			strbuf_addch(&out,
				     (char)((s[1] - '0') * 64 +
					    (s[2] - '0') * 8 + (s[3] - '0')));
			i += 3;
		} else {
			strbuf_addch(&out, *s);
		}
	}
	return strbuf_detach(&out);
}

struct mount_line {
	struct span root, dir, options, type, super;
};

/* "36 35 98:0 ROOT DIR OPTIONS [optional]... - TYPE SOURCE SUPER" */
static bool parse_mount_line(struct span line, struct mount_line *ret)
{
	struct span skip;

	for (int i = 0; i < 3; i++)
		if (!cut(&line, ' ', &skip))
			return false;
	if (!cut(&line, ' ', &ret->root) || !cut(&line, ' ', &ret->dir) ||
	    !cut(&line, ' ', &ret->options))
		return false;
	do {
		if (!cut(&line, ' ', &skip))
			return false;
	} while (!span_is(skip, "-"));
	return cut(&line, ' ', &ret->type) && cut(&line, ' ', &skip) &&
	       cut(&line, ' ', &ret->super);
}

/*
 * OWN relative to the mount's ROOT.  In a cgroup namespace both may lead
 * outside of it ("/.."); then the top we see stands for our group.
 */
static char *own_below(const char *root, const char *own)
{
	if (strstr(own, "/..") || strcmp(own, "/") == 0 ||
	    !path_is_below(own, root))
		return xstrdup("");
	return xstrdup(strcmp(root, "/") == 0 ? own : own + strlen(root));
}

/* Remembers a mount unless a writable one of that hierarchy is known that
 * this one does not cover. */
static void take_mount(struct cgroup_hierarchy *h, int version,
		       const struct mount_line *m, const char *own)
{
	bool read_only = span_has(m->options, ',', "ro") ||
			 span_has(m->super, ',', "ro");
	cleanup_free char *root = NULL;
	cleanup_free char *dir = unescape(m->dir);

	if (h->version && strcmp(h->dir, dir) != 0 &&
	    (read_only || !h->read_only))
		return;
	free(h->dir);
	free(h->own);
	root = unescape(m->root);
	h->version = version;
	h->read_only = read_only;
	h->dir = TAKE_PTR(dir);
	h->own = own_below(root, own ? own : "/");
}

/* The group of the hierarchy with controller NAME: malloc'ed or NULL. */
static char *own_group(const char *self_cgroup, const char *name)
{
	struct span rest = {self_cgroup, strlen(self_cgroup)}, line;

	while (cut(&rest, '\n', &line)) {
		struct span id, controllers;

		if (!cut(&line, ':', &id) || !cut(&line, ':', &controllers) ||
		    !line.s)
			continue;
		if (span_has(controllers, ',', name))
			return xstrndup(line.s, line.n);
	}
	return NULL;
}

static void take_v1(struct cgroup_hierarchy *h, const struct mount_line *m,
		    const char *self_cgroup, const char *name)
{
	cleanup_free char *own = NULL;

	if (!span_has(m->super, ',', name))
		return;
	own = own_group(self_cgroup, name);
	/* Mounted, but disabled for us to see: no way to say where we are. */
	if (own)
		take_mount(h, 1, m, own);
}

void cgroup_layout_parse(struct cgroup_layout *ret, const char *mountinfo,
			 const char *self_cgroup)
{
	struct span rest = {mountinfo, strlen(mountinfo)}, line;
	cleanup_free char *own_v2 = own_group(self_cgroup, "");
	struct mount_line m;

	*ret = (struct cgroup_layout){0};
	while (cut(&rest, '\n', &line)) {
		if (!parse_mount_line(line, &m))
			continue;
		if (span_is(m.type, "cgroup2"))
			take_mount(&ret->unified, 2, &m, own_v2);
		if (!span_is(m.type, "cgroup"))
			continue;
		take_v1(&ret->named, &m, self_cgroup, "name=systemd");
		for (int i = 0; i < CGROUP_CONTROLLERS; i++)
			take_v1(&ret->controller[i], &m, self_cgroup,
				controller_names[i]);
	}
}

/* --- the usual places ------------------------------------------------------
 */

#define USUAL_DIR "/sys/fs/cgroup"

static struct cgroup_hierarchy *hierarchy_of(struct cgroup_layout *layout,
					     struct span controllers)
{
	if (controllers.n == 0)
		return &layout->unified;
	if (span_is(controllers, "name=systemd"))
		return &layout->named;
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		if (span_has(controllers, ',', controller_names[i]))
			return &layout->controller[i];
	return NULL;
}

static void put(struct cgroup_hierarchy *h, int version, const char *dir,
		const char *own)
{
	*h = (struct cgroup_hierarchy){
		.version = version,
		.dir = xstrdup(dir),
		.own = xstrdup(own),
	};
}

/* "ID:CONTROLLERS:PATH" */
static bool take_usual(struct cgroup_layout *layout, struct span line,
		       bool (*is_at)(int, const char *, const char *))
{
	cleanup_free char *dir = NULL;
	cleanup_free char *path = NULL;
	struct span id, controllers;
	struct cgroup_hierarchy *h;
	const char *own;

	if (!cut(&line, ':', &id) || !cut(&line, ':', &controllers) || !line.s)
		return false;
	h = hierarchy_of(layout, controllers);
	if (!h)
		return true;
	path = xstrndup(line.s, line.n);
	own = strcmp(path, "/") == 0 ? "" : path;
	if (strstr(own, "/.."))
		return false;
	if (h == &layout->unified) {
		bool alone = is_at(2, USUAL_DIR, own);

		dir = xstrdup(alone ? USUAL_DIR : USUAL_DIR "/unified");
		if (alone || is_at(2, dir, own))
			put(h, 2, dir, own);
		return h->version;
	}
	dir = xasprintf(
		USUAL_DIR "/%.*s",
		(int)(h == &layout->named ? strlen("systemd") : controllers.n),
		h == &layout->named ? "systemd" : controllers.s);
	if (!is_at(1, dir, own))
		return false;
	if (h == &layout->named) {
		put(h, 1, dir, own);
		return true;
	}
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		if (span_has(controllers, ',', controller_names[i]))
			put(&layout->controller[i], 1, dir, own);
	return true;
}

bool cgroup_layout_usual(struct cgroup_layout *ret, const char *self_cgroup,
			 bool (*is_at)(int, const char *, const char *))
{
	struct span rest = {self_cgroup, strlen(self_cgroup)}, line;

	*ret = (struct cgroup_layout){0};
	while (cut(&rest, '\n', &line)) {
		if (line.n == 0 || take_usual(ret, line, is_at))
			continue;
		cgroup_layout_release(ret);
		return false;
	}
	return true;
}

void cgroup_layout_add_v2(struct cgroup_layout *layout, const char *controllers)
{
	struct span list = {controllers, strcspn(controllers, "\n")};

	for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
		struct cgroup_hierarchy *h = &layout->controller[i];

		if (h->version || !span_has(list, ' ', controller_names[i]))
			continue;
		h->version = 2;
		h->read_only = layout->unified.read_only;
		h->dir = xstrdup(layout->unified.dir);
		h->own = xstrdup(layout->unified.own);
	}
}

static void hierarchy_release(struct cgroup_hierarchy *h)
{
	free(h->dir);
	free(h->own);
	*h = (struct cgroup_hierarchy){0};
}

void cgroup_layout_release(struct cgroup_layout *layout)
{
	hierarchy_release(&layout->unified);
	hierarchy_release(&layout->named);
	for (int i = 0; i < CGROUP_CONTROLLERS; i++)
		hierarchy_release(&layout->controller[i]);
}

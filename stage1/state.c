/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/io.h"

/* --- writing ---------------------------------------------------------------
 */

void state_writer_init(struct state_writer *w, struct strbuf *out)
{
	*w = (struct state_writer){.fds = NULL};
	json_writer_init(&w->json, out, JSON_COMPACT_STYLE);
}

void state_writer_release(struct state_writer *w)
{
	free(w->fds);
	w->fds = NULL;
	w->n_fds = 0;
}

static void write_fd(struct state_writer *w, const char *key, int fd)
{
	if (fd < 0) {
		json_add_null(&w->json, key);
		return;
	}
	json_add_int(&w->json, key, fd);
	w->fds = xreallocarray(w->fds, w->n_fds + 1, sizeof(*w->fds));
	w->fds[w->n_fds++] = fd;
}

static void write_bytes(struct state_writer *w, const char *key,
			const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	cleanup_strbuf struct strbuf hex = STRBUF_INIT;
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++) {
		strbuf_addch(&hex, digits[p[i] >> 4]);
		strbuf_addch(&hex, digits[p[i] & 15]);
	}
	json_add_string(&w->json, key, hex.buf);
}

static int64_t load_signed(const void *at, size_t size)
{
	return size == sizeof(int) ? *(const int *)at : *(const long *)at;
}

static uint64_t load_unsigned(const void *at, size_t size)
{
	switch (size) {
	case sizeof(uint16_t):
		return *(const uint16_t *)at;
	case sizeof(uint32_t):
		return *(const uint32_t *)at;
	default:
		return *(const uint64_t *)at;
	}
}

static void write_row(struct state_writer *w, const struct state_row *row,
		      const void *at)
{
	struct json_writer *json = &w->json;
	const struct strbuf *bytes = at;

	switch (row->kind) {
	case STATE_BOOL:
		json_add_bool(json, row->key, *(const bool *)at);
		break;
	case STATE_SIGNED:
		json_add_int(json, row->key, load_signed(at, row->size));
		break;
	case STATE_UNSIGNED:
		json_add_uint(json, row->key, load_unsigned(at, row->size));
		break;
	case STATE_FD:
		write_fd(w, row->key, *(const int *)at);
		break;
	case STATE_TEXT:
	case STATE_NULLABLE:
		json_add_string(json, row->key, *(char *const *)at);
		break;
	case STATE_CHARS:
		json_add_string(json, row->key, at);
		break;
	case STATE_BYTES:
		write_bytes(w, row->key, bytes->buf, bytes->len);
		break;
	case STATE_STRV:
		json_add_strv(json, row->key, at);
		break;
	case STATE_TIMER:
		json_add_uint(json, row->key,
			      ((const struct event_timer *)at)->deadline_ns);
		break;
	case STATE_ADDRESS:
		write_bytes(w, row->key, at, row->size);
		break;
	case STATE_NESTED:
		break;
	}
}

void state_write(struct state_writer *w, const struct state_row *rows, size_t n,
		 const void *from)
{
	for (size_t i = 0; i < n; i++)
		write_row(w, &rows[i], (const char *)from + rows[i].offset);
}

void state_write_object(struct state_writer *w, const char *key,
			const struct state_row *rows, size_t n,
			const void *from)
{
	json_open_object(&w->json, key);
	state_write(w, rows, n, from);
	json_close_object(&w->json);
}

/* --- reading ---------------------------------------------------------------
 */

static void read_fd(const struct json_node *node, int *ret)
{
	int64_t fd;
	int flags;

	*ret = -EBADF;
	if (json_node_is_null(node) || !json_read_int(node, 3, INT32_MAX, &fd))
		return;
	flags = fcntl((int)fd, F_GETFD);
	if (flags < 0)
		json_problem(node, "descriptor %d is not open", (int)fd);
	else if (flags & FD_CLOEXEC)
		json_problem(node, "descriptor %d is not handed over, or twice",
			     (int)fd);
	else if (set_cloexec((int)fd, 1) == 0)
		*ret = (int)fd;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
				      : -1;
}

static bool read_bytes(const struct json_node *node, struct strbuf *ret)
{
	const char *hex;

	strbuf_reset(ret);
	if (!json_read_string(node, &hex))
		return false;
	for (; hex[0]; hex += 2) {
		int high = hex_digit(hex[0]), low = hex_digit(hex[1]);

		if (high < 0 || low < 0) {
			json_problem(node, "is not hexadecimal");
			return false;
		}
		strbuf_addch(ret, (char)(high << 4 | low));
	}
	return true;
}

static void read_address(const struct json_node *node, void *to, size_t size)
{
	cleanup_strbuf struct strbuf bytes = STRBUF_INIT;

	if (!read_bytes(node, &bytes))
		return;
	if (bytes.len == size)
		memcpy(to, bytes.buf, size);
	else
		json_problem(node, "has %zu bytes, not %zu", bytes.len, size);
}

static void read_signed(const struct json_node *node, void *to, size_t size)
{
	int64_t value;

	if (size == sizeof(int) &&
	    json_read_int(node, INT32_MIN, INT32_MAX, &value))
		*(int *)to = (int)value;
	else if (size == sizeof(long) &&
		 json_read_int(node, LONG_MIN, LONG_MAX, &value))
		*(long *)to = (long)value;
}

static void read_unsigned(const struct json_node *node, void *to, size_t size)
{
	int64_t max = size == sizeof(uint16_t)	 ? UINT16_MAX
		      : size == sizeof(uint32_t) ? UINT32_MAX
						 : INT64_MAX;
	int64_t value;

	if (!json_read_int(node, 0, max, &value))
		return;
	if (size == sizeof(uint16_t))
		*(uint16_t *)to = (uint16_t)value;
	else if (size == sizeof(uint32_t))
		*(uint32_t *)to = (uint32_t)value;
	else
		*(uint64_t *)to = (uint64_t)value;
}

static void read_chars(const struct json_node *node, char *to, size_t size)
{
	const char *text;

	if (!json_read_string(node, &text))
		return;
	if (strlen(text) < size)
		memcpy(to, text, strlen(text) + 1);
	else
		json_problem(node, "is longer than %zu bytes", size - 1);
}

static void read_text(const struct json_node *node, bool nullable, char **ret)
{
	free(*ret);
	*ret = nullable && json_node_is_null(node) ? NULL
						   : json_read_string_dup(node);
}

static void read_row(const struct json_node *node, const struct state_row *row,
		     void *to)
{
	switch (row->kind) {
	case STATE_BOOL:
		(void)json_read_bool(node, to);
		break;
	case STATE_SIGNED:
		read_signed(node, to, row->size);
		break;
	case STATE_UNSIGNED:
		read_unsigned(node, to, row->size);
		break;
	case STATE_FD:
		read_fd(node, to);
		break;
	case STATE_TEXT:
	case STATE_NULLABLE:
		read_text(node, row->kind == STATE_NULLABLE, to);
		break;
	case STATE_CHARS:
		read_chars(node, to, row->size);
		break;
	case STATE_BYTES:
		(void)read_bytes(node, to);
		break;
	case STATE_STRV:
		(void)json_read_strv(node, to);
		break;
	case STATE_TIMER:
		read_unsigned(node, &((struct event_timer *)to)->deadline_ns,
			      sizeof(uint64_t));
		break;
	case STATE_ADDRESS:
		read_address(node, to, row->size);
		break;
	case STATE_NESTED:
		break;
	}
}

static bool is_known(const char *key, const struct state_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(rows[i].key, key) == 0)
			return true;
	return false;
}

int state_read(const struct json_node *object, const struct state_row *rows,
	       size_t n, void *to)
{
	struct json_node it = {0}, member;

	if (!json_want_object(object))
		return -EINVAL;
	while (json_next_member(object, &it))
		if (!is_known(it.key, rows, n))
			json_problem(&it, "is not known to this stage1");
	for (size_t i = 0; i < n; i++) {
		if (json_member_or_null(object, rows[i].key, &member))
			read_row(&member, &rows[i],
				 (char *)to + rows[i].offset);
		else if (rows[i].kind != STATE_NESTED && !rows[i].optional)
			json_problem(object, "%s is missing", rows[i].key);
	}
	return json_doc_result(object->doc);
}

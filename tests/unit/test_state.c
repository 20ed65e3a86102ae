/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "stage1/state.h"

struct thing {
	bool yes;
	int less;
	long size;
	uint16_t port;
	unsigned int number;
	uint64_t big;
	char *name, *maybe;
	char fixed[8];
	struct strbuf bytes;
	struct strv words;
	struct event_timer timer;
	struct sockaddr_storage addr;
	int fd, none;
	int later;
};

static const struct state_row rows[] = {
	STATE_ROW(struct thing, yes),
	STATE_ROW(struct thing, less),
	STATE_ROW(struct thing, size),
	STATE_ROW(struct thing, port),
	STATE_ROW(struct thing, number),
	STATE_ROW(struct thing, big),
	STATE_ROW(struct thing, name),
	STATE_NULLABLE_ROW(struct thing, maybe),
	STATE_CHARS_ROW(struct thing, fixed),
	STATE_ROW(struct thing, bytes),
	STATE_ROW(struct thing, words),
	STATE_ROW(struct thing, timer),
	STATE_ROW(struct thing, addr),
	STATE_FD_ROW(struct thing, fd),
	STATE_FD_ROW(struct thing, none),
	STATE_NESTED_ROW("more"),
};

static struct thing empty(void)
{
	return (struct thing){
		.bytes = STRBUF_INIT,
		.fd = -EBADF,
		.none = -EBADF,
	};
}

static void release(struct thing *t)
{
	free(t->name);
	free(t->maybe);
	strbuf_release(&t->bytes);
	strv_release(&t->words);
	fd_close(&t->fd);
	fd_close(&t->none);
}

static struct thing example(int fd)
{
	struct thing t = empty();

	t.yes = true;
	t.less = -7;
	t.size = 1L << 40;
	t.port = 65535;
	t.number = UINT32_MAX;
	t.big = INT64_MAX;
	t.name = xstrdup("a \"name\"\n");
	strcpy(t.fixed, "seven77");
	strbuf_add(&t.bytes,
		   "\0\xff\x80"
		   "a",
		   4);
	strv_push(&t.words, "one");
	strv_push(&t.words, "");
	t.timer.deadline_ns = 123456789012345;
	memset(&t.addr, 0xa5, sizeof(t.addr));
	t.fd = fd;
	return t;
}

static int read_text(const char *text, struct thing *ret, struct error *err)
{
	cleanup_json_doc struct json_doc doc = {.root = NULL};
	struct json_node root;
	int r = json_doc_parse(&doc, text, strlen(text), NULL, err);

	if (r < 0)
		return r;
	root = json_root(&doc);
	return STATE_READ(&root, rows, ret);
}

static char *write_text(const struct thing *t, size_t *ret_fds)
{
	struct strbuf out = STRBUF_INIT;
	struct state_writer w;

	state_writer_init(&w, &out);
	STATE_WRITE_OBJECT(&w, NULL, rows, t);
	*ret_fds = w.n_fds;
	state_writer_release(&w);
	return strbuf_detach(&out);
}

Test(state, there_and_back)
{
	int fd = open("/dev/null", O_RDONLY);
	struct thing t = example(fd), u = empty();
	cleanup_free char *text = NULL;
	struct error err = ERROR_INIT;
	size_t n_fds;

	text = write_text(&t, &n_fds);
	cr_expect_eq(n_fds, 1);
	cr_assert_eq(read_text(text, &u, &err), 0, "%s", err.msg);
	cr_expect(u.yes);
	cr_expect_eq(u.less, -7);
	cr_expect_eq(u.size, 1L << 40);
	cr_expect_eq(u.port, 65535);
	cr_expect_eq(u.number, UINT32_MAX);
	cr_expect_eq(u.big, INT64_MAX);
	cr_expect_str_eq(u.name, t.name);
	cr_expect_null(u.maybe);
	cr_expect_str_eq(u.fixed, "seven77");
	cr_expect_eq(u.bytes.len, 4);
	cr_expect_eq(memcmp(u.bytes.buf, t.bytes.buf, 4), 0);
	cr_expect_eq(u.words.n, 2);
	cr_expect_eq(u.timer.deadline_ns, t.timer.deadline_ns);
	cr_expect_eq(memcmp(&u.addr, &t.addr, sizeof(t.addr)), 0);
	cr_expect_eq(u.fd, fd);
	cr_expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	cr_expect_lt(u.none, 0);
	/* It is somebody's now. */
	u.fd = -EBADF;
	cr_expect_eq(read_text(text, &u, &err), -EINVAL);
	cr_expect(strstr(err.msg, "twice"), "%s", err.msg);
	release(&u);
	release(&t);
}

/* Replaces FROM in the record of the example. */
static void expect_refused(const char *from, const char *to, const char *why)
{
	int fd = open("/dev/null", O_RDONLY);
	struct thing t = example(fd), u = empty();
	cleanup_strbuf struct strbuf changed = STRBUF_INIT;
	cleanup_free char *text = NULL;
	struct error err = ERROR_INIT;
	const char *at;
	size_t n_fds;

	text = write_text(&t, &n_fds);
	at = strstr(text, from);
	cr_assert(at, "%s in %s", from, text);
	strbuf_add(&changed, text, (size_t)(at - text));
	strbuf_addstr(&changed, to);
	strbuf_addstr(&changed, at + strlen(from));
	cr_expect_eq(read_text(changed.buf, &u, &err), -EINVAL, "%s", to);
	cr_expect(strstr(err.msg, why), "%s: %s", to, err.msg);
	if (u.fd >= 0)
		t.fd = -EBADF;
	release(&u);
	release(&t);
}

Test(state, what_is_refused)
{
	expect_refused("\"yes\":true,", "", "yes is missing");
	expect_refused("\"yes\":true", "\"yes\":1", "yes");
	expect_refused("{\"yes\"", "{\"new\":1,\"yes\"",
		       "is not known to this stage1");
	expect_refused("65535", "65536", "port");
	expect_refused("4294967295", "4294967296", "number");
	expect_refused("4294967295", "-1", "number");
	expect_refused("-7", "-2147483649", "less");
	expect_refused("00ff8061", "00ff806", "hexadecimal");
	expect_refused("00ff8061", "00ff80zz", "hexadecimal");
	expect_refused("a5a5", "", "bytes");
	expect_refused("seven77", "eight888", "longer");
	expect_refused("\"none\":null", "\"none\":2", "none");
	expect_refused("\"none\":null", "\"none\":1000000", "is not open");
	expect_refused("\"words\":[", "\"words\":[3,", "words");
	expect_refused("\"maybe\":null", "\"maybe\":{}", "maybe");
	expect_refused("\"a \\\"name\\\"\\n\"", "null", "name");
}

Test(state, rows_added_later_may_be_missing)
{
	static const struct state_row later[] = {
		{.key = "later",
		 .kind = STATE_SIGNED,
		 .optional = true,
		 .offset = offsetof(struct thing, later),
		 .size = sizeof(int)},
	};
	cleanup_json_doc struct json_doc doc = {.root = NULL};
	struct thing t = empty();
	struct json_node root;

	t.later = 9;
	cr_assert_eq(json_doc_parse(&doc, "{}", 2, NULL, NULL), 0);
	root = json_root(&doc);
	cr_expect_eq(STATE_READ(&root, later, &t), 0);
	cr_expect_eq(t.later, 9);
}

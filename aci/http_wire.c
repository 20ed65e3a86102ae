/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/http_wire.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "base/strv.h"

int http_wire_write(int fd, const struct strv *list, size_t *ret,
		    struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r;

	for (size_t i = 0; i < list->n; i++)
		strbuf_add(&text, list->v[i], strlen(list->v[i]) + 1);
	if (text.len > HTTP_WIRE_MAX)
		return error_set(err, E2BIG,
				 "HTTP: more than %lu bytes of headers",
				 HTTP_WIRE_MAX);
	r = write_full(fd, text.buf, text.len);
	if (r < 0)
		return error_sys(err, -r, "write a memory file");
	*ret = text.len;
	return 0;
}

int http_wire_read(int fd, size_t len, struct strv *ret, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;

	if (len > HTTP_WIRE_MAX)
		return error_set(err, E2BIG,
				 "HTTP: more than %lu bytes of headers",
				 HTTP_WIRE_MAX);
	strbuf_grow(&text, len);
	if (pread_full(fd, text.buf, len, 0) != (ssize_t)len ||
	    (len > 0 && text.buf[len - 1] != '\0'))
		return error_set(err, EPROTO,
				 "HTTP: a list of strings is "
				 "cut short");
	for (size_t at = 0; at < len; at += strlen(text.buf + at) + 1)
		strv_push(ret, text.buf + at);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/discovery.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "aci/discovery_html.h"
#include "aci/fetch_client.h"
#include "aci/http.h"
#include "aci/http_auth.h"
#include "aci/image_fetcher.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/discovery.h"
#include "spec/image_ref.h"

/* Of the three strings of a tag. */
enum { TAG_NAME, TAG_PREFIX, TAG_TEMPLATE, TAG_STRINGS };

/* What of a page's tags is usable goes to RET. */
typedef void (*take_fn)(const struct image_ref *ref, char *const *tag,
			struct strv *ret);

static void take_image(const struct image_ref *ref, char *const *tag,
		       struct strv *ret)
{
	cleanup_strbuf struct strbuf image = STRBUF_INIT;
	cleanup_strbuf struct strbuf signature = STRBUF_INIT;

	if (strcmp(tag[TAG_NAME], DISCOVERY_TAG_IMAGE) != 0 ||
	    !discovery_expand(tag[TAG_TEMPLATE], ref, "aci", &image) ||
	    !discovery_expand(tag[TAG_TEMPLATE], ref, "aci.asc", &signature))
		return;
	strv_push(ret, image.buf);
	strv_push(ret, signature.buf);
}

static void take_key(const struct image_ref *ref, char *const *tag,
		     struct strv *ret)
{
	(void)ref;
	if (strcmp(tag[TAG_NAME], DISCOVERY_TAG_KEYS) == 0)
		strv_push(ret, tag[TAG_TEMPLATE]);
}

/* Notes why URL is of no use; what is noted ends up in one message. */
static void note(struct strbuf *tried, const char *url, const char *why)
{
	log_debug("discovery: %s: %s", url, why);
	strbuf_addf(tried, "%s%s", tried->len ? "; " : "", why);
}

/* 1: there was a page, useful or not; 0: none. */
static int ask(const struct discovery *d, const char *url,
	       const struct image_ref *ref, take_fn take, struct strv *ret,
	       struct strbuf *tried)
{
	cleanup_strv struct strv tags = STRV_INIT;
	struct error err = ERROR_INIT;

	log_debug("discovery: asking %s", url);
	if (d->get_tags(d, url, &tags, &err) < 0) {
		note(tried, url, error_innermost(&err));
		return 0;
	}
	for (size_t i = 0; i + TAG_STRINGS <= tags.n; i += TAG_STRINGS)
		if (discovery_prefix_match(tags.v[i + TAG_PREFIX], ref->name))
			take(ref, tags.v + i, ret);
	if (ret->n == 0) {
		cleanup_strbuf struct strbuf why = STRBUF_INIT;

		strbuf_addf(&why, "%s has no tag for it", url);
		note(tried, url, why.buf);
	}
	return 1;
}

static int walk(const struct discovery *d, const struct image_ref *ref,
		take_fn take, struct strv *ret, struct strbuf *tried)
{
	cleanup_strv struct strv pages = STRV_INIT;
	cleanup_strv struct strv plain = STRV_INIT;

	discovery_pages_make(ref->name, "https", d->port, &pages);
	discovery_pages_make(ref->name, "http", d->port, &plain);
	for (size_t i = 0; i < pages.n && ret->n == 0; i++)
		if (!ask(d, pages.v[i], ref, take, ret, tried) && d->plain_ok)
			(void)ask(d, plain.v[i], ref, take, ret, tried);
	return ret->n > 0 ? 0 : -ENOENT;
}

int discovery_find_images(const struct discovery *d,
			  const struct image_ref *ref, struct strv *ret,
			  struct error *err)
{
	cleanup_strbuf struct strbuf tried = STRBUF_INIT;

	if (walk(d, ref, take_image, ret, &tried) == 0)
		return 0;
	return error_set(err, ENOENT,
			 "discovery of image \"%s\" found nothing: %s",
			 ref->name, tried.buf);
}

int discovery_find_keys(const struct discovery *d, const char *name,
			struct strv *ret, struct error *err)
{
	cleanup_strbuf struct strbuf tried = STRBUF_INIT;
	const struct image_ref ref = {.name = (char *)name};

	if (walk(d, &ref, take_key, ret, &tried) == 0)
		return 0;
	return error_set(err, ENOENT,
			 "discovery of keys for \"%s\" found nothing: %s", name,
			 tried.buf);
}

void discovery_make(const struct image_fetcher *f, bool plain_ok,
		    struct discovery *ret)
{
	*ret = (struct discovery){
		.get_tags = discovery_get_tags,
		.plain_ok = plain_ok,
		.libexec_dir = f->libexec_dir,
		.config = f->config,
		.http_flags = f->http_flags | (plain_ok ? HTTP_PLAIN_OK : 0),
	};
}

int discovery_get_tags(const struct discovery *d, const char *url,
		       struct strv *ret, struct error *err)
{
	cleanup_http_response struct http_response response = {0};
	cleanup_fd int page_fd = memfd_create("page", MFD_CLOEXEC);
	struct http_request req = HTTP_REQUEST_INIT;
	int r;

	if (page_fd < 0)
		return error_sys(err, errno, "make a memory file");
	req.url = url;
	req.auth = http_auth_for_url(d->config, url);
	req.flags = d->http_flags | HTTP_SMALL;
	req.retries = 1;
	req.max_body = DISCOVERY_PAGE_MAX;
	req.body_fd = page_fd;
	r = http_do(d->libexec_dir, &req, &response, err);
	if (r == 0)
		r = http_response_check(&response, url, err);
	if (r == 0 && response.body_size > 0)
		r = fetch_discover(d->libexec_dir, page_fd, ret, err);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "aci/discovery.h"
#include "aci/http.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/path.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "cmd/actool/actool.h"
#include "spec/image_ref.h"
#include "spec/json_write.h"

struct opts {
	bool http;
	bool insecure;
	bool json;
	int64_t port;
};

static const struct option_row rows[] = {
	{.name = "http",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, http),
	 .help = "ask by http where https has no page"},
	{.name = "insecure",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, insecure),
	 .help = "the same, and do not check certificates"},
	{.name = "json",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, json),
	 .help = "print JSON"},
	{.name = "port",
	 .kind = OPTION_INT,
	 .shown = "0",
	 .offset = offsetof(struct opts, port),
	 .help = "port of the pages' host, if not the usual one"},
	{0}};

static void print_text(const struct strv *images, const struct strv *keys)
{
	for (size_t i = 0; i + 1 < images->n; i += 2)
		printf("ACI: %s, ASC: %s\n", images->v[i], images->v[i + 1]);
	if (keys->n == 0)
		return;
	printf("PublicKeys: ");
	for (size_t i = 0; i < keys->n; i++)
		printf("%s%s", i ? "," : "", keys->v[i]);
	printf("\n");
}

static void print_json(const struct strv *images, const struct strv *keys)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &text, JSON_PRETTY_STYLE);
	json_open_object(&w, NULL);
	json_open_array(&w, "ACIEndpoints");
	for (size_t i = 0; i + 1 < images->n; i += 2) {
		json_open_object(&w, NULL);
		json_add_string(&w, "ACI", images->v[i]);
		json_add_string(&w, "ASC", images->v[i + 1]);
		json_close_object(&w);
	}
	json_close_array(&w);
	json_open_array(&w, "PublicKeys");
	for (size_t i = 0; i < keys->n; i++)
		json_add_string(&w, NULL, keys->v[i]);
	json_close_array(&w);
	json_close_object(&w);
	printf("%s\n", text.buf);
}

/* Images must be found; keys may. */
static int discover(const struct discovery *d, const char *arg, bool json,
		    struct error *err)
{
	cleanup_image_ref struct image_ref ref = IMAGE_REF_INIT;
	cleanup_strv struct strv images = STRV_INIT;
	cleanup_strv struct strv keys = STRV_INIT;
	int r = image_ref_parse(arg, &ref, err);

	if (r < 0)
		return r;
	image_ref_add_host_labels(&ref);
	r = discovery_find_images(d, &ref, &images, err);
	if (r < 0)
		return r;
	(void)discovery_find_keys(d, ref.name, &keys, NULL);
	if (json)
		print_json(&images, &keys);
	else
		print_text(&images, &keys);
	return 0;
}

static int run(const struct actool_call *call)
{
	const struct opts *o = call->opts;
	cleanup_free char *libexec = NULL;
	struct error err = ERROR_INIT;
	struct discovery d = {
		.get_tags = discovery_get_tags,
		.plain_ok = o->http || o->insecure,
		.http_flags = (o->http || o->insecure ? HTTP_PLAIN_OK : 0) |
			      (o->insecure ? HTTP_TLS_UNCHECKED : 0),
		.port = (unsigned int)o->port,
	};
	int r = 0;

	if (o->port < 0 || o->port > 65535)
		r = error_set(&err, EINVAL, "--port: there is no port %lld",
			      (long long)o->port);
	if (r == 0)
		r = path_libexec(&libexec, &err);
	d.libexec_dir = libexec;
	for (int i = 0; r == 0 && i < call->argc; i++)
		r = discover(&d, call->argv[i], o->json, &err);
	return r < 0 ? actool_fail(&err) : ACTOOL_OK;
}

const struct actool_command actool_discover = {
	.name = "discover",
	.summary = "find the URLs that images have by their names",
	.usage = "[FLAGS] NAME[:VERSION][,LABEL=VALUE]...",
	.description =
		"  Asks the pages of NAME, from https://NAME up to its host, "
		"for tags that say\n"
		"  where images and keys are (appc discovery).  Labels os and "
		"arch are the\n"
		"  host's unless given.  Nothing is downloaded but the "
		"pages.\n",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.min_args = 1,
	.max_args = 1000,
	.run = run,
};

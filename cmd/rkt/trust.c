/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/pubkey.h"
#include "spec/acidentifier.h"

struct opts {
	const char *prefix;
	bool root;
	bool skip_review;
	bool allow_http;
};

static const struct option_row rows[] = {
	{.name = "prefix",
	 .kind = OPTION_STRING,
	 .shown = "",
	 .offset = offsetof(struct opts, prefix),
	 .help = "prefix to limit trust to"},
	{.name = "root",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, root),
	 .help = "add root key from filesystem without a prefix"},
	{.name = "skip-fingerprint-review",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, skip_review),
	 .help = "accept key without fingerprint confirmation"},
	{.name = "insecure-allow-http",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, allow_http),
	 .help = "allow HTTP use for key discovery and/or retrieval"},
	{.name = NULL},
};

static int refuse_unbounded(void)
{
	log_error("aborting due to implicit unbounded trust (root domain)\n"
		  "Please provide a specific domain prefix to trust:\n"
		  "    rkt trust --prefix \"example.com/foo\" [PUBKEY]\n"
		  "Otherwise, trust at the root domain (not recommended) must "
		  "be explicitly requested:\n"
		  "    rkt trust --root PUBKEY");
	return RKT_EXIT_FAILURE;
}

static int check_prefix(const char *prefix, struct error *err)
{
	const char *colon = strchr(prefix, ':');

	if (colon)
		return error_set(err, EINVAL,
				 "--prefix must not contain a URL scheme, omit "
				 "%.*s://",
				 (int)(colon - prefix), prefix);
	return acidentifier_check(prefix, err);
}

static int trust_all(const struct cmd_call *call, struct error *err)
{
	const struct opts *o = call->opts;
	cleanup_images struct images im = {0};
	const struct pubkeys p = {
		.rkt = call->rkt,
		.fetcher = &im.fetcher,
		.prefix = o->prefix,
		.skip_review = o->skip_review,
		.allow_http = o->allow_http,
		.allow_http_flag = "--insecure-allow-http",
	};
	int r = 0;

	images_init(call->rkt, &im);
	if (o->prefix)
		r = check_prefix(o->prefix, err);
	if (r >= 0 && call->argc == 0 && !o->prefix)
		return error_set(err, EINVAL,
				 "a root key is not discovered: give its file");
	if (r >= 0 && call->argc == 0)
		return pubkey_add_discovered(&p, err);
	for (int i = 0; r >= 0 && i < call->argc; i++)
		r = pubkey_add(&p, call->argv[i], err);
	return r;
}

static int run(struct cmd_call *call)
{
	struct opts *o = call->opts;
	struct error err = ERROR_INIT;

	if (o->prefix && !o->prefix[0])
		o->prefix = NULL;
	if (!o->prefix && !o->root)
		return call->argc > 0
			       ? refuse_unbounded()
			       : cmd_usage(call, "must provide --prefix, or "
						 "--root and a key");
	if (o->prefix && o->root) {
		log_error("--root and --prefix usage mutually exclusive");
		return RKT_EXIT_FAILURE;
	}
	if (trust_all(call, &err) < 0) {
		log_failure(&err, "error adding keys");
		return RKT_EXIT_FAILURE;
	}
	return 0;
}

const struct command cmd_trust = {
	.name = "trust",
	.summary = "Trust a key for image verification",
	.usage = "[--prefix=PREFIX] [--insecure-allow-http] "
		 "[--skip-fingerprint-review] [--root] [PUBKEY ...]",
	.words = OPTION_VALUES_FILES,
	.description =
		"Adds keys to the local keystore for use in verifying signed "
		"images.\n\nPUBKEY is a file or URL holding one public key. "
		"Without it, "
		"keys are discovered: the page https://PREFIX names them. "
		"PREFIX scopes the applicability of PUBKEY to image names "
		"sharing PREFIX. --root must be specified to add keys with no "
		"prefix.",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/images.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "cmd/rkt/cmd.h"

void images_say(const char *who, const char *fmt, ...)
{
	cleanup_free char *text = NULL;
	cleanup_free char *line = NULL;
	va_list ap;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	line = xasprintf("%s: %s\n", who, text);
	(void)write_full(STDERR_FILENO, line, strlen(line));
}

static void image_notice(const char *text)
{
	images_say("image", "%s", text);
}

static void images_init(const struct rkt *rkt, struct images *im)
{
	im->trees = (struct treestore){im->store, rkt->libexec};
	im->keystore = (struct keystore){
		.system_dir = rkt->system_config,
		.local_dir = rkt->local_config,
		.user_dir = rkt->user_config,
	};
	im->fetcher = (struct image_fetcher){
		.store = im->store,
		.libexec_dir = rkt->libexec,
		.keystore = &im->keystore,
		.policy = PULL_NEW,
		.insecure = rkt->insecure & INSECURE_IMAGE,
		.notice = image_notice,
	};
}

int images_open(const struct rkt *rkt, unsigned flags, struct images *ret,
		struct error *err)
{
	int r;

	*ret = (struct images){0};
	r = imagestore_open(rkt->dir, flags, &ret->store, err);
	images_init(rkt, ret);
	return r < 0 ? error_wrap(err, r, "cannot open store") : 0;
}

int images_open_existing(const struct rkt *rkt, struct images *ret,
			 struct error *err)
{
	int r = images_open(rkt, 0, ret, err);

	return r == -ENOENT ? 0 : r;
}

void images_close(struct images *im)
{
	imagestore_free(im->store);
	im->store = NULL;
}

int pull_opts_resolve(const struct pull_opts *opts,
		      enum pull_policy default_policy, enum pull_policy *ret,
		      struct error *err)
{
	if (opts->store_only && opts->no_store)
		return error_set(err, EINVAL,
				 "both --store-only and --no-store specified");
	*ret = default_policy;
	if (opts->store_only)
		*ret = PULL_NEVER;
	else if (opts->no_store)
		*ret = PULL_UPDATE;
	else if (opts->policy)
		return pull_policy_parse(opts->policy, ret, err);
	return 0;
}

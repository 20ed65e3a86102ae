/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/images.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aci/http.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/pubkey.h"
#include "cmd/rkt/say.h"

static void say_of_image(const char *text)
{
	say_as("image", "%s", text);
}

void images_init(const struct rkt *rkt, struct images *im)
{
	im->trees =
		(struct treestore){im->store, rkt->libexec, rkt->image_driver};
	im->keystore = (struct keystore){
		.system_dir = rkt->system_config,
		.local_dir = rkt->local_config,
		.user_dir = rkt->user_config,
	};
	im->config_dirs = (struct config_dirs){
		.system_dir = rkt->system_config,
		.local_dir = rkt->local_config,
		.user_dir = rkt->user_config,
	};
	im->fetcher = (struct image_fetcher){
		.store = im->store,
		.libexec_dir = rkt->libexec,
		.keystore = &im->keystore,
		.config_dirs = &im->config_dirs,
		.policy = PULL_NEW,
		.insecure = rkt->insecure & INSECURE_IMAGE,
		.image_driver = rkt->image_driver,
		.http_discovery = rkt->insecure & INSECURE_HTTP,
		.http_flags =
			rkt->insecure & INSECURE_TLS ? HTTP_TLS_UNCHECKED : 0,
		.notice = say_of_image,
		.progress = progress_show,
		.progress_all = progress_show_all,
		.progress_hide = progress_hide_all,
		.progress_arg = &im->progress,
		.find_keys = pubkey_find,
		.keys_arg = rkt,
	};
}

int images_open(const struct rkt *rkt, unsigned flags, struct images *ret,
		struct error *err)
{
	int r;

	*ret = (struct images){0};
	r = imagestore_open(rkt->dir, rkt->libexec, flags, &ret->store, err);
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
	image_drop_config(&im->fetcher);
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

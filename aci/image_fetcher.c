/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/image_fetcher.h"

#include <stdarg.h>
#include <stdlib.h>

#include "aci/config_load.h"
#include "aci/layer_seen.h"
#include "base/alloc.h"
#include "base/cleanup.h"

void image_notice(const struct image_fetcher *f, const char *fmt, ...)
{
	cleanup_free char *text = NULL;
	va_list ap;

	if (!f->notice && !f->seen)
		return;
	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	if (f->seen)
		layer_seen_note(f->seen, text);
	else
		f->notice(text);
}

void image_warn_insecure(struct image_fetcher *f)
{
	if (!f->warned)
		image_notice(f, "warning: image signature verification has "
				"been disabled");
	f->warned = true;
}

int image_load_config(struct image_fetcher *f, struct error *err)
{
	struct config *config;
	int r;

	if (f->config || !f->config_dirs)
		return 0;
	config = xcalloc(1, sizeof(*config));
	r = config_load(f->config_dirs, CONFIG_BIT(CONFIG_AUTH_D), config, err);
	if (r < 0) {
		config_release(config);
		free(config);
		return r;
	}
	f->config = config;
	return 0;
}

void image_drop_config(struct image_fetcher *f)
{
	if (!f->config)
		return;
	config_release(f->config);
	free(f->config);
	f->config = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_IMAGE_FETCHER_H
#define ACI_IMAGE_FETCHER_H

/* What all ways of getting an image are told: the stores, what the operator
 * allows, and who is told of what happens. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct config_dirs;
struct error;
struct image_fetcher;
struct imagestore;
struct keystore;
struct layer_seen;

enum pull_policy {
	PULL_NEW,    /* from the store if there, else fetched */
	PULL_NEVER,  /* from the store only */
	PULL_UPDATE, /* always asked for again */
};

/* One download, or what is sent, seen while it goes on. */
struct image_progress {
	const char *what; /* "ACI", "signature" */
	const char *url;
	uint64_t done;	  /* bytes */
	uint64_t total;	  /* 0 = unknown */
	uint64_t resumed; /* of done, from an earlier try */
	bool ended;
	bool is_one_of_many; /* others go on beside */
	bool is_upload;
};

struct image_fetcher {
	struct imagestore *store;
	const char *libexec_dir;
	const struct keystore *keystore;
	const struct config_dirs *config_dirs; /* for credentials */
	struct config *config; /* image_load_config(); NULL = not yet */
	enum pull_policy policy;
	bool insecure;		  /* --insecure-options=image */
	bool http_discovery;	  /* --insecure-options=http */
	unsigned int http_flags;  /* for what is https: enum http_flags */
	bool with_hash;		  /* accept sha512-HEX (fetch does not) */
	bool render;		  /* as root, also make the tree */
	const char *image_driver; /* of struct treestore */
	bool warned;		  /* the insecure notice was given */
	/* Noted as the origin of a local file instead of its path; may be
	 * NULL. */
	const char *file_source;
	/* Lines for the user ("signature verified:"), may be NULL. */
	void (*notice)(const char *text);
	/* In a process beside others: who waits for it says them. */
	struct layer_seen *seen;
	bool is_one_of_many; /* others fetch beside */
	/* May be NULL. */
	void (*progress)(void *arg, const struct image_progress *progress);
	void *progress_arg;
	/* Several at once, again and again, in one process for all of them;
	 * WHAT is NULL until one has begun; none at all: they are over.  On a
	 * terminal it is a picture that hide() takes away, for lines that are
	 * to stay.  May be NULL. */
	void (*progress_all)(void *arg, const struct image_progress *v,
			     size_t n);
	void (*progress_hide)(void *arg);
	/*
	 * Called before an image called NAME is downloaded for whose name no
	 * key is trusted: may find some, and have them trusted.  Success
	 * promises nothing.  May be NULL.
	 */
	int (*find_keys)(struct image_fetcher *f, const char *name,
			 struct error *err);
	const void *keys_arg; /* of find_keys' own */
};

void image_notice(const struct image_fetcher *f, const char *fmt, ...)
	__attribute__((__format__(__printf__, 2, 3)));
/* Says once that nobody checks signatures. */
void image_warn_insecure(struct image_fetcher *f);

/* Before the first request: reads whose credentials go where.  The caller
 * frees f->config in the end with image_drop_config(). */
int image_load_config(struct image_fetcher *f, struct error *err);
void image_drop_config(struct image_fetcher *f);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_PUBKEY_H
#define CMD_RKT_PUBKEY_H

/* Keys made trusted: from files and URLs, named or discovered; shown, asked
 * about, kept. */

#include <stdbool.h>

struct error;
struct image_fetcher;
struct rkt;

struct pubkeys {
	const struct rkt *rkt;
	struct image_fetcher *fetcher;
	const char *prefix; /* NULL: for every image */
	bool skip_review;
	bool allow_http;
	const char *allow_http_flag; /* how to have that, for messages */
};

/* LOCATION: a path or a URL of one public key. */
int pubkey_add(const struct pubkeys *p, const char *location,
	       struct error *err);

/* The keys that discovery finds for the prefix. */
int pubkey_add_discovered(const struct pubkeys *p, struct error *err);

/* The find_keys of struct image_fetcher; keys_arg is the struct rkt.  Asks
 * nobody where nobody can answer. */
int pubkey_find(struct image_fetcher *f, const char *name, struct error *err);

#endif

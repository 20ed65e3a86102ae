/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_GLOBALS_H
#define CMD_RKT_GLOBALS_H

/* The global options: as typed, and resolved into struct rkt. */

#include <stdbool.h>

#include "base/option.h"

struct error;
struct rkt;
struct strbuf;

/* Where pods and images are unless --dir or paths.d says otherwise. */
#define GLOBALS_DEFAULT_DIR "/var/lib/rkt"
#define GLOBALS_DEFAULT_SYSTEM_CONFIG "/usr/lib/rkt"
#define GLOBALS_DEFAULT_LOCAL_CONFIG "/etc/rkt"

struct globals {
	const char *dir; /* NULL: not given */
	const char *system_config;
	const char *local_config;
	const char *user_config;
	const char *image_driver;   /* NULL: the first that works */
	unsigned int insecure;	    /* enum insecure */
	unsigned int insecure_seen; /* which names were given */
	bool trust_keys_from_https;
	bool debug;
	bool help;
};

extern const struct option_row globals_rows[];

void globals_init(struct globals *g);
/* Appends "image,tls", as --insecure-options has it, or "none". */
void globals_insecure_text(unsigned int insecure, struct strbuf *out);
/*
 * Makes paths absolute, finds libexec and, if nobody said --dir, asks the
 * configuration for the data directory.  Without root that is the user's own
 * one, if it is there or IS_FOR_ROOT (CMD_ROOT): without it, who may look at
 * the system's does.  Allocates for the program's life.
 */
int globals_resolve(const struct globals *g, bool is_for_root, struct rkt *ret,
		    struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/fetch_client.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
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

/* "B346 E31D D778 6C96 8C00  1F2D ...": pairs of bytes, a gap in the
 * middle, as gpg prints it. */
static void print_fingerprint(const char *label, const char *fingerprint)
{
	printf("%s", label);
	for (size_t i = 0; fingerprint[i]; i++) {
		if (i > 0 && i % 4 == 0)
			putchar(' ');
		if (i == 20)
			putchar(' ');
		putchar(toupper((unsigned char)fingerprint[i]));
	}
	putchar('\n');
}

static void show_key(const char *prefix, const char *location,
		     const struct fetch_key *key)
{
	images_say("pubkey", "prefix: \"%s\"\nkey: \"%s\"", prefix, location);
	print_fingerprint("gpg key fingerprint is: ", key->fingerprint);
	for (size_t i = 0; i < key->n_subkeys; i++)
		print_fingerprint("    Subkey fingerprint: ",
				  key->subkeys[i].fingerprint);
	for (size_t i = 0; i < key->n_user_ids; i++)
		printf("\t%s\n", key->user_ids[i]);
	(void)fflush(stdout);
	if (key->revoked || key->expired)
		images_say("pubkey",
			   "warning: the key %s: images signed with it are "
			   "refused",
			   key->revoked ? "was revoked" : "has expired");
}

/* 1 yes, 0 no. */
static int ask(struct error *err)
{
	char line[64];

	for (;;) {
		puts("Are you sure you want to trust this key (yes/no)?");
		(void)fflush(stdout);
		if (!fgets(line, sizeof(line), stdin))
			return error_set(err, EIO, "error reading input");
		if (strcmp(line, "yes\n") == 0)
			return 1;
		if (strcmp(line, "no\n") == 0)
			return 0;
		puts("Please enter 'yes' or 'no'");
	}
}

static int review(const char *prefix, struct error *err)
{
	if (isatty(STDIN_FILENO) && isatty(STDERR_FILENO))
		return ask(err);
	images_say("pubkey",
		   "To trust the key for \"%s\", do one of the following:",
		   prefix);
	images_say("pubkey", " - call rkt trust on a terminal");
	images_say("pubkey", " - compare the fingerprint above, then call rkt "
			     "trust with --skip-fingerprint-review");
	return error_set(err, ENOTTY,
			 "error reviewing key: unable to ask user to review "
			 "fingerprint due to lack of tty");
}

static int read_file_following(const char *path, struct strbuf *data,
			       struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "open key %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL,
				 "open key %s: it is not a regular file", path);
	r = strbuf_read_fd(data, fd, KEY_FILE_MAX);
	return r < 0 ? error_sys(err, -r, "read key %s", path) : 0;
}

/*
 * The key file's bytes as a memory file: what is reviewed is what is stored,
 * whatever happens to the file meanwhile.
 */
static int read_key(const char *location, struct strbuf *data,
		    struct error *err)
{
	cleanup_fd int fd = memfd_create("key", MFD_CLOEXEC);
	int r;

	if (strstr(location, "://"))
		return error_set(err, ENOTSUP,
				 "key %s: downloads are not supported yet by "
				 "this build (download it and give the file)",
				 location);
	r = read_file_following(location, data, err);
	if (r >= 0 && (fd < 0 || write_full(fd, data->buf, data->len) < 0))
		r = error_sys(err, errno, "copy key %s", location);
	return r < 0 ? r : TAKE_FD(fd);
}

/* One file holds one public key: its name in the key store is the
 * fingerprint, and only what has that fingerprint counts. */
static int check_key(const char *location, const struct fetch_key *key,
		     struct error *err)
{
	if (key->has_secret)
		return error_set(err, EINVAL,
				 "%s holds a secret key: give the public key "
				 "(gpg --armor --export %s)",
				 location, key->fingerprint);
	if (key->n_primary != 1)
		return error_set(err, EINVAL,
				 "%s holds %zu keys: give one at a time (gpg "
				 "--armor --export %s)",
				 location, key->n_primary, key->fingerprint);
	return 0;
}

static int store_key(const struct rkt *rkt, const char *prefix,
		     const struct fetch_key *key, const struct strbuf *data,
		     struct error *err)
{
	const struct keystore ks = {.local_dir = rkt->local_config};
	cleanup_free char *path = NULL;
	int r = keystore_add(&ks, prefix[0] ? prefix : NULL, key->fingerprint,
			     data->buf, data->len, &path, err);

	if (r < 0)
		return r;
	if (prefix[0])
		printf("Added key for prefix \"%s\" at \"%s\"\n", prefix, path);
	else
		printf("Added root key at \"%s\"\n", path);
	return 0;
}

static int trust_key(const struct rkt *rkt, const struct opts *o,
		     const char *location, struct error *err)
{
	const char *prefix = o->prefix ? o->prefix : "";
	cleanup_strbuf struct strbuf data = STRBUF_INIT;
	cleanup_fd int fd = read_key(location, &data, err);
	struct fetch_key key;
	int r = fd;

	if (r >= 0) {
		r = fetch_key_info(rkt->libexec, fd, &key, err);
		if (r < 0)
			(void)error_prefix(err, r, "key %s", location);
	}
	if (r >= 0)
		r = check_key(location, &key, err);
	if (r < 0)
		return r;
	show_key(prefix, location, &key);
	r = o->skip_review ? 1 : review(prefix, err);
	if (r == 0)
		images_say("pubkey", "not trusting \"%s\"", location);
	if (r <= 0)
		return r;
	printf("Trusting \"%s\" for prefix \"%s\" %s fingerprint review.\n",
	       location, prefix, o->skip_review ? "without" : "after");
	return store_key(rkt, prefix, &key, &data, err);
}

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
	int r = 0;

	if (o->prefix)
		r = check_prefix(o->prefix, err);
	if (r >= 0 && call->argc == 0)
		return error_set(err, ENOTSUP,
				 "no key file given, and key discovery is not "
				 "supported yet by this build");
	for (int i = 0; r >= 0 && i < call->argc; i++) {
		r = trust_key(call->rkt, o, call->argv[i], err);
		if (r < 0)
			return error_wrap(err, r, "key %s", call->argv[i]);
	}
	return r;
}

static int run(struct cmd_call *call)
{
	struct opts *o = call->opts;
	struct error err = ERROR_INIT;

	if (o->prefix && !o->prefix[0])
		o->prefix = NULL;
	if (!o->prefix && !o->root)
		return call->argc > 0 ? refuse_unbounded()
				      : cmd_usage(call, NULL);
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
	.description =
		"Adds keys to the local keystore for use in verifying signed "
		"images.\n\nPUBKEY is a local file holding one public key. "
		"PREFIX scopes the applicability of PUBKEY to image names "
		"sharing PREFIX. --root must be specified to add keys with no "
		"prefix.",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};

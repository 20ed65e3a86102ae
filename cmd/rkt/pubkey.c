/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/rkt/pubkey.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/discovery.h"
#include "aci/fetch_client.h"
#include "aci/http.h"
#include "aci/image_fetcher.h"
#include "aci/keystore.h"
#include "aci/url_login.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/say.h"

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
	say_as("pubkey", "prefix: \"%s\"\nkey: \"%s\"", prefix, location);
	print_fingerprint("gpg key fingerprint is: ", key->fingerprint);
	for (size_t i = 0; i < key->n_subkeys; i++)
		print_fingerprint("    Subkey fingerprint: ",
				  key->subkeys[i].fingerprint);
	for (size_t i = 0; i < key->n_user_ids; i++)
		printf("\t%s\n", key->user_ids[i]);
	(void)fflush(stdout);
	if (key->revoked || key->expired)
		say_as("pubkey",
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
	say_as("pubkey",
	       "To trust the key for \"%s\", do one of the following:", prefix);
	say_as("pubkey", " - call rkt trust on a terminal");
	say_as("pubkey", " - compare the fingerprint above, then call rkt "
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

/* The key's bytes as a memory file: what is reviewed is what is stored,
 * whatever happens to the file meanwhile. */
static int copy_key(const char *location, struct strbuf *data,
		    struct error *err)
{
	cleanup_fd int fd = memfd_create("key", MFD_CLOEXEC);
	int r = read_file_following(location, data, err);

	if (r >= 0 && (fd < 0 || write_full(fd, data->buf, data->len) < 0))
		r = error_sys(err, errno, "copy key %s", location);
	return r < 0 ? r : TAKE_FD(fd);
}

static int download_key(const struct pubkeys *p, const struct url_login *login,
			struct strbuf *data, struct error *err)
{
	const char *url = login->url;
	cleanup_http_response struct http_response response = {0};
	cleanup_fd int fd = memfd_create("key", MFD_CLOEXEC);
	struct http_request req = HTTP_REQUEST_INIT;
	int r;

	if (fd < 0)
		return error_sys(err, errno, "make a memory file");
	r = image_load_config(p->fetcher, err);
	if (r < 0)
		return r;
	req.url = url;
	req.flags = p->fetcher->http_flags | HTTP_SMALL |
		    (p->allow_http ? HTTP_PLAIN_OK : 0);
	url_login_apply(login, p->fetcher->config, &req);
	req.max_body = KEY_FILE_MAX;
	req.body_fd = fd;
	r = http_do(p->fetcher->libexec_dir, &req, &response, err);
	if (r == 0)
		r = http_response_check(&response, url, err);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = error_sys(err, errno, "read key %s", url);
	if (r == 0)
		r = strbuf_read_fd(data, fd, KEY_FILE_MAX);
	return r < 0 ? r : TAKE_FD(fd);
}

static bool is_https(const char *location)
{
	return strncmp(location, "https://", strlen("https://")) == 0;
}

static int read_key(const struct pubkeys *p, const struct url_login *login,
		    struct strbuf *data, struct error *err)
{
	const char *location = login->url;

	if (strncmp(location, "file://", strlen("file://")) == 0)
		return copy_key(location + strlen("file://"), data, err);
	if (!strstr(location, "://"))
		return copy_key(location, data, err);
	if (!is_https(location) && !p->allow_http)
		return error_set(err, EPERM,
				 "key %s: only https is allowed (%s)", location,
				 p->allow_http_flag);
	return download_key(p, login, data, err);
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

/* Who may write to the host's (root, members of rkt-admin) does. */
static const char *key_dir(const struct rkt *rkt)
{
	return rkt->is_user && rkt->user_config &&
			       access(rkt->local_config, W_OK) < 0
		       ? rkt->user_config
		       : rkt->local_config;
}

static int store_key(const struct rkt *rkt, const char *prefix,
		     const struct fetch_key *key, const struct strbuf *data,
		     struct error *err)
{
	const struct keystore ks = {.local_dir = key_dir(rkt)};
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

static int add(const struct pubkeys *p, const struct url_login *login,
	       struct error *err)
{
	const char *location = login->url;
	const char *prefix = p->prefix ? p->prefix : "";
	bool skip_review = p->skip_review || (p->rkt->trust_keys_from_https &&
					      is_https(location));
	cleanup_strbuf struct strbuf data = STRBUF_INIT;
	cleanup_fd int fd = read_key(p, login, &data, err);
	struct fetch_key key;
	int r = fd;

	if (r >= 0) {
		r = fetch_key_info(p->rkt->libexec, fd, &key, err);
		if (r < 0)
			(void)error_prefix(err, r, "key %s", location);
	}
	if (r >= 0)
		r = check_key(location, &key, err);
	if (r < 0)
		return r;
	show_key(prefix, location, &key);
	r = skip_review ? 1 : review(prefix, err);
	if (r == 0)
		say_as("pubkey", "not trusting \"%s\"", location);
	if (r <= 0)
		return r;
	printf("Trusting \"%s\" for prefix \"%s\" %s fingerprint review.\n",
	       location, prefix, skip_review ? "without" : "after");
	return store_key(p->rkt, prefix, &key, &data, err);
}

int pubkey_add(const struct pubkeys *p, const char *location, struct error *err)
{
	cleanup_url_login struct url_login login = URL_LOGIN_INIT;
	int r;

	url_login_make(location, &login);
	r = add(p, &login, err);
	return r < 0 ? error_wrap(err, r, "key %s", login.url) : r;
}

int pubkey_add_discovered(const struct pubkeys *p, struct error *err)
{
	cleanup_strv struct strv urls = STRV_INIT;
	struct discovery d;
	int r = image_load_config(p->fetcher, err);

	if (r < 0)
		return r;
	discovery_make(p->fetcher, p->allow_http, &d);
	r = discovery_find_keys(&d, p->prefix, &urls, err);
	for (size_t i = 0; r >= 0 && i < urls.n; i++)
		r = pubkey_add(p, urls.v[i], err);
	return r;
}

/* Whether there is anybody to say yes to a key. */
static bool can_be_trusted(const struct rkt *rkt)
{
	return rkt->trust_keys_from_https ||
	       (isatty(STDIN_FILENO) && isatty(STDERR_FILENO));
}

int pubkey_find(struct image_fetcher *f, const char *name, struct error *err)
{
	const struct rkt *rkt = f->keys_arg;
	const struct pubkeys p = {
		.rkt = rkt,
		.fetcher = f,
		.prefix = name,
		.allow_http = rkt->insecure & INSECURE_PUBKEY,
		.allow_http_flag = "--insecure-options=pubkey",
	};
	struct error why = ERROR_INIT;

	(void)err;
	/* Without keys the image is refused, which says more than this. */
	if (can_be_trusted(rkt) && pubkey_add_discovered(&p, &why) < 0)
		say_as("pubkey", "%s", error_innermost(&why));
	return 0;
}

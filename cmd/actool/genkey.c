/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aci/openpgp_sign.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "base/whole_file.h"
#include "cmd/actool/actool.h"
#include "cmd/actool/passphrase.h"

struct opts {
	const char *name;
	const char *output;
	const char *passphrase_file;
	uint32_t expire; /* seconds, 0 = never */
};

/* As gpg takes it: "0", or a number of days, weeks, months or years. */
static int expire_parse(const struct option_row *row, void *target,
			const char *value, struct error *err)
{
	static const struct {
		char letter;
		unsigned int days;
	} units[] = {{'d', 1}, {'w', 7}, {'m', 30}, {'y', 365}};
	size_t len = strlen(value);
	cleanup_free char *number = xstrdup(value);
	unsigned int days = 1;
	uint64_t n;

	(void)row;
	for (size_t i = 0; len > 1 && i < sizeof(units) / sizeof(*units); i++) {
		if (value[len - 1] == units[i].letter) {
			days = units[i].days;
			number[len - 1] = '\0';
		}
	}
	if (parse_uint(number, UINT32_MAX / 86400 / days, &n) < 0)
		return error_set(err, EINVAL,
				 "wanted 0 (never) or a number of days, or "
				 "like 8w, 6m, 2y");
	*(uint32_t *)target = (uint32_t)n * days * 86400;
	return 0;
}

static const struct option_row rows[] = {
	{.name = "expire",
	 .kind = OPTION_CALL,
	 .offset = offsetof(struct opts, expire),
	 .shown = "TIME",
	 .parse = expire_parse,
	 .help = "how long the key is good: days, or like 8w, 6m, 2y; "
		 "default 0, for ever"},
	{.name = "name",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, name),
	 .shown = "NAME",
	 .help = "whose key it is, \"Name <mail>\"; default \"image "
		 "signing key <USER@HOST>\""},
	{.name = "output",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, output),
	 .shown = "FILE",
	 .help = "file for the secret key; the public one gets .pub added"},
	{.name = "passphrase-file",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, passphrase_file),
	 .shown = "FILE",
	 .help = "protect the secret key with the first line of this file"},
	{0}};

static char *default_name(void)
{
	const char *user = getenv("LOGNAME");
	char host[256] = "localhost";

	(void)gethostname(host, sizeof(host) - 1);
	return xasprintf("image signing key <%s@%s>",
			 user && *user ? user : "root", host);
}

static int key_make(const struct opts *o, struct strbuf *secret,
		    struct strbuf *public, char *fingerprint, struct error *err)
{
	cleanup_free char *name = o->name ? xstrdup(o->name) : default_name();
	char passphrase[256] = "";
	struct openpgp_new_key key = {.userid = name, .expire = o->expire};
	int r = 0;

	if (o->passphrase_file) {
		r = passphrase_get((void *)o->passphrase_file, "", passphrase,
				   sizeof(passphrase), err);
		if (r == 0 && !*passphrase)
			r = error_set(err, EINVAL, "%s: no passphrase in it",
				      o->passphrase_file);
		key.passphrase = passphrase;
	}
	if (r == 0)
		r = openpgp_generate(&key, secret, public, fingerprint, err);
	explicit_bzero(passphrase, sizeof(passphrase));
	return r;
}

/* Both files or none. */
static int files_write(const char *path, const char *pub_path,
		       const struct strbuf *secret, const struct strbuf *public,
		       struct error *err)
{
	cleanup_whole_file struct whole_file sec = WHOLE_FILE_INIT,
					     pub = WHOLE_FILE_INIT;
	int r = whole_file_open(path, 0600, false, &sec, err);

	if (r == 0)
		r = whole_file_open(pub_path, 0644, false, &pub, err);
	if (r == 0)
		r = whole_file_write(&sec, secret, err);
	if (r == 0)
		r = whole_file_write(&pub, public, err);
	if (r == 0)
		r = whole_file_commit(&pub, err);
	if (r != 0)
		return r;
	r = whole_file_commit(&sec, err);
	if (r != 0)
		(void)unlinkat(pub.dirfd, pub.name, 0);
	return r;
}

static int run(const struct actool_call *call)
{
	const struct opts *o = call->opts;
	cleanup_strbuf struct strbuf secret = STRBUF_INIT, public = STRBUF_INIT;
	cleanup_free char *pub_path = NULL;
	char fingerprint[OPENPGP_FINGERPRINT_MAX] = "";
	struct error err = ERROR_INIT;
	int r;

	if (!o->output || !*o->output) {
		(void)error_set(&err, EINVAL,
				"--output says where the key goes");
		(void)actool_fail(&err);
		return ACTOOL_USAGE;
	}
	pub_path = xasprintf("%s.pub", o->output);
	r = key_make(o, &secret, &public, fingerprint, &err);
	if (r == 0)
		r = files_write(o->output, pub_path, &secret, &public, &err);
	explicit_bzero(secret.buf, secret.alloc);
	if (r < 0)
		return actool_fail(&err);
	printf("key %s\n%s: secret key, keep it\n%s: public key, for "
	       "`rkt trust`\n",
	       fingerprint, o->output, pub_path);
	return ACTOOL_OK;
}

const struct actool_command actool_genkey = {
	.name = "genkey",
	.summary = "make a key to sign images with",
	.usage = "[FLAGS] --output=FILE",
	.description =
		"  Makes an OpenPGP key (EdDSA over Curve25519), armored: the "
		"secret key in FILE,\n"
		"  readable by its owner only, the public key in FILE.pub.  "
		"Existing files are\n"
		"  not touched.  gpg imports both.\n",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};

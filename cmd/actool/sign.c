/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aci/openpgp_sign.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/whole_file.h"
#include "cmd/actool/actool.h"
#include "cmd/actool/passphrase.h"

#define KEY_MAX (1024UL * 1024) /* bytes of a key file */

struct opts {
	const char *key;
	const char *output;
	const char *passphrase_file;
	bool overwrite;
};

static const struct option_row rows[] = {
	{.name = "key",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, key),
	 .shown = "FILE",
	 .help = "the secret key, from `actool genkey` or `gpg "
		 "--export-secret-keys`"},
	{.name = "output",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, output),
	 .shown = "FILE",
	 .help = "where the signature goes; default IMAGE.aci.asc"},
	{.name = "overwrite",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, overwrite),
	 .help = "replace the signature if it exists"},
	{.name = "passphrase-file",
	 .kind = OPTION_STRING,
	 .offset = offsetof(struct opts, passphrase_file),
	 .shown = "FILE",
	 .help = "the key's passphrase is its first line; otherwise the "
		 "terminal is asked"},
	{0}};

static void secret_release(struct strbuf *sb)
{
	if (sb->alloc)
		explicit_bzero(sb->buf, sb->alloc);
	strbuf_release(sb);
}

static int key_read(const char *path, struct strbuf *ret, struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : strbuf_read_fd(ret, fd, KEY_MAX);

	return r < 0 ? error_sys(err, -r, "read key %s", path) : 0;
}

/*
 * librnp prints what it dislikes in a key file on stderr, beside the result
 * it returns; there is no switch for it.  SAVED < 0 hides stderr and returns
 * it, else puts SAVED back.
 */
static int stderr_swap(int saved)
{
	cleanup_fd int from =
		saved >= 0 ? saved : open("/dev/null", O_WRONLY | O_CLOEXEC);
	int kept =
		saved >= 0 ? -EBADF : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

	if (from >= 0)
		(void)dup2(from, STDERR_FILENO);
	return kept;
}

static int sign(const char *image, const char *asc, const struct opts *o,
		struct error *err)
{
	__attribute__((__cleanup__(secret_release))) struct strbuf key =
		STRBUF_INIT;
	cleanup_strbuf struct strbuf armor = STRBUF_INIT;
	cleanup_whole_file struct whole_file out = WHOLE_FILE_INIT;
	cleanup_fd int fd = open(image, O_RDONLY | O_CLOEXEC);
	char fingerprint[OPENPGP_FINGERPRINT_MAX];
	int saved, r;

	if (fd < 0)
		return error_sys(err, errno, "open %s", image);
	r = whole_file_open(asc, 0644, o->overwrite, &out, err);
	if (r == -EEXIST)
		return error_set(err, EEXIST, "%s exists (try --overwrite)",
				 asc);
	if (r == 0)
		r = key_read(o->key, &key, err);
	if (r < 0)
		return r;
	saved = stderr_swap(-1);
	r = openpgp_sign(&key, fd, passphrase_get, (void *)o->passphrase_file,
			 &armor, fingerprint, err);
	(void)stderr_swap(saved);
	if (r < 0)
		return error_wrap(err, r, "sign %s with %s", image, o->key);
	r = whole_file_write(&out, &armor, err);
	if (r == 0)
		r = whole_file_commit(&out, err);
	if (r == 0)
		printf("%s: signed with key %s\n", asc, fingerprint);
	return r;
}

static int run(const struct actool_call *call)
{
	const struct opts *o = call->opts;
	const char *image = call->argv[0];
	cleanup_free char *beside = xasprintf("%s.asc", image);
	struct error err = ERROR_INIT;
	int r;

	if (!o->key) {
		(void)error_set(&err, EINVAL, "--key says with which key");
		(void)actool_fail(&err);
		return ACTOOL_USAGE;
	}
	r = sign(image, o->output ? o->output : beside, o, &err);
	if (r < 0)
		return actool_fail(&err);
	return ACTOOL_OK;
}

const struct actool_command actool_sign = {
	.name = "sign",
	.summary = "sign an image",
	.usage = "--key=FILE [FLAGS] IMAGE.aci",
	.description =
		"  Writes an armored detached OpenPGP signature to IMAGE.aci."
		"asc, where rkt looks\n"
		"  for it.  Of several keys in the file the newest subkey for "
		"signing is taken,\n"
		"  as gpg does.\n",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};

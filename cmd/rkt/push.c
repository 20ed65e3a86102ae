/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/fetch_client.h"
#include "aci/image_put.h"
#include "aci/oci_push.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "cmd/rkt/cmd.h"
#include "cmd/rkt/images.h"
#include "cmd/rkt/say.h"
#include "spec/image_manifest.h"
#include "spec/oci_digest.h"

struct opts {
	const char *signature;
	bool no_signature;
};

static const struct option_row rows[] = {
	{.name = "signature",
	 .values = OPTION_VALUES_FILES,
	 .kind = OPTION_STRING,
	 .shown = "",
	 .offset = offsetof(struct opts, signature),
	 .help = "signature file to send with the image to a web server "
		 "(default: FILE.asc, if IMAGE is a file that has one)"},
	{.name = "no-signature",
	 .kind = OPTION_BOOL,
	 .implied = "true",
	 .offset = offsetof(struct opts, no_signature),
	 .help = "send no signature"},
	{.name = NULL},
};

static bool starts_with(const char *s, const char *prefix)
{
	return strncasecmp(s, prefix, strlen(prefix)) == 0;
}

/* --- where from ---------------------------------------------------------- */

static int image_arg(const char *arg, struct image_arg *ret, struct error *err)
{
	struct stat st;
	bool is_file = stat(arg, &st) == 0 && S_ISREG(st.st_mode);

	return image_arg_parse(arg, is_file, ret, err);
}

/* What is stored; a file is stored first, as by rkt fetch. */
static int find_image(struct images *im, const struct image_arg *from,
		      const struct opts *o, const char *arg,
		      struct image_id *ret, struct error *err)
{
	if (from->kind != IMAGE_ARG_FILE)
		return image_find_stored(im->store, arg, ret, err);
	return image_fetch(&im->fetcher, arg, o->signature, ret, err);
}

/* --- to a registry ------------------------------------------------------- */

static int push_docker(struct images *im, const struct image_arg *from,
		       const struct cmd_call *call, struct error *err)
{
	cleanup_docker_ref struct docker_ref ref = DOCKER_REF_INIT;
	const struct opts *o = call->opts;
	char digest[OCI_DIGEST_MAX];
	struct image_id id;
	int r;

	if (from->kind != IMAGE_ARG_FILE && o->signature)
		return error_set(err, EINVAL,
				 "registries take no signatures of App "
				 "Container Images: leave --signature out");
	r = docker_ref_parse(call->argv[1], &ref, err);
	if (r == 0)
		r = find_image(im, from, o, call->argv[0], &id, err);
	if (r >= 0)
		r = oci_push(&im->fetcher, &id, &ref, digest, err);
	if (r < 0)
		return r;
	puts(digest);
	return 0;
}

/* --- to a web server ----------------------------------------------------- */

/* The file as it is, after it was read as an image. */
static int open_file(struct images *im, const char *path,
		     struct fetch_image *image, struct error *err)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_sys(err, errno, "open %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, EINVAL,
				 "open %s: it is not a regular file", path);
	r = fetch_import(im->fetcher.libexec_dir, fd, -1, -1, NULL, image, err);
	if (r < 0)
		return error_prefix(err, r, "image %s", path);
	return TAKE_FD(fd);
}

static int put_file(struct images *im, const char *path,
		    const struct cmd_call *call, struct error *err)
{
	cleanup_fetch_image struct fetch_image image = {0};
	cleanup_fd int fd = open_file(im, path, &image, err);
	cleanup_free char *beside = xasprintf("%s.asc", path);
	const struct opts *o = call->opts;
	struct image_put put = {
		.fd = fd,
		.name = image.name,
		.signature = o->signature,
		.url = call->argv[1],
	};

	if (fd < 0)
		return fd;
	if (!put.signature && !o->no_signature && access(beside, F_OK) == 0)
		put.signature = beside;
	if (!put.signature)
		say_as("push",
		       "there is no %s: the image is sent without a "
		       "signature",
		       beside);
	return image_put(&im->fetcher, &put, err);
}

/* A signature is of the tar as it is stored, which `rkt image export` gives;
 * without one the image is sent compressed. */
static int open_to_send(struct images *im, const struct image_id *id,
			bool is_signed, int *ret_temp, struct error *err)
{
	cleanup_fd int blob = imagestore_open_blob(im->store, id, err);
	struct fetch_layer packed;
	int r;

	if (blob < 0 || is_signed)
		return TAKE_FD(blob);
	*ret_temp = imagestore_new_file(im->store, err);
	if (*ret_temp < 0)
		return *ret_temp;
	r = fetch_make_layer(im->fetcher.libexec_dir, NULL, &blob, *ret_temp,
			     false, &packed, err);
	return r < 0 ? r : dup(*ret_temp);
}

static int put_stored(struct images *im, const struct cmd_call *call,
		      struct error *err)
{
	cleanup_image_manifest struct image_manifest manifest =
		IMAGE_MANIFEST_INIT;
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	const struct opts *o = call->opts;
	cleanup_fd int temp = -EBADF;
	cleanup_fd int fd = -EBADF;
	struct image_put put = {
		.signature = o->signature,
		.url = call->argv[1],
	};
	struct image_id id;
	int r = image_find_stored(im->store, call->argv[0], &id, err);

	if (r >= 0)
		r = imagestore_read_manifest(im->store, &id, &text, err);
	if (r >= 0)
		r = image_manifest_parse(text.buf, text.len, &manifest, err);
	if (r < 0)
		return r;
	say_as("push", "the image is sent %s",
	       put.signature ? "uncompressed, as its signature is of that"
			     : "compressed with gzip, and without a signature");
	put.name = manifest.name;
	fd = put.fd = open_to_send(im, &id, put.signature, &temp, err);
	r = fd < 0 ? fd : image_put(&im->fetcher, &put, err);
	if (temp >= 0)
		imagestore_drop_file(im->store, temp);
	return r;
}

/* --- the command --------------------------------------------------------- */

static int push(const struct cmd_call *call, struct error *err)
{
	cleanup_images struct images im = {0};
	const struct opts *o = call->opts;
	const char *to = call->argv[1];
	struct image_arg from;
	bool is_url = starts_with(to, "https://") || starts_with(to, "http://");
	int r;

	if (o->signature && o->no_signature)
		return error_set(err, EINVAL,
				 "both --signature and --no-signature "
				 "specified");
	if (!is_url && !starts_with(to, "docker:"))
		return error_set(err, EINVAL,
				 "push to %s: a destination is "
				 "docker://[REGISTRY/]NAME[:TAG] or an http(s) "
				 "URL",
				 to);
	r = image_arg(call->argv[0], &from, err);
	if (r >= 0 && from.kind != IMAGE_ARG_FILE &&
	    from.kind != IMAGE_ARG_ID && from.kind != IMAGE_ARG_NAME &&
	    from.kind != IMAGE_ARG_DOCKER)
		r = error_set(err, EINVAL,
			      "push %s: only a stored image or a file can be "
			      "pushed (use \"rkt fetch\" first)",
			      call->argv[0]);
	if (r >= 0)
		r = images_open(call->rkt, IMAGESTORE_CREATE, &im, err);
	if (r < 0)
		return r;
	if (!is_url)
		return push_docker(&im, &from, call, err);
	return from.kind == IMAGE_ARG_FILE
		       ? put_file(&im, from.value, call, err)
		       : put_stored(&im, call, err);
}

/* --- ^C ------------------------------------------------------------------ */

static pid_t pusher; /* for the handler, which its processes inherit */

/* Nothing is to be cleaned up: files on their way have no names, and the
 * processes end with us. */
static void on_interrupt(int sig)
{
	static const char text[] =
		"push: interrupted: it is not complete, and nothing of it is "
		"left on this machine\n";

	if (getpid() == pusher) {
		(void)!write(STDERR_FILENO, "\n", isatty(STDERR_FILENO) == 1);
		(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	}
	(void)raise(sig);
}

static void catch_interrupts(void)
{
	/* The second one is deadly: it is raised by the handler. */
	struct sigaction action = {
		.sa_handler = on_interrupt,
		.sa_flags = (int)SA_RESETHAND,
	};

	pusher = getpid();
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
}

static int run(struct cmd_call *call)
{
	struct error err = ERROR_INIT;

	if (call->argc != 2)
		return cmd_usage(call, CMD_WRONG_NUMBER);
	catch_interrupts();
	if (push(call, &err) < 0) {
		log_failure(&err, NULL);
		return RKT_EXIT_FAILURE;
	}
	return 0;
}

const struct command cmd_push = {
	.name = "push",
	.summary = "Push an image to a registry or a web server",
	.usage = "IMAGE DESTINATION",
	.words = CMD_WORDS_IMAGES,
	.description =
		"IMAGE is the name or hash of a stored image (or the docker:// "
		"reference it was fetched from), or a file. "
		"DESTINATION is docker://[REGISTRY/]NAME[:TAG], where image "
		"and dependencies become an OCI image whose digest is printed, "
		"or the http(s) URL of an .aci file, which is sent there by "
		"PUT, and its signature to URL.asc. Credentials are those of "
		"auth.d that fetch uses. Exit codes: 0 done, 254 failed.",
	.options = rows,
	.opts_size = sizeof(struct opts),
	.run = run,
};

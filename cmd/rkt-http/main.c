/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rkt-http: where the network is.  Takes one HTTP request on descriptor 3,
 * locks itself in, does it, answers and ends (aci/fetch_server.h).  What it
 * receives it writes into the descriptors it was given, unread.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "aci/digest.h"
#include "aci/fetch_server.h"
#include "aci/sandbox.h"
#include "base/error.h"
#include "base/io.h"
#include "cmd/rkt-http/transfer.h"

#define MiB (1ULL << 20)
#define CA_FILE_MAX (16 * MiB)

static struct strbuf authorities = STRBUF_INIT;

/* The certificate authorities, read before the file system is gone and
 * while files of root's can be read: PATH was named by the operator. */
static int load_authorities(struct error *err)
{
	static const char *const usual[] = {
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem",
		"/etc/ssl/cert.pem",
	};
	const char *named = getenv("CURL_CA_BUNDLE");

	if (!named || !*named)
		named = getenv("SSL_CERT_FILE");
	if (named && *named)
		return read_file_path(named, CA_FILE_MAX, &authorities, err);
	for (size_t i = 0; i < sizeof(usual) / sizeof(*usual); i++)
		if (read_file_path(usual[i], CA_FILE_MAX, &authorities, NULL) ==
		    0)
			return 0;
	/* Without any, no certificate is trusted, and the error says so. */
	return 0;
}

static int prepare(struct error *err)
{
	int r = digest_prepare(err);

	if (r == 0)
		r = load_authorities(err);
	return r < 0 ? r : transfer_prepare(err);
}

static int lock_in(const struct sandbox *s, const struct fetch_job *job,
		   struct error *err)
{
	struct sandbox roomy = *s;

	(void)job;
	/* The bound of the body is kept where it is written, with words. */
	roomy.max_file_size += MiB;
	return sandbox_enter_http(&roomy, err);
}

static int run(struct fetch_job *job, struct fetch_reply *reply,
	       struct error *err)
{
	return transfer_run(job, &authorities, &reply->http, err);
}

static const struct fetch_job_kind kinds[] = {
	{FETCH_JOB_HTTP, FETCH_MODE_HTTP, 2, 1024 * MiB, 7200, prepare, lock_in,
	 run},
	{0},
};

int main(int argc, char **argv)
{
	/* Who reads along may have seen enough. */
	(void)signal(SIGPIPE, SIG_IGN);
	fetch_serve("rkt-http", kinds, argc, argv);
}

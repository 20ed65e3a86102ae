/* SPDX-License-Identifier: Apache-2.0 */
#include "stage1/metadata.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "spec/json_write.h"
#include "spec/metadata.h"
#include "stage1/network.h"
#include "stage1/pod.h"

#define TRIES 3
#define URL_MAX 256
#define START_MS 1000
#define UPDATE_MS 100 /* apps are served meanwhile, but not looked after */
#define ANSWER_MAX 2048

/* --- pure ------------------------------------------------------------------
 */

char *metadata_url_make(const char *host, unsigned int port, const char *token)
{
	bool is_ipv6 = strchr(host, ':') != NULL;

	return xasprintf("http://%s%s%s:%u/%s", is_ipv6 ? "[" : "", host,
			 is_ipv6 ? "]" : "", port, token);
}

int metadata_answer_parse(const char *text, const char **ret_body)
{
	const char *body = strstr(text, "\r\n\r\n");
	unsigned int status = 0;

	if (sscanf(text, "HTTP/1.%*1u %3u", &status) != 1)
		return -EINVAL;
	*ret_body = body ? body + 4 : text + strlen(text);
	return (int)status;
}

/* --- a request -------------------------------------------------------------
 */

static int connect_service(int ms, struct error *err)
{
	const struct sockaddr_un addr = {.sun_family = AF_UNIX,
					 .sun_path = METADATA_SOCKET};
	const struct timeval wait = {.tv_sec = ms / 1000,
				     .tv_usec = ms % 1000 * 1000};
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0)
		return error_sys(err, errno, "open a socket");
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_set(err, errno,
				 "the metadata service does not answer "
				 "at " METADATA_SOCKET
				 ": start it with \"rkt metadata-service\"");
	return TAKE_FD(fd);
}

/* Sends it and reads the answer's beginning: -EPROTO unless it is 200. */
static int request(const char *line, const struct strbuf *body, int ms,
		   struct strbuf *ret, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_fd int fd = connect_service(ms, err);
	char answer[ANSWER_MAX + 1];
	const char *said;
	ssize_t n;
	int status;

	if (fd < 0)
		return fd;
	strbuf_addf(&text,
		    "%s HTTP/1.1\r\nHost: rkt\r\nConnection: close\r\n"
		    "Content-Type: application/json\r\n"
		    "Content-Length: %zu\r\n\r\n",
		    line, body ? body->len : 0);
	if (body)
		strbuf_add(&text, body->buf, body->len);
	n = write_full(fd, text.buf, text.len);
	/* It may have refused without reading to the end. */
	if (n == 0 || n == -EPIPE)
		n = read_full(fd, answer, ANSWER_MAX);
	if (n < 0)
		return error_sys(err, (int)-n, "talk to the metadata service");
	answer[n] = '\0';
	status = metadata_answer_parse(answer, &said);
	if (status != 200)
		return error_set(err, EPROTO,
				 "the metadata service refuses the pod: %.*s",
				 (int)strcspn(said, "\n"),
				 status < 0 ? "it does not speak HTTP" : said);
	if (ret)
		strbuf_addstr(ret, said);
	return 0;
}

/* --- the pod ---------------------------------------------------------------
 */

static int put_pod(const struct pod *pod, const char *token, int ms,
		   unsigned int *ret_port, struct error *err)
{
	cleanup_free char *line =
		xasprintf("PUT /pods/%s?token=%s", pod->options.uuid, token);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	cleanup_strbuf struct strbuf said = STRBUF_INIT;
	uint64_t port = METADATA_PORT;
	int r;

	pod_manifest_write(&pod->manifest, JSON_COMPACT_STYLE, &text);
	r = request(line, &text, ms, &said, err);
	/* Another service of this protocol says nothing. */
	(void)parse_uint(said.buf, UINT16_MAX, &port);
	*ret_port = (unsigned int)port;
	return r;
}

static int put_app(const struct pod *pod, const char *app, int ms,
		   struct error *err)
{
	cleanup_free char *line =
		xasprintf("PUT /pods/%s/%s", pod->options.uuid, app);
	cleanup_free char *file = xasprintf(
		POD_APPSINFO_DIR "/%s/" GENERATION_MANIFEST_FILE, app);
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = read_file_at(pod->dirfd, file, MANIFEST_MAX, &text, err);

	return r < 0 ? r : request(line, &text, ms, NULL, err);
}

static int put(const struct pod *pod, const char *token, int ms,
	       unsigned int *ret_port, struct error *err)
{
	int r = put_pod(pod, token, ms, ret_port, err);

	for (size_t i = 0; i < pod->n_apps && r == 0; i++)
		r = put_app(pod, pod->apps[i]->name, ms, err);
	return r;
}

/* One that is being started is waited for. */
static int put_patiently(const struct pod *pod, const char *token,
			 unsigned int *ret_port, struct error *err)
{
	const struct timespec second = {.tv_sec = 1};
	int r = put(pod, token, START_MS, ret_port, err);

	for (int i = 1; i < TRIES && r < 0 && r != -EPROTO; i++) {
		log_info("%s; trying again", err->msg);
		(void)nanosleep(&second, NULL);
		r = put(pod, token, START_MS, ret_port, err);
	}
	return r;
}

static int make_token(char ret[METADATA_TOKEN_LEN + 1], struct error *err)
{
	uint8_t bytes[METADATA_TOKEN_LEN / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return error_sys(err, errno, "make a token");
	format_hex(bytes, sizeof(bytes), ret);
	return 0;
}

/* An address of the host that the pod reaches. */
static int find_host(const struct pod *pod, char **ret, struct error *err)
{
	if (net_list_kind(&pod->options.nets) == NET_KIND_HOST)
		*ret = xstrdup("127.0.0.1");
	else if (pod->network)
		*ret = network_host_ip(pod->network);
	if (*ret)
		return 0;
	return error_set(err, EINVAL,
			 "--mds-register: no network of the pod reaches the "
			 "host; join \"default\" or \"default-restricted\"");
}

int metadata_register(struct pod *pod, struct error *err)
{
	char token[METADATA_TOKEN_LEN + 1];
	cleanup_free char *host = NULL;
	unsigned int port = 0;
	int r;

	if (!pod->options.mds_register)
		return 0;
	r = find_host(pod, &host, err);
	if (r == 0)
		r = make_token(token, err);
	/* First: what is registered then is forgotten by gc at least. */
	if (r == 0)
		r = write_string_at(pod->dirfd, POD_METADATA_FILE, 0600, "",
				    err);
	if (r == 0)
		r = put_patiently(pod, token, &port, err);
	if (r < 0)
		return r;
	pod->options.plan.metadata_url = metadata_url_make(host, port, token);
	return write_string_at(pod->dirfd, POD_METADATA_FILE, 0600,
			       pod->options.plan.metadata_url, err);
}

void metadata_update(struct pod *pod)
{
	const char *url = pod->options.plan.metadata_url;
	struct error err = ERROR_INIT;
	unsigned int port;

	if (url && put(pod, strrchr(url, '/') + 1, UPDATE_MS, &port, &err) < 0)
		log_failure(&err, "update");
}

char *metadata_url(int dirfd)
{
	cleanup_strbuf struct strbuf url = STRBUF_INIT;

	if (read_file_at(dirfd, POD_METADATA_FILE, URL_MAX, &url, NULL) < 0 ||
	    !strchr(url.buf, '/'))
		return NULL;
	return strbuf_detach(&url);
}

void metadata_unregister(int dirfd, const char *uuid)
{
	cleanup_free char *line = xasprintf("DELETE /pods/%s", uuid);

	if (faccessat(dirfd, POD_METADATA_FILE, F_OK, 0) < 0)
		return;
	(void)request(line, NULL, START_MS, NULL, NULL);
	(void)unlinkat(dirfd, POD_METADATA_FILE, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/image_deps.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aci/image_fetcher.h"
#include "aci/imagestore.h"
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/io.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/image_id.h"
#include "spec/image_manifest.h"

#define DEPTH_MAX 32
#define PARALLEL_MAX 4

struct deps {
	struct image_fetcher *f;
	image_dep_fn fetch;
	struct strv done; /* IDs whose dependencies are all there */
	unsigned int depth;
};

static int deps_of(struct deps *d, const struct image_id *id,
		   struct error *err);

/* Empty lists are not in a canonical manifest: most have nothing to parse. */
static int read_dependencies(struct imagestore *store,
			     const struct image_id *id,
			     struct image_manifest *ret, struct error *err)
{
	cleanup_strbuf struct strbuf text = STRBUF_INIT;
	int r = imagestore_read_manifest(store, id, &text, err);

	if (r < 0 || !strstr(text.buf, "\"dependencies\":"))
		return r;
	return image_manifest_parse(text.buf, text.len, ret, err);
}

static int fetch_with_deps(struct deps *d, const struct dependency *dep,
			   struct error *err)
{
	struct image_id id;
	int r = d->fetch(d->f, dep, false, &id, err);

	if (r >= 0)
		r = deps_of(d, &id, err);
	return r < 0 ? error_wrap(err, r, "dependency %s", dep->image_name) : 0;
}

/* --- several at a time --------------------------------------------------- */

/* What a process that fetches one says at its end. */
struct outcome {
	int r;
	struct error err;
};

struct worker {
	pid_t pid;
	int pipe_fd;
};

/* The child's whole life: a store of its own, as databases want it. */
static void __attribute__((__noreturn__))
work(const struct deps *d, const struct dependency *dep, int pipe_fd)
{
	struct outcome outcome = {0};
	struct image_fetcher f = *d->f;
	struct deps own = {&f, d->fetch, STRV_INIT, d->depth};

	f.is_one_of_many = true;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	outcome.r = imagestore_open(imagestore_data_dir(d->f->store),
				    IMAGESTORE_CREATE, &f.store, &outcome.err);
	if (outcome.r == 0)
		outcome.r = fetch_with_deps(&own, dep, &outcome.err);
	(void)write_full(pipe_fd, &outcome, sizeof(outcome));
	_exit(0);
}

static int start(const struct deps *d, const struct dependency *dep,
		 struct worker *ret, struct error *err)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_sys(err, errno, "make a pipe");
	pid = fork();
	if (pid == 0)
		work(d, dep, ends[1]);
	fd_close(&ends[1]);
	if (pid < 0) {
		fd_close(&ends[0]);
		return error_sys(err, errno, "make a process");
	}
	*ret = (struct worker){pid, ends[0]};
	return 0;
}

static int finish(struct worker *w, struct error *err)
{
	struct outcome outcome = {0};
	ssize_t n = read_full(w->pipe_fd, &outcome, sizeof(outcome));

	fd_close(&w->pipe_fd);
	(void)waitpid(w->pid, NULL, 0);
	if (n != (ssize_t)sizeof(outcome))
		return error_set(err, EIO,
				 "a process that fetched a dependency died");
	if (outcome.r < 0 && err)
		*err = outcome.err;
	return outcome.r < 0 ? outcome.r : 0;
}

/* The first error counts; the others' processes end by themselves. */
static int fetch_parallel(struct deps *d, const struct dependency *const *deps,
			  size_t n, struct error *err)
{
	struct worker workers[PARALLEL_MAX];
	size_t started = 0, finished = 0;
	int ret = 0;

	while (finished < started || (ret == 0 && started < n)) {
		int r;

		if (ret == 0 && started < n &&
		    started - finished < PARALLEL_MAX) {
			ret = start(d, deps[started],
				    &workers[started % PARALLEL_MAX], err);
			started += ret == 0;
			continue;
		}
		r = finish(&workers[finished % PARALLEL_MAX],
			   ret == 0 ? err : NULL);
		finished++;
		if (ret == 0)
			ret = r;
	}
	return ret;
}

/* --- all of them --------------------------------------------------------- */

static int fetch_missing(struct deps *d, const struct dependency *const *deps,
			 size_t n, struct error *err)
{
	if (n > 1)
		return fetch_parallel(d, deps, n, err);
	return n == 1 ? fetch_with_deps(d, deps[0], err) : 0;
}

static int deps_of_manifest(struct deps *d, const struct image_manifest *im,
			    struct error *err)
{
	cleanup_free const struct dependency **missing =
		xreallocarray(NULL, im->n_dependencies + 1, sizeof(*missing));
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < im->n_dependencies; i++) {
		const struct dependency *dep = &im->dependencies[i];
		struct image_id id;

		r = d->fetch(d->f, dep, true, &id, err);
		if (r == -ENOENT) {
			missing[n++] = dep;
			r = 0;
		} else if (r >= 0) {
			r = deps_of(d, &id, err);
		}
		if (r < 0)
			return error_wrap(err, r, "dependency %s",
					  dep->image_name);
	}
	return fetch_missing(d, missing, n, err);
}

static int deps_of(struct deps *d, const struct image_id *id, struct error *err)
{
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	int r;

	if (strv_has(&d->done, id->text))
		return 0;
	if (d->depth >= DEPTH_MAX)
		return error_set(err, ELOOP,
				 "dependencies are nested more than %d deep",
				 DEPTH_MAX);
	r = read_dependencies(d->f->store, id, &im, err);
	if (r == 0 && im.n_dependencies > 0) {
		d->depth++;
		r = deps_of_manifest(d, &im, err);
		d->depth--;
	}
	if (r == 0)
		strv_push(&d->done, id->text);
	return r;
}

int image_deps_fetch(struct image_fetcher *f, const struct image_id *id,
		     image_dep_fn fetch, struct error *err)
{
	struct deps d = {f, fetch, STRV_INIT, 0};
	int r = deps_of(&d, id, err);

	strv_release(&d.done);
	return r;
}

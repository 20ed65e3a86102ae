/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/treestore.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include "aci/imagestore.h"
#include "base/error.h"
#include "base/strv.h"

/* In order of preference; what is rendered by any of them is used. */
static const struct tree_driver *const drivers[] = {
	&tree_driver_extract,
};

#define N_DRIVERS (sizeof(drivers) / sizeof(*drivers))

/* The first driver that can work here. */
static int driver_find(const struct treestore *ts,
		       const struct tree_driver **ret, struct error *err)
{
	int r = -ENOTSUP;

	for (size_t i = 0; i < N_DRIVERS; i++) {
		r = drivers[i]->probe(ts, err);
		if (r < 0)
			continue;
		*ret = drivers[i];
		return 0;
	}
	return r;
}

static int open_rendered(const struct treestore *ts, const struct image_id *id,
			 struct error *err)
{
	int fd = -ENOENT;

	for (size_t i = 0; fd == -ENOENT && i < N_DRIVERS; i++)
		fd = drivers[i]->open(ts, id, err);
	return fd;
}

int treestore_open(const struct treestore *ts, const struct image_id *id,
		   int *ret_fd, struct error *err)
{
	int fd = open_rendered(ts, id, err);
	int r;

	if (fd == -ENOENT) {
		r = treestore_prepare(ts, id, err);
		if (r < 0)
			return r;
		fd = open_rendered(ts, id, err);
	}
	if (fd == -ENOENT)
		return error_set(err, ESTALE,
				 "the rendered image %s disappeared", id->text);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

static int render(const struct treestore *ts, const struct image_id *id,
		  struct error *err)
{
	const struct tree_driver *driver = NULL;
	int r = driver_find(ts, &driver, err);

	return driver ? driver->prepare(ts, id, err) : r;
}

int treestore_prepare(const struct treestore *ts, const struct image_id *id,
		      struct error *err)
{
	int r = open_rendered(ts, id, err);

	if (r >= 0) {
		(void)close(r);
		return 0;
	}
	if (r == -ENOENT)
		r = render(ts, id, err);
	return r < 0 ? error_wrap(err, r, "render image %s", id->text) : 0;
}

int treestore_remove(const struct treestore *ts, const struct image_id *id,
		     struct error *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < N_DRIVERS; i++)
		r = drivers[i]->remove(ts, id, err);
	return r;
}

int treestore_check(const struct treestore *ts, const struct image_id *id,
		    struct error *err)
{
	int r = -ENOENT;

	for (size_t i = 0; r == -ENOENT && i < N_DRIVERS; i++)
		r = drivers[i]->check(ts, id, err);
	return r;
}

int treestore_list(const struct treestore *ts, struct strv *ret,
		   struct error *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < N_DRIVERS; i++)
		r = drivers[i]->list(ts, ret, err);
	return r;
}

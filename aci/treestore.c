/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/treestore.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "aci/imagestore.h"
#include "aci/stored_tars.h"
#include "base/error.h"
#include "base/log.h"
#include "base/strv.h"

/* In order of preference; what is rendered by any of them is used. */
static const struct tree_driver *const drivers[] = {
	&tree_driver_erofs,
	&tree_driver_loop,
	&tree_driver_extract,
};

#define OPEN_TRIES 16
#define N_DRIVERS (sizeof(drivers) / sizeof(*drivers))

int treestore_driver_check(const char *name, struct error *err)
{
	for (size_t i = 0; i < N_DRIVERS; i++)
		if (strcmp(drivers[i]->name, name) == 0)
			return 0;
	return error_set(err, EINVAL,
			 "image driver \"%s\" is none of erofs, loop, tree",
			 name);
}

static bool is_asked_for(const struct treestore *ts,
			 const struct tree_driver *driver)
{
	return !ts->driver || strcmp(ts->driver, driver->name) == 0;
}

static int open_rendered(const struct treestore *ts, const struct image_id *id,
			 struct error *err)
{
	int fd = -ENOENT;

	for (size_t i = 0; fd == -ENOENT && i < N_DRIVERS; i++) {
		/* Both drivers of an index find the same mount. */
		if (drivers[i] == &tree_driver_loop && !ts->driver)
			continue;
		if (is_asked_for(ts, drivers[i]))
			fd = drivers[i]->open(ts, id, err);
	}
	return fd;
}

bool treestore_has(const struct treestore *ts, const struct image_id *id)
{
	int fd = open_rendered(ts, id, NULL);
	bool has = fd >= 0;

	if (has)
		(void)close(fd);
	for (size_t i = 0; !has && i < N_DRIVERS; i++)
		has = is_asked_for(ts, drivers[i]) && drivers[i]->has(ts, id);
	return has;
}

/* By the first driver that can: whether it does is found by trying. */
static int render(const struct treestore *ts, const struct image_id *id,
		  bool now, struct error *err)
{
	int r = -ENOTSUP;

	for (size_t i = 0; i < N_DRIVERS; i++) {
		struct error why = ERROR_INIT;

		if (!is_asked_for(ts, drivers[i]))
			continue;
		r = drivers[i]->probe(ts, &why);
		if (r == 0)
			r = drivers[i]->prepare(ts, id, now, &why);
		if (r == 0)
			return 0;
		log_debug("image driver %s: %s", drivers[i]->name, why.msg);
		if (err)
			*err = why;
		/* Of a damaged image no driver is to make anything. */
		if (r == -EUCLEAN)
			break;
	}
	return error_wrap(err, r, "render image %s", id->text);
}

int treestore_open(const struct treestore *ts, const struct image_id *id,
		   int *ret_fd, struct error *err)
{
	int fd = open_rendered(ts, id, err);

	/* A signature that comes for the image has its mount made anew. */
	for (int n = 0; fd == -ENOENT && n < OPEN_TRIES; n++) {
		int r = render(ts, id, true, err);

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

int treestore_prepare(const struct treestore *ts, const struct image_id *id,
		      struct error *err)
{
	int r = open_rendered(ts, id, err);

	if (r >= 0) {
		(void)close(r);
		return 0;
	}
	if (r == -ENOENT)
		return render(ts, id, false, err);
	return error_wrap(err, r, "render image %s", id->text);
}

int treestore_remove(const struct treestore *ts, const struct image_id *id,
		     struct error *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < N_DRIVERS; i++)
		r = drivers[i]->remove(ts, id, err);
	return r;
}

/* What there is of it, by whatever driver. */
int treestore_check(const struct treestore *ts, const struct image_id *id,
		    struct error *err)
{
	int ret = stored_tars_check(ts->images, ts->libexec_dir, id, id, err);

	if (ret < 0)
		return ret;
	ret = -ENOENT;
	for (size_t i = 0; i < N_DRIVERS; i++) {
		int r;

		if (drivers[i] == &tree_driver_loop)
			continue; /* the same index */
		r = drivers[i]->check(ts, id, err);
		if (r < 0 && r != -ENOENT)
			return r;
		if (r == 0)
			ret = 0;
	}
	return ret;
}

int treestore_list(const struct treestore *ts, struct strv *ret,
		   struct error *err)
{
	cleanup_strv struct strv all = STRV_INIT;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < N_DRIVERS; i++)
		r = drivers[i]->list(ts, &all, err);
	strv_sort(&all);
	for (size_t i = 0; i < all.n; i++)
		if (i == 0 || strcmp(all.v[i - 1], all.v[i]) != 0)
			strv_push(ret, all.v[i]);
	return r;
}

int treestore_list_unpacked(const struct treestore *ts, struct strv *ret,
			    struct error *err)
{
	return tree_driver_extract.list(ts, ret, err);
}

int treestore_new_index(const struct treestore *ts, struct error *err)
{
	if (geteuid() != 0 ||
	    (ts->driver && strcmp(ts->driver, tree_driver_extract.name) == 0))
		return -EBADF;
	return imagestore_new_file(ts->images, err);
}

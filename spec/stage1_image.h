/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_STAGE1_IMAGE_H
#define SPEC_STAGE1_IMAGE_H

/*
 * A stage1 that is an image: what annotations of its manifest say of the
 * programs in it (spec/stage1-abi.md, section 10).  Pure.
 */

struct error;
struct image_manifest;
struct strv;

enum stage1_entry {
	STAGE1_RUN,
	STAGE1_ENTER,
	STAGE1_GC,
	STAGE1_STOP,
	STAGE1_ENTRY_MAX
};

/* "run", "enter", "gc", "stop". */
const char *stage1_entry_name(enum stage1_entry entry);

/* Where it is in the image's root file system, borrowed; NULL: it has none. */
const char *stage1_image_entry(const struct image_manifest *im,
			       enum stage1_entry entry);

/*
 * Its interface version, 1 if it does not say.  -EINVAL: no number,
 * -EOPNOTSUPP: newer than STAGE1_INTERFACE_VERSION.
 */
int stage1_image_version(const struct image_manifest *im, unsigned int *ret,
			 struct error *err);

/* Can it be the stage1 of a pod?  -EINVAL: it has no `run`, or as above. */
int stage1_image_check(const struct image_manifest *im, struct error *err);

/*
 * ARGS of `run`, without those that stage1s of interface VERSION do not know,
 * appended to RET; for each of those that was asked for a line in WARNINGS, as
 * rkt words it.
 */
void stage1_run_args_make(unsigned int version, const struct strv *args,
			  struct strv *ret, struct strv *warnings);

#endif

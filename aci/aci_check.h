/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_ACI_CHECK_H
#define ACI_ACI_CHECK_H

/*
 * The rules an image archive must keep (aci.md, Image Archives; and what an
 * extraction needs to stay below its directory), fed one entry at a time.
 * Pure: no archive library, no files.
 *
 * - exactly two top-level names: manifest (regular file), rootfs (directory);
 * - relative names without ".."; no entry twice, compared after cleaning;
 * - no entry below a file, symlink or device;
 * - hard links name an earlier non-directory below rootfs, in a layer also one
 *   that the layers below it may have;
 * - sizes, owners, device numbers and their number within bounds.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum aci_entry_type {
	ACI_FILE,
	ACI_DIRECTORY,
	ACI_SYMLINK,
	ACI_HARDLINK,
	ACI_CHAR,
	ACI_BLOCK,
	ACI_FIFO,
};

/* One archive entry as read; strings borrowed for the call. */
struct aci_entry {
	const char *path;   /* as in the archive */
	const char *target; /* of a symlink or hard link, else NULL */
	enum aci_entry_type type;
	int64_t size; /* logical, bytes */
	int64_t uid, gid;
	uint64_t major, minor;
};

struct aci_check_limits {
	uint64_t max_file_size; /* logical, bytes */
	uint64_t max_files;
};

struct aci_check {
	struct aci_check_limits limits;
	struct aci_slot *slots; /* open addressing */
	size_t n_slots, n_used;
	uint64_t seed[2];
	struct aci_arena *arena; /* of the paths */
	size_t arena_size;
	uint64_t n_files;	/* rootfs and below */
	uint64_t unpacked_size; /* data in whole 4 KiB blocks */
	uint64_t logical_size;
	int64_t data_end; /* of the current file's data so far */
	bool has_manifest, has_rootfs;
	bool is_layer; /* the caller's; after aci_check_init() */
};

/* What an accepted entry is for. */
enum aci_role {
	ACI_ROLE_TOP, /* "./": nothing to do */
	ACI_ROLE_MANIFEST,
	ACI_ROLE_ROOTFS, /* rootfs itself or below it */
};

void aci_check_init(struct aci_check *c, const struct aci_check_limits *limits);
void aci_check_release(struct aci_check *c);
#define cleanup_aci_check __attribute__((__cleanup__(aci_check_release)))

/* Returns the entry's enum aci_role, or -EINVAL / -EFBIG with the reason. */
int aci_check_entry(struct aci_check *c, const struct aci_entry *e,
		    struct error *err);
/*
 * Notes that the regular file just checked holds N more bytes from OFFSET on
 * (what is not a hole): in order, and within its size.
 */
int aci_check_data(struct aci_check *c, const struct aci_entry *e,
		   int64_t offset, size_t n, struct error *err);
/* What the accepted entry E, a hard link of a layer, leads to. */
enum aci_link {
	ACI_LINK_FILE = 'f',  /* an earlier entry, or E is none */
	ACI_LINK_AGAIN = 'a', /* an earlier hard link */
	ACI_LINK_BELOW = 'b', /* what the layers below it must have */
};
enum aci_link aci_check_link_kind(const struct aci_check *c,
				  const struct aci_entry *e);
/* After the last entry: both top-level names were there. */
int aci_check_end(const struct aci_check *c, struct error *err);
/*
 * A directory without an entry of its own (0755, 0:0) has the times 1970 and
 * this many nanoseconds: a layer over another one that has the directory does
 * not change it (tree_merge.h).
 */
#define ACI_IMPLIED_MTIME_NSEC 1

/* FN for the cleaned path of every directory that is only the parent of
 * entries; stops at a negative result and returns it. */
int aci_check_each_implied(const struct aci_check *c,
			   int (*fn)(const char *path));

/*
 * The cleaned form of an archive name (malloc'ed): "." and empty components
 * removed, "" for the top itself.  -EINVAL: absolute, "..", or too long.
 */
int aci_path_clean(const char *path, char **ret, struct error *err);

/* NAME for a message: everything but printable ASCII as \xNN, cut at 200
 * bytes; malloc'ed. */
char *aci_quote(const char *name);

/* True for the extended attributes an image may set: user.*, the file
 * capabilities and POSIX ACLs.  trusted.* would steer the overlay above the
 * image; other security.* belong to the host's policy. */
bool aci_xattr_is_kept(const char *name);

#endif

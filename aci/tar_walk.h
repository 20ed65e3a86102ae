/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_TAR_WALK_H
#define ACI_TAR_WALK_H

/*
 * The frame of a tar archive, strictly: what an archive library forgives or
 * hides (NUL bytes in names, a missing end mark, junk behind it, a name given
 * twice for one entry, unknown entry types) is refused here, so that every
 * reader sees the same entries in the same places.  Fed with the bytes as
 * they come; the meaning of entries is aci_check.h's.
 *
 *	archive = *( *special entry ) zero-block *zero-byte
 *	special = pax header (x, g) / GNU long name (L) / GNU long link (K)
 *	entry   = header [sparse-extension...] data padded to 512
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

struct error;

enum tar_state {
	TAR_HEADER,    /* the next 512 bytes are one */
	TAR_EXTENSION, /* ... or more of an old GNU sparse map */
	TAR_SPECIAL,   /* the content of a special header */
	TAR_DATA,      /* of an entry, skipped */
	TAR_END,       /* only zeros may come */
};

/* Where one entry lies, bytes from the start of the archive. */
struct tar_place {
	uint64_t start; /* of its first header, a special one if it has any */
	uint64_t data;
	uint64_t size; /* of the data, without padding */
};

struct tar_walk {
	enum tar_state state;
	uint64_t offset;    /* bytes fed */
	uint64_t left;	    /* of TAR_DATA, padding included */
	uint8_t block[512]; /* being collected */
	size_t n_block;
	struct strbuf special;
	uint64_t special_size;
	char special_type;
	/* What special headers gave for the next entry. */
	bool has_pax, has_long_name, has_long_link, has_size;
	uint64_t size;
	uint64_t start; /* of the entry whose headers are being read */
	bool has_start;
	uint64_t n_entries;
	/* Entries seen and not yet taken: v[first] ... v[n - 1]. */
	bool keeps_places;
	struct {
		struct tar_place *v;
		size_t first, n, n_alloc;
	} places;
};

void tar_walk_init(struct tar_walk *w);
void tar_walk_release(struct tar_walk *w);
#define cleanup_tar_walk __attribute__((__cleanup__(tar_walk_release)))

/* The next LEN bytes.  -EINVAL: the archive is malformed. */
int tar_walk_feed(struct tar_walk *w, const uint8_t *data, size_t len,
		  struct error *err);
/*
 * The place of the next entry, in the order of the archive; every entry's
 * exactly once, if keeps_places was set before the first byte.  False if the
 * bytes fed so far hold no further one.
 */
bool tar_walk_next_place(struct tar_walk *w, struct tar_place *ret);
/* After the last byte: the archive ended with its mark. */
int tar_walk_end(const struct tar_walk *w, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_EROFS_FORMAT_H
#define ACI_EROFS_FORMAT_H

/*
 * The part of the EROFS on-disk format that our indexes use (Linux,
 * fs/erofs/erofs_fs.h), and what we add to it.  Little endian; blocks of 512
 * bytes, because tar data begins at multiples of that; addresses are block
 * numbers in one row of devices: the index itself, then each tar at the
 * address its slot says.
 *
 *	0	zeros
 *	1024	struct erofs_super
 *	1152	struct erofs_device_slot for each tar
 *	...	inodes, the root first
 *	...	directories, long symlinks; literal file data
 *	end-512	struct erofs_trailer, ours, outside the file system
 */

#include <stdint.h>

#define EROFS_BLOCK 512UL
#define EROFS_BLOCK_BITS 9
#define EROFS_SUPER_AT 1024UL
#define EROFS_SLOTS_AT 1152UL
#define EROFS_SLOT_SIZE 128UL
#define EROFS_INODE_SIZE 64UL
#define EROFS_NID_SIZE 32UL /* inode numbers count these */
#define EROFS_MAGIC 0xe0f5e1e2U
#define EROFS_HOLE 0xffffffffU

#define EROFS_INCOMPAT_CHUNKED 4U
#define EROFS_INCOMPAT_DEVICES 8U

#define EROFS_CHUNK_INDEXES 0x20U /* of i_u of chunked files */
#define EROFS_CHUNK_BITS_MAX 31U

enum erofs_layout {
	EROFS_PLAIN = 0,
	EROFS_INLINE = 2, /* the last part behind the inode */
	EROFS_CHUNKED = 4,
};

struct erofs_super {
	uint32_t magic, checksum, feature_compat;
	uint8_t block_bits, ext_slots;
	uint16_t root_nid;
	uint64_t n_inodes;
	uint64_t epoch;
	uint32_t epoch_nsec;
	uint32_t n_blocks; /* of the index */
	uint32_t meta_block, xattr_block;
	uint8_t uuid[16];
	char volume[16];
	uint32_t feature_incompat;
	uint16_t zero;
	uint16_t n_devices;
	uint16_t slots_at; /* in slots from 0 */
	uint8_t dir_block_bits;
	uint8_t rest[37];
} __attribute__((__packed__));

struct erofs_device_slot {
	uint8_t tag[64]; /* SHA-512 of the tar */
	uint32_t n_blocks;
	uint32_t address;
	uint8_t rest[56];
} __attribute__((__packed__));

struct erofs_inode {
	uint16_t format; /* 1 | layout << 1: with 32-bit owners and a time */
	uint16_t xattr_count;
	uint16_t mode;
	uint16_t zero;
	uint64_t size;
	uint32_t u; /* first block, device number or chunk format */
	uint32_t number;
	uint32_t uid, gid;
	uint64_t mtime;
	uint32_t mtime_nsec;
	uint32_t n_links;
	uint8_t rest[16];
} __attribute__((__packed__));

/* A directory block begins with these; the names follow the last one. */
struct erofs_dirent {
	uint64_t nid;
	uint16_t name_at; /* in the block */
	uint8_t type, zero;
} __attribute__((__packed__));

/* The attributes behind an inode begin with this ... */
struct erofs_xattr_header {
	uint32_t name_filter;
	uint8_t n_shared;
	uint8_t rest[7];
} __attribute__((__packed__));

/* ... and each with this, then name and value, padded to 4 bytes. */
struct erofs_xattr_entry {
	uint8_t name_len;
	uint8_t prefix;
	uint16_t value_len;
} __attribute__((__packed__));

struct erofs_chunk {
	uint16_t block_high;
	uint16_t device;
	uint32_t block;
} __attribute__((__packed__));

#define EROFS_TRAILER_MAGIC "rkt index 1\n"

struct erofs_trailer {
	char magic[16];
	uint8_t digest[64]; /* SHA-512 of all before it */
	uint8_t rest[432];  /* 0 */
} __attribute__((__packed__));

_Static_assert(sizeof(struct erofs_super) == 128, "super block");
_Static_assert(sizeof(struct erofs_device_slot) == EROFS_SLOT_SIZE, "slot");
_Static_assert(sizeof(struct erofs_inode) == EROFS_INODE_SIZE, "inode");
_Static_assert(sizeof(struct erofs_dirent) == 12, "dirent");
_Static_assert(sizeof(struct erofs_xattr_header) == 12, "xattr header");
_Static_assert(sizeof(struct erofs_trailer) == EROFS_BLOCK, "trailer");

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/aci_check.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"

#define NAME_BYTES_MAX 255
/* Room for the directory the tree will be extracted to. */
#define PATH_BYTES_MAX (PATH_MAX - 256)
#define LINK_BYTES_MAX (PATH_MAX - 1)
#define DEPTH_MAX 512
/* All names together; 2,000,000 entries of 128 bytes. */
#define ARENA_MAX (256UL << 20)
#define ARENA_CHUNK (256UL << 10)
#define LOGICAL_SIZE_MAX (16ULL << 40) /* sum of all files, holes included */
/* Linux dev_t: 12 bits of major, 20 of minor number. */
#define MAJOR_MAX 0xfff
#define MINOR_MAX 0xfffff
#define QUOTE_MAX 200
#define BLOCK_SIZE 4096

/* A path seen: as an entry, or only as the parent of one. */
struct aci_slot {
	const char *path; /* NULL = free */
	uint32_t hash;
	uint8_t type;
	bool implied; /* no entry of its own yet; a directory */
};

struct aci_arena {
	struct aci_arena *next;
	size_t used;
	char bytes[ARENA_CHUNK];
};

char *aci_quote(const char *name)
{
	struct strbuf sb = STRBUF_INIT;

	for (const char *p = name; *p; p++) {
		if (sb.len >= QUOTE_MAX) {
			strbuf_addstr(&sb, "...");
			break;
		}
		if (*p > ' ' && *p < 0x7f && *p != '\\')
			strbuf_addch(&sb, *p);
		else if (*p == ' ')
			strbuf_addch(&sb, ' ');
		else
			strbuf_addf(&sb, "\\x%02x", (unsigned char)*p);
	}
	return strbuf_detach(&sb);
}

static int refuse(struct error *err, int code, const char *path,
		  const char *why)
{
	cleanup_free char *quoted = aci_quote(path);

	(void)error_set(err, code, "archive entry %s: %s", quoted, why);
	return -code;
}

static int refuse_link(struct error *err, const struct aci_entry *e,
		       const char *why)
{
	cleanup_free char *quoted = aci_quote(e->target);
	cleanup_free char *text = xasprintf("%s %s", why, quoted);

	return refuse(err, EINVAL, e->path, text);
}

int aci_path_clean(const char *path, char **ret, struct error *err)
{
	cleanup_free char *clean = NULL;
	size_t len = 0, depth = 0;

	if (path[0] == '/')
		return refuse(err, EINVAL, path, "the name is absolute");
	if (strlen(path) > PATH_BYTES_MAX)
		return refuse(err, EINVAL, path, "the name is too long");
	clean = xmalloc(strlen(path) + 1);
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.')
			return refuse(err, EINVAL, path,
				      "the name contains ..");
		if (n > NAME_BYTES_MAX || ++depth > DEPTH_MAX)
			return refuse(err, EINVAL, path,
				      "the name is too long");
		if (n && !(n == 1 && p[0] == '.')) {
			if (len)
				clean[len++] = '/';
			memcpy(clean + len, p, n);
			len += n;
		}
		p += n;
		while (*p == '/')
			p++;
	}
	clean[len] = '\0';
	*ret = TAKE_PTR(clean);
	return 0;
}

bool aci_xattr_is_kept(const char *name)
{
	return (!strncmp(name, "user.", 5) && name[5]) ||
	       !strcmp(name, "security.capability") ||
	       !strcmp(name, "system.posix_acl_access") ||
	       !strcmp(name, "system.posix_acl_default");
}

void aci_check_init(struct aci_check *c, const struct aci_check_limits *limits)
{
	*c = (struct aci_check){.limits = *limits, .n_slots = 1024};
	c->slots = xcalloc(c->n_slots, sizeof(*c->slots));
	if (getrandom(c->seed, sizeof(c->seed), 0) != sizeof(c->seed))
		abort();
}

void aci_check_release(struct aci_check *c)
{
	while (c->arena) {
		struct aci_arena *next = c->arena->next;

		free(c->arena);
		c->arena = next;
	}
	free(c->slots);
	c->slots = NULL;
}

/*
 * Keyed with random bits, so that an archive cannot be made of names that
 * collide and turn the table into a list.
 */
static uint32_t hash_path(const struct aci_check *c, const char *path,
			  size_t len)
{
	uint64_t h = c->seed[0] ^ len;

	while (len > 0) {
		uint64_t word = 0;
		size_t n = len < sizeof(word) ? len : sizeof(word);

		memcpy(&word, path, n);
		h = (h ^ word) * (c->seed[1] | 1);
		h ^= h >> 32;
		path += n;
		len -= n;
	}
	return (uint32_t)(h ^ h >> 29);
}

/* The slot of the first LEN bytes of PATH, or the free one where it goes. */
static struct aci_slot *find_slot(const struct aci_check *c, const char *path,
				  size_t len)
{
	uint32_t hash = hash_path(c, path, len);
	size_t i = hash & (c->n_slots - 1);

	for (;; i = (i + 1) & (c->n_slots - 1)) {
		struct aci_slot *s = &c->slots[i];

		if (!s->path || (s->hash == hash &&
				 !strncmp(s->path, path, len) && !s->path[len]))
			return s;
	}
}

static void grow(struct aci_check *c)
{
	struct aci_slot *old = c->slots;
	size_t n_old = c->n_slots;

	c->n_slots *= 2;
	c->slots = xcalloc(c->n_slots, sizeof(*c->slots));
	for (size_t i = 0; i < n_old; i++)
		if (old[i].path)
			*find_slot(c, old[i].path, strlen(old[i].path)) =
				old[i];
	free(old);
}

static const char *keep_path(struct aci_check *c, const char *path, size_t len)
{
	char *p;

	if (!c->arena || ARENA_CHUNK - c->arena->used < len + 1) {
		struct aci_arena *a = xmalloc(sizeof(*a));

		a->next = c->arena;
		a->used = 0;
		c->arena = a;
	}
	p = c->arena->bytes + c->arena->used;
	memcpy(p, path, len);
	p[len] = '\0';
	c->arena->used += len + 1;
	c->arena_size += len + 1;
	return p;
}

static int add_slot(struct aci_check *c, const char *path, size_t len,
		    enum aci_entry_type type, bool implied, struct error *err)
{
	struct aci_slot *s = find_slot(c, path, len);

	if (!s->path) {
		if (c->arena_size + len > ARENA_MAX ||
		    c->n_used / 2 >= c->limits.max_files)
			return error_set(err, EFBIG,
					 "the archive has too many names (more "
					 "than %zu)",
					 c->n_used);
		*s = (struct aci_slot){keep_path(c, path, len),
				       hash_path(c, path, len), (uint8_t)type,
				       implied};
		if (++c->n_used > c->n_slots / 2)
			grow(c);
		return 0;
	}
	if (!s->implied)
		return refuse(err, EINVAL, s->path, "it occurs twice");
	if (type != ACI_DIRECTORY)
		return refuse(err, EINVAL, s->path,
			      "it is not a directory, but earlier entries are "
			      "below it");
	s->implied = implied;
	return 0;
}

/* Every parent of PATH is a directory: seen, or noted as implied. */
static int check_parents(struct aci_check *c, const char *path,
			 struct error *err)
{
	for (const char *end = strrchr(path, '/'); end;) {
		size_t len = (size_t)(end - path);
		const struct aci_slot *s = find_slot(c, path, len);
		int r;

		if (s->path && s->type == ACI_SYMLINK)
			return refuse(err, EINVAL, path,
				      "it lies behind a symbolic link");
		if (s->path && s->type != ACI_DIRECTORY)
			return refuse(err, EINVAL, path,
				      "it lies below something that is not a "
				      "directory");
		if (s->path)
			return 0; /* and so are all above it */
		r = add_slot(c, path, len, ACI_DIRECTORY, true, err);
		if (r < 0)
			return r;
		end = memrchr(path, '/', len);
	}
	return 0;
}

static int check_link(struct aci_check *c, const struct aci_entry *e,
		      const char *clean, struct error *err)
{
	cleanup_free char *target = NULL;
	const struct aci_slot *s;

	if (e->size > 0)
		return refuse(err, EINVAL, e->path,
			      "it is a hard link with content");
	if (aci_path_clean(e->target, &target, NULL) < 0 ||
	    strncmp(target, "rootfs/", 7))
		return refuse_link(err, e,
				   "it is a hard link out of the rootfs, to");
	s = find_slot(c, target, strlen(target));
	if (!s->path && c->is_layer && strcmp(target, clean) != 0)
		return 0;
	if (!s->path)
		return refuse_link(err, e,
				   "it is a hard link to what no earlier entry "
				   "made,");
	if (s->type == ACI_DIRECTORY)
		return refuse_link(err, e, "it is a hard link to a directory,");
	return 0;
}

static int check_owner(const struct aci_entry *e, struct error *err)
{
	/* (uid_t)-1 means "leave as is" to chown(2). */
	if (e->uid < 0 || e->uid >= UINT32_MAX || e->gid < 0 ||
	    e->gid >= UINT32_MAX)
		return refuse(err, EINVAL, e->path,
			      "the owner or group is out of range");
	return 0;
}

static int check_type(struct aci_check *c, const struct aci_entry *e,
		      const char *clean, struct error *err)
{
	switch (e->type) {
	case ACI_SYMLINK:
		if (!e->target || !e->target[0] ||
		    strlen(e->target) > LINK_BYTES_MAX)
			return refuse(err, EINVAL, e->path,
				      "the symbolic link's target is empty or "
				      "too long");
		return 0;
	case ACI_HARDLINK:
		return check_link(c, e, clean, err);
	case ACI_CHAR:
	case ACI_BLOCK:
		if (e->major > MAJOR_MAX || e->minor > MINOR_MAX)
			return refuse(err, EINVAL, e->path,
				      "the device number is out of range");
		return 0;
	default:
		return 0;
	}
}

static int check_size(struct aci_check *c, const struct aci_entry *e,
		      struct error *err)
{
	if (e->type != ACI_FILE)
		return 0;
	if (e->size < 0)
		return refuse(err, EINVAL, e->path, "the size is negative");
	if ((uint64_t)e->size > c->limits.max_file_size) {
		cleanup_free char *quoted = aci_quote(e->path);

		return error_set(err, EFBIG,
				 "archive entry %s: its %lld bytes are more "
				 "than the limit of %llu",
				 quoted, (long long)e->size,
				 (unsigned long long)c->limits.max_file_size);
	}
	c->logical_size += (uint64_t)e->size;
	if (c->logical_size > LOGICAL_SIZE_MAX)
		return error_set(err, EFBIG,
				 "the archive's files are more than 16 TiB");
	return 0;
}

static int role_of(const char *clean, const struct aci_entry *e,
		   struct error *err)
{
	if (!*clean) {
		if (e->type != ACI_DIRECTORY)
			return refuse(err, EINVAL, e->path,
				      "the top is not a directory");
		return ACI_ROLE_TOP;
	}
	if (!strcmp(clean, "manifest")) {
		if (e->type != ACI_FILE)
			return refuse(err, EINVAL, e->path,
				      "it is not a regular file");
		return ACI_ROLE_MANIFEST;
	}
	if (!strcmp(clean, "rootfs") && e->type != ACI_DIRECTORY)
		return refuse(err, EINVAL, e->path, "it is not a directory");
	if (!strcmp(clean, "rootfs") || !strncmp(clean, "rootfs/", 7))
		return ACI_ROLE_ROOTFS;
	return refuse(err, EINVAL, e->path,
		      "an image holds nothing but manifest and rootfs/");
}

int aci_check_entry(struct aci_check *c, const struct aci_entry *e,
		    struct error *err)
{
	cleanup_free char *clean = NULL;
	int r, role;

	if (c->n_files >= c->limits.max_files)
		return error_set(err, EFBIG,
				 "the archive has more than %llu entries",
				 (unsigned long long)c->limits.max_files);
	r = aci_path_clean(e->path, &clean, err);
	if (r < 0)
		return r;
	role = role_of(clean, e, err);
	if (role < 0)
		return role;
	r = check_owner(e, err);
	if (r == 0)
		r = check_type(c, e, clean, err);
	if (r == 0)
		r = check_size(c, e, err);
	if (r == 0)
		r = check_parents(c, clean, err);
	if (r == 0)
		r = add_slot(c, clean, strlen(clean), e->type, false, err);
	if (r < 0)
		return r;
	c->data_end = 0;
	c->has_manifest |= role == ACI_ROLE_MANIFEST;
	c->has_rootfs |= !strcmp(clean, "rootfs");
	c->n_files += role == ACI_ROLE_ROOTFS;
	return role;
}

enum aci_link aci_check_link_kind(const struct aci_check *c,
				  const struct aci_entry *e)
{
	cleanup_free char *target = NULL;
	const struct aci_slot *s;

	if (!c->is_layer || e->type != ACI_HARDLINK ||
	    aci_path_clean(e->target, &target, NULL) < 0)
		return ACI_LINK_FILE;
	s = find_slot(c, target, strlen(target));
	if (!s->path)
		return ACI_LINK_BELOW;
	return s->type == ACI_HARDLINK ? ACI_LINK_AGAIN : ACI_LINK_FILE;
}

int aci_check_each_implied(const struct aci_check *c,
			   int (*fn)(const char *path))
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < c->n_slots; i++)
		if (c->slots[i].path && c->slots[i].implied)
			r = fn(c->slots[i].path);
	return r;
}

int aci_check_data(struct aci_check *c, const struct aci_entry *e,
		   int64_t offset, size_t n, struct error *err)
{
	uint64_t first = (uint64_t)c->data_end / BLOCK_SIZE;

	if (offset < c->data_end || offset > e->size ||
	    n > (uint64_t)(e->size - offset))
		return refuse(err, EINVAL, e->path,
			      "its data does not lie within its size");
	/* Blocks touched, the one the last call ended in only once. */
	if ((uint64_t)offset / BLOCK_SIZE > first ||
	    c->data_end % BLOCK_SIZE == 0)
		first = (uint64_t)offset / BLOCK_SIZE;
	else
		first++;
	c->data_end = offset + (int64_t)n;
	if (n > 0)
		c->unpacked_size +=
			(((uint64_t)c->data_end - 1) / BLOCK_SIZE + 1 - first) *
			BLOCK_SIZE;
	return 0;
}

int aci_check_end(const struct aci_check *c, struct error *err)
{
	if (!c->has_manifest)
		return error_set(err, EINVAL,
				 "no manifest was found in the archive");
	if (!c->has_rootfs)
		return error_set(err, EINVAL,
				 "no rootfs directory was found in the "
				 "archive");
	return 0;
}

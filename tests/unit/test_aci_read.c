/* SPDX-License-Identifier: Apache-2.0 */
#include "aci/aci_read.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aci/compression.h"
#include "aci/digest.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "spec/image_manifest.h"
#include "tests/conformance/vectors.h"
#include "tests/unit/tar_bytes.h"

#define MiB (1UL << 20)

static const struct aci_limits limits = {
	.max_tar_size = 256 * MiB,
	.max_files = 100000,
};

static int read_bytes(const struct strbuf *sb, int blob_fd,
		      struct aci_contents *ret, struct error *err)
{
	cleanup_fd int fd = tar_fd(sb->buf, sb->len);

	return aci_read(fd, blob_fd, &limits, NULL, ret, err);
}

/* aci_read() and what rkt-fetch does with the manifest. */
static int read_image(int fd, struct error *err)
{
	cleanup_aci_contents struct aci_contents c = ACI_CONTENTS_INIT;
	cleanup_image_manifest struct image_manifest im = IMAGE_MANIFEST_INIT;
	int r;

	r = aci_read(fd, -1, &limits, NULL, &c, err);
	if (r < 0)
		return r;
	return image_manifest_parse(c.manifest.buf, c.manifest.len, &im, err);
}

static void add_vector_entry(struct strbuf *sb, json_t *e)
{
	static const struct {
		const char *name;
		char type;
	} types[] = {{"file", '0'}, {"dir", '5'}, {"symlink", '2'}};
	const char *type = json_string_value(json_object_get(e, "type"));
	struct tar_entry t = {
		.name = json_string_value(json_object_get(e, "path")),
		.data = json_string_value(json_object_get(e, "content")),
		.link = json_string_value(json_object_get(e, "link")),
	};

	for (size_t i = 0; i < 3; i++)
		if (!strcmp(type, types[i].name))
			t.type = types[i].type;
	cr_assert(t.type, "%s", type);
	tar_add(sb, &t);
}

static void run_archive_vector(const struct vector *v)
{
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	cleanup_fd int fd = -EBADF;
	struct error err = ERROR_INIT;
	json_t *e;
	size_t i;
	int r;

	json_array_foreach (json_object_get(v->json, "entries"), i, e)
		add_vector_entry(&sb, e);
	tar_end(&sb);
	fd = tar_fd(sb.buf, sb.len);
	r = read_image(fd, &err);
	cr_expect((r == 0) == v->accept, "%s[%zu]: %d %s", v->group, v->index,
		  r, err.msg);
}

Test(aci_read, vectors)
{
	vectors_run("aci_archive", 14, run_archive_vector);
}

/* The notes say what the bytes are. */
static void run_filetype_vector(const struct vector *v)
{
	static const struct {
		const char *note, *bytes;
		size_t len;
	} rows[] = {
		{"gzip magic 1f8b", "\x1f\x8b", 2},
		{"bzip2 magic 425a68 'BZh'", "BZh", 3},
		{"xz magic fd377a585a00",
		 "\xfd"
		 "7zXZ\0",
		 6},
		{"tar 'ustar' at offset 257 (at least 263 bytes read)", NULL,
		 0},
		{"text", "hello", 5},
		{"empty", "", 0},
		{"binary", "\1\2\3\4\0\377", 6},
		{"xz magic without the NUL",
		 "\xfd"
		 "7zXZ",
		 5},
		{"OpenPGP ascii armor", "-----BEGIN PGP MESSAGE-----\n", 28},
	};
	const char *note = vector_string(v, "note");
	uint8_t head[COMPRESSION_HEAD] = {0};
	enum compression c;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = rows[i].len;
		bool accept = json_is_true(
			json_object_get(v->json, "accept_as_image"));

		if (strcmp(note, rows[i].note) != 0)
			continue;
		if (rows[i].bytes) {
			memcpy(head, rows[i].bytes, len);
		} else {
			memcpy(head + 257, "ustar", 5);
			len = 263;
		}
		cr_expect((compression_detect(head, len, &c) == 0) == accept,
			  "%s", note);
		return;
	}
	cr_expect_fail("unknown vector: %s", note);
}

Test(aci_read, filetype_vectors)
{
	vectors_run("filetype", 9, run_filetype_vector);
}

Test(aci_read, contents)
{
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	cleanup_aci_contents struct aci_contents c = ACI_CONTENTS_INIT;
	cleanup_digest struct digest d = DIGEST_INIT;
	cleanup_fd int blob = memfd_create("blob", MFD_CLOEXEC);
	struct error err = ERROR_INIT;
	uint8_t digest[64];
	struct stat st;
	void *copy;

	tar_begin(&sb);
	tar_add(&sb, &(struct tar_entry){
			     .name = "rootfs/a", .type = '0', .data = "hello"});
	tar_end(&sb);
	/* What follows the end mark belongs to the image's digest. */
	strbuf_grow(&sb, 20000);
	memset(sb.buf + sb.len, 0, 20000);
	strbuf_setlen(&sb, sb.len + 20000);
	cr_assert(read_bytes(&sb, blob, &c, &err) == 0, "%s", err.msg);
	cr_assert(digest_init(&d, DIGEST_SHA512, NULL) == 0);
	digest_update(&d, sb.buf, sb.len);
	digest_final(&d, digest);
	cr_expect_arr_eq(digest, c.totals.tar_digest, sizeof(digest));
	cr_expect(c.totals.tar_size == sb.len);
	cr_expect(c.totals.image_size == sb.len);
	cr_expect(c.n_files == 2);
	cr_expect(c.unpacked_size == 8192);
	cr_expect_str_eq(c.manifest.buf, TAR_MANIFEST);
	cr_expect(c.manifest_end - c.manifest_start == 1024);
	cr_expect_str_eq(sb.buf + c.manifest_start, "manifest");
	cr_expect_str_eq(sb.buf + c.manifest_start + 512, TAR_MANIFEST);
	cr_assert(fstat(blob, &st) == 0);
	cr_assert((size_t)st.st_size == sb.len);
	copy = mmap(NULL, sb.len, PROT_READ, MAP_PRIVATE, blob, 0);
	cr_expect(copy != MAP_FAILED && memcmp(copy, sb.buf, sb.len) == 0);
	(void)munmap(copy, sb.len);
}

/* Zero runs become holes, also across chunks; the bytes stay. */
Test(aci_read, holes)
{
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	cleanup_aci_contents struct aci_contents c = ACI_CONTENTS_INIT;
	cleanup_free char *data = calloc(1, 5 * MiB + 10);
	cleanup_fd int blob = memfd_create("blob", MFD_CLOEXEC);
	struct error err = ERROR_INIT;
	struct stat st;
	char *copy;

	data[0] = data[MiB + 5000] = data[5 * MiB + 9] = 'x';
	tar_begin(&sb);
	tar_add(&sb, &(struct tar_entry){.name = "rootfs/a",
					 .type = '0',
					 .data = data,
					 .data_len = 5 * MiB + 10});
	tar_end(&sb);
	cr_assert(read_bytes(&sb, blob, &c, &err) == 0, "%s", err.msg);
	cr_assert(fstat(blob, &st) == 0);
	cr_expect((size_t)st.st_size == sb.len);
	cr_expect(st.st_blocks * 512 < 100000, "%ld", (long)st.st_blocks);
	copy = mmap(NULL, sb.len, PROT_READ, MAP_PRIVATE, blob, 0);
	cr_expect(memcmp(copy, sb.buf, sb.len) == 0);
	(void)munmap(copy, sb.len);
}

/* Names that are not UTF-8 are bytes like others, in every header form. */
Test(aci_read, byte_names)
{
	static const char *const names[] = {"rootfs/caf\xc3\xa9",
					    "rootfs/cafe\xcc\x81",
					    "rootfs/\xff\xfe", "rootfs/ \n\t"};
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	cleanup_aci_contents struct aci_contents c = ACI_CONTENTS_INIT;
	struct error err = ERROR_INIT;
	char name[64];

	tar_begin(&sb);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(name, sizeof(name), "%s.pax", names[i]);
		tar_add(&sb,
			&(struct tar_entry){.name = names[i], .type = '0'});
		tar_pax(&sb, "path", name);
		tar_add(&sb,
			&(struct tar_entry){.name = "rootfs/x", .type = '0'});
	}
	tar_end(&sb);
	cr_expect(read_bytes(&sb, -1, &c, &err) == 0, "%s", err.msg);
	cr_expect(c.n_files == 9);
}

Test(aci_read, limits)
{
	const struct aci_limits small = {.max_tar_size = 4096, .max_files = 3};
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	cleanup_aci_contents struct aci_contents c = ACI_CONTENTS_INIT;
	cleanup_fd int fd = -EBADF;
	cleanup_fd int fd2 = -EBADF;
	struct error err = ERROR_INIT;

	tar_begin(&sb);
	for (int i = 0; i < 3; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "rootfs/%d", i);
		tar_add(&sb, &(struct tar_entry){.name = name, .type = '0'});
	}
	fd = tar_fd(sb.buf, sb.len);
	cr_expect(aci_read(fd, -1, &small, NULL, &c, &err) == -EFBIG);
	cr_expect_not_null(strstr(err.msg, "more than 3 entries"), "%s",
			   err.msg);
	strbuf_reset(&sb);
	tar_begin(&sb);
	tar_end(&sb);
	strbuf_grow(&sb, 4096);
	memset(sb.buf + sb.len, 0, 4096);
	strbuf_setlen(&sb, sb.len + 4096);
	fd2 = tar_fd(sb.buf, sb.len);
	cr_expect(aci_read(fd2, -1, &small, NULL, &c, &err) == -EFBIG);
	cr_expect_not_null(strstr(err.msg, "more than the limit of 4096"), "%s",
			   err.msg);
}

/* A full file system is an error, not a short blob. */
Test(aci_read, blob_write_fails)
{
	cleanup_strbuf struct strbuf sb = STRBUF_INIT;
	cleanup_aci_contents struct aci_contents c = ACI_CONTENTS_INIT;
	cleanup_fd int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	struct error err = ERROR_INIT;

	tar_begin(&sb);
	tar_end(&sb);
	cr_expect(read_bytes(&sb, full, &c, &err) == -ENOSPC, "%s", err.msg);
}

static void check_shelf_row(char *line)
{
	char *says = strchr(line, '\t');
	struct error err = ERROR_INIT;
	cleanup_fd int fd = -EBADF;
	char path[256];
	int r;

	cr_assert(says, "%s", line);
	*says++ = '\0';
	says[strcspn(says, "\n")] = '\0';
	(void)snprintf(path, sizeof(path), "tests/images/should-fail-%s.aci",
		       line);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert(fd >= 0, "%s", path);
	r = read_image(fd, &err);
	cr_expect(r < 0, "%s was accepted", line);
	cr_expect(strstr(err.msg, says), "%s: %s, not %s", line, err.msg, says);
	for (const char *p = err.msg; *p; p++)
		cr_expect(*p >= ' ' && *p < 0x7f, "%s: byte %02x", line,
			  (unsigned char)*p);
}

/* tests/images/make-hostile.py wrote them. */
Test(aci_read, bad_input_shelf)
{
	cleanup_file FILE *f = fopen("tests/images/should-fail.txt", "re");
	char line[512];
	size_t n = 0;

	cr_assert(f);
	for (; fgets(line, sizeof(line), f); n++)
		check_shelf_row(line);
	cr_expect(n > 100, "%zu", n);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The same text through every grammar of the command line. */
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/strbuf.h"
#include "base/strv.h"
#include "spec/acidentifier.h"
#include "spec/acname.h"
#include "spec/acversion.h"
#include "spec/image_id.h"
#include "spec/image_ref.h"
#include "spec/json_read.h"
#include "spec/json_write.h"
#include "spec/mount.h"
#include "spec/mount_point.h"
#include "spec/name_value.h"
#include "spec/port.h"
#include "spec/quantity.h"
#include "spec/secret.h"
#include "spec/uuid.h"
#include "spec/volume.h"
#include "tests/fuzz/fuzz.h"

/* Parse, format, parse, format: both texts must be the same. */
#define expect_round_trip(type, s)                                             \
	do {                                                                   \
		struct type once cleanup_with(type##_release) = {0};           \
		struct type again cleanup_with(type##_release) = {0};          \
		struct strbuf first cleanup_strbuf = STRBUF_INIT;              \
		struct strbuf second cleanup_strbuf = STRBUF_INIT;             \
		struct error err = ERROR_INIT;                                 \
                                                                               \
		if (type##_parse(s, &once, &err) < 0) {                        \
			fuzz_expect(*err.msg);                                 \
			break;                                                 \
		}                                                              \
		type##_format(&once, &first);                                  \
		fuzz_expect(type##_parse(first.buf, &again, NULL) == 0);       \
		type##_format(&again, &second);                                \
		fuzz_expect(strcmp(first.buf, second.buf) == 0);               \
	} while (0)

static void quantity_release(struct quantity *q)
{
	(void)q;
}

static void try_quantity_values(const char *s)
{
	struct quantity q;
	int64_t value;

	if (quantity_parse(s, &q, NULL) < 0)
		return;
	fuzz_expect(quantity_compare(&q, &q) == 0);
	(void)quantity_milli_ceil(&q, &value);
	(void)quantity_value_ceil(&q, &value);
	(void)quantity_check_usable(&q, "limit", NULL);
}

/* What is written is read back, and stays below the volume. */
static void try_mount_options(const struct mount *m)
{
	struct mount again cleanup_mount = {0};
	struct strbuf out cleanup_strbuf = STRBUF_INIT;

	mount_format_options(m, &out);
	fuzz_expect(mount_parse_options(out.buf, &again, NULL) == 0);
	fuzz_expect(again.read_only == m->read_only &&
		    again.propagation == m->propagation &&
		    !again.sub_path == !m->sub_path);
	if (m->sub_path)
		fuzz_expect(strcmp(m->sub_path, again.sub_path) == 0 &&
			    m->sub_path[0] != '/' &&
			    strcmp(m->sub_path, "..") != 0 &&
			    strncmp(m->sub_path, "../", 3) != 0);
}

static void try_mount(const char *s)
{
	struct exposed_port port cleanup_exposed_port = {0};
	struct mount mount cleanup_mount = {0};

	if (mount_parse(s, &mount, NULL) == 0) {
		fuzz_expect(mount.volume && mount.path[0] == '/');
		try_mount_options(&mount);
	}
	if (exposed_port_parse(s, &port, NULL) == 0)
		fuzz_expect(acname_check(port.name, NULL) == 0 &&
			    port.host_port > 0 && port.host_port < 65536);
}

static void try_direct(const char *s)
{
	struct exposed_port port cleanup_exposed_port = {0};
	struct mount mount cleanup_mount = {0};

	if (mount_volume_parse(s, &mount, NULL) == 0)
		fuzz_expect(mount.volume && mount.path[0] == '/' &&
			    volume_check(&mount.app_volume, NULL) == 0);
	if (exposed_port_parse_direct(s, &port, NULL) == 0)
		fuzz_expect(acname_check(port.name, NULL) == 0 &&
			    port.host_port > 0 && port.host_port < 65536 &&
			    port.host_ip && port.pod_port.port > 0);
}

/* What is written is read back the same. */
static void try_secret(const char *s)
{
	struct secret secret cleanup_secret = {0};
	struct secret again cleanup_secret = {0};
	struct strbuf text cleanup_strbuf = STRBUF_INIT;
	struct strbuf same cleanup_strbuf = STRBUF_INIT;

	if (secret_parse(s, &secret, NULL) < 0)
		return;
	strbuf_addf(&text, "%s,", secret.name);
	secret_format(&secret, &text);
	fuzz_expect(secret_parse(text.buf, &again, NULL) == 0);
	strbuf_addf(&same, "%s,", again.name);
	secret_format(&again, &same);
	fuzz_expect(strcmp(text.buf, same.buf) == 0);
}

static void try_image_strings(const char *s)
{
	struct mount_point mp cleanup_with(mount_point_release) = {0};
	struct port port cleanup_with(port_release) = {0};

	if (mount_point_parse(s, &mp, NULL) == 0)
		fuzz_expect(mp.name && mp.path);
	if (port_parse(s, &port, NULL) == 0)
		fuzz_expect(port.count > 0 &&
			    port.port + port.count - 1 <= UINT16_MAX);
}

static void try_names(const char *s)
{
	char *identifier cleanup_free = NULL;
	char *name cleanup_free = NULL;

	if (acname_sanitize(s, &name, NULL) == 0)
		fuzz_expect(acname_check(name, NULL) == 0);
	if (acidentifier_sanitize(s, &identifier, NULL) == 0)
		fuzz_expect(acidentifier_check(identifier, NULL) == 0);
	if (acname_check(s, NULL) == 0)
		fuzz_expect(acidentifier_check(s, NULL) == 0);
	(void)environment_name_check(s, NULL);
	(void)date_check(s, NULL);
	(void)url_check(s, NULL);
}

static void try_ids(const char *s)
{
	char text[UUID_TEXT_LEN + 1];
	struct image_id id, prefix;
	struct uuid u, again;

	if (uuid_parse(s, &u, NULL) == 0) {
		uuid_format(&u, text);
		fuzz_expect(uuid_parse(text, &again, NULL) == 0);
		fuzz_expect(memcmp(u.b, again.b, sizeof(u.b)) == 0);
	}
	if (image_id_parse(s, &id, NULL) == 0) {
		fuzz_expect(image_id_parse_prefix(s, &prefix, NULL) == 0);
		fuzz_expect(strcmp(id.text, prefix.text) == 0);
		fuzz_expect(image_id_check_text(s, NULL) == 0);
	}
}

static void try_json(const char *s)
{
	struct strbuf first cleanup_strbuf = STRBUF_INIT;
	struct strbuf second cleanup_strbuf = STRBUF_INIT;
	struct strbuf query cleanup_strbuf = STRBUF_INIT;
	struct strv sv cleanup_strv = STRV_INIT;
	struct strv again cleanup_strv = STRV_INIT;

	(void)make_query_string(s, &query, NULL);
	/* Any bytes become a JSON string. */
	strv_push(&sv, s);
	json_strv_write(&sv, &first);
	fuzz_expect(json_strv_parse(first.buf, first.len, &again, NULL) == 0);
	json_strv_write(&again, &second);
	fuzz_expect(strcmp(first.buf, second.buf) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *s cleanup_free = xstrndup((const char *)data, size);

	expect_round_trip(volume, s);
	expect_round_trip(image_ref, s);
	expect_round_trip(acversion, s);
	expect_round_trip(quantity, s);
	try_quantity_values(s);
	try_direct(s);
	try_mount(s);
	try_secret(s);
	try_image_strings(s);
	try_names(s);
	try_ids(s);
	try_json(s);
	return 0;
}

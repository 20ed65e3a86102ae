/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sha256.h"

#include <criterion/criterion.h>
#include <string.h>

#include "aci/digest.h"
#include "base/parse.h"

/* Appendix B of the standard's first edition. */
Test(sha256, examples)
{
	static const struct {
		const char *text, *hex;
	} rows[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b"
		     "7852b855"},
		{"abc",
		 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f2"
		 "0015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419"
		 "db06c1"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint8_t sum[SHA256_SIZE];
		char hex[2 * SHA256_SIZE + 1];

		sha256(rows[i].text, strlen(rows[i].text), sum);
		format_hex(sum, sizeof(sum), hex);
		cr_expect_str_eq(hex, rows[i].hex, "%s", rows[i].text);
	}
}

/* Every length a last block can have. */
Test(sha256, says_what_openssl_says)
{
	uint8_t data[300], sum[SHA256_SIZE], want[DIGEST_SHA256_SIZE];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + (i >> 3));
	for (size_t len = 0; len <= sizeof(data); len++) {
		cleanup_digest struct digest d = DIGEST_INIT;

		cr_assert_eq(digest_init(&d, DIGEST_SHA256, NULL), 0);
		digest_update(&d, data, len);
		digest_final(&d, want);
		sha256(data, len, sum);
		cr_expect_eq(memcmp(sum, want, sizeof(sum)), 0, "%zu", len);
	}
}

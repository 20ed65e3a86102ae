/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/oci_digest.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/parse.h"

#define HEX_DIGITS "0123456789abcdef"
#define ALGORITHM_CHARS "abcdefghijklmnopqrstuvwxyz0123456789+._-"
#define ALGORITHM_MAX 32

static const struct {
	const char *prefix;
	size_t hex;
} algorithms[] = {{"sha256:", 64}, {"sha512:", 128}};

int oci_digest_check(const char *s, struct error *err)
{
	size_t len = strcspn(s, ":");

	for (size_t i = 0; i < 2; i++) {
		const char *hex = s + OCI_DIGEST_HEX_AT;

		if (strncmp(s, algorithms[i].prefix, OCI_DIGEST_HEX_AT) != 0)
			continue;
		if (strspn(hex, HEX_DIGITS) == algorithms[i].hex &&
		    !hex[algorithms[i].hex])
			return 0;
		return error_set(err, EINVAL,
				 "the digest is not \"%s\" and %zu hex digits",
				 algorithms[i].prefix, algorithms[i].hex);
	}
	if (len > 0 && len <= ALGORITHM_MAX && s[len] &&
	    strspn(s, ALGORITHM_CHARS) == len)
		return error_set(err, ENOTSUP,
				 "the digest is one of %.*s, and only sha256 "
				 "and sha512 can be checked",
				 (int)len, s);
	return error_set(err, EINVAL,
			 "the digest is not \"sha256:\" and 64 hex digits");
}

bool oci_digest_is_sha512(const char *digest)
{
	return strncmp(digest, "sha512:", OCI_DIGEST_HEX_AT) == 0;
}

void oci_digest_format(const uint8_t *bytes, bool is_sha512,
		       char ret[OCI_DIGEST_MAX])
{
	memcpy(ret, algorithms[is_sha512].prefix, OCI_DIGEST_HEX_AT);
	format_hex(bytes, algorithms[is_sha512].hex / 2,
		   ret + OCI_DIGEST_HEX_AT);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/image_id.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/parse.h"

/* Copies hex digits in lower case; how many, or -EINVAL at another byte. */
static int copy_hex(const char *s, char *out)
{
	int n = 0;

	for (; s[n]; n++) {
		char c = s[n];

		if (n == IMAGE_ID_HEX_LEN)
			return -EINVAL;
		if (c >= 'A' && c <= 'F')
			c = (char)(c - 'A' + 'a');
		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
			return -EINVAL;
		out[n] = c;
	}
	out[n] = '\0';
	return n;
}

static int parse_hex_digits(const char *s, struct image_id *ret)
{
	struct image_id id;
	int n;

	if (strncmp(s, IMAGE_ID_PREFIX, IMAGE_ID_PREFIX_LEN) != 0)
		return -EINVAL;
	memcpy(id.text, IMAGE_ID_PREFIX, IMAGE_ID_PREFIX_LEN);
	n = copy_hex(s + IMAGE_ID_PREFIX_LEN, id.text + IMAGE_ID_PREFIX_LEN);
	if (n > 0)
		*ret = id;
	return n;
}

int image_id_parse(const char *s, struct image_id *ret, struct error *err)
{
	struct image_id id;

	if (parse_hex_digits(s, &id) != IMAGE_ID_HEX_LEN)
		return error_set(err, EINVAL,
				 "image ID '%s' is not " IMAGE_ID_PREFIX
				 " and %d hex digits",
				 s, IMAGE_ID_HEX_LEN);
	*ret = id;
	return 0;
}

void image_id_from_digest(const unsigned char digest[64], struct image_id *ret)
{
	memcpy(ret->text, IMAGE_ID_PREFIX, IMAGE_ID_PREFIX_LEN);
	format_hex(digest, 64, ret->text + IMAGE_ID_PREFIX_LEN);
}

int image_id_check_text(const char *s, struct error *err)
{
	if (strncmp(s, IMAGE_ID_PREFIX, IMAGE_ID_PREFIX_LEN) != 0)
		return error_set(err, EINVAL,
				 "image ID '%s' does not start "
				 "with " IMAGE_ID_PREFIX,
				 s);
	s += IMAGE_ID_PREFIX_LEN;
	if (!*s || strchr(s, '-'))
		return error_set(err, EINVAL,
				 "image ID " IMAGE_ID_PREFIX "%s has no digest",
				 s);
	return 0;
}

int image_id_parse_prefix(const char *s, struct image_id *ret,
			  struct error *err)
{
	if (parse_hex_digits(s, ret) > 0)
		return 0;
	return error_set(err, EINVAL,
			 "image ID '%s' is not " IMAGE_ID_PREFIX
			 " and 1 to %d hex digits",
			 s, IMAGE_ID_HEX_LEN);
}

static void copy_cut(const struct image_id *id, size_t len, char *ret)
{
	size_t n = strnlen(id->text, len);

	memcpy(ret, id->text, n);
	ret[n] = '\0';
}

void image_id_short(const struct image_id *id, char ret[IMAGE_ID_SHORT_LEN + 1])
{
	copy_cut(id, IMAGE_ID_SHORT_LEN, ret);
}

void image_id_full(const struct image_id *id, char ret[IMAGE_ID_FULL_LEN + 1])
{
	copy_cut(id, IMAGE_ID_FULL_LEN, ret);
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_KEYSTORE_H
#define ACI_KEYSTORE_H

/*
 * Public keys the operator trusts to sign images, as files below the
 * configuration directories:
 *
 *   DIR/trustedkeys/root.d/FINGERPRINT                  any image
 *   DIR/trustedkeys/prefix.d/NAME/PREFIX/FINGERPRINT    images below PREFIX
 *
 * FINGERPRINT is 40 lower-case hex digits.  A prefix matches whole path
 * components of the image name.  Files are taken in the order system, local,
 * user: first all root.d, then all prefix.d from the shortest prefix down.  A
 * later file replaces an earlier one of the same name; an empty file removes
 * the key (that is how /etc/rkt withdraws a key of /usr/lib/rkt).  What is no
 * regular file, or has another name, is not a key.
 *
 * Nothing here looks into a key file: rkt-fetch does, and refuses a file
 * whose key has not the fingerprint of the file's name.
 */

#include <stdbool.h>
#include <stddef.h>

struct error;
struct strv;

#define KEY_FINGERPRINT_LEN 40
#define KEY_FILE_MAX (1024UL * 1024) /* bytes */

/* Configuration directories; NULL or a missing directory holds no keys. */
struct keystore {
	const char *system_dir; /* /usr/lib/rkt */
	const char *local_dir;	/* /etc/rkt: where keys are added */
	const char *user_dir;
};

struct trusted_key {
	char fingerprint[KEY_FINGERPRINT_LEN + 1];
	int fd;	    /* the key file, read-only */
	char *path; /* for messages */
};

struct trusted_keys {
	struct trusted_key *v;
	size_t n;
};

#define TRUSTED_KEYS_INIT                                                      \
	{                                                                      \
		NULL, 0                                                        \
	}

void trusted_keys_release(struct trusted_keys *keys);
#define cleanup_trusted_keys __attribute__((__cleanup__(trusted_keys_release)))

/* True for 40 lower-case hex digits. */
bool keystore_is_fingerprint(const char *name);

/*
 * The directories below "trustedkeys" that hold keys for images called NAME,
 * in the order they count: "root.d", "prefix.d/a", "prefix.d/a/b".  -EINVAL
 * if NAME is no AC Identifier or would leave the key store.  Pure.
 */
int keystore_dirs_make(struct strv *ret, const char *name, struct error *err);

/*
 * Opens the keys trusted for images called NAME.  No key is no error: the
 * result is empty.  Returns 0 or -errno.
 */
int keystore_find(const struct keystore *ks, const char *name,
		  struct trusted_keys *ret, struct error *err);

/*
 * Adds the key file contents DATA for PREFIX (NULL: for every image) to the
 * local directory, replacing a file of that name.  Directories are made
 * 0755, the file 0644; it is on disk when this returns.  The file's path
 * goes to *ret_path.
 */
int keystore_add(const struct keystore *ks, const char *prefix,
		 const char *fingerprint, const void *data, size_t len,
		 char **ret_path, struct error *err);

#endif

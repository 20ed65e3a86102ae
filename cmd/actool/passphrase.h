/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_ACTOOL_PASSPHRASE_H
#define CMD_ACTOOL_PASSPHRASE_H

#include <stddef.h>

struct error;

/*
 * The passphrase of the key FINGERPRINT into BUF: the first line of the file
 * ARG (a const char *) if that is not NULL, else what the terminal answers.
 * An openpgp_passphrase_fn.
 */
int passphrase_get(void *arg, const char *fingerprint, char *buf, size_t size,
		   struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_API_ADDRESSES_H
#define CMD_RKT_API_ADDRESSES_H

#include <sys/types.h>

struct error;

#define ADDRESS_FDS_MAX 2

/*
 * Listens at TEXT: "localhost:PORT" (127.0.0.1 and ::1), "IP:PORT",
 * "[IPv6]:PORT", ":PORT" (every address of the host), or "unix:PATH", which
 * GROUP may connect to.  OPTION is named in errors.  Returns how many
 * descriptors RET has got.
 */
int addresses_listen(const char *text, const char *option, gid_t group,
		     int ret[ADDRESS_FDS_MAX], struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_SANDBOX_FILTER_H
#define ACI_SANDBOX_FILTER_H

/* The system calls of each cage of sandbox.h; any other ends the process. */

#include <seccomp.h>

struct error;

/* ALLOW_MORE, one of those below, adds to what every C program does. */
int sandbox_filter_apply(int (*allow_more)(scmp_filter_ctx ctx),
			 struct error *err);

int sandbox_allow_reply(scmp_filter_ctx ctx);
int sandbox_allow_extract(scmp_filter_ctx ctx);
int sandbox_allow_pack(scmp_filter_ctx ctx);
int sandbox_allow_http(scmp_filter_ctx ctx);
int sandbox_allow_serve(scmp_filter_ctx ctx);
int sandbox_allow_forward(scmp_filter_ctx ctx);
int sandbox_allow_show(scmp_filter_ctx ctx);

#endif

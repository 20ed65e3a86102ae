/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_HTTP_TRANSFER_H
#define CMD_RKT_HTTP_TRANSFER_H

/* One HTTP request, done: attempts, redirects, resumption (aci/http.h). */

#include "aci/fetch_server.h"
#include "base/strbuf.h"

/* Before the sandbox. */
int transfer_prepare(struct error *err);

/* AUTHORITIES: certificates in PEM, maybe none. */
int transfer_run(const struct fetch_job *job, const struct strbuf *authorities,
		 struct fetch_http_reply *ret, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_METADATA_ANSWERS_H
#define CMD_RKT_METADATA_ANSWERS_H

/* What is answered: to pods, and to those who register them (spec/metadata.h).
 */

#include "aci/http_server.h"

struct error;

/* The key of this service's signatures, from the kernel.  Who registers a pod
 * is told PORT, where it can ask. */
int answers_prepare(unsigned int port, struct error *err);

void answer_pod(struct http_server_request *request);
void answer_registration(struct http_server_request *request);

/* The path, without the token that is in it. */
const char *answers_name(const struct http_server_request *request);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_API_METRICS_H
#define CMD_RKT_API_METRICS_H

/* GET /metrics: numbers of pods, apps and images in the text format of
 * Prometheus (version 0.0.4), as `rkt stats` and `rkt image list` have them. */

struct http_server_request;

/* Its data is a struct service. */
void metrics_answer(struct http_server_request *request);

#endif

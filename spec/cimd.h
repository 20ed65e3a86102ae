/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_CIMD_H
#define SPEC_CIMD_H

/*
 * rkt's distribution URIs (rkt, Documentation/distribution-point.md):
 *
 *	cimd:aci-archive:v=0:URL                 escaped as in a query string
 *	cimd:appc:v=0:NAME?version=1&os=linux    so are the labels' values
 *	cimd:docker:v=0:[REGISTRY/]NAME[:TAG|@DIGEST]
 *
 * Pure.
 */

struct error;
struct strbuf;

#define CIMD_SCHEME "cimd:"

/* The image string that URI means: a URL, NAME,LABEL=VALUE or docker://.  What
 * it names is not checked.  -EINVAL, -ENOTSUP another type or version. */
int cimd_to_image_string(const char *uri, struct strbuf *ret,
			 struct error *err);

#endif

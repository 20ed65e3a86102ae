/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SPEC_POD_FILE_H
#define SPEC_POD_FILE_H

/*
 * A pod as a file of /etc/rkt/pods.d, for rkt@NAME.service: the words of
 * `rkt run` as data.
 *
 *	{
 *		"rktKind": "pod",
 *		"rktVersion": "v1",
 *		"flags": ["--port=http:8080"],
 *		"apps": [
 *			{
 *				"image": "example.com/web",
 *				"flags": ["--memory=256M"],
 *				"args": ["--verbose"]
 *			}
 *		]
 *	}
 *
 * `flags` are those of the pod, `apps[].flags` those that follow an image;
 * each is one word, --NAME or --NAME=VALUE.  All but rktKind, rktVersion, apps
 * and image may be left out.  A member that nobody knows is refused: it would
 * be a service that runs other than its file says.
 */

#include <stddef.h>

struct error;
struct strv;

#define POD_FILE_MAX (1024UL * 1024)

/*
 * What the file says as words of a command line, appended to RET:
 * FLAGS... IMAGE FLAGS... -- ARGS... --- IMAGE ...  -EINVAL with line and
 * column or JSON path.  Pure.
 */
int pod_file_parse(const char *buf, size_t len, struct strv *ret,
		   struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_RKT_SAY_H
#define CMD_RKT_SAY_H

/* "WHO: TEXT" on stderr: rkt's lines that carry another name than the
 * command's. */
void say_as(const char *who, const char *fmt, ...)
	__attribute__((__format__(__printf__, 2, 3)));

#endif

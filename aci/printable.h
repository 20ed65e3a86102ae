/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ACI_PRINTABLE_H
#define ACI_PRINTABLE_H

/*
 * Makes text of unknown origin fit for a terminal, in place: every byte of
 * invalid UTF-8, control characters (line feeds too), invisible characters
 * and those that reorder text (Unicode's bidirectional controls, which make a
 * name read as another one) become '?'.
 */
void make_printable(char *s);

#endif

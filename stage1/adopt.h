/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE1_ADOPT_H
#define STAGE1_ADOPT_H

/*
 * `stage1 adopt`: goes on where another stage1 was, in the same process
 * (stage1/reexec.h).  Its arguments:
 *
 *	adopt --check --record=FD UUID		in a child of that stage1: does
 *						all that, and only says whether
 *						it went well
 *	adopt --record=FD [--back=FD] UUID	BACK is the program of the one
 *						before: it goes on if this one
 *						cannot
 *	adopt --returns --record=FD UUID	that way back
 *
 * The check ends with exit code 0 and the line HANDOFF_CAN VERSION on standard
 * error, or with another one and the reason as the last line.
 */

int adopt_main(int argc, char *const argv[]);

#endif
